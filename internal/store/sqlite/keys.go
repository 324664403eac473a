package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/sparekey/sparekey/internal/reset"
)

const selectKey = `SELECT k.id, k.name, k.scope, coalesce(k.account_id, 0), coalesce(a.name, ''), k.created_at, k.expires_at, k.revoked_at, k.last_used_at
	FROM keys k LEFT JOIN accounts a ON a.id = k.account_id `

func scanKey(row interface{ Scan(...any) error }) (reset.Key, error) {
	var (
		k                                   reset.Key
		created, expires, revoked, lastUsed sql.NullInt64
	)
	err := row.Scan(&k.ID, &k.Name, &k.Scope, &k.Account, &k.AccountName, &created, &expires, &revoked, &lastUsed)
	if errors.Is(err, sql.ErrNoRows) {
		return reset.Key{}, reset.ErrNoKey
	}
	if err != nil {
		return reset.Key{}, translate(err)
	}
	k.CreatedAt, k.ExpiresAt, k.RevokedAt, k.LastUsedAt = fromMS(created), fromMS(expires), fromMS(revoked), fromMS(lastUsed)
	return k, nil
}

// KeyByDigest implements reset.Store.
func (s *Store) KeyByDigest(ctx context.Context, d reset.Digest) (reset.Key, error) {
	return scanKey(s.read.QueryRowContext(ctx, selectKey+`WHERE k.digest = ?`, d[:]))
}

// Keys implements reset.Store.
func (s *Store) Keys(ctx context.Context) ([]reset.Key, error) {
	return collect(ctx, s.read, scanKey, selectKey+`ORDER BY k.name`)
}

// AddKey implements reset.Tx.
func (t *tx) AddKey(ctx context.Context, k reset.Key, d reset.Digest) error {
	var account any
	if k.Account != 0 {
		account = k.Account
	}
	_, err := t.exec(ctx, `INSERT INTO keys (name, digest, scope, account_id, created_at, expires_at) VALUES (?, ?, ?, ?, ?, ?)`,
		k.Name, d[:], k.Scope, account, ms(k.CreatedAt), ms(k.ExpiresAt))
	return err
}

// RevokeKey implements reset.Tx.
func (t *tx) RevokeKey(ctx context.Context, name string, now time.Time) error {
	return t.one(ctx, reset.ErrNoKey, `UPDATE keys SET revoked_at = ? WHERE name = ? AND revoked_at IS NULL`, ms(now), name)
}

// TouchKey implements reset.Tx.
func (t *tx) TouchKey(ctx context.Context, id int64, now time.Time) error {
	_, err := t.exec(ctx, `UPDATE keys SET last_used_at = ?1 WHERE id = ?2 AND coalesce(last_used_at, 0) < ?1`, ms(now), id)
	return err
}
