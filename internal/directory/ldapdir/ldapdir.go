// Package ldapdir is a directory that is reached by LDAP: OpenLDAP and others, where passwords are set by RFC 3062 or a hash
// is written, and Active Directory. What an entry says is compared again here: a user has an address if the directory's own
// spelling of it has the same Key, whatever the server's matching rules find alike.
//
// Searches are tried again, on another connection and on other servers; a change is never, once a part of it has left.
// What a server answers is certain. When it does not answer, it is not known what it did.
package ldapdir

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/go-ldap/ldap/v3"

	"github.com/sparekey/sparekey/internal/reset"
)

// Directory implements reset.Directory and reset.Inspected. It is safe for concurrent use.
type Directory struct {
	c    Config
	pool *pool
}

var _ reset.Inspected = (*Directory)(nil)

// New checks the configuration, and says all that is wrong with it, each a *reset.Misset. It connects to nothing.
func New(c Config) (*Directory, error) {
	c = c.withDefaults()
	servers, err := c.parseServers()
	if err := errors.Join(c.check(), err); err != nil {
		return nil, err
	}
	return &Directory{c: c, pool: newPool(c, servers)}, nil
}

// Close closes the connections; one that is in use ends with that use.
func (d *Directory) Close() error {
	d.pool.close()
	return nil
}

// UserByAddress implements reset.Directory. It asks for the address with its domain in Unicode and in ASCII. Whether other cases
// of the letters before the @ are found is up to the attribute's matching rule: those of mail ignore case, in OpenLDAP
// (caseIgnoreIA5Match) and in Active Directory. OpenLDAP's mail holds ASCII alone (RFC 4524, 2.16): there an address with
// other letters before the @ is nobody's.
func (d *Directory) UserByAddress(ctx context.Context, a reset.Address) (reset.User, error) {
	var found map[string]reset.User
	err := d.pool.do(ctx, func(c *conn) error {
		found = map[string]reset.User{}
		return c.search(ctx, d.c.Base, d.addressFilter(a), d.userAttributes(), func(e *ldap.Entry) error {
			address, ok := d.addressOf(e, a.Key())
			if !ok {
				return nil
			}
			u, err := d.userOf(e, address)
			if err != nil {
				return err
			}
			if found[u.ID] = u; len(found) > 1 {
				return reset.ErrAmbiguous
			}
			return nil
		})
	})
	if err != nil {
		return reset.User{}, d.explain(err)
	}
	for _, u := range found {
		return u, nil
	}
	return reset.User{}, reset.ErrNoUser
}

// UserByID implements reset.Directory. Of several addresses the first one that is one is the user's.
func (d *Directory) UserByID(ctx context.Context, id string) (reset.User, error) {
	var u reset.User
	err := d.pool.do(ctx, func(c *conn) error {
		e, err := d.entry(ctx, c, id, d.userAttributes())
		if err != nil {
			return err
		}
		address, ok := d.addressOf(e, "")
		if !ok {
			return reset.ErrNoUser
		}
		u, err = d.userOf(e, address)
		return err
	})
	if err != nil {
		return reset.User{}, d.explain(err)
	}
	return u, nil
}

// entry returns the one entry of a user, or ErrNoUser. An id that a matching rule takes for alike is another one.
func (d *Directory) entry(ctx context.Context, c *conn, id string, attributes []string) (*ldap.Entry, error) {
	filter, ok := d.idFilter(id)
	if !ok {
		return nil, reset.ErrNoUser
	}
	var found []*ldap.Entry
	err := c.search(ctx, d.c.Base, filter, attributes, func(e *ldap.Entry) error {
		if got, err := d.idOf(e); err != nil {
			return err
		} else if got == id {
			found = append(found, e)
		}
		return nil
	})
	switch {
	case err != nil:
		return nil, err
	case len(found) == 0:
		return nil, reset.ErrNoUser
	case len(found) > 1:
		return nil, misset("attributes.id", "name an attribute that no two users have alike, such as "+entryUUID,
			"%d users have the same %s", len(found), d.c.Attributes.ID)
	}
	return found[0], nil
}

// mostUnits is the longest password of Active Directory, in UTF-16 code units.
const mostUnits = 256

// Prepare implements reset.Directory.
func (d *Directory) Prepare(ctx context.Context, u reset.User, password string, still func(context.Context) error) (reset.Change, error) {
	c := &change{d: d, id: u.ID, password: password}
	switch d.c.Method {
	case ActiveDirectory:
		if !utf8.ValidString(password) {
			return nil, reset.Refused([]reset.Refusal{refuse(CodeInvalidUTF8, nil)})
		}
		if units := len(utf16.Encode([]rune(password))); units > mostUnits {
			n := utf8.RuneCountInString(password)
			return nil, reset.Refused([]reset.Refusal{refuse(CodeTooLong, map[string]any{"max": mostUnits - (units - n), "length": n})})
		}
	case UserPassword:
		hash, err := d.c.Hash(ctx, password, still)
		if err != nil {
			return nil, err
		}
		c.password = hash
	case RFC3062:
		if password == "" { // the server would make one up (RFC 3062, 2)
			return nil, reset.Refused([]reset.Refusal{refuse(CodeTooShort, map[string]any{"min": 1, "length": 0})})
		}
	}
	return c, nil
}

// Plan implements reset.Inspected.
func (d *Directory) Plan(ctx context.Context, u reset.User) ([]string, error) {
	var lines []string
	err := d.pool.do(ctx, func(c *conn) error {
		e, err := d.entry(ctx, c, u.ID, d.setAttributes())
		if err != nil {
			return err
		}
		lines = []string{fmt.Sprintf("on %s, for %s:", c.server.url, e.DN)}
		switch d.c.Method {
		case RFC3062:
			lines = append(lines, "the password modify extended operation (RFC 3062)")
		case UserPassword:
			lines = append(lines, fmt.Sprintf("replace userPassword = a hash (%s)", d.c.Scheme))
		case ActiveDirectory:
			root, err := c.rootDSE(ctx)
			if err != nil {
				return err
			}
			lines = append(lines, "replace unicodePwd = the password"+d.hintsInWords(root))
		}
		lines = append(lines, d.planExtras()...)
		return nil
	})
	if err != nil {
		return nil, d.explain(err)
	}
	return lines, nil
}

// planExtras are what is written besides the password.
func (d *Directory) planExtras() (lines []string) {
	switch {
	case d.c.Unlock && d.c.Method == ActiveDirectory:
		lines = append(lines, "replace lockoutTime = 0")
	case d.c.Unlock:
		lines = append(lines, "delete pwdAccountLockedTime, if it is there and not an administrator's")
	}
	if d.c.MustChange {
		lines = append(lines, "replace pwdLastSet = 0")
	}
	return lines
}

// userAttributes are what a user is made of.
func (d *Directory) userAttributes() []string {
	list := []string{d.c.Attributes.ID, d.c.Attributes.Mail, d.c.Attributes.Name, d.c.Attributes.Locale}
	return append(compact(append(list, d.c.Attributes.Account)), d.standingAttributes()...)
}

// standingAttributes say whether a user is disabled.
func (d *Directory) standingAttributes() []string {
	own := pwdAccountLockedTime
	if d.c.Method == ActiveDirectory {
		own = userAccountControl
	}
	return compact([]string{d.c.Attributes.Disabled, own})
}

// setAttributes are what is looked at before a password is set, and to find out why it was refused.
func (d *Directory) setAttributes() []string {
	list := append([]string{d.c.Attributes.ID}, d.standingAttributes()...)
	if d.c.Method == ActiveDirectory {
		list = append(list, "sAMAccountName", "displayName", "pwdLastSet", "msDS-ResultantPSO")
	}
	return list
}

func compact(names []string) []string {
	return slices.DeleteFunc(names, func(name string) bool { return name == "" })
}
