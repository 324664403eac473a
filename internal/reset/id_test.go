package reset_test

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"log/slog"
	"regexp"
	"strings"
	"testing"

	"github.com/sparekey/sparekey/internal/reset"
)

const anID = "5b1f3a52-7f0c-4b44-9a3e-0d8f4f1c2a11"

func TestParseIDTakesTheCanonicalFormAlone(t *testing.T) {
	t.Parallel()
	id, ok := reset.ParseID(anID)
	if !ok || id.Reveal() != anID {
		t.Errorf("the canonical form: %q, %v", id.Reveal(), ok)
	}
	for name, s := range map[string]string{
		"nothing": "", "capitals": strings.ToUpper(anID), "one capital": strings.Replace(anID, "b", "B", 1),
		"braces": "{" + anID + "}", "urn": "urn:uuid:" + anID, "no hyphens": strings.ReplaceAll(anID, "-", ""),
		"a line break": anID + "\n", "a line break in front": "\n" + anID, "NUL": anID + "\x00", "%00": anID + "%00",
		"a space": " " + anID, "a slash": anID + "/", "one digit short": anID[:35], "one too many": anID + "0",
		"not hexadecimal": strings.Replace(anID, "5", "g", 1), "full-width": strings.Replace(anID, "5", "５", 1),
		"a hyphen moved": "5b1f3a5-27f0c-4b44-9a3e-0d8f4f1c2a11", "1 MB": strings.Repeat("a", 1<<20),
	} {
		if id, ok := reset.ParseID(s); ok || id != (reset.ID{}) {
			t.Errorf("%s was taken as %q", name, id.Reveal())
		}
	}
}

func TestNewID(t *testing.T) {
	t.Parallel()
	version4 := regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`) // RFC 9562, 5.4
	var ones [36]map[byte]bool
	for range 1000 {
		id := reset.NewID()
		s := id.Reveal()
		if !version4.MatchString(s) {
			t.Fatalf("%q is not a version 4 UUID", s)
		}
		if again, ok := reset.ParseID(s); !ok || again != id {
			t.Fatalf("%q does not parse to itself", s)
		}
		if id.Digest() != sha256.Sum256([]byte(s)) {
			t.Fatal("the digest is not the SHA-256 of what is mailed")
		}
		for i := range s {
			if ones[i] == nil {
				ones[i] = map[byte]bool{}
			}
			ones[i][s[i]] = true
		}
	}
	// 122 random bits: 30 digits that take all 16 values, one (the variant) that takes four.
	// A digit would miss a value with a probability of 16 × (15/16)^1000, less than 10^-26.
	for i, seen := range ones {
		want := 16
		switch i {
		case 8, 13, 18, 23, 14:
			want = 1
		case 19:
			want = 4
		}
		if len(seen) != want {
			t.Errorf("digit %d takes %d values, want %d", i, len(seen), want)
		}
	}
}

func TestIDNeverPrints(t *testing.T) {
	t.Parallel()
	id, _ := reset.ParseID(anID)
	type inside struct{ ID reset.ID }
	var out strings.Builder
	for _, v := range []any{id, &id, inside{id}, []reset.ID{id}, map[string]reset.ID{"x": id}, reset.Metadata{ID: id}} {
		for _, s := range formatted(v) {
			out.WriteString(s + "\n")
		}
		text, err := json.Marshal(v)
		must(t, err)
		out.Write(text)
		for _, h := range []slog.Handler{slog.NewJSONHandler(&out, nil), slog.NewTextHandler(&out, nil)} {
			slog.New(h).Info("x", "id", v)
		}
	}
	for _, part := range append(strings.Split(anID, "-"), anID) {
		for _, spelled := range []string{part, strings.ToUpper(part), hexOf(part)} {
			if strings.Contains(out.String(), spelled) {
				t.Errorf("%q was printed:\n%s", spelled, out.String())
				return
			}
		}
	}
	same(t, "String", id.String(), "[redacted]")
}

func hexOf(s string) string { return fmt.Sprintf("%x", s) }

func FuzzParseID(f *testing.F) {
	for _, s := range []string{"", anID, strings.ToUpper(anID), "{" + anID + "}", anID + "\n", "urn:uuid:" + anID} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		id, ok := reset.ParseID(s)
		if !ok {
			return
		}
		if id.Reveal() != s || len(s) != 36 || strings.Trim(s, "0123456789abcdef-") != "" || strings.Count(s, "-") != 4 {
			t.Fatalf("%q was taken as %q", s, id.Reveal())
		}
	})
}
