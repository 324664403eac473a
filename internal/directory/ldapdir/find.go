package ldapdir

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/go-ldap/ldap/v3"
	"github.com/google/uuid"
	"golang.org/x/net/idna"

	"github.com/sparekey/sparekey/internal/reset"
)

// Attributes that mean something of their own.
const (
	entryUUID            = "entryUUID"            // RFC 4530
	objectGUID           = "objectGUID"           // MS-ADA3, 2.44
	userAccountControl   = "userAccountControl"   // MS-ADTS 2.2.16
	pwdAccountLockedTime = "pwdAccountLockedTime" // draft-behera-ldap-password-policy-10, 5.3.3
)

const (
	// pageSize is how many entries a server is asked for at once (RFC 2696): below what servers give at most.
	pageSize = 100
	// mostEntries is how many entries are looked at for one address. More than a few are alike only if the filter is wrong.
	mostEntries = 1000
	// mostID is the longest id, in bytes.
	mostID = 256
)

// fill puts a value into a template, escaped (RFC 4515, 3): it stays a value, whatever it is.
func fill(template, value string) string {
	return strings.ReplaceAll(template, placeholder, ldap.EscapeFilter(value))
}

// addressFilter finds the entries that may have an address.
func (d *Directory) addressFilter(a reset.Address) string {
	var each strings.Builder
	for _, s := range spellings(a) {
		each.WriteString(fill(d.c.AddressFilter, s))
	}
	return "(&" + d.c.Filter + "(|" + each.String() + "))"
}

// mostLabels is how many labels of a domain are asked for in both forms, one by one.
const mostLabels = 4

// spellings are those that have the address's Key, but for the case of ASCII letters: its labels in ASCII and in Unicode. Of a
// domain with more than a few labels in Unicode those where all or none of them are.
func spellings(a reset.Address) []string {
	local, domain, _ := strings.Cut(a.Key(), "@")
	labels := strings.Split(domain, ".")
	var foreign []int
	for i, label := range labels {
		if strings.HasPrefix(label, "xn--") {
			foreign = append(foreign, i)
		}
	}
	unicode := make([]string, len(labels))
	for _, i := range foreign {
		u, err := idna.ToUnicode(labels[i])
		if err != nil {
			return []string{a.Key()}
		}
		unicode[i] = u
	}
	all := 1<<min(len(foreign), 30) - 1
	var list []string
	for mask := 0; mask <= all; mask++ {
		if len(foreign) > mostLabels && mask == 1 {
			mask = all
		}
		spelt := slices.Clone(labels)
		for bit, i := range foreign {
			if mask&(1<<bit) != 0 || mask == all {
				spelt[i] = unicode[i]
			}
		}
		list = append(list, local+"@"+strings.Join(spelt, "."))
		if all == 0 {
			break
		}
	}
	return list
}

// idFilter finds the entry with an id. It answers false for what is no id.
func (d *Directory) idFilter(id string) (string, bool) {
	var value string
	switch {
	case d.isGUID():
		u, ok := parseUUID(id)
		if !ok {
			return "", false
		}
		raw := guidBytes(u)
		var escaped strings.Builder
		for _, b := range raw {
			fmt.Fprintf(&escaped, "\\%02x", b)
		}
		value = escaped.String()
	case d.isEntryUUID():
		if _, ok := parseUUID(id); !ok {
			return "", false
		}
		value = id
	case id == "" || len(id) > mostID || !utf8.ValidString(id) || strings.ContainsRune(id, 0):
		return "", false
	default:
		value = ldap.EscapeFilter(id)
	}
	return "(&" + d.c.Filter + "(" + d.c.Attributes.ID + "=" + value + "))", true
}

func (d *Directory) isGUID() bool      { return strings.EqualFold(d.c.Attributes.ID, objectGUID) }
func (d *Directory) isEntryUUID() bool { return strings.EqualFold(d.c.Attributes.ID, entryUUID) }

// idOf is the id of an entry.
func (d *Directory) idOf(e *ldap.Entry) (string, error) {
	raw := e.GetEqualFoldRawAttributeValue(d.c.Attributes.ID)
	switch {
	case d.isGUID() && len(raw) == len(uuid.UUID{}):
		return guidBytes(uuid.UUID(raw)).String(), nil
	case d.isEntryUUID():
		if u, ok := parseUUID(strings.ToLower(string(raw))); ok {
			return u.String(), nil
		}
	case !d.isGUID() && len(raw) > 0 && len(raw) <= mostID && utf8.Valid(raw):
		return string(raw), nil
	}
	return "", misset("attributes.id", "let bind.dn read it, or name another attribute that every user has", "a user has no %s that can be used", d.c.Attributes.ID)
}

// parseUUID takes the canonical form alone (RFC 9562, 4, in lower case).
func parseUUID(s string) (uuid.UUID, bool) {
	u, err := uuid.Parse(s)
	return u, err == nil && u.String() == s
}

// guidBytes turns the bytes of a GUID, whose first three fields are in little-endian order (MS-DTYP 2.3.4.2), into those of a UUID, and back.
func guidBytes(u uuid.UUID) uuid.UUID {
	return uuid.UUID{u[3], u[2], u[1], u[0], u[5], u[4], u[7], u[6], u[8], u[9], u[10], u[11], u[12], u[13], u[14], u[15]}
}

// addressOf returns the address of an entry that has a key, or the first one if key is empty.
func (d *Directory) addressOf(e *ldap.Entry, key string) (found reset.Address, ok bool) {
	for _, s := range e.GetEqualFoldAttributeValues(d.c.Attributes.Mail) {
		a, err := reset.ParseAddress(s)
		if err != nil || key != "" && a.Key() != key {
			continue
		}
		if key == "" {
			return a, true
		}
		// Values have no order: of two spellings of one address it is the same one each time.
		if !ok || a.Raw() < found.Raw() {
			found, ok = a, true
		}
	}
	return found, ok
}

// userOf is the user of an entry.
func (d *Directory) userOf(e *ldap.Entry, a reset.Address) (reset.User, error) {
	id, err := d.idOf(e)
	if err != nil {
		return reset.User{}, err
	}
	disabled, err := d.isDisabled(e)
	if err != nil {
		return reset.User{}, err
	}
	u := reset.User{ID: id, Email: a, Name: text(e, d.c.Attributes.Name), Locale: firstLanguage(text(e, d.c.Attributes.Locale))}
	u.Disabled = disabled
	if d.c.Attributes.Account != "" {
		names := slices.Clone(e.GetEqualFoldAttributeValues(d.c.Attributes.Account))
		names = slices.DeleteFunc(names, func(name string) bool { return name == "" || !utf8.ValidString(name) })
		slices.Sort(names)
		for _, name := range slices.Compact(names) {
			u.Accounts = append(u.Accounts, reset.Account{Name: name})
		}
	}
	return u, nil
}

// text is an attribute's first value.
func text(e *ldap.Entry, attribute string) string {
	return strings.ToValidUTF8(e.GetEqualFoldAttributeValue(attribute), "\uFFFD")
}

// firstLanguage is the first tag of preferredLanguage, which may be a whole Accept-Language (RFC 2798, 2.7).
func firstLanguage(s string) string {
	if i := strings.IndexAny(s, ",;"); i >= 0 {
		s = s[:i]
	}
	return strings.ReplaceAll(strings.TrimSpace(s), "_", "-")
}

const (
	// accountDisable is ADS_UF_ACCOUNT_DISABLE (MS-ADTS 2.2.16).
	accountDisable = 0x2
	// lockedForGood is how ppolicy writes that an administrator has locked an account.
	lockedForGood = "000001010000Z"
)

// isDisabled tells whether a user may not reset. One whose standing cannot be read is not taken for a user in good standing.
func (d *Directory) isDisabled(e *ldap.Entry) (bool, error) {
	if name := d.c.Attributes.Disabled; name != "" {
		if slices.ContainsFunc(e.GetEqualFoldAttributeValues(name), func(v string) bool { return strings.EqualFold(v, d.c.Attributes.DisabledValue) }) {
			return true, nil
		}
	}
	if d.c.Method != ActiveDirectory {
		return text(e, pwdAccountLockedTime) == lockedForGood, nil
	}
	flags, err := strconv.ParseInt(text(e, userAccountControl), 10, 64)
	if err != nil {
		return false, misset("bind.dn", "grant it Read on userAccountControl, and let filter find users alone", "a user's userAccountControl cannot be read")
	}
	return flags&accountDisable != 0, nil
}

// search hands on each entry below base, page by page. References to other servers are passed over. It ends with each's error.
func (c *conn) search(ctx context.Context, base, filter string, attributes []string, each func(*ldap.Entry) error) error {
	page := ldap.NewControlPaging(pageSize)
	for seen := 0; ; {
		result, err := c.ask(ctx, ldap.NewSearchRequest(base, ldap.ScopeWholeSubtree, ldap.NeverDerefAliases, 0, c.seconds(), false, filter, attributes, []ldap.Control{page}))
		if result == nil {
			return err
		}
		for _, e := range result.Entries {
			if e := each(e); e != nil {
				c.abandon(ctx, page, result, base, filter)
				return e
			}
		}
		if err != nil {
			return err
		}
		if seen += len(result.Entries); seen > mostEntries {
			c.spent = true
			return misset("address_filter", "let it find the address alone", "more than %d entries are found for one address", mostEntries)
		}
		cookie := cookieOf(result)
		if len(cookie) == 0 {
			return nil
		}
		page.SetCookie(cookie)
	}
}

// abandon tells the server that no more pages are wanted (RFC 2696, 3). If that fails the connection is not used again.
func (c *conn) abandon(ctx context.Context, page *ldap.ControlPaging, result *ldap.SearchResult, base, filter string) {
	cookie := cookieOf(result)
	if len(cookie) == 0 {
		return
	}
	page.SetCookie(cookie)
	page.PagingSize = 0
	if _, err := c.ask(ctx, ldap.NewSearchRequest(base, ldap.ScopeWholeSubtree, ldap.NeverDerefAliases, 0, c.seconds(), false, filter, []string{"1.1"}, []ldap.Control{page})); err != nil {
		c.spent = true
	}
}

func cookieOf(result *ldap.SearchResult) []byte {
	if p, ok := ldap.FindControl(result.Controls, ldap.ControlTypePaging).(*ldap.ControlPaging); ok {
		return p.Cookie
	}
	return nil
}

// ask runs one search request. The result has what came before an error.
func (c *conn) ask(ctx context.Context, r *ldap.SearchRequest) (result *ldap.SearchResult, err error) {
	err = c.call(ctx, func(l *ldap.Conn) error {
		var e error
		result, e = l.Search(r)
		return e
	})
	if _, ok := answerOf(err); err != nil && !ok {
		return nil, err
	}
	return result, err
}

// read returns one entry by its DN, or nil if it is not there or may not be seen.
func (c *conn) read(ctx context.Context, dn string, attributes ...string) (*ldap.Entry, error) {
	result, err := c.ask(ctx, ldap.NewSearchRequest(dn, ldap.ScopeBaseObject, ldap.NeverDerefAliases, 0, c.seconds(), false, "(objectClass=*)", attributes, nil))
	if code, ok := answerOf(err); ok && (code == ldap.LDAPResultNoSuchObject || code == ldap.LDAPResultInsufficientAccessRights) {
		return nil, nil //nolint:nilnil // not there, which is no error
	}
	if err != nil {
		return nil, err
	}
	if len(result.Entries) != 1 {
		return nil, nil //nolint:nilnil // not there, which is no error
	}
	return result.Entries[0], nil
}

// seconds is the server's own time limit for a search, above ours: it ends what nobody waits for any more.
func (c *conn) seconds() int { return int(2*c.timeout/time.Second) + 1 }
