package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/sparekey/sparekey/internal/reset"
)

const requestColumns = `ref, user_id, state, created_at, expires_at, claimed_at, ended_at`

func scanRequest(from interface{ Scan(...any) error }) (reset.Request, error) {
	var (
		r                                reset.Request
		created, expires, claimed, ended sql.NullInt64
	)
	err := from.Scan(&r.Ref, &r.UserID, &r.State, &created, &expires, &claimed, &ended)
	if errors.Is(err, sql.ErrNoRows) {
		return reset.Request{}, reset.ErrNoRequest
	}
	if err != nil {
		return reset.Request{}, translate(err)
	}
	r.CreatedAt, r.ExpiresAt, r.ClaimedAt, r.EndedAt = fromMS(created), fromMS(expires), fromMS(claimed), fromMS(ended)
	return r, nil
}

// RequestByDigest implements reset.Store.
func (s *Store) RequestByDigest(ctx context.Context, d reset.Digest) (reset.Request, error) {
	return scanRequest(s.read.QueryRowContext(ctx, `SELECT `+requestColumns+` FROM requests WHERE digest = ?`, d[:]))
}

// liveOf are the refs of the requests that are a user's, open or claimed, and not to be closed.
const liveOf = `(SELECT ref FROM requests WHERE user_id = ?1 AND ended_at IS NULL UNION ALL SELECT ref FROM request_users WHERE user_id = ?1)`

// OpenRequestOf implements reset.Store.
func (s *Store) OpenRequestOf(ctx context.Context, userID string) (newest reset.Request, err error) {
	err = reset.ErrNoRequest
	for _, id := range reset.UserIDs(userID) {
		r, e := scanRequest(s.read.QueryRowContext(ctx, `SELECT `+requestColumns+` FROM requests WHERE ref IN `+liveOf+` AND state = 'open' ORDER BY ref DESC LIMIT 1`, id))
		switch {
		case errors.Is(e, reset.ErrNoRequest):
		case e != nil:
			return reset.Request{}, e
		case err != nil || r.Ref > newest.Ref:
			newest, err = r, nil
		}
	}
	return newest, err
}

// Requests implements reset.Store.
func (s *Store) Requests(ctx context.Context, limit int) ([]reset.Request, error) {
	return collect(ctx, s.read, scanRequest, `SELECT `+requestColumns+` FROM requests ORDER BY ref DESC LIMIT ?`, limit)
}

// OpenRequest implements reset.Tx.
func (t *tx) OpenRequest(ctx context.Context, d reset.Digest, userID string, now, expires time.Time) error {
	if _, err := t.CloseRequests(ctx, userID, now); err != nil {
		return err
	}
	_, err := t.exec(ctx, `INSERT INTO requests (digest, user_id, state, created_at, expires_at) VALUES (?, ?, 'open', ?, ?)`,
		d[:], userID, ms(now), ms(expires))
	ids := reset.UserIDs(userID)
	if err != nil || len(ids) == 1 {
		return err
	}
	for _, id := range ids {
		if _, err := t.exec(ctx, `INSERT INTO request_users (ref, user_id) SELECT ref, ? FROM requests WHERE digest = ?`, id, d[:]); err != nil {
			return err
		}
	}
	return nil
}

// Claim implements reset.Tx: the guarded update that lets one caller win.
func (t *tx) Claim(ctx context.Context, d reset.Digest, now time.Time) (reset.Request, error) {
	return scanRequest(t.row(ctx, `UPDATE requests SET state = 'used', ended_at = ?
		WHERE digest = ? AND state = 'open' AND expires_at > ? RETURNING `+requestColumns, ms(now), d[:], ms(now)))
}

// Hold implements reset.Tx.
func (t *tx) Hold(ctx context.Context, d reset.Digest, now time.Time) (reset.Request, error) {
	return scanRequest(t.row(ctx, `UPDATE requests SET state = 'claimed', claimed_at = ?
		WHERE digest = ? AND state = 'open' AND expires_at > ? RETURNING `+requestColumns, ms(now), d[:], ms(now)))
}

// Settle implements reset.Tx.
func (t *tx) Settle(ctx context.Context, ref int64, claimed, now time.Time) (reset.Request, error) {
	return scanRequest(t.row(ctx, `UPDATE requests SET state = 'used', ended_at = ?
		WHERE ref = ? AND state = 'claimed' AND claimed_at = ? RETURNING `+requestColumns, ms(now), ref, ms(claimed)))
}

// Release implements reset.Tx.
func (t *tx) Release(ctx context.Context, ref int64, claimed time.Time) error {
	return t.one(ctx, reset.ErrNoRequest, `UPDATE requests SET state = iif(ended_at IS NULL, 'open', 'closed'), claimed_at = NULL
		WHERE ref = ? AND state = 'claimed' AND claimed_at = ?`, ref, ms(claimed))
}

// closing is what an end is to a request that is open, and to one that is claimed: Release sees it.
const closing = `UPDATE requests SET state = iif(state = 'open', 'closed', state), ended_at = ?2 WHERE ended_at IS NULL AND `

// CloseRequests implements reset.Tx.
func (t *tx) CloseRequests(ctx context.Context, userID string, now time.Time) (int, error) {
	sum := 0
	for _, id := range reset.UserIDs(userID) {
		n, err := t.exec(ctx, closing+`ref IN `+liveOf, id, ms(now))
		if err != nil {
			return 0, err
		}
		sum += int(n)
	}
	return sum, nil
}

// CloseRequest implements reset.Tx.
func (t *tx) CloseRequest(ctx context.Context, ref int64, now time.Time) error {
	return t.one(ctx, reset.ErrNoRequest, closing+`ref = ?1`, ref, ms(now))
}

// Purge implements reset.Tx. A request that ended did so before it expired, so
// the expiry alone decides, and its index finds the rows.
func (t *tx) Purge(ctx context.Context, now, ended, jobs time.Time) (more bool, err error) {
	for _, p := range []struct {
		query string
		until any
		most  int64
	}{
		{`DELETE FROM requests WHERE ref IN (SELECT ref FROM requests WHERE expires_at < ? AND state <> 'claimed' ORDER BY expires_at LIMIT ?)`, ms(ended), reset.PurgeBatch},
		{`DELETE FROM jobs WHERE id IN (SELECT id FROM jobs WHERE created_at < ? ORDER BY created_at LIMIT ?)`, ms(jobs), reset.PurgeJobs},
		{`DELETE FROM limits WHERE name IN (SELECT name FROM limits WHERE tat <= ? ORDER BY tat LIMIT ?)`, now.UnixMicro(), reset.PurgeBatch},
	} {
		n, err := t.exec(ctx, p.query, p.until, p.most)
		if err != nil {
			return false, err
		}
		more = more || n == p.most
	}
	return more, nil
}

// collect reads all rows of a query.
func collect[T any](ctx context.Context, db querier, scan func(interface{ Scan(...any) error }) (T, error), query string, args ...any) (list []T, err error) {
	rows, err := db.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, translate(err)
	}
	return scanAll(rows, scan)
}

func scanAll[T any](rows *sql.Rows, scan func(interface{ Scan(...any) error }) (T, error)) (list []T, err error) {
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		item, err := scan(rows)
		if err != nil {
			return nil, err
		}
		list = append(list, item)
	}
	return list, translate(rows.Err())
}
