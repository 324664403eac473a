package directorytest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sparekey/sparekey/internal/reset"
)

// Memory is a directory that shares nothing with the store, as one behind a network is,
// and fails on demand. It is for tests of whatever has to cope with such directories.
type Memory struct {
	// Timeout is how long it waits for an answer that does not come; default 200 milliseconds.
	Timeout time.Duration
	// MaxBytes is the longest password that it takes; 0: as long as it likes.
	MaxBytes int
	// BeforeSet runs before each change, and may end it with an error.
	BeforeSet func(ctx context.Context) error
	// AfterSet runs after each change, and may lose the answer.
	AfterSet func(ctx context.Context) error

	mu      sync.Mutex
	users   map[string]*member
	made    int
	sets    int
	down    bool
	stalled chan struct{} // closed when answers come again; nil: they do
	forbid  bool
	refuse  []reset.Refusal
}

type member struct {
	reset.User
	password *string
}

// Add adds a user and answers the ID.
func (m *Memory) Add(t testing.TB, u User) string {
	t.Helper()
	a, err := reset.ParseAddress(u.Email)
	if err != nil {
		t.Fatal(err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.made++
	added := &member{User: reset.User{ID: fmt.Sprint(m.made), Email: a, Name: u.Name}}
	for _, name := range slices.Sorted(slices.Values(u.Accounts)) {
		added.Accounts = append(added.Accounts, reset.Account{Name: name})
	}
	if u.Password != "" {
		added.password = &u.Password
	}
	if m.users == nil {
		m.users = map[string]*member{}
	}
	m.users[added.ID] = added
	return added.ID
}

// with calls fn with the users who have an address.
func (m *Memory) with(t testing.TB, email string, fn func(u *member)) {
	t.Helper()
	a, err := reset.ParseAddress(email)
	if err != nil {
		t.Fatal(err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, u := range m.users {
		if u.Email.Key() == a.Key() {
			fn(u)
		}
	}
}

// Verify reports whether the password is that of the user with this address.
func (m *Memory) Verify(t testing.TB, email, password string) (right bool) {
	t.Helper()
	m.with(t, email, func(u *member) { right = right || u.password != nil && *u.password == password })
	return right
}

// Disable disables a user.
func (m *Memory) Disable(t testing.TB, email string) {
	t.Helper()
	m.with(t, email, func(u *member) { u.Disabled = true })
}

// Remove removes a user.
func (m *Memory) Remove(t testing.TB, email string) {
	t.Helper()
	m.with(t, email, func(u *member) { delete(m.users, u.ID) })
}

// ChangeAddress gives a user another address.
func (m *Memory) ChangeAddress(t testing.TB, email, to string) {
	t.Helper()
	a, err := reset.ParseAddress(to)
	if err != nil {
		t.Fatal(err)
	}
	m.with(t, email, func(u *member) { u.Email = a })
}

// Sets is how many changes were begun.
func (m *Memory) Sets() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.sets
}

// Down has nothing answered until up is called.
func (m *Memory) Down() (up func()) {
	m.set(func() { m.down = true })
	return func() { m.set(func() { m.down = false }) }
}

// Stall has everything done and nothing answered until end is called.
func (m *Memory) Stall() (end func()) {
	stalled := make(chan struct{})
	m.set(func() { m.stalled = stalled })
	return func() {
		m.set(func() { m.stalled = nil })
		close(stalled)
	}
}

// Forbid takes away the right to change passwords.
func (m *Memory) Forbid() { m.set(func() { m.forbid = true }) }

// Refuse has every password refused for these reasons; none: no more.
func (m *Memory) Refuse(reasons ...reset.Refusal) { m.set(func() { m.refuse = reasons }) }

func (m *Memory) set(fn func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	fn()
}

var (
	errDown   = reset.Busy("the directory cannot be reached; please try again", time.Second, &reset.Misset{Setting: "url", Fix: "start its server", Cause: errors.New("it is down")})
	errRights = reset.Busy("the directory did not let the password be changed; please try again later", time.Minute,
		&reset.Misset{Setting: "user", Fix: "give it the right to change passwords", Cause: errors.New("it was forbidden")})
)

// answer lets an answer through, or not.
func (m *Memory) answer(ctx context.Context) error {
	m.mu.Lock()
	down, stalled, timeout := m.down, m.stalled, m.Timeout
	m.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return reset.Busy("the caller has gone", time.Second, err)
	}
	if down {
		return errDown
	}
	if stalled == nil {
		return nil
	}
	if timeout == 0 {
		timeout = 200 * time.Millisecond
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	select {
	case <-stalled:
		return nil
	case <-ctx.Done():
		return reset.Busy("the directory takes too long; please try again", time.Second, ctx.Err())
	}
}

// UserByAddress implements reset.Directory.
func (m *Memory) UserByAddress(ctx context.Context, a reset.Address) (reset.User, error) {
	return m.find(ctx, func(u *member) bool { return u.Email.Key() == a.Key() })
}

// UserByID implements reset.Directory.
func (m *Memory) UserByID(ctx context.Context, id string) (reset.User, error) {
	return m.find(ctx, func(u *member) bool { return u.ID == id })
}

func (m *Memory) find(ctx context.Context, is func(*member) bool) (reset.User, error) {
	if err := m.answer(ctx); err != nil {
		return reset.User{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	var found []reset.User
	for u := range maps.Values(m.users) {
		if is(u) {
			found = append(found, u.User)
		}
	}
	switch len(found) {
	case 0:
		return reset.User{}, reset.ErrNoUser
	case 1:
		found[0].Accounts = slices.Clone(found[0].Accounts)
		return found[0], nil
	}
	return reset.User{}, reset.ErrAmbiguous
}

// Prepare implements reset.Directory.
func (m *Memory) Prepare(_ context.Context, u reset.User, password string, _ func(context.Context) error) (reset.Change, error) {
	return &memoryChange{m: m, id: u.ID, password: password}, nil
}

type memoryChange struct {
	reset.NoApply
	m            *Memory
	id, password string
}

// Set implements reset.Distant.
func (c *memoryChange) Set(ctx context.Context) error {
	c.m.set(func() { c.m.sets++ })
	if c.m.BeforeSet != nil {
		if err := c.m.BeforeSet(ctx); err != nil {
			return err
		}
	}
	if err := c.write(ctx); err != nil {
		return &reset.Unchanged{Cause: err}
	}
	if c.m.AfterSet != nil {
		if err := c.m.AfterSet(ctx); err != nil {
			return err
		}
	}
	return c.m.answer(ctx)
}

func (c *memoryChange) write(ctx context.Context) error {
	c.m.mu.Lock()
	defer c.m.mu.Unlock()
	u := c.m.users[c.id]
	reasons := c.m.refuse
	if most := c.m.MaxBytes; most > 0 && len(c.password) > most {
		reasons = []reset.Refusal{{Code: "too_long", Message: fmt.Sprintf("use at most %d bytes", most)}}
	}
	switch {
	case ctx.Err() != nil:
		return reset.Busy("the caller has gone", time.Second, ctx.Err())
	case c.m.down:
		return errDown
	case u == nil:
		return reset.ErrNoUser
	case c.m.forbid:
		return errRights
	case len(reasons) > 0:
		return reset.Refused(reasons)
	}
	u.password = &c.password
	return nil
}

// Check implements reset.Inspected.
func (m *Memory) Check(ctx context.Context, step func(line string)) error {
	if err := m.answer(ctx); err != nil {
		return err
	}
	step("it is there")
	step("it lets passwords be changed")
	return nil
}

// Plan implements reset.Inspected.
func (m *Memory) Plan(_ context.Context, u reset.User) ([]string, error) {
	return []string{"the password of number " + u.ID + " is changed in memory"}, nil
}

// Fixture hands it to the suite.
func (m *Memory) Fixture(update func(ctx context.Context, fn func(tx reset.Tx) error) error) Fixture {
	return Fixture{
		Directory: m, Update: update, MaxBytes: m.MaxBytes,
		Add:           func(t *testing.T, u User) { t.Helper(); m.Add(t, u) },
		Verify:        func(t *testing.T, email, password string) bool { t.Helper(); return m.Verify(t, email, password) },
		Disable:       func(t *testing.T, email string) { t.Helper(); m.Disable(t, email) },
		Remove:        func(t *testing.T, email string) { t.Helper(); m.Remove(t, email) },
		Twin:          func(t *testing.T, email string) { t.Helper(); m.Add(t, User{Email: strings.ToUpper(email)}) },
		Down:          func(*testing.T) func() { return m.Down() },
		Stall:         func(*testing.T) func() { return m.Stall() },
		Forbid:        func(*testing.T) { m.Forbid() },
		ChangeAddress: func(t *testing.T, email, to string) { t.Helper(); m.ChangeAddress(t, email, to) },
	}
}
