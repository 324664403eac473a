package postgres

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/sparekey/sparekey/internal/reset"
)

// ForgetEntries takes an address and a user's id out of the entries in the outbox that are
// about either. An event keeps the id: it is no more than a number by then, and the
// application still has to end that user's sessions.
func (t *tx) ForgetEntries(ctx context.Context, userID string, a reset.Address) error {
	type entry struct {
		id int64
		reset.Forgotten
	}
	entries, err := collect(context.WithoutCancel(ctx), t.sql, func(row pgx.Row) (e entry, err error) {
		return e, row.Scan(&e.id, &e.Kind, &e.Address, &e.UserID)
	}, `SELECT id, kind, coalesce(args ->> 'address', args ->> 'to', ''), CASE kind WHEN 'event' THEN '' ELSE coalesce(args ->> 'user_id', '') END
		FROM river_job WHERE kind IN ('link', 'notice', 'event', 'settle')`)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if patch := e.Patch(userID, a); patch != "" {
			t.later(`UPDATE river_job SET args = args || $2::jsonb WHERE id = $1`, e.id, patch)
		}
	}
	return nil
}

// Scrub has nothing to do. What is left of old rows in the server's files goes with
// its vacuum, which runs by itself, and with its log.
func (s *Store) Scrub(context.Context) error { return nil }
