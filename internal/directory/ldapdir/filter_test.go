package ldapdir_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	ber "github.com/go-asn1-ber/asn1-ber"
	"github.com/go-ldap/ldap/v3"
	"pgregory.net/rapid"

	"github.com/sparekey/sparekey/internal/directory/ldapdir"
	"github.com/sparekey/sparekey/internal/reset"
)

// offline is a directory that no test connects.
func offline(t testing.TB, change ...func(c *ldapdir.Config)) *ldapdir.Directory {
	t.Helper()
	c := ldapdir.Config{
		Servers: []string{"ldaps://ldap.example.test"}, Base: "ou=people,dc=example,dc=test",
		BindDN: "cn=sparekey,dc=example,dc=test", BindPassword: func() (string, error) { return "x", nil }, Now: time.Now,
	}
	for _, f := range change {
		f(&c)
	}
	return open(t, c)
}

// shape is a filter without its values, and the values.
func shape(p *ber.Packet) (string, []string) {
	if len(p.Children) == 0 {
		return "v", []string{p.Data.String()}
	}
	text, values := string(rune('a'+p.Tag))+"(", []string(nil)
	for _, child := range p.Children {
		s, v := shape(child)
		text += s
		values = append(values, v...)
	}
	return text + ")", values
}

func compile(t interface{ Fatalf(string, ...any) }, filter string) (string, []string) {
	p, err := ldap.CompileFilter(filter)
	if err != nil {
		t.Fatalf("%q: %v", filter, err)
	}
	return shape(p)
}

// localPart draws what may stand before the @ (RFC 5322 3.2.3 with RFC 6531), what means something in a filter above all.
var localPart = rapid.Custom(func(t *rapid.T) string {
	letters := rapid.SampledFrom([]rune("ab*=&|!#$%'+-/?^_`{}~ñжकａ~"))
	return string(rapid.SliceOfN(letters, 1, 20).Draw(t, "letters"))
})

// TestAddressesStayValues: whatever an address is, the filter has the same shape, and its values are the address.
func TestAddressesStayValues(t *testing.T) {
	t.Parallel()
	d := offline(t, func(c *ldapdir.Config) { c.AddressFilter = "(|(mail={address})(proxyAddresses=smtp:{address}))" })
	plain, err := reset.ParseAddress(ada)
	must(t, err)
	want, _ := compile(t, d.AddressFilter(plain))
	rapid.Check(t, func(t *rapid.T) {
		a, err := reset.ParseAddress(localPart.Draw(t, "local") + "@example.test")
		if err != nil {
			return
		}
		got, values := compile(t, d.AddressFilter(a))
		if got != want {
			t.Fatalf("%q changes the filter's shape: %s, want %s", a.Raw(), got, want)
		}
		if !slices.Contains(values, a.Key()) || !slices.Contains(values, "smtp:"+a.Key()) {
			t.Fatalf("%q became %q", a.Raw(), values)
		}
	})
}

// FuzzFilter: no text at all gets out of the place of a value, be it taken for an address or an id.
func FuzzFilter(f *testing.F) {
	for _, s := range []string{ada, "*", "*)(uid=*", "\x00", "\\2a", "\xff\xfe", "a)(|(objectClass=*", "ı", strings.Repeat("(", 300)} {
		f.Add(s)
	}
	byNumber := offline(f, func(c *ldapdir.Config) { c.Attributes.ID = "employeeNumber" })
	plain, ok := byNumber.IDFilter("17")
	if !ok {
		f.Fatal("17 is no id")
	}
	wantID, _ := compile(f, plain)
	const template = "(&(objectClass=person)(mail={address}))"
	want, _ := compile(f, ldapdir.Fill(template, "x"))
	f.Fuzz(func(t *testing.T, s string) {
		got, values := compile(t, ldapdir.Fill(template, s))
		if got != want || !slices.Contains(values, s) {
			t.Errorf("%q became %s with %q", s, got, values)
		}
		if filter, ok := byNumber.IDFilter(s); ok {
			if got, values := compile(t, filter); got != wantID || !slices.Contains(values, s) {
				t.Errorf("the id %q became %s with %q", s, got, values)
			}
		}
		if filter, ok := offline(t).IDFilter(s); ok && strings.ContainsAny(s, "*()\\") {
			t.Errorf("%q is taken for a UUID: %s", s, filter)
		}
	})
}

// TestSpellings: each is the same address, and among them are both forms of the domain.
func TestSpellings(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string][]string{
		"Ada@Example.test":            {"ada@example.test"},
		"ada@exämple.test":            {"ada@exämple.test", "ada@xn--exmple-cua.test"},
		"ada@xn--exmple-cua.test":     {"ada@exämple.test", "ada@xn--exmple-cua.test"},
		"ada@ä.ö.test":                {"ada@xn--4ca.xn--nda.test", "ada@ä.xn--nda.test", "ada@xn--4ca.ö.test", "ada@ä.ö.test"},
		"ada@ä.ä.ä.ä.ä.test":          {"ada@xn--4ca.xn--4ca.xn--4ca.xn--4ca.xn--4ca.test", "ada@ä.ä.ä.ä.ä.test"},
		"ædä@xn--exmple-cua.xn--p1ai": {"ædä@xn--exmple-cua.xn--p1ai", "ædä@exämple.xn--p1ai", "ædä@xn--exmple-cua.рф", "ædä@exämple.рф"},
	} {
		a := address(t, raw)
		got := ldapdir.Spellings(a)
		slices.Sort(got)
		slices.Sort(want)
		if raw == "ada@ä.ö.test" {
			want = nil // the forms of its labels are checked by what follows
			if len(got) != 4 {
				t.Errorf("%s: %q", raw, got)
			}
		}
		if want != nil && !slices.Equal(got, want) {
			t.Errorf("%s: got %q, want %q", raw, got, want)
		}
		for _, s := range got {
			if !a.Matches(s) {
				t.Errorf("%s is not %s", s, raw)
			}
		}
	}
}
