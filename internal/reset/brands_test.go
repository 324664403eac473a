package reset_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"github.com/sparekey/sparekey/internal/reset"
	"github.com/sparekey/sparekey/internal/servicetest"
)

// branded is a World with a user in each of two accounts, one in both and one in none. Acme has a host of its own, Globex none.
func branded(t *testing.T, opts ...servicetest.Option) (w *servicetest.World, acme, globex reset.Account) {
	t.Helper()
	w = servicetest.New(t, append(opts, servicetest.WithHasher(noHasher{}))...)
	w.AddUser(t, "acme@example.test", "", "Acme")
	w.AddUser(t, "globex@example.test", "", "Globex")
	w.AddUser(t, "both@example.test", "", "Acme", "Globex")
	w.AddUser(t, "none@example.test", "")
	acme = w.Brand(t, "acme", reset.Branding{Name: "Acme & Sons", Sender: "noreply@acme.test", Hosts: []string{"reset.acme.test"}})
	globex = w.Brand(t, "globex", reset.Branding{Support: "help@globex.test"})
	return w, acme, globex
}

// noHasher does no work: hashing is not the point here.
type noHasher struct{}

func (noHasher) Hash(_ context.Context, password string, _ func(context.Context) error) (string, error) {
	return "$plain$" + password, nil
}

func (noHasher) Verify(_ context.Context, password, encoded string) (bool, error) {
	return encoded == "$plain$"+password, nil
}

// wears is what a mail looks like, in short: whose link, and under what name.
func wears(t *testing.T, m reset.LinkMail) string {
	t.Helper()
	before, after, ok := strings.Cut(m.Link, servicetest.ID(m))
	if !ok {
		t.Fatalf("the link is %q", m.Link)
	}
	return before + "ID" + after + " " + m.Brand.Name
}

const (
	likeDefault = servicetest.BaseURL + "/reset/ID " + servicetest.ServiceName
	likeAcme    = "https://reset.acme.test/reset/ID Acme & Sons"
	likeGlobex  = servicetest.BaseURL + "/reset/ID?account=2 Globex"
)

// TestWhoseBrandMailsWear: the rule of Brands.For, by mails.
func TestWhoseBrandMailsWear(t *testing.T) {
	t.Parallel()
	w, acme, globex := branded(t)
	same(t, "the ids of accounts", []int64{acme.ID, globex.ID}, []int64{1, 2})
	for name, c := range map[string]struct {
		user  string
		asked int64
		want  string
	}{
		"a member, asked under the account":            {"acme", acme.ID, likeAcme},
		"a member, asked under the default":            {"acme", 0, likeAcme},
		"a member, asked under another account":        {"acme", globex.ID, likeAcme},
		"a member of one without a host":               {"globex", 0, likeGlobex},
		"a member of both, asked under the first":      {"both", acme.ID, likeAcme},
		"a member of both, asked under the second":     {"both", globex.ID, likeGlobex},
		"a member of both, asked under the default":    {"both", 0, likeDefault},
		"a member of both, asked under nobody's":       {"both", 77, likeDefault},
		"a member of none, asked under an account":     {"none", acme.ID, likeDefault},
		"a member of none, asked under the default":    {"none", 0, likeDefault},
		"a member of one, asked under one that is not": {"globex", 77, likeGlobex},
	} {
		before := len(w.Links())
		must(t, w.Service.Ask(t.Context(), reset.Caller{Client: "192.0.2.1", Brand: c.asked}, []string{c.user + "@example.test"}))
		w.WorkOutbox(t)
		links := w.Links()
		if len(links) != before+1 {
			t.Fatalf("%s: %d mails", name, len(links)-before)
		}
		same(t, name, wears(t, links[before]), c.want)

		// The notice goes by the page on which the password was changed.
		_, err := w.Service.Reset(t.Context(), reset.Caller{Client: "192.0.2.1", Brand: c.asked}, servicetest.ID(links[before]), newPassword)
		must(t, err)
		w.WorkOutbox(t)
		notices := w.Notices()
		notice := notices[len(notices)-1]
		want := strings.Replace(c.want, "/reset/ID", "/forgot", 1)
		same(t, name+", the notice", notice.ForgotURL+" "+notice.Brand.Name, want)
	}
}

// TestAKeysAccountIsWhoAsks, whatever host the key is used at.
func TestAKeysAccountIsWhoAsks(t *testing.T) {
	t.Parallel()
	w, acme, _ := branded(t)
	key := reset.Key{ID: 1, Name: "k", Scope: reset.ScopeAdmin, Account: acme.ID}
	_, err := w.Service.AskBulk(t.Context(), reset.Caller{Key: &key, Brand: 2}, []string{"both@example.test"})
	must(t, err)
	key.Account = 0
	_, err = w.Service.AskBulk(t.Context(), reset.Caller{Key: &key, Brand: 2}, []string{"both@example.test"})
	must(t, err)
	w.WorkOutbox(t)
	same(t, "a key of an account", wears(t, w.Links()[0]), likeAcme)
	same(t, "a key of none", wears(t, w.Links()[1]), likeGlobex)
}

// TestTheOutboxRemembersTheBrandAlone: of what a caller sent nothing is kept but the address.
func TestTheOutboxRemembersTheBrandAlone(t *testing.T) {
	t.Parallel()
	w, acme, _ := branded(t)
	must(t, w.Service.Ask(t.Context(), reset.Caller{Brand: acme.ID}, []string{ada}))
	same(t, "the entry", w.TakeOutbox(), []reset.Entry{reset.LinkEntry{Address: ada, Brand: acme.ID}})
}

func TestASuspendedAccountWearsTheDefault(t *testing.T) {
	t.Parallel()
	w, acme, globex := branded(t)
	must(t, w.Users.Suspend(t.Context(), "acme"))
	must(t, w.Brands.Refresh(t.Context()))
	base := w.Brands.Default()
	same(t, "by id", w.Brands.ByAccount(acme.ID), base)
	same(t, "an id of nobody", w.Brands.ByAccount(77), base)
	brand, known := w.Brands.ByHost("reset.acme.test")
	same(t, "by host", brand, base)
	same(t, "the host is known", known, true)
	same(t, "a member of both, asked under it", w.Brands.For(acme.ID, reset.Standing{Accounts: []reset.Account{
		{ID: acme.ID, Suspended: true}, {ID: globex.ID},
	}}).Account, globex.ID)
	must(t, w.Users.Resume(t.Context(), "acme"))
	must(t, w.Brands.Refresh(t.Context()))
	same(t, "resumed", w.Brands.ByAccount(acme.ID).Name, "Acme & Sons")
}

func TestWhoseBrandPagesWear(t *testing.T) {
	t.Parallel()
	w, _, _ := branded(t)
	for _, c := range []struct {
		host, account string
		want          string
		known         bool
	}{
		{"reset.example.com", "", "Example", true},
		{"RESET.example.com:443", "", "Example", true},
		{"reset.example.com", "2", "Globex", true},
		{"reset.example.com", "1", "Acme & Sons", true},
		{"reset.acme.test", "", "Acme & Sons", true},
		{"Reset.Acme.test.:8443", "", "Acme & Sons", true},
		{"reset.acme.test", "2", "Acme & Sons", true}, // the host comes first
		{"reset.example.com", "3", "Example", true},
		{"reset.example.com", "02", "Example", true},
		{"reset.example.com", "-1", "Example", true},
		{"reset.example.com", "2&x", "Example", true},
		{"evil.test", "", "Example", false},
		{"evil.test", "2", "Globex", false},
		{"reset.acme.test@evil.test", "", "Example", false},
		{"reset.acme.test.evil.test", "", "Example", false},
		{"", "", "Example", false},
	} {
		brand, known := w.Brands.Worn(c.host, c.account)
		if brand.Name != c.want || known != c.known {
			t.Errorf("Host %q, account %q: %q, known %v; want %q, %v", c.host, c.account, brand.Name, known, c.want, c.known)
		}
		for _, s := range append([]string{brand.Name, brand.BaseURL}, brand.Hosts...) {
			if strings.Contains(s, "evil") {
				t.Errorf("Host %q: %q got into the brand", c.host, s)
			}
		}
	}
}

// goneStore is a store of brands that can be away, and counts what it is asked.
type goneStore struct {
	reset.BrandStore
	err   error
	asked int
}

func (s *goneStore) BrandVersion(ctx context.Context) (int64, error) {
	if s.asked++; s.err != nil {
		return 0, s.err
	}
	return s.BrandStore.BrandVersion(ctx)
}

func (s *goneStore) LogoData(ctx context.Context, d reset.Digest) ([]byte, error) {
	if s.asked++; s.err != nil {
		return nil, s.err
	}
	return s.BrandStore.LogoData(ctx, d)
}

// TestBrandsStayWhileTheStoreIsAway, and no page asks it anything to know its look.
func TestBrandsStayWhileTheStoreIsAway(t *testing.T) {
	t.Parallel()
	w, acme, _ := branded(t)
	store := &goneStore{BrandStore: w.Store}
	brands := reset.NewBrands(w.Brands.Default(), store, slog.New(slog.DiscardHandler))
	same(t, "before they are read", brands.ByAccount(acme.ID).Name, "Example")
	must(t, brands.Refresh(t.Context()))
	store.err = errors.New("away")
	if err := brands.Refresh(t.Context()); !errors.Is(err, store.err) {
		t.Errorf("Refresh: %v", err)
	}
	before := store.asked
	for range 3 {
		brand, _ := brands.Worn("reset.acme.test", "")
		same(t, "while it is away", brand.Name, "Acme & Sons")
		brands.Worn("evil.test", "99")
	}
	same(t, "questions to the store", store.asked-before, 0)
}

func TestLogosAreReadOnce(t *testing.T) {
	t.Parallel()
	w, acme, _ := branded(t)
	logo, err := reset.NewLogo(picture(t, 300, 80))
	must(t, err)
	w.Brand(t, "acme", reset.Branding{Logo: logo})
	store := &goneStore{BrandStore: w.Store}
	brands := reset.NewBrands(w.Brands.Default(), store, slog.New(slog.DiscardHandler))
	must(t, brands.Refresh(t.Context()))
	before := store.asked
	brand := brands.ByAccount(acme.ID)
	same(t, "data on pages", len(brand.Logo.Data), 0)
	for range 3 {
		got, err := brands.Logo(t.Context(), brand.Logo.Digest)
		must(t, err)
		same(t, "the logo", got, logo)
		whole, err := brands.Whole(t.Context(), brand)
		must(t, err)
		same(t, "in mails", whole.Logo, logo)
	}
	same(t, "questions to the store", store.asked-before, 1)
	other := logo.Digest
	other[0]++
	_, err = brands.Logo(t.Context(), other)
	refused(t, "a logo of nobody", err, reset.NotFound, reset.CodeNotFound)
	same(t, "questions about logos of nobody", store.asked-before, 1)

	// A mail waits for its logo, and a link is not minted in vain.
	fresh := reset.NewBrands(w.Brands.Default(), store, slog.New(slog.DiscardHandler))
	must(t, fresh.Refresh(t.Context()))
	w.Courier.Wear(fresh)
	store.err = errors.New("away")
	must(t, w.Service.Ask(t.Context(), visitor, []string{"acme@example.test"}))
	entries := w.TakeOutbox()
	if err := w.Work(t.Context(), entries[0]); !errors.Is(err, store.err) {
		t.Errorf("without the logo: %v", err)
	}
	list, err := w.Store.Requests(t.Context(), 10)
	must(t, err)
	same(t, "requests", len(list), 0)
	store.err = nil
	must(t, w.Work(t.Context(), entries[0]))
	same(t, "the mail's logo", w.Links()[0].Brand.Logo, logo)
}
