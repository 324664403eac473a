package password_test

import (
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
	p, err := password.NewPolicy(password.DefaultMin, password.DefaultMax)
	if err != nil {
		t.Fatal(err)
	}
	return p
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
			_, err := password.NewPolicy(tc.least, tc.most)
			if (err == nil) != (tc.complaint == "") || err != nil && !strings.Contains(err.Error(), tc.complaint) {
				t.Errorf("got %v, want an error with %q", err, tc.complaint)
			}
		})
	}
}

func TestPolicyLooksAtLengthAndControlsAlone(t *testing.T) {
	t.Parallel()
	policy := mustPolicy(t)
	for _, tc := range []struct {
		name, password string
		want           []string
	}{
		{"fifteen lower-case letters", "abcdefghijklmno", nil},
		{"fourteen", "abcdefghijklmn", []string{"too_short"}},
		{"nothing", "", []string{"too_short"}},
		{"words and spaces", "a bird in the hand", nil},
		{"spaces alone", strings.Repeat(" ", 15), nil},
		{"spaces around count and stay", "  abcdefghijk  ", nil},
		{"digits alone", "123456789012345", nil},
		{"fifteen emoji", strings.Repeat("🦊", 15), nil},
		{"fourteen emoji of four bytes", strings.Repeat("🦊", 14), []string{"too_short"}},
		{"emoji with joiners", "👩‍💻👩‍💻👩‍💻👩‍💻👩‍💻", nil},
		{"fifteen composed letters", strings.Repeat("é", 15), nil},
		{"fifteen decomposed letters", strings.Repeat("e\u0301", 15), nil},
		{"fourteen decomposed letters, twenty-eight code points", strings.Repeat("e\u0301", 14), []string{"too_short"}},
		{"the longest", strings.Repeat("x", 1024), nil},
		{"one more", strings.Repeat("x", 1025), []string{"too_long"}},
		{"the longest, four bytes each", strings.Repeat("🦊", 1024), nil},
		{"one more, four bytes each", strings.Repeat("🦊", 1025), []string{"too_long"}},
		{"the longest, each of four code points that compose", strings.Repeat("α\u0313\u0300\u0345", 1024), nil},
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
			if diff := cmp.Diff(tc.want, codes(policy.Check(tc.password, reset.User{}))); diff != "" {
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
		{"a name with more to it", "Jose\u0301 Bartholomew Fitzgerald!", false},
		{"the name in the address twice", "bartholomew.fitzgeraldbartholomew.fitzgerald", false},
		{"without the accent", "jose bartholomew fitzgerald", false},
		{"two spaces for one", "amalgamated  widgets", false},
		{"spaces alone are nobody's name", strings.Repeat(" ", 20), false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			var want []string
			if tc.refused {
				want = []string{"context"}
			}
			if diff := cmp.Diff(want, codes(policy.Check(tc.password, user))); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestRefusalsSayWhatWouldBeAccepted(t *testing.T) {
	t.Parallel()
	policy := mustPolicy(t)
	user := reset.User{Name: "Bartholomew Fitzgerald"}
	for _, tc := range []struct{ password, want string }{
		{strings.Repeat("é", 14), "use at least 15 characters; yours has 14"},
		{strings.Repeat("é", 1025), "use at most 1024 characters; yours has 1025"},
		{strings.Repeat("é", 1<<19), "use at most 1024 characters; yours has many more"},
		{"abcdefgh\tijklmnopq", "use no control characters such as tab, line break or NUL; all others are welcome, spaces and emoji too"},
		{"bartholomew fitzgerald", "use something other than your name"},
		{strings.Repeat("\xff", 20), "send the password as valid UTF-8 text"},
	} {
		refusals := policy.Check(tc.password, user)
		if len(refusals) != 1 || refusals[0].Message != tc.want {
			t.Errorf("got %q, want %q", refusals, tc.want)
		}
	}
}

// letters draws what people type, in letters that no message contains.
func letters() *rapid.Generator[string] {
	return rapid.StringOfN(rapid.SampledFrom([]rune("άέήίόύώ̈́ϊϋΐΰἀἁἂἃᾂабвгдёй가각힣🦊👩 が")), 0, 80, -1)
}

func TestPolicyCountsCodePointsAfterNFC(t *testing.T) {
	t.Parallel()
	policy, err := password.NewPolicy(8, 64)
	if err != nil {
		t.Fatal(err)
	}
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
			refusals := policy.Check(form, reset.User{})
			if got := codes(refusals); !slices.Equal(got, want) {
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
	policy, err := password.NewPolicy(password.DefaultMin, password.DefaultMax)
	if err != nil {
		b.Fatal(err)
	}
	hostile := "e" + strings.Repeat("\u0301", 1<<19)
	for b.Loop() {
		policy.Check(hostile, reset.User{})
	}
}

func BenchmarkPolicyLongestHostile(b *testing.B) {
	policy, err := password.NewPolicy(password.DefaultMin, password.DefaultMax)
	if err != nil {
		b.Fatal(err)
	}
	hostile := strings.Repeat("\u0345\u0301", 16*1024/4)
	for b.Loop() {
		policy.Check(hostile, reset.User{})
	}
}
