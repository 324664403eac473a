package password_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/text/unicode/norm"
	"pgregory.net/rapid"

	"github.com/sparekey/sparekey/internal/password"
	"github.com/sparekey/sparekey/internal/reset"
)

func mustPolicy(t *testing.T) *password.Policy {
	t.Helper()
	return policyOf(t, func(*password.Options) {})
}

// policyOf is the policy that is configured by default, but for what change changes.
func policyOf(t testing.TB, change func(*password.Options)) *password.Policy {
	t.Helper()
	o := password.Options{MinLength: password.DefaultMin, MaxLength: password.DefaultMax, MinStrength: password.DefaultStrength}
	change(&o)
	p, err := password.NewPolicy(o)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// check returns the reasons of a policy that can find them out.
func check(t testing.TB, p *password.Policy, typed string, u reset.User) []reset.Refusal {
	t.Helper()
	refusals, err := p.Check(t.Context(), typed, u)
	if err != nil {
		t.Fatal(err)
	}
	return refusals
}

// distinct is a text of n characters, none of them twice.
func distinct(first rune, n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteRune(first + rune(i))
	}
	return b.String()
}

func mustAddress(t *testing.T, s string) reset.Address {
	t.Helper()
	a, err := reset.ParseAddress(s)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func codes(refusals []reset.Refusal) []string {
	var list []string
	for _, r := range refusals {
		list = append(list, r.Code)
	}
	return list
}

func TestPolicyBounds(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name        string
		least, most int
		complaint   string // part of the message; "" means that it is fine
	}{
		{"the defaults", password.DefaultMin, password.DefaultMax, ""},
		{"the lowest of both", 8, 64, ""},
		{"one length alone", 64, 64, ""},
		{"a minimum below 8", 7, 64, "the lowest that may be set is 8"},
		{"a minimum of nothing", 0, 64, "the lowest that may be set is 8"},
		{"a maximum below 64", 8, 63, "the lowest that may be set is 64"},
		{"a minimum above the maximum", 65, 64, "above their maximum of 64"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			_, err := password.NewPolicy(password.Options{MinLength: tc.least, MaxLength: tc.most})
			if (err == nil) != (tc.complaint == "") || err != nil && !strings.Contains(err.Error(), tc.complaint) {
				t.Errorf("got %v, want an error with %q", err, tc.complaint)
			}
		})
	}
}

func TestPolicyLooksAtLengthAndControls(t *testing.T) {
	t.Parallel()
	policy := mustPolicy(t)
	for _, tc := range []struct {
		name, password string
		want           []string
	}{
		{"fifteen lower-case letters", "ohmygreatuncles", nil},
		{"fourteen", "ohmygreatuncle", []string{"too_short"}},
		{"nothing", "", []string{"too_short"}},
		{"words and spaces", "a bird in the hand", nil},
		{"spaces around count and stay", "  great uncle  ", nil},
		{"digits alone", "837192645109371", nil},
		{"fifteen emoji", distinct('🦊', 15), nil},
		{"fourteen emoji of four bytes", strings.Repeat("🦊", 14), []string{"too_short"}},
		{"emoji with joiners", "👩‍💻👨‍🌾👩‍🚒👨‍🎤👩‍🔬", nil},
		{"fifteen composed letters", norm.NFC.String(accented(15)), nil},
		{"fifteen decomposed letters", accented(15), nil},
		{"fourteen decomposed letters, twenty-eight code points", accented(14), []string{"too_short"}},
		{"the longest", distinct('一', 1024), nil},
		{"one more", distinct('一', 1025), []string{"too_long"}},
		{"the longest, four bytes each", distinct('𠀀', 1024), nil},
		{"one more, four bytes each", distinct('𠀀', 1025), []string{"too_long"}},
		{"the longest, each of four code points that compose", strings.Repeat("α\u0313\u0300\u0345", 1010) + "ohmygreatuncle", nil},
		{"one more, each of four code points that compose", strings.Repeat("α\u0313\u0300\u0345", 1025), []string{"too_long"}},
		{"NUL inside", "abcdefgh\x00ijklmnopq", []string{"control_character"}},
		{"a tab", "abcdefgh\tijklmnopq", []string{"control_character"}},
		{"a line break", "abcdefghijklmnopq\n", []string{"control_character"}},
		{"DEL", "abcdefgh\x7fijklmnopq", []string{"control_character"}},
		{"C1", "abcdefgh\u0085ijklmnopq", []string{"control_character"}},
		{"short and with NUL", "a\x00b", []string{"too_short", "control_character"}},
		{"not UTF-8", "abcdefghijklmnop\xff", []string{"invalid_utf8"}},
		{"a lone surrogate in UTF-8", "abcdefghijklmnop\xed\xa0\x80", []string{"invalid_utf8"}},
		{"a mebibyte", strings.Repeat("x", 1<<20), []string{"too_long"}},
		// Had it been looked at, the answer would be invalid_utf8.
		{"a mebibyte is refused before it is looked at", strings.Repeat("\xff", 1<<20), []string{"too_long"}},
		{"a mebibyte of combining marks", "e" + strings.Repeat("\u0301", 1<<19), []string{"too_long"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(tc.want, codes(check(t, policy, tc.password, reset.User{}))); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestPolicyRefusesTheUsersOwnNames(t *testing.T) {
	t.Parallel()
	policy := mustPolicy(t)
	user := reset.User{
		Email: mustAddress(t, "Bartholomew.Fitzgerald@bücher.example.com"),
		Name:  "Jose\u0301 Bartholomew Fitzgerald",
		Standing: reset.Standing{Accounts: []reset.Account{
			{Name: "Amalgamated Widgets"}, {Name: "  Suspended Sprockets ", Suspended: true}, {Name: ""},
		}},
	}
	for _, tc := range []struct {
		name, password string
		refused        bool
	}{
		{"the address", "Bartholomew.Fitzgerald@bücher.example.com", true},
		{"the address in capitals", "BARTHOLOMEW.FITZGERALD@BÜCHER.EXAMPLE.COM", true},
		{"the address with its domain in ASCII", "bartholomew.fitzgerald@xn--bcher-kva.example.com", true},
		{"the address with spaces around", "  Bartholomew.Fitzgerald@bücher.example.com ", true},
		{"the name in the address", "bartholomew.FITZGERALD", true},
		{"the name", "Jose\u0301 Bartholomew Fitzgerald", true},
		{"the name, composed and in lower case", "josé bartholomew fitzgerald", true},
		{"an account", "amalgamated widgets", true},
		{"a suspended account", "suspended sprockets", true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			var want []string
			if tc.refused {
				want = []string{"context"}
			}
			if diff := cmp.Diff(want, codes(check(t, policy, tc.password, user))); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestRefusalsSayWhatWouldBeAccepted(t *testing.T) {
	t.Parallel()
	policy := policyOf(t, func(o *password.Options) { o.Leaked = listOf("a bird in the hand") })
	user := reset.User{Name: "Bartholomew Fitzgerald"}
	for _, tc := range []struct {
		password, want string
		params         map[string]any
	}{
		{accented(14), "use at least 15 characters; yours has 14", map[string]any{"min": 15, "length": 14}},
		{strings.Repeat("é", 1025), "use at most 1024 characters; yours has 1025", map[string]any{"max": 1024, "length": 1025}},
		{strings.Repeat("é", 1<<19), "use at most 1024 characters; yours has many more", map[string]any{"max": 1024}},
		{"abcdefgh\tijklmnopq", "use no control characters such as tab, line break or NUL; all others are welcome, spaces and emoji too", nil},
		{"bartholomew fitzgerald", "use something that is not mostly your name", map[string]any{"what": "name"}},
		{"passwordpassword", "use something other than a well-known password, a row of keys or a repetition; a few words that have nothing to do with each other do well", nil},
		{"a bird in the hand", "use a password that is in no list of leaked ones, where this one is; a few words that have nothing to do with each other do well", nil},
		{"monkeydragonmaster", "use something that is harder to guess; a few more words that have nothing to do with each other do well", map[string]any{"strength": 0, "min": 1}},
		{strings.Repeat("\xff", 20), "send the password as valid UTF-8 text", nil},
	} {
		refusals := check(t, policy, tc.password, user)
		if len(refusals) != 1 || refusals[0].Message != tc.want {
			t.Errorf("got %v, want %q", refusals, tc.want)
			continue
		}
		if diff := cmp.Diff(tc.params, refusals[0].Params); diff != "" {
			t.Errorf("params of %s: %s", refusals[0].Code, diff)
		}
	}
}

// accented is a text of n decomposed letters that are in no order.
func accented(n int) string {
	var b strings.Builder
	for _, r := range "ouaieyneucaoiue"[:n] {
		b.WriteString(string(r) + "\u0301")
	}
	return b.String()
}

// letters draws what people type, in letters that no message contains.
func letters() *rapid.Generator[string] {
	return rapid.StringOfN(rapid.SampledFrom([]rune("άέήίόύώ̈́ϊϋΐΰἀἁἂἃᾂабвгдёй가각힣🦊👩 が")), 0, 80, -1)
}

func TestPolicyCountsCodePointsAfterNFC(t *testing.T) {
	t.Parallel()
	policy := policyOf(t, func(o *password.Options) { o.MinLength, o.MaxLength = 8, 64 })
	rapid.Check(t, func(t *rapid.T) {
		s := letters().Draw(t, "password")
		var want []string
		switch n := utf8.RuneCountInString(norm.NFC.String(s)); {
		case n < 8:
			want = []string{"too_short"}
		case n > 64:
			want = []string{"too_long"}
		}
		for _, form := range []string{s, norm.NFC.String(s), norm.NFD.String(s)} {
			refusals, err := policy.Check(context.Background(), form, reset.User{})
			if err != nil {
				t.Fatal(err)
			}
			got := codes(refusals)
			if want == nil && slices.Equal(got, []string{"common"}) {
				got = nil // what is drawn may well be a repetition
			}
			if !slices.Equal(got, want) {
				t.Fatalf("got %v, want %v", got, want)
			}
			for _, r := range refusals {
				if form != "" && strings.TrimSpace(form) != "" && strings.Contains(r.Message, form) {
					t.Fatal("the message has the password in it")
				}
			}
		}
	})
}

func BenchmarkPolicyMebibyte(b *testing.B) {
	policy := policyOf(b, func(*password.Options) {})
	hostile := "e" + strings.Repeat("\u0301", 1<<19)
	for b.Loop() {
		check(b, policy, hostile, reset.User{})
	}
}

func BenchmarkPolicyLongestHostile(b *testing.B) {
	policy := policyOf(b, func(*password.Options) {})
	hostile := strings.Repeat("\u0345\u0301", 16*1024/4)
	for b.Loop() {
		check(b, policy, hostile, reset.User{})
	}
}
