package sqldir

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/idna"

	"github.com/sparekey/sparekey/internal/reset"
)

// UserByAddress implements reset.Directory.
func (d *Directory) UserByAddress(ctx context.Context, a reset.Address) (reset.User, error) {
	ctx, cancel := context.WithTimeout(ctx, d.config.Timeout)
	defer cancel()
	spelled := spellings(a)
	args := map[string]any{"address": spelled[0], "address_unicode": spelled[1]}
	for i, s := range spelled {
		args[fmt.Sprintf("s%d", i+1)] = s
	}
	setting, find := d.settingOf("find", d.config.Statements.Find), d.find
	if !find.isSet() {
		t, _ := d.table(ctx, false) // what cannot be found out makes it slower, and right too
		find = generator{d.dialect, d.config.Table, d.config.Columns}.find(len(spelled), t)
	}
	var users found
	err := d.trying(ctx, func() error {
		users = found{setting: setting, key: a.Key()}
		return d.db.read(ctx, find.bind(d.dialect, args), users.add)
	})
	if kindOf(err) == noSuchValue {
		return reset.User{}, reset.ErrNoUser // an address that the column cannot even hold
	}
	if err != nil {
		return reset.User{}, d.failed(err, setting, spelled...)
	}
	return d.one(ctx, users)
}

// UserByID implements reset.Directory.
func (d *Directory) UserByID(ctx context.Context, id string) (reset.User, error) {
	if id == "" || len(id) > mostID || !utf8.ValidString(id) || strings.ContainsFunc(id, unicode.IsControl) {
		return reset.User{}, reset.ErrNoUser
	}
	ctx, cancel := context.WithTimeout(ctx, d.config.Timeout)
	defer cancel()
	setting := d.settingOf("find_by_id", d.config.Statements.FindByID)
	var users found
	err := d.trying(ctx, func() error {
		users = found{setting: setting, id: id}
		return d.db.read(ctx, d.byID.bind(d.dialect, map[string]any{"id": id}), users.add)
	})
	if kindOf(err) == noSuchValue {
		return reset.User{}, reset.ErrNoUser // no number, for one, where ids are numbers
	}
	if err != nil {
		return reset.User{}, d.failed(err, setting, id)
	}
	return d.one(ctx, users)
}

// mostID is the longest id that is looked for, in bytes.
const mostID = 1000

// trying runs what can be run again without harm until it succeeds or it would be no use. There may be as many dead
// connections in the pool as fit in.
func (d *Directory) trying(ctx context.Context, fn func() error) error {
	for attempt := 0; ; attempt++ {
		err := fn()
		if err == nil || ctx.Err() != nil || attempt > d.config.Connections || !repeatable(err) {
			return err
		}
	}
}

// spellings are those of an address that differ in the form of its domain, in small letters: first the
// key, and then the one where every label is as people write it.
func spellings(a reset.Address) []string {
	local, domain, _ := strings.Cut(a.Key(), "@")
	labels := strings.Split(domain, ".")
	type form struct{ ascii, unicode string }
	forms := make([]form, len(labels))
	var two []int // where they differ
	for i, label := range labels {
		forms[i] = form{label, label}
		if u, err := idna.Punycode.ToUnicode(label); err == nil && u != label {
			forms[i].unicode = u
			two = append(two, i)
		}
	}
	spell := func(unicodes func(at int) bool) string {
		out := make([]string, len(forms))
		for i, f := range forms {
			out[i] = f.ascii
			if unicodes(slices.Index(two, i)) {
				out[i] = f.unicode
			}
		}
		return local + "@" + strings.Join(out, ".")
	}
	list := []string{spell(func(int) bool { return false }), spell(func(int) bool { return true })}
	if n := len(two); n > 1 && n <= 4 {
		for mixed := 1; mixed < 1<<n-1; mixed++ {
			list = append(list, spell(func(at int) bool { return at >= 0 && mixed>>at&1 == 1 }))
		}
	}
	return list
}

// found collects the users of a result.
type found struct {
	setting string
	key, id string // what they must have, if it is not empty
	users   []reset.User
}

// add takes a row, if it is a user with an address, and one that was looked for.
func (f *found) add(r row) error {
	for _, name := range []string{"id", "email"} {
		if !slices.Contains(r.names, name) {
			return &reset.Misset{Setting: f.setting, Fix: "name the column: SELECT … AS " + name, Cause: errors.New("the result has no column " + name)}
		}
	}
	id := r.text("id")
	if !utf8.ValidString(id) || strings.ContainsFunc(id, unicode.IsControl) || len(id) > mostID {
		return &reset.Misset{
			Setting: f.setting, Fix: "write statements in which the id is a text, such as HEX(id), and :id is turned back",
			Cause: errors.New("the ids are no texts, or too long"),
		}
	}
	if id == "" || f.id != "" && id != f.id {
		return nil
	}
	address, err := reset.ParseAddress(r.text("email"))
	if err != nil || f.key != "" && address.Key() != f.key {
		return nil //nolint:nilerr // what is no address is nobody's
	}
	u := reset.User{ID: id, Email: address, Name: cleanName(r.text("name"))}
	if locale := strings.ReplaceAll(r.text("locale"), "_", "-"); localeForm.MatchString(locale) {
		u.Locale = locale
	}
	u.Disabled = truth(r.text("disabled")) || slices.Contains(r.names, "active") && !truth(r.text("active"))
	if name := cleanName(r.text("account")); name != "" {
		u.Accounts = []reset.Account{{Name: name}}
	}
	return f.merge(u)
}

// merge adds a user, or another account to one that is there.
func (f *found) merge(u reset.User) error {
	i := slices.IndexFunc(f.users, func(other reset.User) bool { return other.ID == u.ID })
	switch {
	case i < 0 && len(f.users) > 0:
		return reset.ErrAmbiguous
	case i < 0:
		f.users = append(f.users, u)
		return nil
	case f.users[i].Email != u.Email:
		return &reset.Misset{Setting: f.setting, Fix: "let columns.id name a column that is unique", Cause: errors.New("users with different addresses have one id")}
	}
	f.users[i].Disabled = f.users[i].Disabled || u.Disabled
	f.users[i].Accounts = append(f.users[i].Accounts, u.Accounts...)
	return nil
}

// one is the only user that was found, with all accounts.
func (d *Directory) one(ctx context.Context, f found) (reset.User, error) {
	if len(f.users) == 0 {
		return reset.User{}, reset.ErrNoUser
	}
	u := f.users[0]
	if d.accounts.isSet() {
		var names []reset.Account
		err := d.trying(ctx, func() error {
			names = nil
			return d.db.read(ctx, d.accounts.bind(d.dialect, map[string]any{"id": u.ID}), func(r row) error {
				if name := cleanName(r.texts[0].String); name != "" {
					names = append(names, reset.Account{Name: name})
				}
				return nil
			})
		})
		if err != nil {
			return reset.User{}, d.failed(err, "statements.accounts", u.ID)
		}
		u.Accounts = append(u.Accounts, names...)
	}
	slices.SortFunc(u.Accounts, func(a, b reset.Account) int { return strings.Compare(a.Name, b.Name) })
	u.Accounts = slices.Compact(u.Accounts)
	return u, nil
}

// localeForm is the form of a language tag (RFC 5646, 2.1); what has another is not taken.
var localeForm = regexp.MustCompile(`^[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8}){0,5}$`)

// mostPersonName is the longest name of a person or an account, in bytes: they go into mail headers and pages.
const mostPersonName = 200

// cleanName takes a name as it is stored, if it can stand in one line; a longer one is cut.
func cleanName(s string) string {
	if !utf8.ValidString(s) {
		return ""
	}
	s = strings.TrimSpace(strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == '\u2028' || r == '\u2029' {
			return ' '
		}
		return r
	}, s))
	for len(s) > mostPersonName {
		_, last := utf8.DecodeLastRuneInString(s)
		s = s[:len(s)-last]
	}
	return s
}

// truth reads what a database says of yes and no, as a text: f, 0, a bit that is not set. A time is a yes, but
// for the one that MySQL writes for none.
func truth(s string) bool {
	switch strings.ToLower(strings.TrimSpace(s)) {
	case "", "0", "f", "false", "n", "no", "off", "\x00":
		return false
	}
	return !strings.HasPrefix(s, "0000-00-00")
}
