package ldapdir_test

import (
	"strings"
	"testing"
	"time"

	"github.com/sparekey/sparekey/internal/directory/ldapdir"
)

// TestConfig: what is wrong is said before anything is connected, with the setting to change, all of it at once.
func TestConfig(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(c *ldapdir.Config)
		want   []string // parts of the message; none if it is right
	}{
		"right":                     {func(*ldapdir.Config) {}, nil},
		"two servers":               {func(c *ldapdir.Config) { c.Servers = []string{"ldaps://a.test", "ldaps://b.test:1636/"} }, nil},
		"start_tls":                 {func(c *ldapdir.Config) { c.Servers, c.StartTLS = []string{"ldap://a.test"}, true }, nil},
		"plaintext":                 {func(c *ldapdir.Config) { c.Servers, c.Plaintext = []string{"ldap://a.test"}, true }, nil},
		"plain":                     {func(c *ldapdir.Config) { c.Servers = []string{"ldap://a.test"} }, []string{"servers: write ldaps://", "start_tls", "plaintext"}},
		"plain in Active Directory": {func(c *ldapdir.Config) { c.Servers, c.Plaintext, c.Method = []string{"ldap://a.test"}, true, "ad" }, []string{"servers: write ldaps://"}},
		"no server":                 {func(c *ldapdir.Config) { c.Servers = nil }, []string{"servers: name at least one"}},
		"a host":                    {func(c *ldapdir.Config) { c.Servers = []string{"a.test"} }, []string{"servers: write ldaps://"}},
		"a password in the URL":     {func(c *ldapdir.Config) { c.Servers = []string{"ldaps://me:secret@a.test"} }, []string{"servers: write ldaps://"}},
		"a base in the URL":         {func(c *ldapdir.Config) { c.Servers = []string{"ldaps://a.test/dc=test"} }, []string{"nothing after that"}},
		"https":                     {func(c *ldapdir.Config) { c.Servers = []string{"https://a.test"} }, []string{"servers: write ldaps://"}},
		"no URL":                    {func(c *ldapdir.Config) { c.Servers = []string{"ldaps://%"} }, []string{"servers: write ldaps://"}},
		"nobody":                    {func(c *ldapdir.Config) { c.BindDN, c.BindPassword = "", nil }, []string{"bind.dn", "bind.password_file"}},
		"no base":                   {func(c *ldapdir.Config) { c.Base = "" }, []string{"base: write a DN"}},
		"a base that is none":       {func(c *ldapdir.Config) { c.Base = "people" }, []string{"base: write a DN"}},
		"filter":                    {func(c *ldapdir.Config) { c.Filter = "(objectClass=person" }, []string{"filter: write a filter"}},
		"address in filter":         {func(c *ldapdir.Config) { c.Filter = "(mail={address})" }, []string{"filter: ", "address_filter alone"}},
		"no address":                {func(c *ldapdir.Config) { c.AddressFilter = "(mail=x)" }, []string{"address_filter: ", "{address} is missing"}},
		"address as attribute":      {func(c *ldapdir.Config) { c.AddressFilter = "({address}=x)" }, []string{"address_filter: ", "no value"}},
		"address as second attribute": {
			func(c *ldapdir.Config) { c.AddressFilter = "(|(mail={address})({address}=x))" }, []string{"address_filter: ", "no value"},
		},
		"a part of a value": {func(c *ldapdir.Config) { c.AddressFilter = "(|(mail={address})(proxyAddresses=smtp:{address}))" }, nil},
		"method":            {func(c *ldapdir.Config) { c.Method = "magic" }, []string{"method: write rfc3062"}},
		"no scheme":         {func(c *ldapdir.Config) { c.Method = ldapdir.UserPassword }, []string{"scheme: name how"}},
		"must change":       {func(c *ldapdir.Config) { c.MustChange = true }, []string{"must_change"}},
		"below zero":        {func(c *ldapdir.Config) { c.Connections = -1 }, []string{"below zero"}},
		"two at once":       {func(c *ldapdir.Config) { c.Base, c.Method = "", "magic" }, []string{"base: ", "method: "}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			config := ldapdir.Config{
				Servers: []string{"ldaps://ldap.example.test"}, Base: "dc=example,dc=test",
				BindDN: "cn=sparekey", BindPassword: func() (string, error) { return "x", nil }, Now: time.Now,
			}
			c.change(&config)
			d, err := ldapdir.New(config)
			if len(c.want) == 0 {
				must(t, err)
				must(t, d.Close())
				return
			}
			if err == nil {
				t.Fatal("it was taken")
			}
			for _, part := range c.want {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("%q does not say %q", err, part)
				}
			}
			if strings.Contains(err.Error(), "secret") {
				t.Errorf("%q tells a password", err)
			}
		})
	}
}

// TestClosed: after Close nothing is connected any more.
func TestClosed(t *testing.T) {
	t.Parallel()
	d := offline(t)
	must(t, d.Close())
	_, err := d.UserByAddress(t.Context(), address(t, ada))
	unavailable(t, err)
}
