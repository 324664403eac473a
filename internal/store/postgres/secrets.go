package postgres

import (
	"context"

	"github.com/sparekey/sparekey/internal/reset"
)

// Secret returns what is kept under a name. Whoever asks first keeps fresh; all
// later callers get that, those of other replicas too.
func (s *Store) Secret(ctx context.Context, name string, fresh []byte) (kept []byte, err error) {
	err = s.Update(ctx, func(rt reset.Tx) error {
		t := rt.(*tx) //nolint:forcetypeassert // its own
		t.later(`INSERT INTO secrets (name, value) VALUES ($1, $2) ON CONFLICT DO NOTHING`, name, fresh)
		return keep(t.row(ctx, `SELECT value FROM secrets WHERE name = $1`, name).Scan(&kept))
	})
	return kept, err
}
