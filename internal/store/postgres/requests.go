package postgres

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/sparekey/sparekey/internal/reset"
)

const requestColumns = `ref, user_id, state, created_at, expires_at, claimed_at, ended_at`

func scanRequest(row pgx.Row) (reset.Request, error) {
	var (
		r                                reset.Request
		created, expires, claimed, ended *time.Time
	)
	err := row.Scan(&r.Ref, &r.UserID, &r.State, &created, &expires, &claimed, &ended)
	if errors.Is(err, pgx.ErrNoRows) {
		return reset.Request{}, reset.ErrNoRequest
	}
	if err != nil {
		return reset.Request{}, keep(err)
	}
	r.CreatedAt, r.ExpiresAt, r.ClaimedAt, r.EndedAt = restored(created), restored(expires), restored(claimed), restored(ended)
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
	return read(ctx, s, func(ctx context.Context, db querier) (newest reset.Request, err error) {
		err = reset.ErrNoRequest
		for _, id := range reset.UserIDs(userID) {
			r, e := scanRequest(db.QueryRow(ctx, `SELECT `+requestColumns+` FROM requests WHERE state = 'open' AND ended_at IS NULL AND `+ofUser+` ORDER BY ref DESC LIMIT 1`, id))
			switch {
			case errors.Is(e, reset.ErrNoRequest):
			case e != nil:
				return reset.Request{}, e
			case err != nil || r.Ref > newest.Ref:
				newest, err = r, nil
			}
		}
		return newest, err
	})
}

// ofUser finds the requests that are a user's; with ended_at IS NULL beside it, by indexes alone.
const ofUser = `(user_id = $1 OR ref = ANY (ARRAY(SELECT ref FROM request_users WHERE user_id = $1)))`

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
	ids := reset.UserIDs(userID) // sorted, so that nobody waits for another in vain
	for _, id := range ids {
		t.later(lockRequests, id)
	}
	for _, id := range ids {
		t.later(closeRequests, id, stored(now))
	}
	t.later(`INSERT INTO requests (digest, user_id, state, created_at, expires_at) VALUES ($1, $2, 'open', $3, $4)`,
		d[:], userID, stored(now), stored(expires))
	if len(ids) > 1 {
		t.later(`INSERT INTO request_users (ref, user_id) SELECT ref, unnest($2::text[]) FROM requests WHERE digest = $1`, d[:], ids)
	}
	return nil
}

// Claim implements reset.Tx: the guarded update that lets one caller win.
func (t *tx) Claim(ctx context.Context, d reset.Digest, now time.Time) (reset.Request, error) {
	return scanRequest(t.row(ctx, `UPDATE requests SET state = 'used', ended_at = $1
		WHERE digest = $2 AND state = 'open' AND expires_at > $1 RETURNING `+requestColumns, stored(now), d[:]))
}

// lockRequests is held by who opens a request for a user or keeps others from it.
const lockRequests = `SELECT pg_advisory_xact_lock(hashtextextended($1, 0))`

// closing is what an end is to a request that is open, and to one that is claimed: Release sees it.
const closing = `UPDATE requests SET state = CASE state WHEN 'open' THEN 'closed' ELSE state END, ended_at = $2 WHERE ended_at IS NULL AND `

const closeRequests = closing + ofUser

// Hold implements reset.Tx.
func (t *tx) Hold(ctx context.Context, d reset.Digest, now time.Time) (reset.Request, error) {
	return scanRequest(t.row(ctx, `UPDATE requests SET state = 'claimed', claimed_at = $1
		WHERE digest = $2 AND state = 'open' AND expires_at > $1 RETURNING `+requestColumns, stored(now), d[:]))
}

// Settle implements reset.Tx.
func (t *tx) Settle(ctx context.Context, ref int64, claimed, now time.Time) (reset.Request, error) {
	return scanRequest(t.row(ctx, `UPDATE requests SET state = 'used', ended_at = $1
		WHERE ref = $2 AND state = 'claimed' AND claimed_at = $3 RETURNING `+requestColumns, stored(now), ref, stored(claimed)))
}

// Release implements reset.Tx.
func (t *tx) Release(ctx context.Context, ref int64, claimed time.Time) error {
	return t.one(ctx, reset.ErrNoRequest, `UPDATE requests SET state = CASE WHEN ended_at IS NULL THEN 'open' ELSE 'closed' END, claimed_at = NULL
		WHERE ref = $1 AND state = 'claimed' AND claimed_at = $2`, ref, stored(claimed))
}

// CloseRequests implements reset.Tx.
func (t *tx) CloseRequests(ctx context.Context, userID string, now time.Time) (int, error) {
	sum := 0
	for _, id := range reset.UserIDs(userID) {
		n, err := t.exec(ctx, closeRequests, id, stored(now))
		if err != nil {
			return 0, err
		}
		sum += int(n)
	}
	return sum, nil
}

// CloseRequest implements reset.Tx.
func (t *tx) CloseRequest(ctx context.Context, ref int64, now time.Time) error {
	return t.one(ctx, reset.ErrNoRequest, closing+`ref = $1`, ref, stored(now))
}

// Purge implements reset.Tx. A limit that somebody takes at this moment is left to the next purge.
func (t *tx) Purge(ctx context.Context, now, ended, jobs time.Time) (more bool, err error) {
	for _, p := range []struct {
		query string
		until any
		most  int64
	}{
		{`DELETE FROM requests WHERE ref IN (SELECT ref FROM requests WHERE expires_at < $1 AND state <> 'claimed' ORDER BY expires_at LIMIT $2)`, stored(ended), reset.PurgeBatch},
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
