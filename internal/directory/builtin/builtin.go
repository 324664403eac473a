// Package builtin is the directory that Sparekey brings along: users, accounts
// and memberships in the store's own database, passwords as argon2id hashes.
//
// Since it shares the store's database, a password changes in the very
// transaction that claims the request.
package builtin

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"time"

	"github.com/google/uuid"

	"github.com/sparekey/sparekey/internal/reset"
)

// Records is where the users are kept. The functions that Update runs get a
// transaction that is also a RecordsTx.
type Records interface {
	Update(ctx context.Context, fn func(tx reset.Tx) error) error
	// UserByKey returns the user whose address has that key, or reset.ErrNoUser.
	UserByKey(ctx context.Context, key string) (reset.User, error)
	// UserByID returns a user, or reset.ErrNoUser.
	UserByID(ctx context.Context, id string) (reset.User, error)
	// Glance is reset.Finder's.
	Glance(ctx context.Context, d reset.Digest) (reset.Glance, error)
	// Users lists all users by address.
	Users(ctx context.Context) ([]reset.User, error)
	// PasswordHash returns the encoded hash, empty if there is none, or reset.ErrNoUser.
	PasswordHash(ctx context.Context, id string) (string, error)
	// Accounts lists all accounts by name.
	Accounts(ctx context.Context) ([]reset.Account, error)
	// AccountsByKeys returns those of the accounts that there are.
	AccountsByKeys(ctx context.Context, keys []string) ([]reset.Account, error)
	reset.BrandStore
	// Scrub leaves nothing of what was deleted or overwritten in the store's own
	// files, as far as that is for the store to do.
	Scrub(ctx context.Context) error
}

// RecordsTx is the writing side of Records.
type RecordsTx interface {
	reset.Tx
	// AddUser stores a user without memberships; reset.ErrExists if the address is taken.
	AddUser(ctx context.Context, u reset.User, hash string, now time.Time) error
	// SetPasswordHash replaces a password, or answers reset.ErrNoUser.
	SetPasswordHash(ctx context.Context, userID, hash string, now time.Time) error
	// SetDisabled disables at a time, or with the zero time enables; reset.ErrNoUser.
	SetDisabled(ctx context.Context, userID string, at time.Time) error
	// SetAddress gives the user another address; reset.ErrExists if another user has it, reset.ErrNoUser.
	SetAddress(ctx context.Context, userID string, a reset.Address) error
	// RemoveUser removes a user with all memberships and requests, or answers reset.ErrNoUser.
	RemoveUser(ctx context.Context, userID string) error
	// ForgetEntries takes the address and the user's id out of the entries in the outbox, whatever
	// their state, that are about either. Worked on, such an entry finds nobody.
	ForgetEntries(ctx context.Context, userID string, a reset.Address) error
	// LockRequests keeps others from opening a request for the user until the transaction ends.
	LockRequests(ctx context.Context, userID string) error
	// AddAccount stores an account and returns its id; reset.ErrExists if the key is taken.
	AddAccount(ctx context.Context, name, key string, now time.Time) (int64, error)
	// AccountByKey returns an account, or reset.ErrNoAccount.
	AccountByKey(ctx context.Context, key string) (reset.Account, error)
	// SetSuspended suspends at a time, or with the zero time resumes; reset.ErrNoAccount.
	SetSuspended(ctx context.Context, account int64, at time.Time) error
	// Branding returns what is set of an account's brand, with the data of its logo; the zero one if nothing is.
	Branding(ctx context.Context, account int64) (reset.Branding, error)
	// SetBranding replaces what is set of an account's brand, which was checked;
	// reset.ErrExists if another account has one of the host names.
	SetBranding(ctx context.Context, account int64, b reset.Branding) error
	// Join makes a user a member; being one already is no error.
	Join(ctx context.Context, userID string, account int64) error
	// UsersOfAccount lists the members of an account.
	UsersOfAccount(ctx context.Context, account int64) ([]reset.User, error)
}

// Hasher makes and checks password hashes. It bounds how many it makes at once,
// and normalises (NFC, RFC 8265 4.2.2), so that a composed and a decomposed é
// are one password. That is safe here alone, where the same code verifies.
type Hasher interface {
	// Hash asks still, which may be nil, before it begins if it had to wait for its turn, and ends with its error.
	Hash(ctx context.Context, password string, still func(context.Context) error) (encoded string, err error)
	Verify(ctx context.Context, password, encoded string) (bool, error)
}

// Directory is a reset.Directory, and what an operator manages its users with.
type Directory struct {
	records Records
	hasher  Hasher
	policy  reset.Policy
	now     reset.Clock
}

// New makes a directory on records.
func New(records Records, hasher Hasher, policy reset.Policy, now reset.Clock) *Directory {
	return &Directory{records: records, hasher: hasher, policy: policy, now: now}
}

// UserByAddress implements reset.Directory.
func (d *Directory) UserByAddress(ctx context.Context, a reset.Address) (reset.User, error) {
	return d.records.UserByKey(ctx, a.Key())
}

// UserByID implements reset.Directory.
func (d *Directory) UserByID(ctx context.Context, id string) (reset.User, error) {
	return d.records.UserByID(ctx, id)
}

// Glance implements reset.Finder.
func (d *Directory) Glance(ctx context.Context, digest reset.Digest) (reset.Glance, error) {
	return d.records.Glance(ctx, digest)
}

// Prepare implements reset.Directory: it hashes.
func (d *Directory) Prepare(ctx context.Context, u reset.User, password string, still func(context.Context) error) (reset.Change, error) {
	hash, err := d.hasher.Hash(ctx, password, still)
	if err != nil {
		return nil, err
	}
	return change{userID: u.ID, hash: hash}, nil
}

// change is a hash that is ready to be stored.
type change struct{ userID, hash string }

// Apply implements reset.Change.
func (c change) Apply(ctx context.Context, tx reset.Tx, now time.Time) error {
	records, err := recordsOf(tx)
	if err != nil {
		return err
	}
	return records.SetPasswordHash(ctx, c.userID, c.hash, now)
}

// recordsOf finds the writing side of the records in a transaction of the store.
func recordsOf(tx reset.Tx) (RecordsTx, error) {
	records, ok := tx.(RecordsTx)
	if !ok {
		return nil, fmt.Errorf("the built-in directory cannot work with a %T: it keeps no users", tx)
	}
	return records, nil
}

// update runs fn with the writing side of the records.
func (d *Directory) update(ctx context.Context, fn func(tx RecordsTx) error) error {
	return d.records.Update(ctx, func(tx reset.Tx) error {
		records, err := recordsOf(tx)
		if err != nil {
			return err
		}
		return fn(records)
	})
}

// NewUser is a user to be added.
type NewUser struct {
	Email string
	// Name is how to address the person; may be empty.
	Name string
	// Locale is a BCP 47 tag; may be empty.
	Locale string
	// Accounts are names of accounts; those that are missing are made.
	Accounts []string
	// PasswordHash is an encoded hash that the Hasher can verify; empty: no password until the first reset.
	PasswordHash string
}

// The longest names of users and accounts, in bytes: they go into mail headers and pages.
const maxName = 200

// localeForm is the form of a language tag (RFC 5646, 2.1, without its few
// grandfathered ones), at most six parts, or nothing. Whether there is such a language is not asked.
var localeForm = regexp.MustCompile(`^([A-Za-z]{2,8}(-[A-Za-z0-9]{1,8}){0,5})?$`)

// Add adds a user.
func (d *Directory) Add(ctx context.Context, n NewUser) (reset.User, error) {
	u, err := n.user()
	if err != nil {
		return reset.User{}, err
	}
	now := d.now()
	err = d.update(ctx, func(tx RecordsTx) error {
		tx.Record(reset.AdminAct(ctx, now, reset.ActUserAdded, "user", u.ID))
		return add(ctx, tx, u, n, now)
	})
	if errors.Is(err, reset.ErrExists) {
		return reset.User{}, &reset.Error{Kind: reset.Conflict, Code: reset.CodeBadValue, Message: "a user has this address already", Cause: err}
	}
	if err != nil {
		return reset.User{}, err
	}
	return d.records.UserByID(ctx, u.ID)
}

// user checks what can be checked without the records.
func (n NewUser) user() (reset.User, error) {
	a, err := reset.ParseAddress(n.Email)
	if err != nil {
		return reset.User{}, err
	}
	name, err := cleanName("a user's name", n.Name)
	if err != nil {
		return reset.User{}, err
	}
	if !localeForm.MatchString(n.Locale) {
		return reset.User{}, reset.Invalidf("a locale is a language tag such as de or pt-BR")
	}
	for _, account := range n.Accounts {
		if _, _, err := accountName(account); err != nil {
			return reset.User{}, err
		}
	}
	return reset.User{ID: uuid.NewString(), Email: a, Name: name, Locale: n.Locale}, nil
}

func add(ctx context.Context, tx RecordsTx, u reset.User, n NewUser, now time.Time) error {
	if err := tx.AddUser(ctx, u, n.PasswordHash, now); err != nil {
		return err
	}
	for _, name := range n.Accounts {
		id, err := ensureAccount(ctx, tx, name, now)
		if err != nil {
			return err
		}
		if err := tx.Join(ctx, u.ID, id); err != nil {
			return err
		}
	}
	return nil
}

// HashNew checks a first password against the policy and hashes it. An
// operator sets one only together with a new user; the password of a user who
// is there changes by a reset alone (OWASP ASVS 6.4.6).
func (d *Directory) HashNew(ctx context.Context, n NewUser, password string) (string, error) {
	u, err := n.user()
	if err != nil {
		return "", err
	}
	for _, name := range n.Accounts {
		u.Accounts = append(u.Accounts, reset.Account{Name: name})
	}
	refusals, err := d.policy.Check(ctx, password, u)
	if err != nil {
		return "", err
	}
	if len(refusals) > 0 {
		return "", reset.Refused(refusals)
	}
	return d.hasher.Hash(ctx, password, nil)
}

// List returns all users by address.
func (d *Directory) List(ctx context.Context) ([]reset.User, error) { return d.records.Users(ctx) }

// Disable disables a user and closes the user's open requests.
func (d *Directory) Disable(ctx context.Context, email string) error {
	now := d.now()
	return d.change(ctx, email, func(tx RecordsTx, u reset.User) error {
		tx.Record(reset.AdminAct(ctx, now, reset.ActUserDisabled, "user", u.ID))
		if err := closeRequests(ctx, tx, u.ID, now); err != nil {
			return err
		}
		return tx.SetDisabled(ctx, u.ID, now)
	})
}

// closeRequests closes a user's open requests and lets none be opened before the
// transaction ends. Whoever mints one looks the user up again afterwards, and
// sees then what this transaction changes. It goes before changes of the user's
// row: a reset takes its rows in that order too, so neither waits for the other in vain.
func closeRequests(ctx context.Context, tx RecordsTx, userID string, now time.Time) error {
	if err := tx.LockRequests(ctx, userID); err != nil {
		return err
	}
	_, err := tx.CloseRequests(ctx, userID, now)
	return err
}

// Enable enables a disabled user. Links from before stay dead.
func (d *Directory) Enable(ctx context.Context, email string) error {
	now := d.now()
	return d.change(ctx, email, func(tx RecordsTx, u reset.User) error {
		tx.Record(reset.AdminAct(ctx, now, reset.ActUserEnabled, "user", u.ID))
		return tx.SetDisabled(ctx, u.ID, time.Time{})
	})
}

func (d *Directory) change(ctx context.Context, email string, fn func(tx RecordsTx, u reset.User) error) error {
	u, err := d.find(ctx, email)
	if err != nil {
		return err
	}
	err = d.update(ctx, func(tx RecordsTx) error { return fn(tx, u) })
	if errors.Is(err, reset.ErrNoUser) { // removed since
		return errNoUser(err)
	}
	return err
}

func (d *Directory) find(ctx context.Context, email string) (reset.User, error) {
	a, err := reset.ParseAddress(email)
	if err != nil {
		return reset.User{}, err
	}
	u, err := d.records.UserByKey(ctx, a.Key())
	if errors.Is(err, reset.ErrNoUser) {
		return reset.User{}, errNoUser(err)
	}
	return u, err
}

func errNoUser(cause error) error {
	return &reset.Error{Kind: reset.NotFound, Code: reset.CodeNotFound, Message: "no user has this address", Cause: cause}
}

// Verify reports whether the password is the user's. A user without a password has none that is right.
func (d *Directory) Verify(ctx context.Context, email, password string) (bool, error) {
	u, err := d.find(ctx, email)
	if err != nil {
		return false, err
	}
	hash, err := d.records.PasswordHash(ctx, u.ID)
	if err != nil || hash == "" {
		return false, err
	}
	return d.hasher.Verify(ctx, password, hash)
}
