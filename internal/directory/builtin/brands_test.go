package builtin_test

import (
	"strings"
	"testing"

	"github.com/sparekey/sparekey/internal/reset"
	"github.com/sparekey/sparekey/internal/servicetest"
)

// to is a change to exactly that.
func to(b reset.Branding) func(reset.Branding) (reset.Branding, error) {
	return func(reset.Branding) (reset.Branding, error) { return b, nil }
}

func TestBranding(t *testing.T) {
	t.Parallel()
	w := servicetest.New(t)
	base := w.Brands.Default()
	for _, name := range []string{"Acme", "Globex"} {
		_, err := w.Users.AddAccount(t.Context(), name)
		must(t, err)
	}
	set, err := w.Users.SetBranding(t.Context(), "ACME", base, to(reset.Branding{Name: " Acme & Sons ", Hosts: []string{"Reset.Acme.test"}}))
	must(t, err)
	want := reset.Branding{Name: "Acme & Sons", Hosts: []string{"reset.acme.test"}}
	same(t, "what was set", set.Branding, want)
	got, err := w.Users.Branding(t.Context(), "acme")
	must(t, err)
	same(t, "what is set", got, set)

	// A part is changed and the rest stays.
	_, err = w.Users.SetBranding(t.Context(), "Acme", base, func(b reset.Branding) (reset.Branding, error) {
		same(t, "what was before", b, want)
		b.Support, b.Name = "help@acme.test", ""
		return b, nil
	})
	must(t, err)
	// What changes nothing is told to nobody.
	version, err := w.Store.BrandVersion(t.Context())
	must(t, err)
	_, err = w.Users.SetBranding(t.Context(), "Acme", base, func(b reset.Branding) (reset.Branding, error) { return b, nil })
	must(t, err)
	again, err := w.Store.BrandVersion(t.Context())
	must(t, err)
	same(t, "the version after nothing was changed", again, version)

	_, err = w.Users.SetBranding(t.Context(), "Globex", base, to(reset.Branding{Hosts: []string{"reset.globex.test", "reset.acme.test"}}))
	refused(t, "a host of another account", err, reset.Conflict)
	if err != nil && !strings.Contains(err.Error(), `the host name reset.acme.test is that of the account "Acme" already`) {
		t.Errorf("the message is %v", err)
	}
	_, err = w.Users.SetBranding(t.Context(), "Globex", base, to(reset.Branding{LinkBase: "https://reset.acme.test"}))
	refused(t, "a link base at a host of another account", err, reset.Conflict)
	_, err = w.Users.SetBranding(t.Context(), "Globex", base, to(reset.Branding{Accent: "#ffcc00"}))
	refused(t, "an accent that nobody can read", err, reset.Invalid)
	_, err = w.Users.SetBranding(t.Context(), "Initech", base, to(reset.Branding{}))
	refused(t, "an account that is not there", err, reset.NotFound)
	_, err = w.Users.Branding(t.Context(), "Initech")
	refused(t, "showing one that is not there", err, reset.NotFound)

	_, err = w.Users.SetBranding(t.Context(), "Acme", base, to(reset.Branding{}))
	must(t, err)
	var acts []string
	for _, r := range w.Trail(t) {
		if r.What == reset.ActBranded {
			acts = append(acts, r.Details)
		}
	}
	same(t, "the audit trail", acts, []string{
		`{"account":"Acme","changed":"display_name hosts"}`,
		`{"account":"Acme","changed":"display_name support"}`,
		`{"account":"Acme","changed":"support hosts"}`,
	})
}
