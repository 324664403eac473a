package reset_test

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"unicode"

	"golang.org/x/net/idna"
	"pgregory.net/rapid"

	"github.com/sparekey/sparekey/internal/reset"
)

func TestParseAddressTakes(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ in, key, mailbox string }{
		"plain":                    {"ada@example.test", "ada@example.test", "ada@example.test"},
		"capitals":                 {"Ada.L@EXAMPLE.Test", "ada.l@example.test", "Ada.L@example.test"},
		"plus":                     {"ada+x@example.test", "ada+x@example.test", "ada+x@example.test"},
		"every sign an atom has":   {"!#$%&'*+-/=?^_`{|}~@example.test", "!#$%&'*+-/=?^_`{|}~@example.test", "!#$%&'*+-/=?^_`{|}~@example.test"},
		"a domain beyond ASCII":    {"ada@exämple.test", "ada@xn--exmple-cua.test", "ada@xn--exmple-cua.test"},
		"half of it in ASCII":      {"ada@ä.xn--exmple-cua.test", "ada@xn--4ca.xn--exmple-cua.test", "ada@xn--4ca.xn--exmple-cua.test"},
		"its ASCII form":           {"ada@XN--exmple-CUA.test", "ada@xn--exmple-cua.test", "ada@xn--exmple-cua.test"},
		"sharp s stays itself":     {"ada@straße.test", "ada@xn--strae-oqa.test", "ada@xn--strae-oqa.test"},
		"a local part beyond it":   {"Ünal@example.test", "Ünal@example.test", "Ünal@example.test"},
		"an encoded word is plain": {"=?utf-8?q?x?=@example.test", "=?utf-8?q?x?=@example.test", "=?utf-8?q?x?=@example.test"},
		"a percent is plain":       {"ada%0acc@example.test", "ada%0acc@example.test", "ada%0acc@example.test"},
		"a local part of 64 bytes": {strings.Repeat("a", 64) + "@example.test", strings.Repeat("a", 64) + "@example.test", strings.Repeat("a", 64) + "@example.test"},
	} {
		a, err := reset.ParseAddress(c.in)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		same(t, name, []string{a.Raw(), a.Key(), a.Mailbox()}, []string{c.in, c.key, c.mailbox})
	}
}

// longInASCII fits into 254 bytes as it is written, and not as it is mailed.
var longInASCII = strings.Repeat("a", 64) + "@" + strings.Repeat("鿿.", 24) + "test"

func TestParseAddressRefuses(t *testing.T) {
	t.Parallel()
	for name, in := range map[string]string{
		"nothing":                          "",
		"no at-sign":                       "ada.example.test",
		"no local part":                    "@example.test",
		"no domain":                        "ada@",
		"two at-signs":                     "ada@bob@example.test",
		"a second address after a comma":   "ada@example.test,eve@evil.test",
		"after a semicolon":                "ada@example.test;eve@evil.test",
		"after a space":                    "ada@example.test eve@evil.test",
		"a percent-encoded header":         "ada@example.test%0acc:eve@evil.test",
		"a header after a line break":      "ada@example.test\ncc: eve@evil.test",
		"a line break at the end":          "ada@example.test\n",
		"CR LF inside":                     "ada\r\n@example.test",
		"NUL":                              "ada\x00@example.test",
		"NUL at the end":                   "ada@example.test\x00",
		"a space in front":                 " ada@example.test",
		"a no-break space":                 "ada\u00a0@example.test",
		"a zero-width joiner":              "ada\u200d@example.test",
		"a right-to-left override":         "ada\u202e@example.test",
		"a byte order mark":                "\ufeffada@example.test",
		"a soft hyphen in the domain":      "ada@exam\u00adple.test",
		"a private-use character":          "ada\ue000@example.test",
		"invalid UTF-8":                    "ada\xff@example.test",
		"a lone surrogate":                 "ada\xed\xa0\x80@example.test",
		"a display name":                   "Ada <ada@example.test>",
		"angle brackets":                   "<ada@example.test>",
		"a comment":                        "ada(ada)@example.test",
		"a comment behind":                 "ada@example.test(x)",
		"a group":                          "x:ada@example.test;",
		"a route":                          "<@evil.test:ada@example.test>",
		"a quoted local part":              `"ada"@example.test`,
		"a quoted at-sign":                 `"ada@evil.test"@example.test`,
		"a backslash":                      `ada\@example.test`,
		"two dots":                         "ada..l@example.test",
		"a dot in front":                   ".ada@example.test",
		"a dot at the end":                 "ada.@example.test",
		"an IP literal":                    "ada@[192.0.2.1]",
		"an IPv6 literal":                  "ada@[IPv6:2001:db8::1]",
		"a bare IPv4 address":              "ada@192.0.2.1",
		"a port":                           "ada@example.test:25",
		"one label":                        "ada@localhost",
		"a dot at the end of the domain":   "ada@example.test.",
		"an empty label":                   "ada@example..test",
		"a hyphen in front of a label":     "ada@-example.test",
		"an underscore":                    "ada@exam_ple.test",
		"a label of 64 bytes":              "ada@" + strings.Repeat("a", 64) + ".test",
		"a full-width domain":              "ada@ｅｘａｍｐｌｅ.test",
		"a full-width dot":                 "ada@example．test",
		"an ideographic full stop":         "ada@example。test",
		"a Kelvin sign in the domain":      "ada@\u212aelvin.test",
		"a decomposed domain":              "ada@exa\u0308mple.test",
		"a capital beyond ASCII":           "ada@EXÄMPLE.test",
		"a mixture of directions":          "ada@1א.test",
		"an A-label of ASCII":              "ada@xn--example-.test",
		"an A-label of nothing":            "ada@xn--.test",
		"an A-label of an A-label":         "ada@xn--xn--exmple-cua-.test",
		"an A-label beyond ASCII":          "ada@xn--ä-.test", // x/net/idna takes it for ä.test
		"a local part of 65 bytes":         strings.Repeat("a", 65) + "@example.test",
		"255 bytes":                        "a@" + strings.Repeat(strings.Repeat("b", 49)+".", 5) + "ccc",
		"255 bytes or more in ASCII alone": longInASCII,
		"10 KB":                            strings.Repeat("a", 10<<10) + "@example.test",
	} {
		a, err := reset.ParseAddress(in)
		if err == nil {
			t.Errorf("%s: %q was taken as %q", name, in, a.Key())
			continue
		}
		e := refused(t, name, err, reset.Invalid, reset.CodeBadValue)
		if len(in) > 3 && strings.Contains(err.Error(), in) {
			t.Errorf("%s: the message repeats the address: %s", name, e.Message)
		}
		same(t, name+": what comes with the error", a, reset.Address{})
	}
}

// What only looks alike is another mailbox (CVE-2019-19844).
func TestAddressesThatLookAlikeAreDifferent(t *testing.T) {
	t.Parallel()
	for _, group := range [][]string{
		{"admin@example.test", "admın@example.test", "ａdmin@example.test", "аdmin@example.test", "admin@exаmple.test", "admin@examplé.test"},
		{"kim@example.test", "\u212aim@example.test"},
		{"ISIL@example.test", "İSİL@example.test", "ısıl@example.test"},
		{"müller@example.test", "MÜLLER@example.test", "mu\u0308ller@example.test", "mueller@example.test"},
		{"ada@strasse.test", "ada@straße.test"},
		{"ada@ς.test", "ada@σ.test"},
		{"ada.l@example.test", "adal@example.test", "ada.l+x@example.test"},
		{"ada@example.test", "ada@example.test.example.test", "ada@sub.example.test"},
	} {
		seen := map[string]string{}
		for _, s := range group {
			a, err := reset.ParseAddress(s)
			if err != nil {
				t.Errorf("%q: %v", s, err)
				continue
			}
			if other, ok := seen[a.Key()]; ok {
				t.Errorf("%q and %q are one mailbox, %q", s, other, a.Key())
			}
			seen[a.Key()] = s
		}
	}
}

func TestAddressHidesItself(t *testing.T) {
	t.Parallel()
	a, err := reset.ParseAddress("Ada.Lovelace@Exämple.test")
	must(t, err)
	var log strings.Builder
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "address", a, "inside", struct{ A reset.Address }{a})
	for _, out := range append(formatted(a), formatted(struct{ A reset.Address }{a})...) {
		log.WriteString(out + "\n")
	}
	if s := strings.ToLower(log.String()); strings.Contains(s, "ada") || strings.Contains(s, "lovelace") {
		t.Errorf("an address was printed:\n%s", s)
	}
	same(t, "what is told", a.String(), "[redacted]@xn--exmple-cua.test")
	same(t, "no address", reset.Address{}.String(), "")
}

// formatted prints v in every way that fmt knows.
func formatted(v any) (out []string) {
	for _, verb := range []string{"v", "+v", "#v", "s", "q", "x", "X", "d", "t", "10v", "08.3f"} {
		out = append(out, fmt.Sprintf("%"+verb, v))
	}
	return out
}

// anAddress draws what ParseAddress takes, and what it nearly takes.
func anAddress() *rapid.Generator[string] {
	local := rapid.StringOfN(rapid.SampledFrom([]rune("abcXYZ019.+-_'%*=?İıſßéé\u212a")), 1, 20, -1)
	label := rapid.OneOf(
		rapid.StringMatching(`[a-zA-Z0-9]([a-zA-Z0-9-]{0,10}[a-zA-Z0-9])?`),
		rapid.StringOfN(rapid.SampledFrom([]rune("abzßéäöσςжאбア語")), 1, 12, -1),
	)
	return rapid.Custom(func(t *rapid.T) string {
		labels := rapid.SliceOfN(label, 2, 4).Draw(t, "labels")
		return local.Draw(t, "local") + "@" + strings.Join(labels, ".")
	})
}

func TestAddressKeyIsItsOwnKey(t *testing.T) {
	t.Parallel()
	taken := 0
	rapid.Check(t, func(t *rapid.T) {
		if a, err := reset.ParseAddress(anAddress().Draw(t, "address")); err == nil {
			taken++
			checkAddress(t, a)
		}
	})
	if taken == 0 {
		t.Error("not one address was taken; this shows nothing")
	}
}

// checkAddress holds an address that was taken against everything that is promised of it.
func checkAddress(t rapid.TB, a reset.Address) {
	t.Helper()
	for name, s := range map[string]string{"Key": a.Key(), "Mailbox": a.Mailbox()} {
		again, err := reset.ParseAddress(s)
		if err != nil || again.Key() != a.Key() {
			t.Fatalf("%q has the %s %q, which parses to %q, %v", a.Raw(), name, s, again.Key(), err)
		}
		_, domain, _ := strings.Cut(s, "@")
		for _, r := range domain {
			if r > unicode.MaxASCII || 'A' <= r && r <= 'Z' {
				t.Fatalf("%q has the domain %q in its %s", a.Raw(), domain, name)
			}
		}
		if len(s) > 254 {
			t.Fatalf("%q has a %s of %d bytes", a.Raw(), name, len(s))
		}
	}
	for _, s := range []string{a.Raw(), a.Key(), a.Mailbox()} {
		if strings.Count(s, "@") != 1 || strings.ContainsFunc(s, func(r rune) bool { return unicode.IsControl(r) || unicode.IsSpace(r) }) {
			t.Fatalf("%q was taken, as %q", a.Raw(), s)
		}
	}
	// Of the local part nothing but A-Z may have changed, and of the domain nothing that IDNA does not undo.
	local, domain, _ := strings.Cut(a.Key(), "@")
	raw, rawDomain, _ := strings.Cut(a.Raw(), "@")
	if len(local) != len(raw) {
		t.Fatalf("%q is matched by %q", raw, local)
	}
	for i := range len(raw) {
		if raw[i] != local[i] && (raw[i] < 'A' || raw[i] > 'Z' || raw[i]+'a'-'A' != local[i]) {
			t.Fatalf("%q is matched by %q", raw, local)
		}
	}
	labels, rawLabels := strings.Split(domain, "."), strings.Split(strings.Map(asciiLower, rawDomain), ".")
	if len(labels) != len(rawLabels) {
		t.Fatalf("the domain %q is matched by %q", rawDomain, domain)
	}
	for i, label := range labels {
		if u, err := idna.Punycode.ToUnicode(label); label != rawLabels[i] && (err != nil || u != rawLabels[i]) {
			t.Fatalf("in the domain %q the label %q is matched by %q, which is %q (%v)", rawDomain, rawLabels[i], label, u, err)
		}
	}
}

func asciiLower(r rune) rune {
	if 'A' <= r && r <= 'Z' {
		return r + 'a' - 'A'
	}
	return r
}

// Spellings that differ in ASCII case, or in the form of the domain, are one
// mailbox; any other change makes another.
func TestAddressKeyUnderChange(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s := anAddress().Draw(t, "address")
		a, err := reset.ParseAddress(s)
		if err != nil {
			return
		}
		flipped := []rune(s)
		for i, r := range flipped {
			if rapid.Bool().Draw(t, "flip") && r < unicode.MaxASCII {
				if unicode.IsUpper(r) {
					flipped[i] = unicode.ToLower(r)
				} else {
					flipped[i] = unicode.ToUpper(r)
				}
			}
		}
		if b, err := reset.ParseAddress(string(flipped)); err != nil || b.Key() != a.Key() {
			t.Fatalf("%q is %q, and %q is %q, %v", s, a.Key(), string(flipped), b.Key(), err)
		}
		changed := []rune(a.Key())
		i := rapid.IntRange(0, len(changed)-1).Draw(t, "where")
		if changed[i] == '@' {
			return
		}
		if changed[i] == 'a' {
			changed[i] = 'b'
		} else {
			changed[i] = 'a'
		}
		if b, err := reset.ParseAddress(string(changed)); err == nil && b.Key() == a.Key() {
			t.Fatalf("%q and %q are one mailbox", s, string(changed))
		}
	})
}

func FuzzParseAddress(f *testing.F) {
	for _, s := range []string{
		"", "@", "ada@example.test", "Ada@EXÄMPLE.test", "ada@xn--exmple-cua.test", "ada@xn--a-.test", "admın@example.test",
		"ada@example.test\n", "Ada <ada@example.test>", `"a b"@example.test`, "ada@[192.0.2.1]", "a@1.2.3.4", "a@ς.test", "a@א.test",
		"a@\u212a.test", "=?utf-8?q?=0d?=@example.test", longInASCII, "a\xff@example.test", "a@xn--ä-.test", "a@xn--exmple-cua.ä.test",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if a, err := reset.ParseAddress(s); err == nil {
			if a.Raw() != s {
				t.Fatalf("%q was taken as %q", s, a.Raw())
			}
			checkAddress(t, a)
		}
	})
}
