package ldapdir_test

import (
	"context"
	"crypto/rand"
	"crypto/sha512"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/go-ldap/ldap/v3"

	"github.com/sparekey/sparekey/internal/certs/certtest"
	"github.com/sparekey/sparekey/internal/directory/ldapdir"
	"github.com/sparekey/sparekey/internal/directory/ldapdir/slapdtest"
	"github.com/sparekey/sparekey/internal/reset"
)

func find(t *testing.T, d reset.Directory, email string) reset.User {
	t.Helper()
	u, err := d.UserByAddress(t.Context(), address(t, email))
	must(t, err)
	return u
}

// set does what a reset does with a Distant change.
func set(ctx context.Context, d reset.Directory, u reset.User, password string) error {
	c, err := d.Prepare(ctx, u, password, nil)
	if err != nil {
		return err
	}
	distant, ok := c.(reset.Distant)
	if !ok {
		return errors.New("the change is not Distant")
	}
	return distant.Set(ctx)
}

func unavailable(t *testing.T, err error) {
	t.Helper()
	if e, ok := errors.AsType[*reset.Error](err); !ok || e.Kind != reset.Unavailable || e.RetryAfter <= 0 {
		t.Errorf("got %v, want an error of kind Unavailable", err)
	}
}

// names checks that an error names a setting, and says what to do in words that have this in them.
func names(t *testing.T, err error, setting, fix string) {
	t.Helper()
	m, ok := errors.AsType[*reset.Misset](err)
	if !ok || m.Setting != setting || !strings.Contains(m.Fix, fix) {
		t.Errorf("got %v, want a Misset for %s: %s", err, setting, fix)
	}
}

// refusedFor checks the codes of a refusal, and that nothing was changed.
func refusedFor(t *testing.T, err error, codes ...string) {
	t.Helper()
	if _, ok := errors.AsType[*reset.Unchanged](err); !ok {
		t.Errorf("got %v, want Unchanged", err)
	}
	e, ok := errors.AsType[*reset.Error](err)
	if !ok || e.Kind != reset.Invalid {
		t.Errorf("got %v, want a refusal", err)
		return
	}
	reasons, _ := e.Details["password"].([]reset.Refusal)
	var got []string
	for _, r := range reasons {
		if r.Message == "" {
			t.Errorf("%s has no message", r.Code)
		}
		got = append(got, r.Code)
	}
	if !slices.Equal(got, codes) {
		t.Errorf("the reasons are %q, want %q", got, codes)
	}
}

// TestPolicyOfOpenLDAP: what ppolicy has against a password is said in reasons, and nothing is changed.
func TestPolicyOfOpenLDAP(t *testing.T) {
	t.Parallel()
	s := theSlapd(t)
	for name, c := range map[string]struct {
		policy   []string
		password string
		code     string // empty: it is taken
	}{
		"fine":      {[]string{"pwdCheckQuality", "2", "pwdMinLength", "10", "pwdInHistory", "5"}, newPassword, ""},
		"too short": {[]string{"pwdCheckQuality", "2", "pwdMinLength", "30"}, newPassword, ldapdir.CodeTooShortThere},
		"too long":  {[]string{"pwdCheckQuality", "2", "pwdMaxLength", "20"}, newPassword, ldapdir.CodeTooLongThere},
		"used":      {[]string{"pwdInHistory", "5"}, oldPassword, ldapdir.CodeUsedBefore},
		"too soon":  {[]string{"pwdMinAge", "3600"}, newPassword, ldapdir.CodeTooSoon},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			u := newUnit(t, s)
			policy := fmt.Sprintf("cn=%s,%s", strings.ReplaceAll(t.Name(), "/", "-"), slapdtest.Policies)
			s.Policy(t, policy, c.policy...)
			dn := u.add(t, ada, "", oldPassword, "pwdPolicySubentry", policy)
			err := set(t.Context(), u.directory, find(t, u.directory, ada), c.password)
			right, wrong := oldPassword, newPassword
			if c.code == "" {
				must(t, err)
				right, wrong = wrong, right
			} else {
				refusedFor(t, err, c.code)
			}
			if !s.Binds(t, dn, right) || s.Binds(t, dn, wrong) {
				t.Error("the password is not what it should be")
			}
		})
	}
}

// TestSafeModify: a policy that wants the old password also of Sparekey is the operator's to change.
func TestSafeModify(t *testing.T) {
	t.Parallel()
	s := theSlapd(t)
	u := newUnit(t, s)
	policy := "cn=safe," + slapdtest.Policies
	s.Policy(t, policy, "pwdSafeModify", "TRUE")
	dn := u.add(t, ada, "", oldPassword, "pwdPolicySubentry", policy)
	err := set(t.Context(), u.directory, find(t, u.directory, ada), newPassword)
	unavailable(t, err)
	names(t, err, "bind.dn", "pwdSafeModify")
	if !s.Binds(t, dn, oldPassword) {
		t.Error("the password was changed")
	}
}

// TestLocks: OpenLDAP ends every lock with a new password. One that an administrator has set stays, for a user
// who has it may not reset, not even when it is set in the middle of a reset.
func TestLocks(t *testing.T) {
	t.Parallel()
	s := theSlapd(t)
	u := newUnit(t, s)
	policy := "cn=lockout," + slapdtest.Policies
	s.Policy(t, policy, "pwdLockout", "TRUE", "pwdMaxFailure", "2")
	dn := u.add(t, ada, "", oldPassword, "pwdPolicySubentry", policy)
	for range 3 {
		s.Binds(t, dn, "wrong")
	}
	if s.Binds(t, dn, oldPassword) {
		t.Fatal("the user is not locked")
	}
	user := find(t, u.directory, ada)
	if user.Disabled {
		t.Error("a user who has mistyped the password may not reset it")
	}
	must(t, set(t.Context(), u.directory, user, newPassword))
	if !s.Binds(t, dn, newPassword) {
		t.Error("the user is still locked")
	}
	c, err := u.directory.Prepare(t.Context(), user, oldPassword, nil)
	must(t, err)
	u.replace(t, dn, "pwdAccountLockedTime", "000001010000Z")
	err = c.(reset.Distant).Set(t.Context()) //nolint:forcetypeassert // it is
	if _, ok := errors.AsType[*reset.Unchanged](err); !ok || !errors.Is(err, reset.ErrNoUser) {
		t.Errorf("a user whom an administrator has locked meanwhile: %v", err)
	}
	u.replace(t, dn, "pwdAccountLockedTime")
	if !s.Binds(t, dn, newPassword) {
		t.Error("the password was changed")
	}
}

// TestUnlock: where no ppolicy ends a lock by itself, it is ended on request, but for an administrator's.
func TestUnlock(t *testing.T) {
	t.Parallel()
	s := slapdtest.New(t, slapdtest.Options{NoPolicy: true})
	for _, lock := range []string{"20261124190323Z", "20261124190323.5Z", ""} {
		for _, wanted := range []bool{true, false} {
			u := newUnit(t, s, func(c *ldapdir.Config) { c.Unlock = wanted })
			dn := u.add(t, ada, "", oldPassword)
			if lock != "" {
				u.replace(t, dn, "pwdAccountLockedTime", lock)
			}
			must(t, set(t.Context(), u.directory, find(t, u.directory, ada), newPassword))
			r, err := s.Root(t).Search(ldap.NewSearchRequest(dn, ldap.ScopeBaseObject, 0, 0, 0, false, "(objectClass=*)", []string{"pwdAccountLockedTime"}, nil))
			must(t, err)
			left := r.Entries[0].GetAttributeValue("pwdAccountLockedTime")
			if want := wanted || lock == ""; (left == "") != want || !s.Binds(t, dn, newPassword) {
				t.Errorf("unlock %v: of the lock %q is left %q", wanted, lock, left)
			}
		}
	}
}

// salted makes {SSHA512} as OpenLDAP's pw-sha2 reads it.
func salted(_ context.Context, password string, _ func(context.Context) error) (string, error) {
	salt := make([]byte, 8)
	_, err := rand.Read(salt)
	sum := sha512.Sum512(append([]byte(password), salt...))
	return "{SSHA512}" + base64.StdEncoding.EncodeToString(append(sum[:], salt...)), err
}

// TestUserPassword: a hash that Sparekey has made is written, and OpenLDAP accepts the password by it.
func TestUserPassword(t *testing.T) {
	t.Parallel()
	s := theSlapd(t)
	var hashed []string
	u := newUnit(t, s, func(c *ldapdir.Config) {
		c.Method, c.Scheme = ldapdir.UserPassword, "SSHA512"
		c.Hash = func(ctx context.Context, password string, still func(context.Context) error) (string, error) {
			hashed = append(hashed, password)
			return salted(ctx, password, still)
		}
	})
	dn := u.add(t, ada, "", oldPassword)
	user := find(t, u.directory, ada)
	const hard = ` as typed: ("ä") *\ `
	must(t, set(t.Context(), u.directory, user, hard))
	if !s.Binds(t, dn, hard) || s.Binds(t, dn, oldPassword) || !slices.Equal(hashed, []string{hard}) {
		t.Errorf("the hash of %q is not the password", hashed)
	}
	plan, err := u.directory.Plan(t.Context(), user)
	must(t, err)
	if text := strings.Join(plan, "\n"); !strings.Contains(text, "SSHA512") || strings.Contains(text, hard) {
		t.Errorf("the plan is %q", plan)
	}
	// A policy that has to look into passwords takes no hash.
	policy := "cn=quality," + slapdtest.Policies
	s.Policy(t, policy, "pwdCheckQuality", "2", "pwdMinLength", "8")
	u.replace(t, dn, "pwdPolicySubentry", policy)
	err = set(t.Context(), u.directory, user, newPassword)
	refusedFor(t, err, ldapdir.CodeTooSimple)
}

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

// TestCertificates: no server is believed whose certificate is for another name or of an unknown authority, by neither way to TLS.
func TestCertificates(t *testing.T) {
	t.Parallel()
	wrong := slapdtest.New(t, slapdtest.Options{Names: []string{"elsewhere.example.test"}})
	right := theSlapd(t)
	for name, c := range map[string]struct {
		server *slapdtest.Server
		change func(c *ldapdir.Config)
	}{
		"another name, LDAPS":      {wrong, func(*ldapdir.Config) {}},
		"another name, StartTLS":   {wrong, func(c *ldapdir.Config) { c.Servers, c.StartTLS = []string{"ldap://" + wrong.Address()}, true }},
		"another authority, LDAPS": {right, func(c *ldapdir.Config) { c.CA = certtest.New(t).Pool() }},
		"another authority, StartTLS": {right, func(c *ldapdir.Config) {
			c.CA, c.Servers, c.StartTLS = certtest.New(t).Pool(), []string{"ldap://" + right.Address()}, true
		}},
		"the system's authorities": {right, func(c *ldapdir.Config) { c.CA = nil }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			u := newUnit(t, c.server, c.change)
			u.add(t, ada, "", oldPassword)
			_, err := u.directory.UserByAddress(t.Context(), address(t, ada))
			unavailable(t, err)
			names(t, err, "ca_file", "certificate")
		})
	}
}

// TestStartTLSRefused: a server without a certificate gets no password.
func TestStartTLSRefused(t *testing.T) {
	t.Parallel()
	s := slapdtest.New(t, slapdtest.Options{NoTLS: true})
	log := &lines{}
	u := newUnit(t, s, func(c *ldapdir.Config) {
		c.Servers, c.StartTLS, c.Log = []string{"ldap://" + s.Address()}, true, log.logger()
	})
	u.add(t, ada, "", oldPassword)
	_, err := u.directory.UserByAddress(t.Context(), address(t, ada))
	unavailable(t, err)
	names(t, err, "start_tls", "certificate")
}

// TestPlaintext: it is possible where it is allowed, and a check says so.
func TestPlaintext(t *testing.T) {
	t.Parallel()
	s := theSlapd(t)
	u := newUnit(t, s, func(c *ldapdir.Config) { c.Servers, c.Plaintext = []string{"ldap://" + s.Address()}, true })
	u.add(t, ada, "", oldPassword)
	find(t, u.directory, ada)
	var steps []string
	must(t, u.directory.Check(t.Context(), func(line string) { steps = append(steps, line) }))
	if !strings.Contains(strings.Join(steps, "\n"), "without encryption") {
		t.Errorf("the check does not say that nothing is encrypted: %q", steps)
	}
}

// TestBindRefused: the setting is named, and the same password is not tried again for a while: each try counts for a lockout.
func TestBindRefused(t *testing.T) {
	t.Parallel()
	s := theSlapd(t)
	policy := "cn=bind," + slapdtest.Policies
	s.Policy(t, policy, "pwdLockout", "TRUE", "pwdMaxFailure", "3")
	password := "wrong"
	var right string
	u := newUnit(t, s, func(c *ldapdir.Config) {
		right, _ = c.BindPassword()
		c.BindPassword = func() (string, error) { return password, nil }
	})
	u.replace(t, u.config.BindDN, "pwdPolicySubentry", policy)
	u.add(t, ada, "", oldPassword)
	for range 10 {
		_, err := u.directory.UserByAddress(t.Context(), address(t, ada))
		unavailable(t, err)
		names(t, err, "bind.password_file", u.config.BindDN)
		if strings.Contains(err.Error(), password+" ") {
			t.Errorf("%v tells the password", err)
		}
	}
	password = right // another password is tried at once, and the account is not locked
	find(t, u.directory, ada)

	for _, c := range []struct {
		change       func(c *ldapdir.Config)
		setting, fix string
	}{
		{func(c *ldapdir.Config) { c.BindDN = "not a DN" }, "bind.dn", "name a user"},
		{func(c *ldapdir.Config) { c.BindPassword = func() (string, error) { return "", nil } }, "bind.password_file", "can read"},
		{func(c *ldapdir.Config) {
			c.BindPassword = func() (string, error) { return "", errors.New("no such file") }
		}, "bind.password_file", "can read"},
	} {
		_, err := newUnit(t, s, c.change).directory.UserByAddress(t.Context(), address(t, ada))
		unavailable(t, err)
		names(t, err, c.setting, c.fix)
	}
}

// TestWrongSettings: what only a server can tell names the setting too.
func TestWrongSettings(t *testing.T) {
	t.Parallel()
	s := theSlapd(t)
	for name, c := range map[string]struct {
		change       func(c *ldapdir.Config)
		setting, fix string
	}{
		"base":    {func(c *ldapdir.Config) { c.Base = "ou=nowhere,dc=example,dc=test" }, "base", "name a DN that is there"},
		"outside": {func(c *ldapdir.Config) { c.Base = "dc=elsewhere,dc=test" }, "base", "name a DN that is there"},
		"id":      {func(c *ldapdir.Config) { c.Attributes.ID = "employeeNumber" }, "attributes.id", "let bind.dn read it"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			u := newUnit(t, s)
			u.add(t, ada, "", oldPassword)
			config := u.config
			config.Timeout = brief
			c.change(&config)
			_, err := open(t, config).UserByAddress(t.Context(), address(t, ada))
			unavailable(t, err)
			names(t, err, c.setting, c.fix)
		})
	}
}

// TestManyCandidates: more entries than the server tells at once are looked at page by page, and of all that the filter
// finds the one with the address is the user.
func TestManyCandidates(t *testing.T) {
	t.Parallel()
	s := theSlapd(t)
	root := s.Root(t)
	if err := root.Add(unitRequest(limited)); err != nil && !ldap.IsErrorWithCode(err, ldap.LDAPResultEntryAlreadyExists) {
		t.Fatal(err)
	}
	who, password := "cn=limited,"+limited, "a service's own"
	slapdtest.Add(t, root, who, "objectClass", "organizationalRole", "objectClass", "simpleSecurityObject", "userPassword", password)
	s.Allow(t, who, true)
	u := newUnit(t, s, func(c *ldapdir.Config) {
		c.BindDN, c.BindPassword = who, func() (string, error) { return password, nil }
		c.AddressFilter = "(|(mail={address})(description=everybody))"
	})
	const users = 12 // the server tells this service of 5 at once
	for i := range users {
		u.add(t, fmt.Sprintf("user%d@example.test", i), "", "", "description", "everybody")
	}
	if got := find(t, u.directory, "user11@example.test"); got.Email.Raw() != "user11@example.test" {
		t.Errorf("found %q", got.Email.Raw())
	}
	if _, err := u.directory.UserByAddress(t.Context(), address(t, bob)); !errors.Is(err, reset.ErrNoUser) {
		t.Errorf("nobody has the address: %v", err)
	}
	u.add(t, "user3@example.test", "", "")
	if _, err := u.directory.UserByAddress(t.Context(), address(t, "user3@example.test")); !errors.Is(err, reset.ErrAmbiguous) {
		t.Errorf("two have the address: %v", err)
	}
	find(t, u.directory, "user5@example.test") // on the connection on which the pages were given up
}

func unitRequest(dn string) *ldap.AddRequest {
	r := ldap.NewAddRequest(dn, nil)
	r.Attribute("objectClass", []string{"organizationalUnit"})
	return r
}

// TestReferences: entries that point to other servers are passed over, and nobody connects there.
func TestReferences(t *testing.T) {
	t.Parallel()
	s := theSlapd(t)
	u := newUnit(t, s)
	u.add(t, ada, "", oldPassword)
	slapdtest.Add(t, s.Root(t), "ou=elsewhere,"+u.config.Base, "objectClass", "referral", "objectClass", "extensibleObject", "ref", "ldap://127.0.0.1:1/dc=elsewhere,dc=test")
	must(t, set(t.Context(), u.directory, find(t, u.directory, ada), newPassword))
	if _, err := u.directory.UserByAddress(t.Context(), address(t, bob)); !errors.Is(err, reset.ErrNoUser) {
		t.Errorf("an unknown address: %v", err)
	}
	var steps []string
	must(t, u.directory.Check(t.Context(), func(line string) { steps = append(steps, line) }))
	if !strings.Contains(strings.Join(steps, "\n"), "1 references to other servers") {
		t.Errorf("the check does not tell of the reference: %q", steps)
	}
	// A base that is itself such an entry is a setting to change.
	c := u.config
	c.Base = "ou=elsewhere," + u.config.Base
	_, err := open(t, c).UserByAddress(t.Context(), address(t, ada))
	unavailable(t, err)
	names(t, err, "servers", "that hold base")
}

// TestAttributes: of several addresses the one that was asked for is mailed; accounts, language and what disables are read as configured.
func TestAttributes(t *testing.T) {
	t.Parallel()
	u := newUnit(t, theSlapd(t), func(c *ldapdir.Config) {
		c.Attributes = ldapdir.Attributes{ID: "UID", Name: "displayName", Account: "o", Disabled: "employeeType", DisabledValue: "gone"}
	})
	u.add(t, ada, "Ada Lovelace", "", "mail", "Countess@Example.test", "mail", "no address", "o", "Globex", "o", "Acme", "preferredLanguage", "de-AT, en;q=0.5")
	u.add(t, bob, "", "", "employeeType", "GONE")
	first, second := find(t, u.directory, "ADA@example.test"), find(t, u.directory, "countess@example.test")
	if first.Email.Raw() != ada || second.Email.Raw() != "Countess@Example.test" {
		t.Errorf("the addresses are %q and %q", first.Email.Raw(), second.Email.Raw())
	}
	if first.ID != "user1" || second.ID != first.ID || first.Name != "Ada Lovelace" || first.Locale != "de-AT" || first.Disabled {
		t.Errorf("the user is %+v", first)
	}
	if len(first.Accounts) != 2 || first.Accounts[0].Name != "Acme" || first.Accounts[1].Name != "Globex" || first.Accounts[0].ID != 0 {
		t.Errorf("the accounts are %+v", first.Accounts)
	}
	byID, err := u.directory.UserByID(t.Context(), "user1")
	must(t, err)
	if byID.Name != first.Name {
		t.Errorf("by id: %+v", byID)
	}
	if !find(t, u.directory, bob).Disabled {
		t.Error("bob is not disabled")
	}
	u.add(t, "no@example.test", "", "")
	u.replace(t, u.dn(t, "no@example.test"), "mail", "not an address")
	if _, err := u.directory.UserByID(t.Context(), "user3"); !errors.Is(err, reset.ErrNoUser) {
		t.Errorf("a user without an address: %v", err)
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
