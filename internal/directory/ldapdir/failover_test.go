package ldapdir_test

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/sparekey/sparekey/internal/directory/ldapdir"
	"github.com/sparekey/sparekey/internal/directory/ldapdir/slapdtest"
	"github.com/sparekey/sparekey/internal/reset"
)

// TestFailOver: servers are tried in order, and one that is dead is passed over for a while.
func TestFailOver(t *testing.T) {
	t.Parallel()
	first, second := slapdtest.New(t, slapdtest.Options{}), slapdtest.New(t, slapdtest.Options{})
	p, at := proxied(t, first.SecureAddress())
	var mu sync.Mutex
	now := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	clock := func() time.Time { mu.Lock(); defer mu.Unlock(); return now }
	log := &lines{}
	// Both have the same users; that is what a directory is when it is replicated.
	pool := first.Pool(t, second)
	one := newUnit(t, first, func(c *ldapdir.Config) {
		c.Servers, c.CA = []string{"ldaps://" + at, "ldaps://" + second.SecureAddress()}, pool
		c.Attributes.ID, c.Timeout, c.Pause, c.Now, c.Log = "uid", brief, time.Minute, clock, log.logger()
	})
	two := &unit{server: second, config: ldapdir.Config{Base: second.Unit(t)}, mail: "mail"}
	second.Service(t, true)
	onFirst, onSecond := one.add(t, ada, "", oldPassword), two.add(t, ada, "", oldPassword)
	if onFirst != onSecond {
		t.Fatalf("the servers are not alike: %s, %s", onFirst, onSecond)
	}
	u := find(t, one.directory, ada)
	change := func(password string, on *slapdtest.Server, other *slapdtest.Server) {
		t.Helper()
		must(t, set(t.Context(), one.directory, u, password))
		if !on.Binds(t, onFirst, password) || other.Binds(t, onFirst, password) {
			t.Errorf("%q was not set on the server that is next", password)
		}
	}
	change("on the first as long as it is there", first, second)
	up := down(t, p)
	change("on the second when it is not", second, first)
	if !strings.Contains(log.String(), "directory.server_down") {
		t.Error("the log does not say that a server is down")
	}
	up()
	change("on the second as long as the first is not tried again", second, first)
	mu.Lock()
	now = now.Add(2 * time.Minute)
	mu.Unlock()
	change("on the first again after a while", first, second)

	end := stall(t, p)
	if got := find(t, one.directory, ada); got.ID != u.ID {
		t.Errorf("while the first says nothing the user is %q", got.ID)
	}
	end()
	down(t, p)
	second.Stop(t, syscall.SIGINT)
	_, err := one.directory.UserByAddress(t.Context(), u.Email)
	unavailable(t, err)
	names(t, err, "servers", "start the server")
}

// TestReplica: a server that cannot be written to refers to another one. That is not gone to; the next one in the list is.
func TestReplica(t *testing.T) {
	t.Parallel()
	replica, main := slapdtest.New(t, slapdtest.Options{}), slapdtest.New(t, slapdtest.Options{})
	elsewhere, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0") // nobody connects there
	must(t, err)
	followed := make(chan struct{})
	var listening sync.WaitGroup
	listening.Go(func() {
		if conn, err := elsewhere.Accept(); err == nil {
			close(followed)
			_ = conn.Close()
		}
	})
	one := newUnit(t, replica, func(c *ldapdir.Config) {
		c.Servers = []string{"ldaps://" + replica.SecureAddress()}
		c.Attributes.ID = "uid"
	})
	two := &unit{server: main, config: ldapdir.Config{Base: main.Unit(t)}, mail: "mail"}
	main.Service(t, true)
	dn := one.add(t, ada, "", oldPassword)
	two.add(t, ada, "", oldPassword)
	replica.Amend(t, `syncrepl rid=1 provider=ldap://127.0.0.1:1 type=refreshOnly interval=99:00:00:00 retry="9999 +" searchbase="dc=example,dc=test" bindmethod=simple
updateref ldap://`+elsewhere.Addr().String())
	u := find(t, one.directory, ada)
	err = set(t.Context(), one.directory, u, newPassword)
	unavailable(t, err)
	names(t, err, "servers", "can be written to")
	if _, ok := errors.AsType[*reset.Unchanged](err); !ok {
		t.Errorf("a replica alone: %v, want Unchanged", err)
	}
	c := one.config
	c.Servers, c.CA = append(c.Servers, "ldaps://"+main.SecureAddress()), replica.Pool(t, main)
	both := open(t, c)
	must(t, set(t.Context(), both, find(t, both, ada), newPassword))
	if !main.Binds(t, dn, newPassword) || replica.Binds(t, dn, newPassword) {
		t.Error("the password was not set on the server that can be written to")
	}
	must(t, elsewhere.Close())
	listening.Wait()
	select {
	case <-followed:
		t.Error("a referral was followed")
	default:
	}
}

// TestRestarts: the server ends in good order and crashes in the middle of resets. Each password is the old or the new one,
// and which one is what was said of it.
func TestRestarts(t *testing.T) {
	t.Parallel()
	s := slapdtest.New(t, slapdtest.Options{})
	u := newUnit(t, s)
	const workers, each = 5, 100
	var dns, last [workers]string
	for i := range workers {
		dns[i] = u.add(t, fmt.Sprintf("user%d@example.test", i), "", oldPassword)
		last[i] = oldPassword
	}
	var users [workers]reset.User
	for i := range workers {
		users[i] = find(t, u.directory, fmt.Sprintf("user%d@example.test", i))
	}
	done := make(chan struct{})
	progress := make(chan struct{}, workers*each)
	var restarts sync.WaitGroup
	restarts.Go(func() {
		for round := 0; ; round++ {
			for range 60 { // after so many resets, at whatever point the others are
				select {
				case <-done:
					return
				case <-progress:
				}
			}
			if err := s.Crash([]syscall.Signal{syscall.SIGINT, syscall.SIGKILL}[round%2]); err != nil {
				t.Error(err)
			}
		}
	})
	var count [3]int // set, for certain not set, not known
	var mu sync.Mutex
	var wg sync.WaitGroup
	for i := range workers {
		wg.Go(func() {
			for n := range each {
				password := fmt.Sprintf("password %d of user %d", n, i)
				err := set(t.Context(), u.directory, users[i], password)
				how := 0
				switch _, unchanged := errors.AsType[*reset.Unchanged](err); {
				case err == nil:
					last[i] = password
				case unchanged:
					how = 1
					unavailable(t, err)
					s.Await()
				default:
					how = 2
					unavailable(t, err)
					last[i] = u.eitherOf(t, dns[i], last[i], password)
				}
				mu.Lock()
				count[how]++
				mu.Unlock()
				progress <- struct{}{}
			}
		})
	}
	wg.Wait()
	close(done)
	restarts.Wait()
	for i := range workers {
		if !s.Binds(t, dns[i], last[i]) {
			t.Errorf("user %d: what was said last does not hold", i)
		}
	}
	t.Logf("of %d resets %d were made, %d for certain not, %d are not known", workers*each, count[0], count[1], count[2])
	if count[0] < workers*each*9/10 || count[1]+count[2] == 0 {
		t.Errorf("the restarts were not in the middle: %v", count)
	}
}

// eitherOf waits until the server answers again, and says which of two passwords holds.
func (u *unit) eitherOf(t *testing.T, dn, before, after string) string {
	u.server.Await()
	old, changed := u.server.Binds(t, dn, before), u.server.Binds(t, dn, after)
	if old == changed {
		t.Errorf("of the old and the new password %v and %v hold, want one of them", old, changed)
	}
	if changed {
		return after
	}
	return before
}

// TestConnectionsAreBounded: many at once share few connections, and while all are waited on others are told to come again.
func TestConnectionsAreBounded(t *testing.T) {
	t.Parallel()
	s := theSlapd(t)
	p, at := proxied(t, s.SecureAddress())
	u := newUnit(t, s, func(c *ldapdir.Config) { c.Servers, c.Timeout, c.Connections = []string{"ldaps://" + at}, brief, 2 })
	u.add(t, ada, "", oldPassword)
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			if _, err := u.directory.UserByAddress(t.Context(), address(t, ada)); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if n := u.directory.Idle(); n < 1 || n > 2 {
		t.Errorf("there are %d connections", n)
	}
	stall(t, p)
	failures := make(chan error, 6)
	for range 6 {
		wg.Go(func() {
			_, err := u.directory.UserByAddress(t.Context(), address(t, ada))
			failures <- err
		})
	}
	wg.Wait()
	close(failures)
	busy := false
	for err := range failures {
		unavailable(t, err)
		m, _ := errors.AsType[*reset.Misset](err)
		busy = busy || m != nil && m.Setting == "connections"
	}
	if !busy {
		t.Error("nobody was told that all connections are in use")
	}
}
