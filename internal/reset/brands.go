package reset

import (
	"context"
	"log/slog"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// BrandStore is where brandings are kept.
type BrandStore interface {
	// BrandVersion changes with what Brandings answers.
	BrandVersion(ctx context.Context) (int64, error)
	// Brandings lists what is set, by account, with logos without their data.
	// Accounts of which nothing is set are missing.
	Brandings(ctx context.Context) ([]AccountBranding, error)
	// LogoData returns the file of a logo, or nil if no account has it.
	LogoData(ctx context.Context, d Digest) ([]byte, error)
}

// AccountBranding is what is set of an account's brand.
type AccountBranding struct {
	Account Account
	Branding
}

// The bounds of Brands.
const (
	// freshBrands is how often it is looked whether a brand was changed, by a command or on another replica.
	freshBrands = time.Second
	// lookTimeout is how long such a look may take.
	lookTimeout = 5 * time.Second
	// MaxBrands is how many accounts may have brands of their own. All but the logos
	// are kept in memory: about a kilobyte each.
	MaxBrands = 10_000
	// maxLogos is how many bytes of logos are kept in memory.
	maxLogos = 8 << 20
)

// Brands knows which brand a page or mail wears. All brands but for their logos
// are in memory, and looked at again once a second, in the background: so no
// page waits for the store to know its look, unknown hosts cost a
// look into a map, and while the store is away pages keep the look they had.
type Brands struct {
	store   BrandStore
	base    Brand
	log     *slog.Logger
	current atomic.Pointer[brandMaps]
	reading sync.Mutex

	mu    sync.Mutex
	logos map[Digest][]byte
	bytes int
}

// brandMaps are the brands of one moment. They are never changed.
type brandMaps struct {
	version  int64
	accounts map[int64]Brand
	hosts    map[string]Brand
	logos    map[Digest]Logo
}

// NewBrands makes Brands of a default brand. They know no other before Refresh.
func NewBrands(base Brand, store BrandStore, log *slog.Logger) *Brands {
	b := &Brands{store: store, base: base, log: log}
	b.current.Store(b.mapped(0, nil))
	return b
}

// Refresh reads the brands, if any was changed since they were read.
func (b *Brands) Refresh(ctx context.Context) error {
	b.reading.Lock()
	defer b.reading.Unlock()
	version, err := b.store.BrandVersion(ctx)
	if err != nil {
		return err
	}
	if version == b.current.Load().version {
		return nil
	}
	list, err := b.store.Brandings(ctx)
	if err != nil {
		return err
	}
	// What changes between the two reads is read again next time.
	b.current.Store(b.mapped(version, list))
	return nil
}

// mapped are the maps of what is set. An account that is suspended keeps its
// hosts, which stay known, and wears the default brand.
func (b *Brands) mapped(version int64, list []AccountBranding) *brandMaps {
	m := &brandMaps{version: version, accounts: map[int64]Brand{}, hosts: map[string]Brand{}, logos: map[Digest]Logo{}}
	for _, host := range b.base.Hosts {
		m.hosts[host] = b.base
	}
	if !b.base.Logo.IsZero() {
		m.logos[b.base.Logo.Digest] = b.base.Logo
	}
	for _, a := range list {
		a.Branding = b.fitting(a)
		brand := b.base
		if !a.Account.Suspended {
			if !a.IsZero() {
				brand = a.Brand(a.Account, b.base)
				m.accounts[a.Account.ID] = brand
			}
			if !a.Logo.IsZero() {
				m.logos[a.Logo.Digest] = a.Logo
			}
		}
		for _, host := range a.Hosts {
			if _, ok := m.hosts[host]; !ok { // the default brand's comes first
				m.hosts[host] = brand
			}
		}
	}
	return m
}

// fitting is a branding as far as it fits the default brand, which may have been
// changed since it was set: a link base would lead nowhere where base_url has another path.
func (b *Brands) fitting(a AccountBranding) Branding {
	_, err := a.Checked(b.base)
	if err == nil {
		return a.Branding
	}
	b.log.Warn("a brand does not fit the settings any more, and is worn in part or not at all", "event", "brand.unfit",
		"account", a.Account.Name, "reason", AsError(err).Message, "hint", "sparekey account set changes it")
	part := a.Branding
	part.LinkBase, part.Hosts = "", nil
	if _, err := part.Checked(b.base); err != nil {
		return Branding{}
	}
	return part
}

// Watch refreshes until ctx ends.
func (b *Brands) Watch(ctx context.Context) {
	ticker := time.NewTicker(freshBrands)
	defer ticker.Stop()
	failing := false
	for {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
		look, cancel := context.WithTimeout(ctx, lookTimeout)
		err := b.Refresh(look)
		cancel()
		if err != nil && !failing && ctx.Err() == nil {
			b.log.WarnContext(ctx, "brands cannot be looked up; they stay as they were", "event", "brand.failed", "error", err)
		}
		failing = err != nil
	}
}

// Default is the default brand.
func (b *Brands) Default() Brand { return b.base }

// ByHost is the brand that is worn under a host name, as RequestHost has it.
// The name of nobody's wears the default brand, and is not known.
func (b *Brands) ByHost(host string) (brand Brand, known bool) {
	brand, known = b.current.Load().hosts[host]
	if !known {
		return b.base, false
	}
	return brand, true
}

// ByAccount is an account's brand. An account that is not there, is suspended or has
// set nothing wears the default brand, and looks like any other that does.
func (b *Brands) ByAccount(id int64) Brand {
	brand, ok := b.current.Load().accounts[id]
	if !ok {
		return b.base
	}
	return brand
}

// Worn is the brand of a page that was called with this Host header, and this
// account in its query, which may be empty. A host's own brand comes first; under the
// default brand's hosts, and unknown ones, the account's is worn.
func (b *Brands) Worn(hostHeader, account string) (brand Brand, known bool) {
	brand, known = b.ByHost(RequestHost(hostHeader))
	if brand.Account != 0 || account == "" {
		return brand, known
	}
	id, err := strconv.ParseInt(account, 10, 64)
	if err != nil || strconv.FormatInt(id, 10) != account {
		return brand, known
	}
	return b.ByAccount(id), known
}

// Hosts are all host names that are known, in no order.
func (b *Brands) Hosts() []string {
	m := b.current.Load()
	hosts := make([]string, 0, len(m.hosts))
	for host := range m.hosts {
		hosts = append(hosts, host)
	}
	return hosts
}

// For is the brand of what is mailed to a user who was asked for, or has reset,
// under the brand of an account (0: under the default). It is that account's if the user is a
// member of it; else that of the only account that the user is an active member of; else the
// default. So nobody is mailed under the name of an organisation that they do not belong to,
// whichever page a stranger asks on.
func (b *Brands) For(asked int64, of Standing) Brand {
	active := of.ActiveAccounts()
	switch {
	case asked != 0 && of.MemberOf(asked):
		return b.ByAccount(asked)
	case len(active) == 1:
		return b.ByAccount(active[0].ID)
	}
	return b.base
}

// Logo is the logo of that digest, with its data. The error is an *Error of kind
// NotFound if no brand has it: then the store was not even asked.
func (b *Brands) Logo(ctx context.Context, d Digest) (Logo, error) {
	l, ok := b.current.Load().logos[d]
	if !ok {
		return Logo{}, errNoLogo
	}
	l, err := b.loaded(ctx, l)
	if err == nil && l.Data == nil {
		err = errNoLogo
	}
	return l, err
}

var errNoLogo = &Error{Kind: NotFound, Code: CodeNotFound, Message: "there is no such picture"}

// Whole is a brand with the data of its logo. Without a logo it stays as it is;
// if the logo is gone from the store by now, it has none.
func (b *Brands) Whole(ctx context.Context, brand Brand) (Brand, error) {
	if brand.Logo.IsZero() {
		return brand, nil
	}
	l, err := b.loaded(ctx, brand.Logo)
	if err != nil {
		return Brand{}, err
	}
	if l.Data == nil {
		l = Logo{}
	}
	brand.Logo = l
	return brand, nil
}

// loaded is a logo with its data, which never changes under a digest; nil if it is gone.
func (b *Brands) loaded(ctx context.Context, l Logo) (Logo, error) {
	if l.Data != nil {
		return l, nil
	}
	b.mu.Lock()
	data, ok := b.logos[l.Digest]
	b.mu.Unlock()
	if !ok {
		var err error
		if data, err = b.store.LogoData(ctx, l.Digest); err != nil {
			return Logo{}, err
		}
		b.keep(l.Digest, data)
	}
	l.Data = data
	return l, nil
}

// keep remembers a logo. When there are too many, all are read anew as they are asked for.
func (b *Brands) keep(d Digest, data []byte) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, ok := b.logos[d]; ok || data == nil {
		return
	}
	if b.logos == nil || b.bytes+len(data) > maxLogos {
		b.logos, b.bytes = make(map[Digest][]byte), 0
	}
	b.logos[d] = data
	b.bytes += len(data)
}

// brand is the account under whose brand somebody asks: that of a key that is bound
// to one, whatever host it is used at; else the one whose page or host it was.
func (c Caller) brand() int64 {
	if c.Key != nil && c.Key.Account != 0 {
		return c.Key.Account
	}
	return c.Brand
}
