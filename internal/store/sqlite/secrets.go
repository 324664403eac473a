package sqlite

import (
	"context"
	"database/sql"
	"errors"

	"github.com/sparekey/sparekey/internal/reset"
)

// Secret returns what is kept under a name. Whoever asks first keeps fresh; all later callers get that.
// With a fresh of nil nothing is kept, and what is not there is nil.
func (s *Store) Secret(ctx context.Context, name string, fresh []byte) (kept []byte, err error) {
	const query = `SELECT value FROM secrets WHERE name = ?`
	err = s.read.QueryRowContext(ctx, query, name).Scan(&kept)
	if !errors.Is(err, sql.ErrNoRows) {
		return kept, translate(err)
	}
	if fresh == nil {
		return nil, nil
	}
	err = s.Update(ctx, func(rt reset.Tx) error {
		t := rt.(*tx) //nolint:forcetypeassert // its own
		if _, err := t.exec(ctx, `INSERT INTO secrets (name, value) VALUES (?, ?) ON CONFLICT DO NOTHING`, name, fresh); err != nil {
			return err
		}
		return translate(t.row(ctx, query, name).Scan(&kept))
	})
	return kept, err
}
