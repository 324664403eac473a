package builtin_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"go.uber.org/goleak"

	"github.com/sparekey/sparekey/internal/directory/builtin"
	"github.com/sparekey/sparekey/internal/directory/directorytest"
	"github.com/sparekey/sparekey/internal/reset"
	"github.com/sparekey/sparekey/internal/servicetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	ada = "ada@example.test"
	bob = "bob@example.test"

	password = "correct horse battery staple"
)

func TestConformance(t *testing.T) {
	t.Parallel()
	directorytest.Run(t, func(t *testing.T) directorytest.Fixture { return servicetest.New(t).Fixture() })
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func same(t testing.TB, what string, got, want any) {
	t.Helper()
	if diff := cmp.Diff(want, got, cmpopts.EquateComparable(reset.Address{}), cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

// refused checks that err is a domain error of that kind, whose message does not repeat any of the words.
func refused(t testing.TB, what string, err error, kind reset.Kind, words ...string) {
	t.Helper()
	e, ok := errors.AsType[*reset.Error](err)
	if !ok || e.Kind != kind || e.Message == "" {
		t.Errorf("%s: got %#v, want kind %d with a message", what, err, kind)
		return
	}
	for _, word := range words {
		if len(word) > 3 && strings.Contains(err.Error(), word) {
			t.Errorf("%s: the message repeats %q", what, word)
		}
	}
}

// add adds a user, with a first password unless that is empty.
func add(t testing.TB, w *servicetest.World, n builtin.NewUser, password string) reset.User {
	t.Helper()
	var err error
	if password != "" {
		n.PasswordHash, err = w.Users.HashNew(t.Context(), n, password)
		must(t, err)
	}
	u, err := w.Users.Add(t.Context(), n)
	must(t, err)
	return u
}

func names(accounts []reset.Account) (list []string) {
	for _, a := range accounts {
		list = append(list, a.Name)
	}
	return list
}
