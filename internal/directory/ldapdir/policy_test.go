package ldapdir_test

import (
	"context"
	"crypto/rand"
	"crypto/sha512"
	"encoding/base64"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/go-ldap/ldap/v3"

	"github.com/sparekey/sparekey/internal/directory/ldapdir"
	"github.com/sparekey/sparekey/internal/directory/ldapdir/slapdtest"
	"github.com/sparekey/sparekey/internal/reset"
)

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
			dn := u.add(t, ada, "", oldPassword, "pwdPolicySubentry", s.Policy(t, c.policy...))
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
	dn := u.add(t, ada, "", oldPassword, "pwdPolicySubentry", s.Policy(t, "pwdSafeModify", "TRUE"))
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
	dn := u.add(t, ada, "", oldPassword, "pwdPolicySubentry", s.Policy(t, "pwdLockout", "TRUE", "pwdMaxFailure", "2"))
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
	err = c.(reset.Distant).Set(t.Context())
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
	u.replace(t, dn, "pwdPolicySubentry", s.Policy(t, "pwdCheckQuality", "2", "pwdMinLength", "8"))
	err = set(t.Context(), u.directory, user, newPassword)
	refusedFor(t, err, ldapdir.CodeTooSimple)
}
