package password

import (
	"context"
	"crypto/sha1" //nolint:gosec // it names passwords in published lists and protects nothing
	"log/slog"
	"strings"
	"time"
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

// DefaultStrength is the least strength unless configured otherwise. An
// estimate is guidance (NIST SP 800-63B-4, A.4): this one refuses what falls within
// some two million guesses, far above what throttled logins allow, and far below what any
// passphrase of ordinary words needs. From 2 on it refuses phrases such as
// "another good password".
const DefaultStrength = 1

// mostBytesPerCharacter is how many bytes a string can have for each code point
// of its NFC: up to four code points may compose into one (U+1F82), each of at
// most four bytes.
const mostBytesPerCharacter = 16

// Digest is the SHA-1 of a password's UTF-8, the name by which lists of leaked
// passwords know it. It is as secret as the password and never logged.
type Digest [sha1.Size]byte

// DigestOf returns the password's digest.
func DigestOf(password string) Digest {
	return sha1.Sum([]byte(password)) //nolint:gosec // see Digest
}

// List says whether a list has a password.
type List interface {
	Has(ctx context.Context, d Digest) (bool, error)
}

// Options are what a Policy asks for.
type Options struct {
	// MinLength and MaxLength are in code points, counted after NFC.
	MinLength, MaxLength int
	// MinStrength is from 0, which asks for nothing, to 4.
	MinStrength int
	// ServiceName is a word that passwords must not mostly consist of; may be empty.
	ServiceName string
	// Leaked is the operator's list of leaked passwords; nil if there is none.
	// When it cannot be read no password is taken.
	Leaked List
	// Range is a service that is asked last; nil if there is none. When it fails
	// the password is taken without it, and the log says so.
	Range List
	// Log is for Range; nil for none.
	Log *slog.Logger
}

// Policy says what passwords are acceptable. It implements reset.Policy.
//
// There are no rules about the kinds of characters (OWASP ASVS 6.2.5), and
// whatever can be printed is welcome, spaces and emoji included. Nothing is
// ever cut off (ASVS 6.2.8).
type Policy struct{ o Options }

var _ reset.Policy = (*Policy)(nil)

// NewPolicy returns a policy. It refuses a least length below LowestMin, a
// greatest below LowestMax or below the least, and a strength that is none.
func NewPolicy(o Options) (*Policy, error) {
	switch {
	case o.MinLength < LowestMin:
		return nil, reset.Invalidf("the minimum length of passwords is %d; the lowest that may be set is %d", o.MinLength, LowestMin)
	case o.MaxLength < LowestMax:
		return nil, reset.Invalidf("the maximum length of passwords is %d; the lowest that may be set is %d", o.MaxLength, LowestMax)
	case o.MinLength > o.MaxLength:
		return nil, reset.Invalidf("the minimum length of passwords is %d, above their maximum of %d", o.MinLength, o.MaxLength)
	case o.MinStrength < 0 || o.MinStrength > mostStrength:
		return nil, reset.Invalidf("the least strength of passwords is %d; it is from 0 to %d", o.MinStrength, mostStrength)
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Policy{o: o}, nil
}

// Check implements reset.Policy. What is cheap comes first, and what is refused
// is not asked about any further: length and the user's own words; the built-in
// and the operator's list; the strength; the service on the network.
func (p *Policy) Check(ctx context.Context, password string, u reset.User) ([]reset.Refusal, error) {
	refusals, err := p.Hint(ctx, password, u)
	if err != nil || len(refusals) > 0 {
		return refusals, err
	}
	if p.inRange(ctx, digestsOf(password, Normalize(password))) {
		return []reset.Refusal{isBreached()}, nil
	}
	return nil, nil
}

// Hint implements reset.Policy: all of Check but the service on the network, which need not know of every
// beginning of a password.
func (p *Policy) Hint(ctx context.Context, password string, u reset.User) ([]reset.Refusal, error) {
	// First of all by bytes: nothing longer could pass, and looking at every
	// character of a megabyte is work that a stranger could ask for.
	if len(password)/mostBytesPerCharacter > p.o.MaxLength {
		return []reset.Refusal{muchTooLong(p.o.MaxLength)}, nil
	}
	if !utf8.ValidString(password) {
		return []reset.Refusal{invalidUTF8()}, nil
	}
	normal := Normalize(password)
	words := contextWords(u, p.o.ServiceName)
	if refusals := p.shape(normal, words); len(refusals) > 0 {
		return refusals, nil
	}
	if common(normal) {
		return []reset.Refusal{isCommon()}, nil
	}
	leaked, err := p.leaked(ctx, digestsOf(password, normal))
	if err != nil {
		return nil, err
	}
	if leaked {
		return []reset.Refusal{isBreached()}, nil
	}
	if s := strength(normal, plainOf(words), p.o.MinStrength); s < p.o.MinStrength {
		return []reset.Refusal{tooWeak(s, p.o.MinStrength)}, nil
	}
	return nil, nil
}

// shape is what length, control characters and the user's own words have against a password: all of it.
func (p *Policy) shape(normal string, words []word) (refusals []reset.Refusal) {
	n := utf8.RuneCountInString(normal)
	switch {
	case n < p.o.MinLength:
		refusals = append(refusals, tooShort(p.o.MinLength, n))
	case n > p.o.MaxLength:
		return []reset.Refusal{tooLong(p.o.MaxLength, n)} // the rest is not looked at, for it is long
	}
	// Directories and clients treat these differently: some cut a password at
	// NUL, some turn one line break into another. A password must not depend on that.
	if strings.ContainsFunc(normal, unicode.IsControl) {
		refusals = append(refusals, controlCharacter())
	}
	if what := mostlyContext(normal, words); what != "" {
		refusals = append(refusals, contextWord(what))
	}
	return refusals
}

// listPause is when to try again a list that cannot be read.
const listPause = 10 * time.Second

// leaked asks the operator's list. An operator who set one wants it heeded, so
// that one that cannot be read is no reason to take any password.
func (p *Policy) leaked(ctx context.Context, digests []Digest) (bool, error) {
	if p.o.Leaked == nil {
		return false, nil
	}
	has, err := anyOf(ctx, p.o.Leaked, digests)
	if err != nil {
		return false, reset.Busy("new passwords cannot be checked right now; please try again in a moment", listPause, err)
	}
	return has, nil
}

// inRange asks the service on the network. It is somebody else's, and an outage
// there must not keep people from their accounts.
func (p *Policy) inRange(ctx context.Context, digests []Digest) bool {
	if p.o.Range == nil {
		return false
	}
	has, err := anyOf(ctx, p.o.Range, digests)
	if err != nil && ctx.Err() == nil { // else nobody waits for the answer, which is not the service's fault
		p.o.Log.WarnContext(ctx, "the look-up of leaked passwords failed; the password was taken without it",
			"event", "password.range_failed", "error", err)
	}
	return has
}

// digestsOf are those of a password's NFC and, where it differs, of what was
// typed: lists have what people typed.
func digestsOf(typed, normal string) []Digest {
	if typed == normal {
		return []Digest{DigestOf(normal)}
	}
	return []Digest{DigestOf(normal), DigestOf(typed)}
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

// IsCommon says whether a password is one that everybody knows, or one of its usual forms.
func IsCommon(password string) bool {
	return utf8.ValidString(password) && common(Normalize(password))
}

// IsListed says whether a list has a password, as typed or in NFC.
func IsListed(ctx context.Context, l List, password string) (bool, error) {
	return anyOf(ctx, l, digestsOf(password, Normalize(password)))
}

// anyOf says whether a list has one of the digests.
func anyOf(ctx context.Context, l List, digests []Digest) (bool, error) {
	for _, d := range digests {
		if has, err := l.Has(ctx, d); has || err != nil {
			return has && err == nil, err
		}
	}
	return false, nil
}
