package ldapdir

import (
	"context"
	"encoding/binary"
	"errors"
	"slices"
	"unicode/utf16"

	ber "github.com/go-asn1-ber/asn1-ber"
	"github.com/go-ldap/ldap/v3"

	"github.com/sparekey/sparekey/internal/reset"
)

// Names of the protocol that go-ldap does not have.
const (
	passwordModify        = "1.3.6.1.4.1.4203.1.11.1" // RFC 3062
	policyHints           = "1.2.840.113556.1.4.2239" // MS-ADTS 3.1.1.3.4.1.27
	policyHintsDeprecated = "1.2.840.113556.1.4.2066"
	// hintsValue is SEQUENCE { INTEGER 1 }: heed history.
	hintsValue = "\x30\x03\x02\x01\x01"
)

// change is a new password, or the hash of it, for one user.
type change struct {
	reset.NoApply
	d            *Directory
	id, password string
}

var _ reset.Distant = (*change)(nil)

// unsure says that a change was on its way and was not answered.
type unsure struct{ cause error }

func (u *unsure) Error() string { return "it is not known whether it was done: " + u.cause.Error() }
func (u *unsure) Unwrap() error { return u.cause }

// Set implements reset.Distant. It looks for the user first, on the connection that it then uses: an old connection that is
// dead, a user who is gone and a new DN are seen while nothing has been sent.
func (c *change) Set(ctx context.Context) error {
	d := c.d
	err := d.pool.do(ctx, func(conn *conn) error {
		e, err := d.entry(ctx, conn, c.id, d.setAttributes())
		if err != nil {
			return err
		}
		// In ppolicy a new password would end an administrator's lock.
		if disabled, err := d.isDisabled(e); err != nil {
			return err
		} else if disabled {
			return reset.ErrNoUser
		}
		if err := d.write(ctx, conn, e, c.password); err != nil {
			return err
		}
		if d.c.Unlock && d.c.Method != ActiveDirectory {
			d.unlock(ctx, conn, e.DN)
		}
		return nil
	})
	if err == nil {
		return nil
	}
	if _, ok := errors.AsType[*unsure](err); ok {
		return d.explain(err)
	}
	return &reset.Unchanged{Cause: d.explain(err)}
}

// write sets the password of an entry, with one request. An error that is *unsure may have changed it.
func (d *Directory) write(ctx context.Context, c *conn, e *ldap.Entry, password string) error {
	if d.c.Method == ActiveDirectory {
		return d.writeAD(ctx, c, e, password)
	}
	err := c.change(ctx, func(l *ldap.Conn) error {
		controls := []ldap.Control{ldap.NewControlBeheraPasswordPolicy()} // not critical: who does not know it passes over it
		if d.c.Method == UserPassword {
			m := ldap.NewModifyRequest(e.DN, controls)
			m.Replace("userPassword", []string{password})
			return l.Modify(m)
		}
		_, err := l.Extended(&ldap.ExtendedRequest{Name: passwordModify, Value: modifyValue(e.DN, password), Controls: controls})
		return err
	})
	code, ok := answerOf(err)
	if !ok {
		return err
	}
	if reason := policyReason(err); reason != nil {
		return reset.Refused([]reset.Refusal{*reason})
	}
	if code == ldap.LDAPResultConstraintViolation {
		return reset.Refused([]reset.Refusal{refuse(CodeNotAllowed, nil)})
	}
	return err
}

// writeAD is write for Active Directory. What else is to be changed is part of the same request, so that it is all or nothing.
func (d *Directory) writeAD(ctx context.Context, c *conn, e *ldap.Entry, password string) error {
	root, err := c.rootDSE(ctx)
	if err != nil {
		return err
	}
	var controls []ldap.Control
	hints := d.hints(root)
	if hints != "" {
		controls = append(controls, ldap.NewControlString(hints, true, hintsValue))
	}
	m := ldap.NewModifyRequest(e.DN, controls)
	m.Replace("unicodePwd", []string{quoted(password)})
	if d.c.Unlock {
		m.Replace("lockoutTime", []string{"0"})
	}
	if d.c.MustChange {
		m.Replace("pwdLastSet", []string{"0"})
	}
	err = c.change(ctx, func(l *ldap.Conn) error { return l.Modify(m) })
	code, ok := answerOf(err)
	if !ok || !refusedByAD(code, err) {
		return err
	}
	// Which of its rules Active Directory had in mind it does not say: they are read, and held against the password.
	return reset.Refused(d.reasonsOf(ctx, c, e, root, hints != "", password))
}

// hints is the control by which this server heeds history for a reset, empty if it knows none or is not to.
func (d *Directory) hints(root *rootDSE) string {
	if d.c.IgnoreHistory {
		return ""
	}
	for _, oid := range []string{policyHints, policyHintsDeprecated} {
		if slices.Contains(root.controls, oid) {
			return oid
		}
	}
	return ""
}

func (d *Directory) hintsInWords(root *rootDSE) string {
	switch {
	case d.hints(root) != "":
		return ", history and minimum age heeded"
	case d.c.IgnoreHistory:
		return ", history not asked for"
	}
	return ", as an administrator does: this server cannot be asked to heed history"
}

// unlock ends a lock that is not an administrator's. The password holds by then, so that a failure is for the log alone.
func (d *Directory) unlock(ctx context.Context, c *conn, dn string) {
	e, err := c.read(ctx, dn, pwdAccountLockedTime)
	if err == nil && e != nil {
		if lock := text(e, pwdAccountLockedTime); lock != "" && lock != lockedForGood {
			m := ldap.NewModifyRequest(dn, nil)
			m.Delete(pwdAccountLockedTime, []string{lock})
			err = c.call(ctx, func(l *ldap.Conn) error { return l.Modify(m) })
		}
	}
	if err != nil {
		d.c.Log.WarnContext(ctx, "a password was set, but the account could not be unlocked; grant bind.dn write on pwdAccountLockedTime",
			"event", "directory.unlock_failed", "error", describe(err))
	}
}

// change runs one request that changes something. It is *unsure when a part of it has left and no answer came.
func (c *conn) change(ctx context.Context, request func(*ldap.Conn) error) error {
	err := c.call(ctx, request)
	if b, ok := errors.AsType[*broken](err); ok && b.sent {
		return &unsure{cause: b.cause}
	}
	return err
}

// modifyValue is PasswdModifyRequestValue (RFC 3062, 2).
func modifyValue(dn, password string) *ber.Packet {
	v := ber.Encode(ber.ClassUniversal, ber.TypeConstructed, ber.TagSequence, nil, "PasswdModifyRequestValue")
	v.AppendChild(ber.NewString(ber.ClassContext, ber.TypePrimitive, 0, dn, "userIdentity"))
	v.AppendChild(ber.NewString(ber.ClassContext, ber.TypePrimitive, 2, password, "newPasswd"))
	return v
}

// quoted is a password as unicodePwd takes it: between quotes, in UTF-16LE (MS-ADTS 3.1.1.3.1.5).
func quoted(password string) string {
	units := utf16.Encode([]rune(`"` + password + `"`))
	b := make([]byte, 0, 2*len(units))
	for _, u := range units {
		b = binary.LittleEndian.AppendUint16(b, u)
	}
	return string(b)
}

// rootDSE is what a server says of itself (RFC 4512, 5.1).
type rootDSE struct {
	vendor      string
	controls    []string
	extensions  []string
	domain      string // the DN of the domain, in Active Directory
	isDirectory bool   // it says that it is an Active Directory
}

// rootDSE asks once for each connection.
func (c *conn) rootDSE(ctx context.Context) (*rootDSE, error) {
	if c.root != nil {
		return c.root, nil
	}
	e, err := c.read(ctx, "", "supportedControl", "supportedExtension", "defaultNamingContext", "vendorName", "supportedCapabilities", "objectClass")
	if err != nil {
		return nil, err
	}
	if e == nil {
		return nil, misset("bind.dn", "let it read the rootDSE", "%s says nothing of itself", c.server.url)
	}
	c.root = &rootDSE{
		vendor:      text(e, "vendorName"),
		controls:    e.GetEqualFoldAttributeValues("supportedControl"),
		extensions:  e.GetEqualFoldAttributeValues("supportedExtension"),
		domain:      text(e, "defaultNamingContext"),
		isDirectory: slices.Contains(e.GetEqualFoldAttributeValues("supportedCapabilities"), "1.2.840.113556.1.4.800"),
	}
	if c.root.vendor == "" && slices.Contains(e.GetEqualFoldAttributeValues("objectClass"), "OpenLDAProotDSE") {
		c.root.vendor = "OpenLDAP"
	}
	return c.root, nil
}
