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

// Purge implements reset.Tx.
func (t *tx) Purge(ctx context.Context, now, ended, jobs time.Time) error {
	// A request that ended did so before it expired, so the expiry alone decides,
	// and its index finds the rows.
	if _, err := t.exec(ctx, `DELETE FROM requests WHERE expires_at < ?`, ms(ended)); err != nil {
		return err
	}
	if _, err := t.exec(ctx, `DELETE FROM jobs WHERE created_at < ?`, ms(jobs)); err != nil {
		return err
	}
	_, err := t.exec(ctx, `DELETE FROM limits WHERE tat <= ?`, now.UnixMicro())
	return err
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
