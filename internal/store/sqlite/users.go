package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sparekey/sparekey/internal/reset"
)

// What the built-in directory (internal/directory/builtin) keeps here. The
// methods on tx are found by it through an interface of its own.

// querier is what reads: the pool, or a transaction.
type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// userJoin joins users with their accounts: one row per membership.
const userJoin = ` LEFT JOIN memberships m ON m.user_id = u.id LEFT JOIN accounts a ON a.id = m.account_id `

// userRow is a row of users joined with their accounts.
type userRow struct {
	id, email, name, locale string
	disabled                sql.NullInt64
	account, suspended      sql.NullInt64
	accountName             sql.NullString
}

const userColumns = `u.id, u.email, u.name, u.locale, u.disabled_at, a.id, a.name, a.suspended_at`

func (r *userRow) refs() []any {
	return []any{&r.id, &r.email, &r.name, &r.locale, &r.disabled, &r.account, &r.accountName, &r.suspended}
}

// gather makes users of their rows; a user's rows must stand together.
func gather(rows []userRow) ([]reset.User, error) {
	var users []reset.User
	for _, r := range rows {
		if n := len(users); n == 0 || users[n-1].ID != r.id {
			email, err := reset.ParseAddress(r.email)
			if err != nil {
				return nil, fmt.Errorf("the stored address of user %s is malformed: %w", r.id, err)
			}
			users = append(users, reset.User{
				ID: r.id, Email: email, Name: r.name, Locale: r.locale, Standing: reset.Standing{Disabled: r.disabled.Valid},
			})
		}
		if r.account.Valid {
			last := &users[len(users)-1]
			last.Accounts = append(last.Accounts, reset.Account{ID: r.account.Int64, Name: r.accountName.String, Suspended: r.suspended.Valid})
		}
	}
	// Sorted here, since looking one user up is frequent and its few accounts
	// are not worth SQLite's sorter.
	for _, u := range users {
		slices.SortFunc(u.Accounts, func(a, b reset.Account) int { return strings.Compare(a.Name, b.Name) })
	}
	return users, nil
}

// readUsers reads users with their accounts.
func readUsers(ctx context.Context, q querier, where string, args ...any) ([]reset.User, error) {
	rows, err := q.QueryContext(ctx, `SELECT `+userColumns+` FROM users u`+userJoin+where, args...)
	if err != nil {
		return nil, translate(err)
	}
	list, err := scanAll(rows, func(row interface{ Scan(...any) error }) (userRow, error) {
		var r userRow
		return r, translate(row.Scan(r.refs()...))
	})
	if err != nil {
		return nil, err
	}
	return gather(list)
}

// Glance implements reset.Finder for the built-in directory. Looking at a link
// is the most frequent call there is, so it is one query, of no more columns
// than the answer needs: the driver's work for each is what a query of a few rows costs.
func (s *Store) Glance(ctx context.Context, d reset.Digest) (reset.Glance, error) {
	rows, err := s.read.QueryContext(ctx, `SELECT r.state, r.user_id, r.expires_at, iif(u.id IS NULL, NULL, u.disabled_at IS NOT NULL), m.account_id, a.suspended_at
		FROM requests r LEFT JOIN users u ON u.id = r.user_id`+userJoin+`WHERE r.digest = ?`, d[:])
	if err != nil {
		return reset.Glance{}, translate(err)
	}
	var (
		g    reset.Glance
		gone bool
	)
	accounts, err := scanAll(rows, func(row interface{ Scan(...any) error }) (account sql.Null[reset.Account], err error) {
		// Integers as they come: database/sql would convert each by way of its decimal digits.
		var expires, disabled, member, suspended any
		if err := row.Scan(&g.State, &g.UserID, &expires, &disabled, &member, &suspended); err != nil {
			return account, translate(err)
		}
		gone, g.Disabled = disabled == nil, disabled == int64(1)
		ms, _ := expires.(int64)
		g.ExpiresAt = time.UnixMilli(ms).UTC()
		account.V.ID, account.Valid = member.(int64)
		account.V.Suspended = suspended != nil
		return account, nil
	})
	if err != nil {
		return reset.Glance{}, err
	}
	if len(accounts) == 0 {
		return reset.Glance{}, reset.ErrNoRequest
	}
	if gone {
		return g, reset.ErrNoUser
	}
	for _, a := range accounts {
		if a.Valid {
			g.Accounts = append(g.Accounts, a.V)
		}
	}
	return g, nil
}

func oneUser(users []reset.User, err error) (reset.User, error) {
	if err != nil {
		return reset.User{}, err
	}
	if len(users) == 0 {
		return reset.User{}, reset.ErrNoUser
	}
	return users[0], nil
}

// UserByKey returns the user whose address has that key, or ErrNoUser.
func (s *Store) UserByKey(ctx context.Context, key string) (reset.User, error) {
	return oneUser(readUsers(ctx, s.read, `WHERE u.email_key = ?`, key))
}

// UserByID returns a user, or ErrNoUser.
func (s *Store) UserByID(ctx context.Context, id string) (reset.User, error) {
	return oneUser(readUsers(ctx, s.read, `WHERE u.id = ?`, id))
}

// Users lists all users by address.
func (s *Store) Users(ctx context.Context) ([]reset.User, error) {
	return readUsers(ctx, s.read, `ORDER BY u.email_key`)
}

// PasswordHash returns the user's PHC string, empty if there is no password yet, or ErrNoUser.
func (s *Store) PasswordHash(ctx context.Context, id string) (string, error) {
	var hash sql.NullString
	err := s.read.QueryRowContext(ctx, `SELECT password_hash FROM users WHERE id = ?`, id).Scan(&hash)
	if errors.Is(err, sql.ErrNoRows) {
		return "", reset.ErrNoUser
	}
	return hash.String, translate(err)
}

func scanAccount(row interface{ Scan(...any) error }) (reset.Account, error) {
	var (
		a         reset.Account
		suspended sql.NullInt64
	)
	if err := row.Scan(&a.ID, &a.Name, &suspended); err != nil {
		return a, translate(err)
	}
	a.Suspended = suspended.Valid
	return a, nil
}

// Accounts lists all accounts by name.
func (s *Store) Accounts(ctx context.Context) ([]reset.Account, error) {
	return collect(ctx, s.read, scanAccount, `SELECT id, name, suspended_at FROM accounts ORDER BY name`)
}

// AccountsByKeys returns those of the accounts that there are.
func (s *Store) AccountsByKeys(ctx context.Context, keys []string) ([]reset.Account, error) {
	list, err := json.Marshal(keys)
	if err != nil {
		return nil, err
	}
	return collect(ctx, s.read, scanAccount, `SELECT id, name, suspended_at FROM accounts WHERE name_key IN (SELECT value FROM json_each(?)) ORDER BY name`, string(list))
}

// AddUser stores a user without memberships; hash may be empty. ErrExists if the address is taken.
func (t *tx) AddUser(ctx context.Context, u reset.User, hash string, now time.Time) error {
	var phc, changed any
	if hash != "" {
		phc, changed = hash, ms(now)
	}
	_, err := t.exec(ctx, `INSERT INTO users (id, email, email_key, name, locale, password_hash, password_changed_at, created_at)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?)`, u.ID, u.Email.Raw(), u.Email.Key(), u.Name, u.Locale, phc, changed, ms(now))
	return err
}

// SetPasswordHash replaces a user's password, or answers ErrNoUser.
func (t *tx) SetPasswordHash(ctx context.Context, userID, hash string, now time.Time) error {
	return t.one(ctx, reset.ErrNoUser, `UPDATE users SET password_hash = ?, password_changed_at = ? WHERE id = ?`, hash, ms(now), userID)
}

// SetDisabled disables a user at a time, or with the zero time enables again; ErrNoUser if there is none.
func (t *tx) SetDisabled(ctx context.Context, userID string, at time.Time) error {
	return t.one(ctx, reset.ErrNoUser, `UPDATE users SET disabled_at = ? WHERE id = ?`, ms(at), userID)
}

// SetAddress gives the user another address. ErrExists if another user has it, ErrNoUser.
func (t *tx) SetAddress(ctx context.Context, userID string, a reset.Address) error {
	return t.one(ctx, reset.ErrNoUser, `UPDATE users SET email = ?, email_key = ? WHERE id = ?`, a.Raw(), a.Key(), userID)
}

// RemoveUser removes a user with all memberships and requests, or answers ErrNoUser.
func (t *tx) RemoveUser(ctx context.Context, userID string) error {
	const of = `(SELECT ref FROM requests WHERE user_id = ?1 UNION ALL SELECT ref FROM request_users WHERE user_id = ?1)`
	if _, err := t.exec(ctx, `DELETE FROM requests WHERE state <> 'claimed' AND ref IN `+of, userID); err != nil {
		return err
	}
	// What is being changed elsewhere at this moment is settled before it goes.
	if _, err := t.exec(ctx, `UPDATE requests SET ended_at = coalesce(ended_at, claimed_at) WHERE state = 'claimed' AND ref IN `+of, userID); err != nil {
		return err
	}
	return t.one(ctx, reset.ErrNoUser, `DELETE FROM users WHERE id = ?`, userID)
}

// LockRequests has nothing to do: one transaction writes at a time.
func (t *tx) LockRequests(context.Context, string) error { return nil }

// AddAccount stores an account and returns its id. ErrExists if the key is taken.
func (t *tx) AddAccount(ctx context.Context, name, key string, now time.Time) (int64, error) {
	var id int64
	err := t.row(ctx, `INSERT INTO accounts (name, name_key, created_at) VALUES (?, ?, ?) RETURNING id`, name, key, ms(now)).Scan(&id)
	return id, translate(err)
}

// AccountByKey returns an account, or ErrNoAccount.
func (t *tx) AccountByKey(ctx context.Context, key string) (reset.Account, error) {
	a, err := scanAccount(t.row(ctx, `SELECT id, name, suspended_at FROM accounts WHERE name_key = ?`, key))
	if errors.Is(err, sql.ErrNoRows) {
		return a, reset.ErrNoAccount
	}
	return a, err
}

// SetSuspended suspends an account at a time, or with the zero time resumes it; ErrNoAccount if there is none.
func (t *tx) SetSuspended(ctx context.Context, account int64, at time.Time) error {
	if err := t.one(ctx, reset.ErrNoAccount, `UPDATE accounts SET suspended_at = ? WHERE id = ?`, ms(at), account); err != nil {
		return err
	}
	return t.brandsChanged(ctx)
}

// Join makes a user a member of an account; being one already is no error.
func (t *tx) Join(ctx context.Context, userID string, account int64) error {
	_, err := t.exec(ctx, `INSERT INTO memberships (user_id, account_id) VALUES (?, ?) ON CONFLICT DO NOTHING`, userID, account)
	return err
}

// UsersOfAccount lists the members of an account.
func (t *tx) UsersOfAccount(ctx context.Context, account int64) ([]reset.User, error) {
	return readUsers(context.WithoutCancel(ctx), t.sql, `WHERE u.id IN (SELECT user_id FROM memberships WHERE account_id = ?)
		ORDER BY u.id`, account)
}
