package postgres

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/sparekey/sparekey/internal/reset"
)

const requestColumns = `ref, user_id, state, created_at, expires_at, ended_at`

func scanRequest(row pgx.Row) (reset.Request, error) {
	var (
		r                       reset.Request
		created, expires, ended *time.Time
	)
	err := row.Scan(&r.Ref, &r.UserID, &r.State, &created, &expires, &ended)
	if errors.Is(err, pgx.ErrNoRows) {
		return reset.Request{}, reset.ErrNoRequest
	}
	if err != nil {
		return reset.Request{}, keep(err)
	}
	r.CreatedAt, r.ExpiresAt, r.EndedAt = restored(created), restored(expires), restored(ended)
	return r, nil
}

// RequestByDigest implements reset.Store.
func (s *Store) RequestByDigest(ctx context.Context, d reset.Digest) (reset.Request, error) {
	return read(ctx, s, func(ctx context.Context, db querier) (reset.Request, error) {
		return scanRequest(db.QueryRow(ctx, `SELECT `+requestColumns+` FROM requests WHERE digest = $1`, d[:]))
	})
}

// OpenRequestOf implements reset.Store.
func (s *Store) OpenRequestOf(ctx context.Context, userID string) (reset.Request, error) {
	return read(ctx, s, func(ctx context.Context, db querier) (reset.Request, error) {
		return scanRequest(db.QueryRow(ctx, `SELECT `+requestColumns+` FROM requests WHERE user_id = $1 AND state = 'open'`, userID))
	})
}

// Requests implements reset.Store.
func (s *Store) Requests(ctx context.Context, limit int) ([]reset.Request, error) {
	return read(ctx, s, func(ctx context.Context, db querier) ([]reset.Request, error) {
		return collect(ctx, db, scanRequest, `SELECT `+requestColumns+` FROM requests ORDER BY ref DESC LIMIT $1`, limit)
	})
}

// OpenRequest implements reset.Tx. Two transactions that open a request for
// the same user would each not see the other's and leave both open, so a lock
// per user makes the second wait for the first.
func (t *tx) OpenRequest(_ context.Context, d reset.Digest, userID string, now, expires time.Time) error {
	t.later(lockRequests, userID)
	t.later(closeRequests, stored(now), userID)
	t.later(`INSERT INTO requests (digest, user_id, state, created_at, expires_at) VALUES ($1, $2, 'open', $3, $4)`,
		d[:], userID, stored(now), stored(expires))
	return nil
}

// Claim implements reset.Tx: the guarded update that lets one caller win.
func (t *tx) Claim(ctx context.Context, d reset.Digest, now time.Time) (reset.Request, error) {
	return scanRequest(t.row(ctx, `UPDATE requests SET state = 'used', ended_at = $1
		WHERE digest = $2 AND state = 'open' AND expires_at > $1 RETURNING `+requestColumns, stored(now), d[:]))
}

// lockRequests is held by who opens a request for a user or keeps others from it.
const lockRequests = `SELECT pg_advisory_xact_lock(hashtextextended($1, 0))`

const closeRequests = `UPDATE requests SET state = 'closed', ended_at = $1 WHERE user_id = $2 AND state = 'open'`

// CloseRequests implements reset.Tx.
func (t *tx) CloseRequests(ctx context.Context, userID string, now time.Time) (int, error) {
	n, err := t.exec(ctx, closeRequests, stored(now), userID)
	return int(n), err
}

// CloseRequest implements reset.Tx.
func (t *tx) CloseRequest(ctx context.Context, ref int64, now time.Time) error {
	return t.one(ctx, reset.ErrNoRequest, `UPDATE requests SET state = 'closed', ended_at = $1 WHERE ref = $2 AND state = 'open'`, stored(now), ref)
}

// Purge implements reset.Tx. A limit that somebody takes at this moment is left to the next purge.
func (t *tx) Purge(ctx context.Context, now, ended, jobs time.Time) (more bool, err error) {
	for _, p := range []struct {
		query string
		until any
		most  int64
	}{
		{`DELETE FROM requests WHERE ref IN (SELECT ref FROM requests WHERE expires_at < $1 ORDER BY expires_at LIMIT $2)`, stored(ended), reset.PurgeBatch},
		{`DELETE FROM jobs WHERE id IN (SELECT id FROM jobs WHERE created_at < $1 ORDER BY created_at LIMIT $2)`, stored(jobs), reset.PurgeJobs},
		{`DELETE FROM limits WHERE name IN
			(SELECT name FROM limits WHERE tat <= $1 ORDER BY tat LIMIT $2 FOR UPDATE SKIP LOCKED)`, now.UnixMicro(), reset.PurgeBatch},
	} {
		n, err := t.exec(ctx, p.query, p.until, p.most)
		if err != nil {
			return false, err
		}
		more = more || n == p.most
	}
	return more, nil
}
