package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/sparekey/sparekey/internal/reset"
)

const requestColumns = `ref, user_id, state, created_at, expires_at, ended_at`

func scanRequest(from interface{ Scan(...any) error }) (reset.Request, error) {
	var (
		r                       reset.Request
		created, expires, ended sql.NullInt64
	)
	err := from.Scan(&r.Ref, &r.UserID, &r.State, &created, &expires, &ended)
	if errors.Is(err, sql.ErrNoRows) {
		return reset.Request{}, reset.ErrNoRequest
	}
	if err != nil {
		return reset.Request{}, translate(err)
	}
	r.CreatedAt, r.ExpiresAt, r.EndedAt = fromMS(created), fromMS(expires), fromMS(ended)
	return r, nil
}

// RequestByDigest implements reset.Store.
func (s *Store) RequestByDigest(ctx context.Context, d reset.Digest) (reset.Request, error) {
	return scanRequest(s.read.QueryRowContext(ctx, `SELECT `+requestColumns+` FROM requests WHERE digest = ?`, d[:]))
}

// OpenRequestOf implements reset.Store.
func (s *Store) OpenRequestOf(ctx context.Context, userID string) (reset.Request, error) {
	return scanRequest(s.read.QueryRowContext(ctx, `SELECT `+requestColumns+` FROM requests WHERE user_id = ? AND state = 'open'`, userID))
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
	return err
}

// Claim implements reset.Tx: the guarded update that lets one caller win.
func (t *tx) Claim(ctx context.Context, d reset.Digest, now time.Time) (reset.Request, error) {
	return scanRequest(t.row(ctx, `UPDATE requests SET state = 'used', ended_at = ?
		WHERE digest = ? AND state = 'open' AND expires_at > ? RETURNING `+requestColumns, ms(now), d[:], ms(now)))
}

// CloseRequests implements reset.Tx.
func (t *tx) CloseRequests(ctx context.Context, userID string, now time.Time) (int, error) {
	n, err := t.exec(ctx, `UPDATE requests SET state = 'closed', ended_at = ? WHERE user_id = ? AND state = 'open'`, ms(now), userID)
	return int(n), err
}

// CloseRequest implements reset.Tx.
func (t *tx) CloseRequest(ctx context.Context, ref int64, now time.Time) error {
	return t.one(ctx, reset.ErrNoRequest, `UPDATE requests SET state = 'closed', ended_at = ? WHERE ref = ? AND state = 'open'`, ms(now), ref)
}

// Purge implements reset.Tx. A request that ended did so before it expired, so
// the expiry alone decides, and its index finds the rows.
func (t *tx) Purge(ctx context.Context, now, ended, jobs time.Time) (more bool, err error) {
	for _, p := range []struct {
		query string
		until any
		most  int64
	}{
		{`DELETE FROM requests WHERE ref IN (SELECT ref FROM requests WHERE expires_at < ? ORDER BY expires_at LIMIT ?)`, ms(ended), reset.PurgeBatch},
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
