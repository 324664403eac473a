package reset

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// ErrAmbiguous is what a directory answers when several of its users have the
// address: nobody can tell whose password is meant, so nobody is mailed. The
// operator is told, and the addresses are made different where the users live.
var ErrAmbiguous = errors.New("several users have this address")

// Distant is what a Change is besides when its directory does not share the
// store's database, so that no transaction reaches there. Its Apply does what is to
// be done in the store besides, in the transaction that settles the request: as a rule nothing (NoApply).
type Distant interface {
	Change
	// Set sets the password where it lives, once the request was claimed and
	// outside of any transaction. nil: it holds. An error with *Unchanged in its
	// chain: nothing was changed, for certain, and the request may be given back. One
	// with *Partly: it holds in some of several directories, and what is left gets a link of its own.
	// Any other error, a time-out or a cut connection: it may have been changed or
	// not, so the request stays claimed and the person is told (ASVS 6.3.7). It
	// keeps to ctx and never tries again by itself what may have happened already.
	Set(ctx context.Context) error
}

// NoApply is embedded in a Change that is Distant.
type NoApply struct{}

// Apply implements Change: there is nothing to be done in the store.
func (NoApply) Apply(context.Context, Tx, time.Time) error { return nil }

// Unchanged says that a Set changed nothing, for certain. Its cause is an *Error,
// shown to the caller: Refused when the directory's own policy refused the
// password, Unavailable when it could not be reached or would not do it; or
// ErrNoUser when the user is gone.
type Unchanged struct{ Cause error }

// Error implements error.
func (u *Unchanged) Error() string { return u.Cause.Error() }

// Unwrap returns the cause.
func (u *Unchanged) Unwrap() error { return u.Cause }

// Misset is a failure that an operator mends by a setting. It is the cause of
// an Unavailable error: callers never see it.
type Misset struct {
	// Setting is within the directory's own section: "url", "bind.password_file".
	Setting string
	// Fix says what to do, in a line: "grant UPDATE on the table users to the role sparekey".
	Fix string
	// Cause is what happened, without a secret.
	Cause error
}

// Error implements error.
func (m *Misset) Error() string { return fmt.Sprintf("%v (%s: %s)", m.Cause, m.Setting, m.Fix) }

// Unwrap returns the cause.
func (m *Misset) Unwrap() error { return m.Cause }

// Inspected is a directory that an operator can have looked at; every one that
// is not the store's own is.
type Inspected interface {
	Directory
	// Check walks from the connection to the rights that a reset needs, as far as
	// can be seen without changing anything, and says each step that succeeded in a
	// line: "connected to db.example.com over TLS 1.3". It stops at the first that fails,
	// with a *Misset in the error's chain.
	Check(ctx context.Context, step func(line string)) error
	// Plan says in lines what a reset would write where for a user, without any
	// password: "UPDATE users SET password = argon2id hash WHERE id = 17".
	Plan(ctx context.Context, u User) ([]string, error)
}
