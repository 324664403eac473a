package sqlite

import (
	"context"
	"errors"

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
	entries, err := collect(context.WithoutCancel(ctx), t.sql, func(row interface{ Scan(...any) error }) (e entry, err error) {
		return e, translate(row.Scan(&e.id, &e.Kind, &e.Address, &e.UserID))
	}, `SELECT id, kind, coalesce(args ->> '$.address', args ->> '$.to', ''), CASE kind WHEN 'event' THEN '' ELSE coalesce(args ->> '$.user_id', '') END
		FROM river_job WHERE kind IN ('link', 'notice', 'event', 'settle')`)
	if err != nil {
		return err
	}
	for _, e := range entries {
		patch := e.Patch(userID, a)
		if patch == "" {
			continue
		}
		if _, err := t.exec(ctx, `UPDATE river_job SET args = jsonb_patch(args, ?) WHERE id = ?`, patch, e.id); err != nil {
			return err
		}
	}
	return nil
}

// Scrub moves the write-ahead log into the file and empties it: it has rows as they
// were. In the file itself nothing is left of them (secure_delete).
func (s *Store) Scrub(ctx context.Context) error {
	var busy, logged, moved int
	if err := s.write.QueryRowContext(ctx, "PRAGMA wal_checkpoint(TRUNCATE)").Scan(&busy, &logged, &moved); err != nil {
		return translate(err)
	}
	if busy != 0 {
		return unavailable(errors.New("somebody reads the database all the time"))
	}
	return nil
}
