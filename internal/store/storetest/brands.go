package storetest

import (
	"bytes"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/sparekey/sparekey/internal/directory/builtin"
	"github.com/sparekey/sparekey/internal/reset"
)

func addAccount(t *testing.T, s Store, name string) (id int64) {
	t.Helper()
	updateRecords(t, s, func(tx builtin.RecordsTx) (err error) {
		id, err = tx.AddAccount(t.Context(), name, name, start)
		return err
	})
	return id
}

func sameBrands(t *testing.T, what string, got, want any) {
	t.Helper()
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

func setBranding(t *testing.T, s Store, account int64, b reset.Branding) {
	t.Helper()
	updateRecords(t, s, func(tx builtin.RecordsTx) error { return tx.SetBranding(t.Context(), account, b) })
}

func brandingOf(t *testing.T, s Store, account int64) (b reset.Branding) {
	t.Helper()
	updateRecords(t, s, func(tx builtin.RecordsTx) (err error) {
		b, err = tx.Branding(t.Context(), account)
		return err
	})
	return b
}

// testBrands: what is set comes back byte for byte, and every change is a change of the version.
func testBrands(t *testing.T, s Store) {
	ctx := t.Context()
	version := int64(-1)
	changed := func(what string) {
		t.Helper()
		now, err := s.BrandVersion(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if now == version {
			t.Errorf("%s left the version at %d", what, now)
		}
		version = now
	}
	listed := func(what string, want ...reset.AccountBranding) {
		t.Helper()
		list, err := s.Brandings(ctx)
		if err != nil {
			t.Fatal(err)
		}
		sameBrands(t, what, list, want)
	}
	globex, acme := addAccount(t, s, "Globex"), addAccount(t, s, "Acme")
	listed("nothing is set")
	changed("nothing")
	sameBrands(t, "of an account with nothing set", brandingOf(t, s, acme), reset.Branding{})

	full := reset.Branding{
		Name: "Acme “Ltd” & Söhne \U0001f511", Accent: "#663399", Background: "#fafafa", Sender: `"Acme, Ltd" <noreply@acme.test>`,
		ReplyTo: "help@acme.test", Support: "https://acme.test/?a=b&c", LinkBase: "https://reset.acme.test", Hosts: []string{"z.acme.test", "a.acme.test"},
		Logo: reset.Logo{Type: "image/png", Width: 300, Height: 80, Digest: digest("logo"), Data: bytes.Repeat([]byte{0, 0xff, '\n', '\''}, 5000)},
	}
	setBranding(t, s, acme, full)
	changed("setting everything")
	sameBrands(t, "everything", brandingOf(t, s, acme), full)
	named := full
	named.Logo.Data = nil
	ofAcme := reset.AccountBranding{Account: reset.Account{ID: acme, Name: "Acme"}, Branding: named}
	listed("one is set", ofAcme)
	data, err := s.LogoData(ctx, digest("logo"))
	if err != nil || !bytes.Equal(data, full.Logo.Data) {
		t.Errorf("the logo has %d bytes, %v", len(data), err)
	}
	if data, err := s.LogoData(ctx, digest("another")); data != nil || err != nil {
		t.Errorf("a logo that nobody has: %d bytes, %v", len(data), err)
	}

	few := reset.Branding{Support: "help@globex.test", Hosts: []string{"reset.globex.test"}}
	setBranding(t, s, globex, few)
	changed("setting another")
	ofGlobex := reset.AccountBranding{Account: reset.Account{ID: globex, Name: "Globex"}, Branding: few}
	listed("two, by account", ofGlobex, ofAcme)

	updateRecords(t, s, func(tx builtin.RecordsTx) error { return tx.SetSuspended(ctx, globex, start) })
	changed("a suspension")
	ofGlobex.Account.Suspended = true
	listed("one is suspended", ofGlobex, ofAcme)

	less := reset.Branding{Name: "Acme", Hosts: []string{"a.acme.test"}}
	setBranding(t, s, acme, less)
	changed("taking back a part")
	ofAcme.Branding = less
	listed("a part was taken back", ofGlobex, ofAcme)
	if data, err := s.LogoData(ctx, digest("logo")); data != nil || err != nil {
		t.Errorf("a logo that was taken back: %d bytes, %v", len(data), err)
	}
	setBranding(t, s, acme, reset.Branding{})
	changed("taking back the rest")
	listed("all was taken back", ofGlobex)
	sameBrands(t, "all was taken back", brandingOf(t, s, acme), reset.Branding{})
}

// testBrandHosts: a host name is one account's, whoever comes first, and what failed leaves nothing.
func testBrandHosts(t *testing.T, s Store) {
	ctx := t.Context()
	acme, globex := addAccount(t, s, "Acme"), addAccount(t, s, "Globex")
	setBranding(t, s, acme, reset.Branding{Hosts: []string{"reset.acme.test", "shared.test"}})
	setBranding(t, s, globex, reset.Branding{Name: "Globex"})
	err := tryRecords(ctx, s, func(tx builtin.RecordsTx) error {
		return tx.SetBranding(ctx, globex, reset.Branding{Name: "Changed", Hosts: []string{"reset.globex.test", "shared.test"}})
	})
	if !errors.Is(err, reset.ErrExists) {
		t.Errorf("a host name of another account: %v, want ErrExists", err)
	}
	sameBrands(t, "after that", brandingOf(t, s, globex), reset.Branding{Name: "Globex"})

	accounts := make([]int64, racers)
	for i := range accounts {
		accounts[i] = addAccount(t, s, string(rune('A'+i)))
	}
	won := race(t, racers, func(i int) error {
		return tryRecords(ctx, s, func(tx builtin.RecordsTx) error {
			return tx.SetBranding(ctx, accounts[i], reset.Branding{Hosts: []string{"wanted.test"}})
		})
	})
	same(t, "accounts that got the host name", won, 1)
	list, err := s.Brandings(ctx)
	if err != nil || len(list) != 3 {
		t.Fatalf("%d accounts have brands, %v; want 3", len(list), err)
	}
	// Free again once it is taken back.
	setBranding(t, s, acme, reset.Branding{})
	setBranding(t, s, globex, reset.Branding{Hosts: []string{"shared.test"}})
}
