package main

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"database/sql"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"golang.org/x/crypto/argon2"
	_ "modernc.org/sqlite"
)

const (
	leastCharacters = 8
	// remembered is how long the ids of changes are kept.
	remembered = time.Hour
)

var errNoUser = errors.New("there is no such user")

// users is the application's table. Ids are never used again. Addresses are looked
// for without regard to A-Z and a-z, which is what lower() of SQLite folds.
type users struct{ db *sql.DB }

const schema = `
CREATE TABLE IF NOT EXISTS users (
	id INTEGER PRIMARY KEY AUTOINCREMENT,
	email TEXT NOT NULL UNIQUE,
	name TEXT,
	locale TEXT,
	accounts TEXT NOT NULL DEFAULT '[]', -- names, as JSON
	disabled INTEGER NOT NULL DEFAULT 0,
	password TEXT -- $argon2id$v=19$m=…,t=…,p=…$salt$hash
) STRICT;
CREATE INDEX IF NOT EXISTS users_by_address ON users (lower(email));
CREATE TABLE IF NOT EXISTS changes (
	id TEXT PRIMARY KEY, -- webhook-id
	made INTEGER NOT NULL -- in seconds since 1970
) STRICT;`

func openUsers(ctx context.Context, file string) (*users, error) {
	db, err := sql.Open("sqlite", "file:"+file+"?_pragma=busy_timeout(4000)&_pragma=journal_mode(wal)&_pragma=synchronous(full)&_txlock=immediate")
	if err != nil {
		return nil, err
	}
	if _, err := db.ExecContext(ctx, schema); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return &users{db}, nil
}

func (u *users) add(ctx context.Context, email, password string) error {
	_, err := u.db.ExecContext(ctx, "INSERT INTO users (email, password) VALUES (?, ?)", email, hash(password))
	return err
}

// user is a user as docs/directory-webhook.yaml has it.
type user struct {
	ID       string          `json:"id"`
	Email    string          `json:"email"`
	Name     string          `json:"name,omitempty"`
	Locale   string          `json:"locale,omitempty"`
	Accounts json.RawMessage `json:"accounts"`
	Disabled bool            `json:"disabled"`
}

// find returns the user with the id, or, if that is empty, those who have one of the addresses.
func (u *users) find(ctx context.Context, id string, addresses []string) (found []user, err error) {
	const columns = "SELECT id, email, coalesce(name, ''), coalesce(locale, ''), accounts, disabled FROM users "
	query, args := columns+"WHERE id = ?", []any{number(id)}
	if id == "" {
		marks := strings.TrimSuffix(strings.Repeat("?, ", len(addresses)), ", ")
		query, args = columns+"WHERE lower(email) IN ("+marks+")", nil
		for _, a := range addresses {
			args = append(args, a)
		}
	}
	rows, err := u.db.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	found = []user{} // nobody is [], not null
	for rows.Next() {
		var one user
		var accounts string
		if err := rows.Scan(&one.ID, &one.Email, &one.Name, &one.Locale, &accounts, &one.Disabled); err != nil {
			return nil, err
		}
		one.Accounts = json.RawMessage(accounts)
		found = append(found, one)
	}
	return found, rows.Err()
}

// set sets a password and ends the user's sessions, once for each change: the
// change is remembered by the same transaction. It answers nil also if it was made before.
func (u *users) set(ctx context.Context, change, id, password string) error {
	encoded := hash(password)
	ctx = context.WithoutCancel(ctx) // a caller who hangs up stops nothing half-way
	tx, err := u.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }()
	now := time.Now()
	if _, err := tx.ExecContext(ctx, "DELETE FROM changes WHERE made < ?", now.Add(-remembered).Unix()); err != nil {
		return err
	}
	added, err := affected(tx.ExecContext(ctx, "INSERT INTO changes (id, made) VALUES (?, ?) ON CONFLICT DO NOTHING", change, now.Unix()))
	if err != nil || added == 0 {
		return err
	}
	changed, err := affected(tx.ExecContext(ctx, "UPDATE users SET password = ? WHERE id = ?", encoded, number(id)))
	if err != nil {
		return err
	}
	if changed == 0 {
		return errNoUser
	}
	// Here the application ends the user's sessions: DELETE FROM sessions WHERE user = ?
	return tx.Commit()
}

// number is an id as the table has it; what is no number is nobody's.
func number(id string) int64 {
	n, err := strconv.ParseInt(id, 10, 64)
	if err != nil {
		return -1
	}
	return n
}

func affected(r sql.Result, err error) (int64, error) {
	if err != nil {
		return 0, err
	}
	return r.RowsAffected()
}

// verify reports whether the password is that of the user with the address.
func (u *users) verify(ctx context.Context, email, password string) (bool, error) {
	var encoded sql.NullString
	err := u.db.QueryRowContext(ctx, "SELECT password FROM users WHERE email = ? AND NOT disabled", email).Scan(&encoded)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return false, err
	}
	if !encoded.Valid {
		encoded.String = nobodys // so that it takes as long
	}
	return matches(encoded.String, password) && encoded.Valid, nil
}

// The parameters that OWASP's cheat sheet on storing passwords recommends: 19 MiB, two passes, one thread.
const memory, passes, threads, keyLength = 19 << 10, 2, 1, 32

var nobodys = hash("")

// hash hashes a password as it is: it is neither trimmed nor cut.
func hash(password string) string {
	salt := make([]byte, 16)
	_, _ = rand.Read(salt) // never fails
	key := argon2.IDKey([]byte(password), salt, passes, memory, threads, keyLength)
	b64 := base64.RawStdEncoding
	return fmt.Sprintf("$argon2id$v=19$m=%d,t=%d,p=%d$%s$%s", memory, passes, threads, b64.EncodeToString(salt), b64.EncodeToString(key))
}

func matches(encoded, password string) bool {
	var m, t uint32
	var p uint8
	parts := strings.Split(encoded, "$")
	if len(parts) != 6 {
		return false
	}
	if _, err := fmt.Sscanf(parts[3], "m=%d,t=%d,p=%d", &m, &t, &p); err != nil {
		return false
	}
	salt, err1 := base64.RawStdEncoding.DecodeString(parts[4])
	want, err2 := base64.RawStdEncoding.DecodeString(parts[5])
	if err1 != nil || err2 != nil {
		return false
	}
	got := argon2.IDKey([]byte(password), salt, t, m, p, keyLength)
	return subtle.ConstantTimeCompare(got, want) == 1
}
