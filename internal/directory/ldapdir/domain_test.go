package ldapdir_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/go-ldap/ldap/v3"

	"github.com/sparekey/sparekey/internal/directory/ldapdir"
	"github.com/sparekey/sparekey/internal/directory/ldapdir/sambatest"
	"github.com/sparekey/sparekey/internal/reset"
)

// TestPolicyOfActiveDirectory: what the domain's policy, or the one of a user, has against a password is said in reasons.
// Sparekey may not read the one of a user unless that is granted; then it says no more than it knows.
func TestPolicyOfActiveDirectory(t *testing.T) {
	t.Parallel()
	s := theSamba(t)
	for name, c := range map[string]struct {
		policy   map[string][]string // nil: the domain's, of at least 4 characters
		readable bool
		password string
		codes    []string // none: it is taken
	}{
		"the domain's": {nil, false, "abc", []string{ldapdir.CodeTooShort}},
		"fine":         {map[string][]string{"msDS-MinimumPasswordLength": {"12"}, "msDS-PasswordComplexityEnabled": {"TRUE"}}, true, "A quiet harbour?", nil},
		"too short":    {map[string][]string{"msDS-MinimumPasswordLength": {"40"}}, true, newPassword, []string{ldapdir.CodeTooShort}},
		"simple":       {map[string][]string{"msDS-PasswordComplexityEnabled": {"TRUE"}}, true, "A quiet harbour", []string{ldapdir.CodeComplexity}},
		"short and simple": {
			map[string][]string{"msDS-MinimumPasswordLength": {"40"}, "msDS-PasswordComplexityEnabled": {"TRUE"}},
			true, newPassword,
			[]string{ldapdir.CodeTooShort, ldapdir.CodeComplexity},
		},
		"not readable": {map[string][]string{"msDS-MinimumPasswordLength": {"40"}}, false, newPassword, []string{ldapdir.CodeNotAllowed}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBranch(t, s)
			dn := b.add(t, ada, "Ada Lovelace", oldPassword)
			if c.policy != nil {
				policy := s.Policy(t, dn, c.policy)
				if c.readable {
					s.AllowReading(t, policy)
				}
			}
			err := set(t.Context(), b.directory, find(t, b.directory, ada), c.password)
			right, wrong := oldPassword, c.password
			if c.codes == nil {
				must(t, err)
				right, wrong = wrong, right
			} else {
				refusedFor(t, err, c.codes...)
			}
			if !s.Binds(t, dn, right) || s.Binds(t, dn, wrong) {
				t.Error("the password is not what it should be")
			}
		})
	}
}

// TestHistoryInSamba writes down what Samba does: it knows no control by which a reset heeds history, so that a reset is an
// administrator's, Plan says so, and the control is not sent. (Samba 4.17 passes over a critical control that it does not know.)
func TestHistoryInSamba(t *testing.T) {
	t.Parallel()
	s := theSamba(t)
	b := newBranch(t, s)
	dn := b.add(t, ada, "", oldPassword)
	s.Policy(t, dn, map[string][]string{"msDS-PasswordHistoryLength": {"24"}})
	u := find(t, b.directory, ada)
	must(t, set(t.Context(), b.directory, u, newPassword))
	must(t, set(t.Context(), b.directory, u, oldPassword))
	if !s.Binds(t, dn, oldPassword) {
		t.Error("the password was not set")
	}
	plan, err := b.directory.Plan(t.Context(), u)
	must(t, err)
	if text := strings.Join(plan, "\n"); !strings.Contains(text, "replace unicodePwd") || !strings.Contains(text, "cannot be asked to heed history") {
		t.Errorf("the plan is %q", plan)
	}
}

// TestUnlockInActiveDirectory: a lock after wrong passwords ends with the reset, on request alone, in the same request.
func TestUnlockInActiveDirectory(t *testing.T) {
	t.Parallel()
	s := theSamba(t)
	for _, unlock := range []bool{true, false} {
		t.Run(fmt.Sprint(unlock), func(t *testing.T) {
			t.Parallel()
			b := newBranch(t, s, func(c *ldapdir.Config) { c.Unlock = unlock })
			dn := b.add(t, ada, "", oldPassword)
			s.Policy(t, dn, map[string][]string{"msDS-LockoutThreshold": {"2"}})
			for range 3 {
				s.Binds(t, dn, "wrong")
			}
			if s.Binds(t, dn, oldPassword) {
				t.Fatal("the user is not locked")
			}
			u := find(t, b.directory, ada)
			if u.Disabled {
				t.Error("a user who has mistyped the password may not reset it")
			}
			must(t, set(t.Context(), b.directory, u, newPassword))
			if got := s.Binds(t, dn, newPassword); got != unlock {
				t.Errorf("the new password opens: %v, want %v", got, unlock)
			}
		})
	}
}

// TestMustChange: pwdLastSet is left alone unless it is asked for.
func TestMustChange(t *testing.T) {
	t.Parallel()
	s := theSamba(t)
	for _, wanted := range []bool{true, false} {
		t.Run(fmt.Sprint(wanted), func(t *testing.T) {
			t.Parallel()
			b := newBranch(t, s, func(c *ldapdir.Config) { c.MustChange, c.Unlock = wanted, true })
			dn := b.add(t, ada, "", oldPassword)
			u := find(t, b.directory, ada)
			plan, err := b.directory.Plan(t.Context(), u)
			must(t, err)
			if slices.Contains(plan, "replace pwdLastSet = 0") != wanted {
				t.Errorf("the plan is %q", plan)
			}
			must(t, set(t.Context(), b.directory, u, newPassword))
			r, err := s.Admin(t).Search(ldap.NewSearchRequest(dn, ldap.ScopeBaseObject, 0, 0, 0, false, "(objectClass=*)", []string{"pwdLastSet"}, nil))
			must(t, err)
			if got := r.Entries[0].GetAttributeValue("pwdLastSet"); (got == "0") != wanted || got == "" {
				t.Errorf("pwdLastSet is %q", got)
			}
		})
	}
}

// TestActiveDirectoryByStartTLS: it is as good as LDAPS; that there is nothing without TLS TestConfig shows.
func TestActiveDirectoryByStartTLS(t *testing.T) {
	t.Parallel()
	s := theSamba(t)
	b := newBranch(t, s, func(c *ldapdir.Config) { c.Servers, c.StartTLS = []string{"ldap://" + s.PlainAddress()}, true })
	dn := b.add(t, ada, "", oldPassword)
	must(t, set(t.Context(), b.directory, find(t, b.directory, ada), newPassword))
	if !s.Binds(t, dn, newPassword) {
		t.Error("the password was not set")
	}
	var steps []string
	must(t, b.directory.Check(t.Context(), func(line string) { steps = append(steps, line) }))
	for _, part := range []string{"over TLS 1.3", "bound as " + sambatest.Service, "Samba", "at least 4 characters"} {
		if !strings.Contains(strings.Join(steps, "\n"), part) {
			t.Errorf("the check does not say %q: %q", part, steps)
		}
	}
}

// TestGUID: the id is the objectGUID as Windows writes it, and stays when the user is renamed and moved.
func TestGUID(t *testing.T) {
	t.Parallel()
	s := theSamba(t)
	b := newBranch(t, s)
	dn := b.add(t, ada, "", oldPassword)
	u := find(t, b.directory, ada)
	admin := s.Admin(t)
	r, err := admin.Search(ldap.NewSearchRequest("<GUID="+u.ID+">", ldap.ScopeBaseObject, 0, 0, 0, false, "(objectClass=*)", []string{"mail"}, nil))
	must(t, err)
	if len(r.Entries) != 1 || r.Entries[0].GetAttributeValue("mail") != ada {
		t.Errorf("the server finds %d entries by the id %s", len(r.Entries), u.ID)
	}
	sub := "OU=sub," + b.config.Base
	must(t, admin.Add(unitRequest(sub)))
	must(t, admin.ModifyDN(ldap.NewModifyDNRequest(dn, "CN=Ada King\\, Countess (née Byron) *", true, sub)))
	must(t, set(t.Context(), b.directory, u, newPassword))
	if again := find(t, b.directory, ada); again.ID != u.ID || !s.Binds(t, b.dn(t, ada), newPassword) {
		t.Errorf("the renamed user is %s, and was %s", again.ID, u.ID)
	}
}

// TestWrongMethod: a check tells Active Directory from others.
func TestWrongMethod(t *testing.T) {
	t.Parallel()
	b := newBranch(t, theSamba(t), func(c *ldapdir.Config) { c.Method = ldapdir.RFC3062 })
	b.add(t, ada, "", oldPassword)
	names(t, b.directory.Check(t.Context(), func(string) {}), "method", "write ad")
	u := newUnit(t, theSlapd(t), func(c *ldapdir.Config) { c.Method, c.Filter = ldapdir.ActiveDirectory, "(objectClass=person)" })
	u.add(t, ada, "", oldPassword)
	names(t, u.directory.Check(t.Context(), func(string) {}), "method", "write rfc3062")
	_, err := u.directory.UserByAddress(t.Context(), address(t, ada)) // there is no objectGUID
	unavailable(t, err)
}

// TestRestartOfSamba: it ends in the middle of resets; each password is what was said of it.
func TestRestartOfSamba(t *testing.T) {
	t.Parallel()
	s := sambatest.Start(t)
	t.Cleanup(func() { must(t, s.Close()) })
	b := newBranch(t, s)
	const workers, each = 4, 125
	var wg sync.WaitGroup
	var mu sync.Mutex
	var count [3]int // set, for certain not set, not known
	progress := make(chan struct{}, workers*each)
	for i := range workers {
		email := fmt.Sprintf("user%d@example.test", i)
		dn, last := b.add(t, email, "", oldPassword), oldPassword
		u := find(t, b.directory, email)
		wg.Go(func() {
			for n := range each {
				password := fmt.Sprintf("password %d of number %d", n, i)
				err := set(t.Context(), b.directory, u, password)
				how := 0
				switch _, unchanged := errors.AsType[*reset.Unchanged](err); {
				case err == nil:
					last = password
				case unchanged:
					how = 1
					s.Await()
				default:
					how = 2
					s.Await()
					if s.Binds(t, dn, password) {
						last = password
					}
				}
				mu.Lock()
				count[how]++
				mu.Unlock()
				progress <- struct{}{}
			}
			s.Await()
			if !s.Binds(t, dn, last) {
				t.Errorf("user %d: what was said last does not hold", i)
			}
		})
	}
	for range 2 {
		for range workers * each / 3 {
			<-progress
		}
		if err := s.Crash(); err != nil {
			t.Error(err)
		}
	}
	wg.Wait()
	t.Logf("of %d resets %d were made, %d for certain not, %d are not known", workers*each, count[0], count[1], count[2])
	if count[0] < workers*each/2 || count[1]+count[2] == 0 {
		t.Errorf("the restarts were not in the middle: %v", count)
	}
}
