package reset

import (
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"io"
	"log/slog"
	"strings"

	"github.com/google/uuid"
)

// ID is the secret of a request: a random UUIDv4, 122 bits from crypto/rand.
// It prints as "[redacted]" wherever it is formatted or logged; only Reveal
// gives it away, and only the mailed link and the answer to its holder call that.
type ID struct{ s string }

// Digest is what is stored of a secret: its SHA-256 (OWASP ASVS 6.5.2). A slow
// hash would add nothing, since the secret cannot be guessed.
type Digest [sha256.Size]byte

// canonicalUUID reports whether s is a UUID in its canonical form.
func canonicalUUID(s string) bool {
	return len(s) == canonicalLength && uuid.Validate(s) == nil && strings.ToLower(s) == s
}

// canonicalLength tells the canonical form from the others that the uuid package knows.
const canonicalLength = len("00000000-0000-0000-0000-000000000000")

// NewID mints an id.
func NewID() ID {
	// uuid.NewRandom fails only where crypto/rand does, and since Go 1.24 that
	// ends the program instead of returning.
	return ID{uuid.Must(uuid.NewRandomFromReader(rand.Reader)).String()}
}

// ParseID takes only the canonical form, 8-4-4-4-12 lower-case hexadecimal
// digits: no braces, no urn:, no capitals. Links carry exactly that form.
func ParseID(s string) (ID, bool) {
	if !canonicalUUID(s) {
		return ID{}, false
	}
	return ID{s}, true
}

// Digest returns what the store knows the id by.
func (id ID) Digest() Digest { return sha256.Sum256([]byte(id.s)) }

// Reveal returns the secret itself.
func (id ID) Reveal() string { return id.s }

// String hides the secret.
func (id ID) String() string { return "[redacted]" }

// Format hides the secret, whatever the verb: without it %#v and %d would show it.
func (id ID) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, id.String()) }

// LogValue hides the secret.
func (id ID) LogValue() slog.Value { return slog.StringValue("[redacted]") }
