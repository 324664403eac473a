package postgres

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/sparekey/sparekey/internal/reset"
)

const selectKey = `SELECT k.id, k.name, k.scope, coalesce(k.account_id, 0), coalesce(a.name, ''), k.created_at, k.expires_at, k.revoked_at, k.last_used_at
	FROM keys k LEFT JOIN accounts a ON a.id = k.account_id `

func scanKey(row pgx.Row) (reset.Key, error) {
	var (
		k                                   reset.Key
		created, expires, revoked, lastUsed *time.Time
	)
	err := row.Scan(&k.ID, &k.Name, &k.Scope, &k.Account, &k.AccountName, &created, &expires, &revoked, &lastUsed)
	if errors.Is(err, pgx.ErrNoRows) {
		return reset.Key{}, reset.ErrNoKey
	}
	if err != nil {
		return reset.Key{}, keep(err)
	}
	k.CreatedAt, k.ExpiresAt, k.RevokedAt, k.LastUsedAt = restored(created), restored(expires), restored(revoked), restored(lastUsed)
	return k, nil
}

// KeyByDigest implements reset.Store.
func (s *Store) KeyByDigest(ctx context.Context, d reset.Digest) (reset.Key, error) {
	return read(ctx, s, func(ctx context.Context, db querier) (reset.Key, error) {
		return scanKey(db.QueryRow(ctx, selectKey+`WHERE k.digest = $1`, d[:]))
	})
}

// Keys implements reset.Store.
func (s *Store) Keys(ctx context.Context) ([]reset.Key, error) {
	return read(ctx, s, func(ctx context.Context, db querier) ([]reset.Key, error) {
		return collect(ctx, db, scanKey, selectKey+`ORDER BY k.name COLLATE "C"`)
	})
}

// AddKey implements reset.Tx.
func (t *tx) AddKey(ctx context.Context, k reset.Key, d reset.Digest) error {
	var account any
	if k.Account != 0 {
		account = k.Account
	}
	_, err := t.exec(ctx, `INSERT INTO keys (name, digest, scope, account_id, created_at, expires_at) VALUES ($1, $2, $3, $4, $5, $6)`,
		k.Name, d[:], k.Scope, account, stored(k.CreatedAt), stored(k.ExpiresAt))
	return err
}

// RevokeKey implements reset.Tx.
func (t *tx) RevokeKey(ctx context.Context, name string, now time.Time) error {
	return t.one(ctx, reset.ErrNoKey, `UPDATE keys SET revoked_at = $1 WHERE name = $2 AND revoked_at IS NULL`, stored(now), name)
}

// TouchKey implements reset.Tx.
func (t *tx) TouchKey(_ context.Context, id int64, now time.Time) error {
	t.later(`UPDATE keys SET last_used_at = $1 WHERE id = $2 AND (last_used_at IS NULL OR last_used_at < $1)`, stored(now), id)
	return nil
}
