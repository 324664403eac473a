package joint_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sparekey/sparekey/internal/directory/directorytest"
	"github.com/sparekey/sparekey/internal/directory/joint"
	"github.com/sparekey/sparekey/internal/reset"
)

func TestOnePersonOfSeveral(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	id := h.everywhere(t)
	u, err := h.joint.UserByAddress(t.Context(), address(t, "ADA@example.test"))
	must(t, err)
	acme, err := h.Users.Account(t.Context(), "Acme")
	must(t, err)
	same(t, "the person", u, reset.User{
		ID: id, Email: address(t, ada), Name: "Ada",
		// The store has no account of the name Sales: it is one without brand and key.
		Standing: reset.Standing{Accounts: []reset.Account{acme, {Name: "Sales"}}},
	})
	for asked, want := range map[string]string{
		id: id, "crm.1": "crm.1", "corp.1,crm.1": "corp.1,crm.1", "corp.1,crm.2": "corp.1", "corp.1,nowhere.1": "corp.1",
	} {
		got, err := h.joint.UserByID(t.Context(), asked)
		if err != nil || got.ID != want {
			t.Errorf("UserByID(%s): %q, %v; want %s", asked, got.ID, err, want)
		}
	}
	for _, asked := range []string{
		"crm.1,corp.1", "corp.1,corp.1", "corp.1,", ",corp.1", "crm.01x", "crm.%31", "crm.%4", "crm.%4g", "crm.", ".1", "CRM.1", "builtin.1", "nowhere.1", "crm.2",
		"builtin." + strings.Split(id, ",")[0], strings.Repeat("crm.1,", 200) + "crm.1",
	} {
		if got, err := h.joint.UserByID(t.Context(), asked); !errors.Is(err, reset.ErrNoUser) {
			t.Errorf("UserByID(%.50s): %q, %v; want ErrNoUser", asked, got.ID, err)
		}
	}
	h.crm.Add(t, directorytest.User{Email: "bob@example.test", Name: "Bob", Accounts: []string{"ACME", "Initech"}})
	u, err = h.joint.UserByAddress(t.Context(), address(t, "bob@example.test"))
	must(t, err)
	same(t, "one of crm alone", u, reset.User{
		ID: "crm.2", Email: address(t, "bob@example.test"), Name: "Bob",
		Standing: reset.Standing{Accounts: []reset.Account{acme, {Name: "Initech"}, {Name: "Sales"}}},
	})
}

// Where somebody may not reset, they are not: unless they may nowhere.
func TestWhoMayNotReset(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	id := h.everywhere(t)
	look := func(want string, may bool) {
		t.Helper()
		byAddress, err := h.joint.UserByAddress(t.Context(), address(t, ada))
		must(t, err)
		byID, err := h.joint.UserByID(t.Context(), id)
		must(t, err)
		same(t, "by id", byID, byAddress)
		same(t, "the ID", byID.ID, want)
		same(t, "whether they may reset", byID.MayReset(), may)
	}
	look(id, true)
	h.corp.Disable(t, ada)
	look(reset.Without(id, "corp.1"), true)
	must(t, h.Users.Suspend(t.Context(), "Acme"))
	look("crm.1", true)
	h.crm.Disable(t, ada)
	// Of those who may not, the one who is not disabled: the account may be resumed.
	look(strings.Split(reset.Without(reset.Without(id, "corp.1"), "crm.1"), ",")[0], false)
	must(t, h.Users.Disable(t.Context(), ada))
	look(id, false)
	must(t, h.Users.Enable(t.Context(), ada))
	must(t, h.Users.Resume(t.Context(), "Acme"))
	look(reset.Without(reset.Without(id, "corp.1"), "crm.1"), true)
}

// Whoever cannot be asked keeps everybody from being half a person; whom the address does not concern is not asked.
func TestDirectoriesOfDomains(t *testing.T) {
	t.Parallel()
	all, some := &directorytest.Memory{}, &directorytest.Memory{}
	d := join(t, noAccounts{}, joint.Part{Name: "all", Directory: all}, joint.Part{Name: "some", Directory: some, Domains: []string{"Exämple.test", "b.test"}})
	for _, email := range []string{"ada@exämple.test", "ada@b.test", "ada@sub.b.test", "ada@c.test"} {
		all.Add(t, directorytest.User{Email: email})
		some.Add(t, directorytest.User{Email: email})
	}
	ids := func() map[string]string {
		got := map[string]string{}
		for _, email := range []string{"ada@XN--EXMPLE-CUA.test", "ADA@B.test", "ada@sub.b.test", "ada@c.test"} {
			u, err := d.UserByAddress(t.Context(), address(t, email))
			got[email] = u.ID
			if e, ok := errors.AsType[*reset.Error](err); ok && e.Kind == reset.Unavailable && e.RetryAfter > 0 {
				if _, ok := errors.AsType[*reset.Misset](err); !ok || !strings.Contains(err.Error(), "the directory some") || strings.Contains(e.Message, "some") {
					t.Errorf("the operator is told %v", err)
				}
				got[email] = "unavailable"
			} else if err != nil {
				t.Error(err)
			}
		}
		return got
	}
	same(t, "whose directories", ids(), map[string]string{"ada@XN--EXMPLE-CUA.test": "all.1,some.1", "ADA@B.test": "all.2,some.2", "ada@sub.b.test": "all.3", "ada@c.test": "all.4"})
	up := some.Down()
	same(t, "while one is down", ids(), map[string]string{"ada@XN--EXMPLE-CUA.test": "unavailable", "ADA@B.test": "unavailable", "ada@sub.b.test": "all.3", "ada@c.test": "all.4"})
	up()
	some.Add(t, directorytest.User{Email: "ADA@b.test"})
	_, err := d.UserByAddress(t.Context(), address(t, "ada@b.test"))
	if !errors.Is(err, reset.ErrAmbiguous) || !strings.Contains(err.Error(), "the directory some") {
		t.Errorf("an address twice in one of them: %v", err)
	}
	if _, err := d.UserByAddress(t.Context(), address(t, "ada@c.test")); err != nil {
		t.Errorf("another address: %v", err)
	}
}

// odd is a directory that does what none should.
type odd struct {
	reset.Directory
	byAddress func(ctx context.Context) (reset.User, error)
}

func (o odd) UserByAddress(ctx context.Context, _ reset.Address) (reset.User, error) {
	return o.byAddress(ctx)
}

func (o odd) UserByID(ctx context.Context, _ string) (reset.User, error) { return o.byAddress(ctx) }

func TestDirectoriesThatDoWhatNoneShould(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		answer func(ctx context.Context) (reset.User, error)
		want   error // nil: Unavailable
	}{
		"another address": {func(context.Context) (reset.User, error) {
			return reset.User{ID: "1", Email: address(t, "äda@example.test")}, nil
		}, reset.ErrNoUser},
		"no ID": {func(context.Context) (reset.User, error) { return reset.User{Email: address(t, ada)}, nil }, nil},
		"an endless ID": {func(context.Context) (reset.User, error) {
			return reset.User{ID: strings.Repeat("x", 300), Email: address(t, ada)}, nil
		}, nil},
		"a panic":          {func(context.Context) (reset.User, error) { panic("at the disco") }, nil},
		"an error of none": {func(context.Context) (reset.User, error) { return reset.User{}, errors.New("row 17 of table users") }, nil},
		"no answer":        {func(ctx context.Context) (reset.User, error) { <-ctx.Done(); return reset.User{}, ctx.Err() }, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			fine := &directorytest.Memory{}
			d := join(t, noAccounts{}, joint.Part{Name: "odd", Directory: odd{byAddress: c.answer}, Timeout: 20 * time.Millisecond}, joint.Part{Name: "fine", Directory: fine})
			_, err := d.UserByAddress(t.Context(), address(t, ada))
			if c.want != nil {
				if !errors.Is(err, c.want) {
					t.Errorf("%v, want %v", err, c.want)
				}
				return
			}
			if e, ok := errors.AsType[*reset.Error](err); !ok || e.Kind != reset.Unavailable || e.RetryAfter <= 0 || strings.Contains(e.Message, "row 17") {
				t.Errorf("%v, want Unavailable", err)
			}
		})
	}
}

// One whose addresses differ between directories by now is not one person any more.
func TestAddressesThatDiffer(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	id := h.everywhere(t)
	h.crm.ChangeAddress(t, ada, "eve@example.test")
	if u, err := h.joint.UserByID(t.Context(), id); !errors.Is(err, reset.ErrNoUser) {
		t.Errorf("%q, %v; want ErrNoUser", u.ID, err)
	}
	u, err := h.joint.UserByAddress(t.Context(), address(t, ada))
	must(t, err)
	same(t, "who has the address", u.ID, reset.Without(id, "crm.1"))
}

// All are asked at once, and never more than eight.
func TestAskedAtOnce(t *testing.T) {
	t.Parallel()
	const parts = 20
	var (
		now, most atomic.Int64
		arrived   = make(chan struct{}, parts)
		gate      = make(chan struct{})
		list      []joint.Part
	)
	for i := range parts {
		list = append(list, joint.Part{Name: fmt.Sprint("d", i), Directory: odd{byAddress: func(context.Context) (reset.User, error) {
			n := now.Add(1)
			for old := most.Load(); n > old && !most.CompareAndSwap(old, n); old = most.Load() {
			}
			arrived <- struct{}{}
			<-gate
			now.Add(-1)
			return reset.User{}, reset.ErrNoUser
		}}})
	}
	d := join(t, noAccounts{}, list...)
	var wg sync.WaitGroup
	wg.Go(func() {
		if _, err := d.UserByAddress(t.Context(), address(t, ada)); !errors.Is(err, reset.ErrNoUser) {
			t.Errorf("%v, want ErrNoUser", err)
		}
	})
	for range 8 {
		<-arrived
	}
	close(gate)
	wg.Wait()
	same(t, "asked at once", most.Load(), int64(8))
}

func TestParts(t *testing.T) {
	t.Parallel()
	m := &directorytest.Memory{}
	for name, parts := range map[string][]joint.Part{
		"none": {}, "no name": {{Directory: m}}, "capitals": {{Name: "CRM", Directory: m}}, "a dot": {{Name: "c.rm", Directory: m}}, "a comma": {{Name: "c,rm", Directory: m}},
		"too long": {{Name: strings.Repeat("a", 33), Directory: m}}, "twice": {{Name: "crm", Directory: m}, {Name: "crm", Directory: m}},
		"no domain": {{Name: "crm", Directory: m, Domains: []string{"exa mple"}}}, "an address": {{Name: "crm", Directory: m, Domains: []string{"a@b.test"}}},
	} {
		_, err := joint.New(parts, noAccounts{})
		if e, ok := errors.AsType[*reset.Error](err); !ok || e.Kind != reset.Invalid {
			t.Errorf("%s: %v, want Invalid", name, err)
		}
	}
}
