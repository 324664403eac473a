package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/sparekey/sparekey/internal/reset"
)

// What the built-in directory (internal/directory/builtin) keeps here. The
// methods on tx are found by it through an interface of its own.

// userJoin joins users with their accounts: one row per membership.
const userJoin = ` LEFT JOIN memberships m ON m.user_id = u.id LEFT JOIN accounts a ON a.id = m.account_id `

// userRow is a row of users joined with their accounts.
type userRow struct {
	id, email, name, locale string
	disabled                *time.Time
	account                 *int64
	accountName             *string
	suspended               *time.Time
}

func scanUser(row pgx.Row) (userRow, error) {
	var u userRow
	err := row.Scan(&u.id, &u.email, &u.name, &u.locale, &u.disabled, &u.account, &u.accountName, &u.suspended)
	return u, err
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
				ID: r.id, Email: email, Name: r.name, Locale: r.locale, Standing: reset.Standing{Disabled: r.disabled != nil},
			})
		}
		if r.account != nil {
			last := &users[len(users)-1]
			last.Accounts = append(last.Accounts, reset.Account{ID: *r.account, Name: *r.accountName, Suspended: r.suspended != nil})
		}
	}
	for _, u := range users {
		slices.SortFunc(u.Accounts, func(a, b reset.Account) int { return strings.Compare(a.Name, b.Name) })
	}
	return users, nil
}

// readUsers reads users with their accounts.
func readUsers(ctx context.Context, q querier, where string, args ...any) ([]reset.User, error) {
	list, err := collect(ctx, q, scanUser, `SELECT u.id, u.email, u.name, u.locale, u.disabled_at, a.id, a.name, a.suspended_at
		FROM users u`+userJoin+where, args...)
	if err != nil {
		return nil, err
	}
	return gather(list)
}

// Glance implements reset.Finder for the built-in directory, in one query.
func (s *Store) Glance(ctx context.Context, d reset.Digest) (reset.Glance, error) {
	return read(ctx, s, func(ctx context.Context, db querier) (reset.Glance, error) {
		rows, err := db.Query(ctx, `SELECT r.state, r.user_id, r.expires_at, u.id IS NULL, u.disabled_at IS NOT NULL, m.account_id, a.suspended_at IS NOT NULL
			FROM requests r LEFT JOIN users u ON u.id = r.user_id`+userJoin+`WHERE r.digest = $1`, d[:])
		if err != nil {
			return reset.Glance{}, err
		}
		return glance(rows)
	})
}

// glance reads a request joined with its user: one row per account, and none if there is no such request.
func glance(rows pgx.Rows) (reset.Glance, error) {
	var (
		g                         reset.Glance
		expires                   time.Time
		gone, disabled, suspended bool
		account                   *int64
		found                     bool
	)
	_, err := pgx.ForEachRow(rows, []any{&g.State, &g.UserID, &expires, &gone, &disabled, &account, &suspended}, func() error {
		found, g.ExpiresAt, g.Disabled = true, expires.UTC(), disabled
		if account != nil {
			g.Accounts = append(g.Accounts, reset.Account{ID: *account, Suspended: suspended})
		}
		return nil
	})
	switch {
	case err != nil:
		return reset.Glance{}, err
	case !found:
		return reset.Glance{}, reset.ErrNoRequest
	case gone:
		return g, reset.ErrNoUser
	}
	return g, nil
}

// user reads the one user that where selects, or answers ErrNoUser.
func (s *Store) user(ctx context.Context, where string, arg string) (reset.User, error) {
	if strings.ContainsRune(arg, 0) { // which no text of PostgreSQL's has
		return reset.User{}, reset.ErrNoUser
	}
	return read(ctx, s, func(ctx context.Context, db querier) (reset.User, error) {
		users, err := readUsers(ctx, db, where, arg)
		if err != nil {
			return reset.User{}, err
		}
		if len(users) == 0 {
			return reset.User{}, reset.ErrNoUser
		}
		return users[0], nil
	})
}

// UserByKey returns the user whose address has that key, or ErrNoUser.
func (s *Store) UserByKey(ctx context.Context, key string) (reset.User, error) {
	return s.user(ctx, `WHERE u.email_key = $1`, key)
}

// UserByID returns a user, or ErrNoUser.
func (s *Store) UserByID(ctx context.Context, id string) (reset.User, error) {
	return s.user(ctx, `WHERE u.id = $1`, id)
}

// Users lists all users by address.
func (s *Store) Users(ctx context.Context) ([]reset.User, error) {
	return read(ctx, s, func(ctx context.Context, db querier) ([]reset.User, error) {
		return readUsers(ctx, db, `ORDER BY u.email_key COLLATE "C", u.id`)
	})
}

// PasswordHash returns the user's PHC string, empty if there is no password yet, or ErrNoUser.
func (s *Store) PasswordHash(ctx context.Context, id string) (string, error) {
	return read(ctx, s, func(ctx context.Context, db querier) (string, error) {
		var hash *string
		err := db.QueryRow(ctx, `SELECT password_hash FROM users WHERE id = $1`, id).Scan(&hash)
		if errors.Is(err, pgx.ErrNoRows) {
			return "", reset.ErrNoUser
		}
		if err != nil || hash == nil {
			return "", err
		}
		return *hash, nil
	})
}

func scanAccount(row pgx.Row) (reset.Account, error) {
	var (
		a         reset.Account
		suspended *time.Time
	)
	if err := row.Scan(&a.ID, &a.Name, &suspended); err != nil {
		return a, err
	}
	a.Suspended = suspended != nil
	return a, nil
}

// Accounts lists all accounts by name.
func (s *Store) Accounts(ctx context.Context) ([]reset.Account, error) {
	return read(ctx, s, func(ctx context.Context, db querier) ([]reset.Account, error) {
		return collect(ctx, db, scanAccount, `SELECT id, name, suspended_at FROM accounts ORDER BY name COLLATE "C"`)
	})
}

// AccountsByKeys returns those of the accounts that there are.
func (s *Store) AccountsByKeys(ctx context.Context, keys []string) ([]reset.Account, error) {
	return read(ctx, s, func(ctx context.Context, db querier) ([]reset.Account, error) {
		return collect(ctx, db, scanAccount, `SELECT id, name, suspended_at FROM accounts WHERE name_key = ANY($1) ORDER BY name COLLATE "C"`, keys)
	})
}

// AddUser stores a user without memberships; hash may be empty. ErrExists if the address is taken.
func (t *tx) AddUser(ctx context.Context, u reset.User, hash string, now time.Time) error {
	var phc, changed any
	if hash != "" {
		phc, changed = hash, stored(now)
	}
	_, err := t.exec(ctx, `INSERT INTO users (id, email, email_key, name, locale, password_hash, password_changed_at, created_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`, u.ID, u.Email.Raw(), u.Email.Key(), u.Name, u.Locale, phc, changed, stored(now))
	return err
}

// SetPasswordHash replaces a user's password, or answers ErrNoUser.
func (t *tx) SetPasswordHash(ctx context.Context, userID, hash string, now time.Time) error {
	return t.one(ctx, reset.ErrNoUser, `UPDATE users SET password_hash = $1, password_changed_at = $2 WHERE id = $3`, hash, stored(now), userID)
}

// SetDisabled disables a user at a time, or with the zero time enables again; ErrNoUser if there is none.
func (t *tx) SetDisabled(ctx context.Context, userID string, at time.Time) error {
	return t.one(ctx, reset.ErrNoUser, `UPDATE users SET disabled_at = $1 WHERE id = $2`, stored(at), userID)
}

// SetAddress gives the user another address. ErrExists if another user has it, ErrNoUser.
func (t *tx) SetAddress(ctx context.Context, userID string, a reset.Address) error {
	return t.one(ctx, reset.ErrNoUser, `UPDATE users SET email = $1, email_key = $2 WHERE id = $3`, a.Raw(), a.Key(), userID)
}

// RemoveUser removes a user with all memberships and requests, or answers ErrNoUser.
func (t *tx) RemoveUser(ctx context.Context, userID string) error {
	const of = `(user_id = $1 OR ref IN (SELECT ref FROM request_users WHERE user_id = $1))`
	t.later(`DELETE FROM requests WHERE state <> 'claimed' AND `+of, userID)
	// What is being changed elsewhere at this moment is settled before it goes.
	t.later(`UPDATE requests SET ended_at = coalesce(ended_at, claimed_at) WHERE state = 'claimed' AND `+of, userID)
	return t.one(ctx, reset.ErrNoUser, `DELETE FROM users WHERE id = $1`, userID)
}

// LockRequests keeps others from opening a request for the user until the transaction ends.
func (t *tx) LockRequests(_ context.Context, userID string) error {
	t.later(lockRequests, userID)
	return nil
}

// AddAccount stores an account and returns its id. ErrExists if the key is taken.
func (t *tx) AddAccount(ctx context.Context, name, key string, now time.Time) (int64, error) {
	var id int64
	err := t.row(ctx, `INSERT INTO accounts (name, name_key, created_at) VALUES ($1, $2, $3) RETURNING id`, name, key, stored(now)).Scan(&id)
	return id, keep(err)
}

// AccountByKey returns an account, or ErrNoAccount.
func (t *tx) AccountByKey(ctx context.Context, key string) (reset.Account, error) {
	a, err := scanAccount(t.row(ctx, `SELECT id, name, suspended_at FROM accounts WHERE name_key = $1`, key))
	if errors.Is(err, pgx.ErrNoRows) {
		return a, reset.ErrNoAccount
	}
	return a, keep(err)
}

// SetSuspended suspends an account at a time, or with the zero time resumes it; ErrNoAccount if there is none.
func (t *tx) SetSuspended(ctx context.Context, account int64, at time.Time) error {
	t.brandsChanged()
	return t.one(ctx, reset.ErrNoAccount, `UPDATE accounts SET suspended_at = $1 WHERE id = $2`, stored(at), account)
}

// Join makes a user a member of an account; being one already is no error.
func (t *tx) Join(ctx context.Context, userID string, account int64) error {
	_, err := t.exec(ctx, `INSERT INTO memberships (user_id, account_id) VALUES ($1, $2) ON CONFLICT DO NOTHING`, userID, account)
	return err
}

// UsersOfAccount lists the members of an account.
func (t *tx) UsersOfAccount(ctx context.Context, account int64) ([]reset.User, error) {
	return readUsers(context.WithoutCancel(ctx), t.sql, `WHERE u.id IN (SELECT user_id FROM memberships WHERE account_id = $1)
		ORDER BY u.id`, account)
}
