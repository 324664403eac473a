package ldapdir

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/go-ldap/ldap/v3"

	"github.com/sparekey/sparekey/internal/reset"
)

// Check implements reset.Inspected. It looks at every server, not at the first that works alone. Whether passwords
// may be set cannot be seen in LDAP without setting one.
func (d *Directory) Check(ctx context.Context, step func(line string)) error {
	for _, s := range d.pool.servers {
		if err := d.checkServer(ctx, s, step); err != nil {
			return d.explain(err)
		}
	}
	return nil
}

func (d *Directory) checkServer(ctx context.Context, s *server, step func(line string)) error {
	c, err := d.pool.dial(ctx, s)
	if err != nil {
		return err
	}
	defer c.close()
	step(fmt.Sprintf("connected to %s %s", s.url, c.over()))
	step("bound as " + d.c.BindDN)
	root, err := c.rootDSE(ctx)
	if err != nil {
		return err
	}
	if err := d.checkAbilities(root, step); err != nil {
		return err
	}
	if err := d.checkBase(ctx, c, step); err != nil {
		return err
	}
	if d.c.Method != ActiveDirectory {
		return nil
	}
	p, err := c.policyOf(ctx, nil, root)
	if err != nil {
		return err
	}
	if p == nil {
		step("the domain's password policy may not be read, so that nobody is told what it wants")
		return nil
	}
	rules := []string{fmt.Sprintf("at least %d characters", p.length)}
	if p.complex {
		rules = append(rules, "of three kinds")
	}
	if p.history > 0 && d.hints(root) != "" {
		rules = append(rules, fmt.Sprintf("none of the last %d", p.history))
	}
	step(p.whose + ": " + strings.Join(rules, ", "))
	return nil
}

// checkAbilities holds what the server says of itself against the method.
func (d *Directory) checkAbilities(root *rootDSE, step func(string)) error {
	name := root.vendor
	switch {
	case name == "" && root.isDirectory:
		name = "Active Directory"
	case name == "":
		name = "a server that does not say whose it is"
	}
	switch {
	case d.c.Method == ActiveDirectory && !root.isDirectory:
		return misset("method", "write rfc3062 or userpassword", "this is no Active Directory, but %s", name)
	case d.c.Method != ActiveDirectory && root.isDirectory:
		return misset("method", "write ad", "this is an Active Directory, which sets passwords in its own way")
	case d.c.Method == RFC3062 && !slices.Contains(root.extensions, passwordModify):
		return misset("method", "write userpassword", "%s does not say that it knows RFC 3062", name)
	case d.c.Method == ActiveDirectory:
		step("it is " + name + "; passwords are set by unicodePwd" + d.hintsInWords(root))
	case d.c.Method == UserPassword:
		step("it is " + name + "; userPassword is replaced by a hash (" + d.c.Scheme + ")")
	default:
		step("it is " + name + "; passwords are set by RFC 3062")
	}
	return nil
}

// checkBase looks for one user.
func (d *Directory) checkBase(ctx context.Context, c *conn, step func(string)) error {
	r := ldap.NewSearchRequest(d.c.Base, ldap.ScopeWholeSubtree, ldap.NeverDerefAliases, 1, c.seconds(), false,
		"(&"+d.c.Filter+"("+d.c.Attributes.Mail+"=*))", d.userAttributes(), nil)
	result, err := c.ask(ctx, r)
	if code, ok := answerOf(err); err != nil && (!ok || code != ldap.LDAPResultSizeLimitExceeded) {
		return err
	}
	if len(result.Entries) == 0 {
		return misset("filter", "see that base and filter are right, and that bind.dn may read "+d.c.Attributes.Mail,
			"no user with an address is found below %s", d.c.Base)
	}
	if _, err := d.userOf(result.Entries[0], reset.Address{}); err != nil { // what every user has can be read
		return err
	}
	step("users with an address are found below " + d.c.Base)
	if n := len(result.Referrals); n > 0 {
		step(fmt.Sprintf("%d references to other servers below it are passed over", n))
	}
	return nil
}
