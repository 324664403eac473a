package postgres

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/sparekey/sparekey/internal/reset"
)

// Secret returns what is kept under a name. Whoever asks first keeps fresh; all
// later callers get that, those of other replicas too. With a fresh of nil
// nothing is kept, and what is not there is nil.
func (s *Store) Secret(ctx context.Context, name string, fresh []byte) (kept []byte, err error) {
	const query = `SELECT value FROM secrets WHERE name = $1`
	if fresh == nil {
		list, err := list(ctx, s, func(row pgx.Row) (value []byte, err error) { return value, row.Scan(&value) }, query, name)
		if len(list) == 0 {
			return nil, err
		}
		return list[0], err
	}
	err = s.Update(ctx, func(rt reset.Tx) error {
		t := rt.(*tx) //nolint:forcetypeassert // its own
		t.later(`INSERT INTO secrets (name, value) VALUES ($1, $2) ON CONFLICT DO NOTHING`, name, fresh)
		return keep(t.row(ctx, query, name).Scan(&kept))
	})
	return kept, err
}
