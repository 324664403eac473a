package ldapdir_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/sparekey/sparekey/internal/certs/certtest"
	"github.com/sparekey/sparekey/internal/directory/ldapdir"
	"github.com/sparekey/sparekey/internal/directory/ldapdir/slapdtest"
)

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
	password := "wrong"
	var right string
	u := newUnit(t, s, func(c *ldapdir.Config) {
		right, _ = c.BindPassword()
		c.BindPassword = func() (string, error) { return password, nil }
	})
	u.replace(t, u.config.BindDN, "pwdPolicySubentry", s.Policy(t, "pwdLockout", "TRUE", "pwdMaxFailure", "3"))
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
