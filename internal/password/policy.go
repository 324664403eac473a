package password

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"github.com/sparekey/sparekey/internal/reset"
)

// The lengths of passwords, in Unicode code points after NFC.
const (
	// DefaultMin is the least length unless configured otherwise (NIST SP
	// 800-63B-4, 3.1.1.2, for a password that is the only factor).
	DefaultMin = 15
	// DefaultMax is the greatest length unless configured otherwise.
	DefaultMax = 1024
	// LowestMin is the lowest minimum that may be configured (OWASP ASVS 6.2.1).
	LowestMin = 8
	// LowestMax is the lowest maximum that may be configured (OWASP ASVS 6.2.9).
	LowestMax = 64
)

// The codes of refusals. They are stable: programs may depend on them.
const (
	// CodeInvalidUTF8: the password is not valid UTF-8.
	CodeInvalidUTF8 = "invalid_utf8"
	// CodeTooShort: it has fewer characters than the minimum.
	CodeTooShort = "too_short"
	// CodeTooLong: it has more characters than the maximum.
	CodeTooLong = "too_long"
	// CodeControlCharacter: it has a character of the Unicode category Cc: U+0000
	// to U+001F, U+007F to U+009F.
	CodeControlCharacter = "control_character"
	// CodeContext: it is the user's own address, name or account.
	CodeContext = "context"
)

// mostBytesPerCharacter is how many bytes a string can have for each code point
// of its NFC: up to four code points may compose into one (U+1F82), each of at
// most four bytes.
const mostBytesPerCharacter = 16

// Policy says what passwords are acceptable. It implements reset.Policy.
//
// It looks at nothing but length, control characters and the user's own names.
// There are no rules about the kinds of characters (OWASP ASVS 6.2.5), and
// whatever can be printed is welcome, spaces and emoji included. Nothing is
// ever cut off (ASVS 6.2.8).
type Policy struct{ least, most int }

var _ reset.Policy = (*Policy)(nil)

// NewPolicy returns a policy for passwords of least to most code points,
// counted after NFC. It refuses a least below LowestMin, a most below LowestMax
// and a least above most.
func NewPolicy(least, most int) (*Policy, error) {
	switch {
	case least < LowestMin:
		return nil, reset.Invalidf("the minimum length of passwords is %d; the lowest that may be set is %d", least, LowestMin)
	case most < LowestMax:
		return nil, reset.Invalidf("the maximum length of passwords is %d; the lowest that may be set is %d", most, LowestMax)
	case least > most:
		return nil, reset.Invalidf("the minimum length of passwords is %d, above their maximum of %d", least, most)
	}
	return &Policy{least: least, most: most}, nil
}

// Check returns every reason why the password is refused for that user; none
// means that it is fine. Its cost is bounded by the policy's maximum, however
// long the password is.
func (p *Policy) Check(password string, u reset.User) []reset.Refusal {
	// First of all by bytes: nothing longer could pass, and looking at every
	// character of a megabyte is work that a stranger could ask for.
	if len(password)/mostBytesPerCharacter > p.most {
		return []reset.Refusal{{Code: CodeTooLong, Message: fmt.Sprintf("use at most %d characters; yours has many more", p.most)}}
	}
	if !utf8.ValidString(password) {
		return []reset.Refusal{{Code: CodeInvalidUTF8, Message: "send the password as valid UTF-8 text"}}
	}
	var refusals []reset.Refusal
	refuse := func(code, format string, args ...any) {
		refusals = append(refusals, reset.Refusal{Code: code, Message: fmt.Sprintf(format, args...)})
	}
	normal := Normalize(password)
	switch n := utf8.RuneCountInString(normal); {
	case n < p.least:
		refuse(CodeTooShort, "use at least %d characters; yours has %d", p.least, n)
	case n > p.most:
		refuse(CodeTooLong, "use at most %d characters; yours has %d", p.most, n)
	}
	// Directories and clients treat these differently: some cut a password at
	// NUL, some turn one line break into another. A password must not depend on that.
	if strings.ContainsFunc(normal, unicode.IsControl) {
		refuse(CodeControlCharacter, "use no control characters such as tab, line break or NUL; all others are welcome, spaces and emoji too")
	}
	if what := ownName(normal, u); what != "" {
		refuse(CodeContext, "use something other than %s", what)
	}
	return refusals
}

// ownName says which of the user's own names the password is, or "" if none. It
// compares whole strings, without regard to case and to spaces around them, and
// nothing looser than that: a refusal must be one that the user can understand
// (OWASP ASVS 6.2.11).
func ownName(normal string, u reset.User) string {
	typed := strings.TrimSpace(normal)
	is := func(name string) bool {
		name = strings.TrimSpace(Normalize(name))
		return name != "" && strings.EqualFold(typed, name)
	}
	local, _, _ := strings.Cut(u.Email.Raw(), "@")
	switch {
	case is(u.Email.Raw()) || is(u.Email.Key()):
		return "your mail address"
	case is(local):
		return "the name in your mail address"
	case is(u.Name):
		return "your name"
	}
	for _, a := range u.Accounts {
		if is(a.Name) {
			return "the name of your account"
		}
	}
	return ""
}

// Normalize returns the password in Unicode normalization form C, so that it is
// the same password from every keyboard (NIST SP 800-63B-4, 3.1.1.2; RFC 8265).
//
// It is for the directory whose verifier is Sparekey, the built-in one, alone;
// Hasher applies it by itself. Every other directory gets the password as it was
// typed, for its own verifier would otherwise lock the user out.
//
// More than 30 combining marks in a row are broken up by U+034F, as the
// Unicode Stream-Safe Text Format has it (UAX #15, 13).
func Normalize(password string) string { return norm.NFC.String(password) }
