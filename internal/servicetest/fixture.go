package servicetest

import (
	"testing"

	"github.com/sparekey/sparekey/internal/directory/builtin"
	"github.com/sparekey/sparekey/internal/directory/directorytest"
)

// Fixture hands the World's directory to the conformance suite of directories.
func (w *World) Fixture() directorytest.Fixture {
	return directorytest.Fixture{
		Directory: w.Users,
		Update:    w.Store.Update,
		Add: func(t *testing.T, u directorytest.User) {
			t.Helper()
			n := builtin.NewUser{Email: u.Email, Name: u.Name, Accounts: u.Accounts}
			if u.Password != "" {
				var err error
				n.PasswordHash, err = w.Users.HashNew(t.Context(), n, u.Password)
				must(t, err)
			}
			_, err := w.Users.Add(t.Context(), n)
			must(t, err)
		},
		Verify:  func(t *testing.T, email, password string) bool { return w.VerifyPassword(t, email, password) },
		Disable: func(t *testing.T, email string) { must(t, w.Users.Disable(t.Context(), email)) },
		Suspend: func(t *testing.T, account string) { must(t, w.Users.Suspend(t.Context(), account)) },
		Remove:  func(t *testing.T, email string) { must(t, w.Users.Remove(t.Context(), email)) },
		ChangeAddress: func(t *testing.T, email, to string) {
			must(t, w.Users.ChangeAddress(t.Context(), email, to))
		},
	}
}
