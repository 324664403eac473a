package joint_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"go.uber.org/goleak"

	"github.com/sparekey/sparekey/internal/directory/builtin"
	"github.com/sparekey/sparekey/internal/directory/directorytest"
	"github.com/sparekey/sparekey/internal/directory/joint"
	"github.com/sparekey/sparekey/internal/reset"
	"github.com/sparekey/sparekey/internal/servicetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	ada = "ada@example.test"

	oldPassword = "correct horse battery staple"
	newPassword = "a quiet harbour in november"
)

var visitor = reset.Caller{Client: "192.0.2.7"}

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

func address(t testing.TB, s string) reset.Address {
	t.Helper()
	a, err := reset.ParseAddress(s)
	must(t, err)
	return a
}

func join(t testing.TB, accounts joint.Accounts, parts ...joint.Part) *joint.Directory {
	t.Helper()
	d, err := joint.New(parts, accounts)
	must(t, err)
	return d
}

// noAccounts is a store without any.
type noAccounts struct{}

func (noAccounts) AccountsNamed(context.Context, []string) (map[string]reset.Account, error) {
	return map[string]reset.Account{}, nil
}

// house is a World whose users are in the built-in directory, in crm, in corp, which has a policy of its own, or in several.
type house struct {
	*servicetest.World
	crm, corp *directorytest.Memory
	joint     *joint.Directory
}

func newHouse(t testing.TB, opts ...servicetest.Option) *house {
	t.Helper()
	h := &house{crm: &directorytest.Memory{}, corp: &directorytest.Memory{}}
	h.World = servicetest.New(t, append([]servicetest.Option{
		servicetest.WithHasher(plain{}),
		servicetest.WithDirectory(func(inner reset.Directory) reset.Directory {
			own, ok := inner.(*builtin.Directory)
			if !ok {
				t.Fatalf("%T is not the built-in directory", inner)
			}
			h.joint = join(t, own,
				joint.Part{Name: joint.Builtin, Directory: own, Title: "here"},
				joint.Part{Name: "crm", Directory: h.crm, Account: "Sales"},
				joint.Part{Name: "corp", Directory: h.corp, Strict: true, Title: "Office"})
			return h.joint
		}),
	}, opts...)...)
	return h
}

// plain keeps passwords as they are.
type plain struct{}

func (plain) Hash(_ context.Context, password string, _ func(context.Context) error) (string, error) {
	return "$plain$" + password, nil
}

func (plain) Verify(_ context.Context, password, encoded string) (bool, error) {
	return encoded == "$plain$"+password, nil
}

// everywhere adds Ada to all three directories.
func (h *house) everywhere(t testing.TB) (id string) {
	t.Helper()
	u := h.AddUser(t, ada, "Ada", "Acme")
	must(t, h.SetPassword(t.Context(), u, oldPassword))
	h.crm.Add(t, directorytest.User{Email: ada, Password: oldPassword})
	h.corp.Add(t, directorytest.User{Email: ada, Password: oldPassword})
	return reset.JoinUserIDs(u.ID, "crm.1", "corp.1")
}

// holds says in which of the three a password of Ada's holds.
func (h *house) holds(t testing.TB, password string) string {
	t.Helper()
	var list []string
	for _, d := range []struct {
		name string
		ok   bool
	}{{"builtin", h.VerifyPassword(t, ada, password)}, {"crm", h.crm.Verify(t, ada, password)}, {"corp", h.corp.Verify(t, ada, password)}} {
		if d.ok {
			list = append(list, d.name)
		}
	}
	return strings.Join(list, " ")
}

func TestConformance(t *testing.T) {
	t.Parallel()
	t.Run("UsersOfTheStore", func(t *testing.T) { // with others beside it that nobody is in
		t.Parallel()
		directorytest.Run(t, func(t *testing.T) directorytest.Fixture {
			h := newHouse(t)
			f := h.Fixture()
			f.Directory = h.joint
			return f
		})
	})
	t.Run("UsersElsewhere", func(t *testing.T) {
		t.Parallel()
		directorytest.Run(t, func(*testing.T) directorytest.Fixture {
			crm, corp := &directorytest.Memory{MaxBytes: 200}, &directorytest.Memory{}
			f := crm.Fixture(nil)
			f.Directory = inspected{join(t, noAccounts{}, joint.Part{Name: "corp", Directory: corp}, joint.Part{Name: "crm", Directory: crm}), crm}
			return f
		})
	})
	t.Run("UsersInBoth", func(t *testing.T) {
		t.Parallel()
		directorytest.Run(t, func(t *testing.T) directorytest.Fixture {
			h := newHouse(t)
			own, f := h.Fixture(), h.corp.Fixture(h.Store.Update)
			f.Directory = h.joint
			f.Add = func(t *testing.T, u directorytest.User) { own.Add(t, u); h.corp.Add(t, u) }
			f.Disable = func(t *testing.T, email string) { own.Disable(t, email); h.corp.Disable(t, email) }
			f.Remove = func(t *testing.T, email string) { own.Remove(t, email); h.corp.Remove(t, email) }
			f.Suspend = own.Suspend
			moved := f.ChangeAddress
			f.ChangeAddress = func(t *testing.T, email, to string) { own.ChangeAddress(t, email, to); moved(t, email, to) }
			return f
		})
	})
}

// inspected is looked at by way of the one that has users.
type inspected struct {
	*joint.Directory
	part *directorytest.Memory
}

func (i inspected) Check(ctx context.Context, step func(string)) error {
	return i.part.Check(ctx, step)
}

func (i inspected) Plan(ctx context.Context, u reset.User) ([]string, error) {
	return i.part.Plan(ctx, u)
}

// fails resets and answers how it was refused.
func (h *house) fails(t testing.TB, id, password string) *reset.Error {
	t.Helper()
	_, err := h.Service.Reset(t.Context(), visitor, id, password)
	if err == nil {
		t.Fatal("the reset succeeded")
	}
	return reset.AsError(err)
}

func (h *house) opens(t testing.TB, id string) reset.Code {
	t.Helper()
	_, err := h.Service.Look(t.Context(), visitor, id)
	if err == nil {
		return 0
	}
	return reset.AsError(err).Code
}

var errLost = errors.New("the answer was lost")

func kinds(entries []reset.Entry) string {
	var list []string
	for _, e := range entries {
		list = append(list, e.Kind())
	}
	return strings.Join(list, " ")
}
