package ldapdir

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/go-ldap/ldap/v3"

	"github.com/sparekey/sparekey/internal/reset"
)

// passwordRestriction is ERROR_PASSWORD_RESTRICTION (MS-ERREF 2.2), by which Active Directory says that its policy is against it.
const passwordRestriction = 0x52D

// refusedByAD tells whether an answer is about the password itself.
func refusedByAD(code uint16, err error) bool {
	e, ok := errors.AsType[*ldap.Error](err)
	if !ok || code != ldap.LDAPResultConstraintViolation && code != ldap.LDAPResultUnwillingToPerform {
		return false
	}
	n, ok := winCode(diagnosis(e))
	return ok && n == passwordRestriction
}

// winCode is the number before the colon with which each diagnosis of Active Directory begins: "0000052D: SvcErr: …".
func winCode(diagnosis string) (uint32, bool) {
	digits, _, ok := strings.Cut(diagnosis, ":")
	if !ok || len(digits) != 8 {
		return 0, false
	}
	n, err := strconv.ParseUint(digits, 16, 32)
	return uint32(n), err == nil
}

// adPolicy is what Active Directory wants of a password.
type adPolicy struct {
	length  int // in UTF-16 code units
	complex bool
	history int
	age     time.Duration // the least age of a password that is changed
	whose   string        // for operators
}

// Attributes of the policy: of the domain (MS-ADA), and of what is set for some users (msDS-PasswordSettings).
var (
	domainPolicy = []string{"minPwdLength", "pwdProperties", "pwdHistoryLength", "minPwdAge"}
	finePolicy   = []string{"msDS-MinimumPasswordLength", "msDS-PasswordComplexityEnabled", "msDS-PasswordHistoryLength", "msDS-MinimumPasswordAge"}
)

// domainPasswordComplex is DOMAIN_PASSWORD_COMPLEX (MS-ADA3, pwdProperties).
const domainPasswordComplex = 1

// policyOf reads the policy that is in force for a user, or for most of them if e is nil; nil if it may not be read.
func (c *conn) policyOf(ctx context.Context, e *ldap.Entry, root *rootDSE) (*adPolicy, error) {
	dn, names := root.domain, domainPolicy
	if e != nil {
		if own := text(e, "msDS-ResultantPSO"); own != "" {
			dn, names = own, finePolicy
		}
	}
	found, err := c.read(ctx, dn, names...)
	if err != nil || found == nil || text(found, names[0]) == "" {
		return nil, err
	}
	number := func(name string) int64 {
		n, err := strconv.ParseInt(text(found, name), 10, 64)
		if err != nil {
			return 0
		}
		return n
	}
	p := &adPolicy{length: int(number(names[0])), history: int(number(names[2])), age: interval(number(names[3])), whose: "the domain's policy"}
	if dn == root.domain {
		p.complex = number(names[1])&domainPasswordComplex != 0
	} else {
		p.complex, p.whose = strings.EqualFold(text(found, names[1]), "TRUE"), "the policy for this user"
	}
	return p, nil
}

// interval is a time that Active Directory writes below zero, in units of 100 ns (MS-ADTS, the syntax Interval).
func interval(n int64) time.Duration {
	const most = int64(1<<63-1) / 100
	if n >= 0 || n < -most {
		return 0
	}
	return time.Duration(-n) * 100
}

// fileTime is a time in units of 100 ns since 1601 (MS-DTYP 2.3.3).
func fileTime(s string) (time.Time, bool) {
	const epoch = 11_644_473_600 // seconds from 1601 to 1970
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n <= 0 {
		return time.Time{}, false
	}
	return time.Unix(n/1e7-epoch, n%1e7*100), true
}

// reasonsOf says why a password that Active Directory has refused is not taken, as far as its rules can be read.
func (d *Directory) reasonsOf(ctx context.Context, c *conn, e *ldap.Entry, root *rootDSE, hints bool, password string) (reasons []reset.Refusal) {
	p, err := c.policyOf(ctx, e, root)
	if err != nil {
		d.c.Log.WarnContext(ctx, "the password policy cannot be read, so that nobody can be told what it wants",
			"event", "directory.policy_failed", "error", describe(err))
	}
	if p != nil {
		if n := utf8.RuneCountInString(password); len(utf16.Encode([]rune(password))) < p.length {
			reasons = append(reasons, refuse(CodeTooShort, map[string]any{"min": p.length, "length": n}))
		}
		if p.complex && kinds(password) < 3 {
			reasons = append(reasons, refuse(CodeComplexity, nil))
		}
		if p.complex && containsName(password, text(e, "sAMAccountName"), text(e, "displayName")) {
			reasons = append(reasons, refuse(CodeContainsName, nil))
		}
		if since, ok := fileTime(text(e, "pwdLastSet")); ok && hints && d.c.Now().Before(since.Add(p.age)) {
			reasons = append(reasons, refuse(CodeTooSoon, nil))
		}
	}
	if len(reasons) == 0 { // in the history, on a list of forbidden words, or whatever a filter on the server has against it
		reasons = append(reasons, refuse(CodeNotAllowed, nil))
	}
	return reasons
}

// signs are what counts as a kind of its own besides letters and digits: neither a space nor a currency sign but $ does
// (Microsoft, "Password must meet complexity requirements").
const signs = "~!@#$%^&*_-+=`|\\(){}[]:;\"'<>,.?/"

// kinds is how many kinds of characters a password has, as Active Directory counts them: capital and small letters, digits,
// signs, and letters that are neither capital nor small.
func kinds(password string) int {
	var upper, lower, digit, sign, letter int
	for _, r := range password {
		switch {
		case unicode.IsUpper(r):
			upper = 1
		case unicode.IsLower(r):
			lower = 1
		case '0' <= r && r <= '9':
			digit = 1
		case strings.ContainsRune(signs, r):
			sign = 1
		case unicode.IsLetter(r):
			letter = 1
		}
	}
	return upper + lower + digit + sign + letter
}

// leastName is how long a name, or a part of it, must be to be looked for, in characters.
const leastName = 3

// containsName tells whether a password has the login name or a part of the display name in it, in whatever case.
func containsName(password, login, display string) bool {
	parts := strings.FieldsFunc(display, func(r rune) bool { return strings.ContainsRune(",.-_#", r) || unicode.IsSpace(r) })
	password = strings.ToLower(password)
	for _, part := range append(parts, login) {
		if utf8.RuneCountInString(part) >= leastName && strings.Contains(password, strings.ToLower(part)) {
			return true
		}
	}
	return false
}
