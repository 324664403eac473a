// Package joint makes one directory of several. Whoever has an address in more
// than one of them is one person: the link is good for all, and a reset sets the password in each.
//
// It knows the others by the domain's interfaces alone. How a person is named, see ids.go;
// in what order passwords are set, and what happens if one fails, see change.go.
package joint

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"regexp"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/sparekey/sparekey/internal/reset"
)

// Builtin is the Name of the part that shares the store's database.
const Builtin = "builtin"

const (
	defaultTimeout = 5 * time.Second
	// atOnce is how many parts are asked at the same time for one user.
	atOnce = 8
	// pause is when a directory that failed without saying so may be asked again.
	pause = 5 * time.Second
)

// Part is one of the directories.
type Part struct {
	// Name names it in IDs, logs and settings: small letters, digits, - and _, of which a letter comes first, at most 32. Users
	// of the one that is called Builtin keep their IDs as they are. IDs in the store have it in them, so
	// whoever changes it makes the links of that moment useless.
	Name      string
	Directory reset.Directory
	// Domains are the mail domains that it is asked for, in any form; empty: all of them. Those below one are others.
	Domains []string
	// Account is the name of an account whose members all its users are, besides what the directory says; may be empty.
	Account string
	// Title is what people are told instead of Account, if that is empty; default: Name.
	Title string
	// Strict says that it has a policy of its own: passwords are set there first, so
	// that one that it refuses has changed nothing anywhere.
	Strict bool
	// Timeout is how long looking somebody up may take; default 5 seconds.
	Timeout time.Duration
}

// Accounts knows the store's accounts.
type Accounts interface {
	// AccountsNamed returns the accounts of those names, by the name as it was asked for; those that the store does not have are missing.
	AccountsNamed(ctx context.Context, names []string) (map[string]reset.Account, error)
}

// Directory is a reset.Directory of several.
type Directory struct {
	parts    []*part // in the order of the configuration
	accounts Accounts
}

type part struct {
	Part
	domains map[string]bool // in ASCII; empty: all
}

var partName = regexp.MustCompile(`^[a-z][a-z0-9_-]{0,31}$`)

// New joins parts. What it finds wrong with them is an *Error of kind Invalid.
func New(parts []Part, accounts Accounts) (*Directory, error) {
	d := &Directory{accounts: accounts}
	for _, p := range parts {
		if !partName.MatchString(p.Name) {
			return nil, reset.Invalidf("a directory cannot be called %q; use small letters, digits, - and _, a letter first, at most 32 of them", p.Name)
		}
		if d.named(p.Name) != nil {
			return nil, reset.Invalidf("two directories are called %s; give one of them another name", p.Name)
		}
		p.Title = cmp.Or(p.Account, p.Title, p.Name)
		p.Timeout = cmp.Or(p.Timeout, defaultTimeout)
		added := &part{Part: p, domains: map[string]bool{}}
		for _, domain := range p.Domains {
			a, err := reset.ParseAddress("x@" + domain)
			if err != nil {
				return nil, reset.Invalidf("the directory %s is for the mail domain %q, which is none; write one such as example.com", p.Name, domain)
			}
			added.domains[domainOf(a)] = true
		}
		d.parts = append(d.parts, added)
	}
	if len(d.parts) == 0 {
		return nil, reset.Invalidf("there is no directory; name at least one")
	}
	return d, nil
}

func (d *Directory) named(name string) *part {
	if i := slices.IndexFunc(d.parts, func(p *part) bool { return p.Name == name }); i >= 0 {
		return d.parts[i]
	}
	return nil
}

// domainOf is the mail domain of an address in ASCII.
func domainOf(a reset.Address) string { return a.Key()[strings.LastIndexByte(a.Key(), '@')+1:] }

// concerns reports whether a part is asked for an address.
func (p *part) concerns(a reset.Address) bool { return len(p.domains) == 0 || p.domains[domainOf(a)] }

// UserByAddress implements reset.Directory. All parts that the address concerns are asked at once. If one of them
// cannot answer, nobody can say who the person is, and the answer is Unavailable; if one knows several users, ErrAmbiguous.
func (d *Directory) UserByAddress(ctx context.Context, a reset.Address) (reset.User, error) {
	var asked []lookup
	for _, p := range d.parts {
		if p.concerns(a) {
			asked = append(asked, lookup{part: p, find: func(ctx context.Context) (reset.User, error) {
				u, err := p.Directory.UserByAddress(ctx, a)
				if err == nil && u.Email.Key() != a.Key() {
					return reset.User{}, reset.ErrNoUser // a match that is none (CVE-2019-19844)
				}
				return u, err
			}})
		}
	}
	return d.person(ctx, asked)
}

// UserByID implements reset.Directory. Who is not in one of the directories any more is still in the others; but whose addresses
// differ by now is not one person any more, and ErrNoUser.
func (d *Directory) UserByID(ctx context.Context, id string) (reset.User, error) {
	ids := reset.UserIDs(id)
	if len(id) > reset.MaxUserID || reset.JoinUserIDs(ids...) != id || slices.Contains(ids, "") {
		return reset.User{}, reset.ErrNoUser
	}
	var asked []lookup
	for _, one := range ids {
		if p, theirs := d.decode(one); p != nil {
			asked = append(asked, lookup{part: p, find: func(ctx context.Context) (reset.User, error) {
				u, err := p.Directory.UserByID(ctx, theirs)
				if err == nil && u.ID != theirs {
					return reset.User{}, reset.ErrNoUser
				}
				return u, err
			}})
		}
	}
	slices.SortFunc(asked, func(a, b lookup) int { return slices.Index(d.parts, a.part) - slices.Index(d.parts, b.part) })
	return d.person(ctx, asked)
}

// lookup is a question to a part, and the answer.
type lookup struct {
	part *part
	find func(ctx context.Context) (reset.User, error)
	user reset.User
	err  error
}

// person asks, and makes one user of the answers.
func (d *Directory) person(ctx context.Context, asked []lookup) (reset.User, error) {
	ask(ctx, asked)
	var (
		found []lookup
		down  error
	)
	for _, l := range asked {
		switch {
		case l.err == nil:
			found = append(found, l)
		case errors.Is(l.err, reset.ErrAmbiguous):
			return reset.User{}, l.part.fault(l.err)
		case !errors.Is(l.err, reset.ErrNoUser) && down == nil:
			down = l.part.unavailable(l.err)
		}
	}
	if down != nil {
		return reset.User{}, down
	}
	if len(found) == 0 {
		return reset.User{}, reset.ErrNoUser
	}
	for _, l := range found {
		if l.user.Email.Key() != found[0].user.Email.Key() {
			return reset.User{}, reset.ErrNoUser
		}
	}
	if err := d.resolve(ctx, found); err != nil {
		return reset.User{}, err
	}
	return unite(found)
}

// ask asks all parts, each within its time, and waits for all answers.
func ask(ctx context.Context, asked []lookup) {
	var (
		wg    sync.WaitGroup
		slots = make(chan struct{}, atOnce)
	)
	for i := range asked {
		l := &asked[i]
		if len(asked) == 1 {
			l.ask(ctx)
			return
		}
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			l.ask(ctx)
		})
	}
	wg.Wait()
}

func (l *lookup) ask(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, l.part.Timeout)
	defer cancel()
	defer func() {
		if p := recover(); p != nil { // a panic here would end the process
			l.err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	l.user, l.err = l.find(ctx)
}

// fault names the directory in an error, for operators.
func (p *part) fault(err error) error { return fmt.Errorf("the directory %s: %w", p.Name, err) }

// unavailable is what callers get of an error that kept a directory from answering.
func (p *part) unavailable(err error) error {
	wait := pause
	if e, ok := errors.AsType[*reset.Error](err); ok && e.Kind == reset.Unavailable {
		wait = e.RetryAfter
	}
	return reset.Busy("we cannot look you up right now; please try again", wait, p.fault(err))
}

// resolve finds the accounts that directories have named in the store, by whose ids brands, keys and suspensions go.
// One that the store does not have has no brand and no key, and cannot be suspended: it keeps its
// name, which people are told, and has the ID 0.
func (d *Directory) resolve(ctx context.Context, found []lookup) error {
	var names []string
	for i := range found {
		l := &found[i]
		if l.part.Account != "" {
			l.user.Accounts = append(slices.Clone(l.user.Accounts), reset.Account{Name: l.part.Account})
		}
		for _, a := range l.user.Accounts {
			if a.ID == 0 {
				names = append(names, a.Name)
			}
		}
	}
	if len(names) == 0 {
		return nil
	}
	known, err := d.accounts.AccountsNamed(ctx, slices.Compact(slices.Sorted(slices.Values(names))))
	if err != nil {
		return err
	}
	for i := range found {
		accounts := slices.Clone(found[i].user.Accounts)
		for j, a := range accounts {
			if k, ok := known[a.Name]; ok && a.ID == 0 {
				accounts[j] = k
			}
		}
		found[i].user.Accounts = union(accounts)
	}
	return nil
}

// union orders accounts by name and drops those that are there twice.
func union(accounts []reset.Account) []reset.Account {
	slices.SortStableFunc(accounts, func(a, b reset.Account) int {
		return cmp.Or(strings.Compare(a.Name, b.Name), cmp.Compare(a.ID, b.ID))
	})
	return slices.CompactFunc(accounts, func(a, b reset.Account) bool { return a.ID == b.ID && a.Name == b.Name })
}

// unite makes one user of those whom directories have: of all who may reset, and of those who may not if nobody does.
func unite(found []lookup) (reset.User, error) {
	some := found
	for _, fits := range []func(u reset.User) bool{
		func(u reset.User) bool { return u.MayReset() },
		func(u reset.User) bool { return !u.Disabled },
	} {
		some = slices.DeleteFunc(slices.Clone(found), func(l lookup) bool { return !fits(l.user) })
		if len(some) > 0 {
			break
		}
	}
	if len(some) == 0 {
		some = found
	}
	u := reset.User{Email: some[0].user.Email, Standing: reset.Standing{Disabled: some[0].user.Disabled}}
	var ids []string
	for _, l := range some {
		id, err := l.part.encode(l.user.ID)
		if err != nil {
			return reset.User{}, l.part.unavailable(err)
		}
		ids = append(ids, id)
		u.Name, u.Locale = cmp.Or(u.Name, l.user.Name), cmp.Or(u.Locale, l.user.Locale)
		u.Accounts = append(u.Accounts, l.user.Accounts...)
	}
	u.Accounts = union(u.Accounts)
	if u.ID = reset.JoinUserIDs(ids...); len(u.ID) > reset.MaxUserID {
		return reset.User{}, reset.Busy("we cannot look you up right now; please try again", pause, errors.New("the directories' names for the user are too long together"))
	}
	return u, nil
}
