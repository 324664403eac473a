package password_test

import (
	"os"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/text/unicode/norm"

	"github.com/sparekey/sparekey/internal/password"
	"github.com/sparekey/sparekey/internal/reset"
)

// TestCommonPasswordsAreRefused without any list of the operator's (requirement 18;
// NIST SP 800-63B-4, 3.1.1.2; OWASP ASVS 6.2.4).
func TestCommonPasswordsAreRefused(t *testing.T) {
	t.Parallel()
	policy := policyOf(t, func(o *password.Options) { o.MinStrength = 0 }) // so that nothing else refuses them
	for about, passwords := range map[string][]string{
		"a word twice or more":        {"passwordpassword", "adminadminadmin", "iloveyouiloveyou", "password password", "Password-Password-Password", "dragondragondragondragon!"},
		"a word with a little":        {"letmeinletmein1", "Passwort12345678", "administrator123", "administratorqvxz", "November2024!!!!", "thisismypassword1", "!!!superpassword", "password12345678987654321"},
		"both over and over":          {"Summer2024!Summer2024!", "welcome1welcome1", "Test1234Test1234"},
		"digits and marks as letters": {"P@ssw0rdP@ssw0rd", "p4$$w0rdp4$$w0rd", "w3lc0m3w3lc0m3!", "h3110h3110h3110"},
		"backwards":                   {"drowssapdrowssap", "drowssap12345678"},
		"in other languages":          {"contraseña2024!", "Пароль1234567890", "motdepassemotdepasse"},
		"in full-width letters":       {"ｐａｓｓｗｏｒｄｐａｓｓｗｏｒｄ"},
		"phrases":                     {"correcthorsebatterystaple", "CorrectHorseBatteryStaple1!", "maytheforcebewithyou", "thequickbrownfoxjumpsoverthelazydog"},
		"rows of keys":                {"qwertyuiopasdfgh", "1qaz2wsx3edc4rfv", "qweasdzxcqweasd", "poiuytrewqlkjhgf", "!@#$%^&*()_+!@#", "йцукенгшщзхъфывап", "qwertzuiopasdfg", "azertyuiopqsdfg"},
		"rows of digits and letters":  {"123456789012345", "987654321098765", "abcdefghijklmno", "1234 5678 9012 345", "1-2-3-4-5-6-7-8-9", "112233445566778", "aaabbbcccdddeee"},
		"one or few characters":       {"aaaaaaaaaaaaaaa", strings.Repeat(" ", 15), strings.Repeat("🦊", 15), "abababababababab", "123123123123123", strings.Repeat("x", 1024), "xyz!xyz!xyz!xyz!", "aaaaaaaabbbbbbbb", strings.Repeat("e\u0301", 15)},
	} {
		for _, p := range passwords {
			if diff := cmp.Diff([]string{"common"}, codes(check(t, policy, p, reset.User{}))); diff != "" {
				t.Errorf("%s, %q: %s", about, p, diff)
			}
		}
	}
	for _, p := range []string{
		"correct horse battery staple", "november in a harbour", "my password is a secret of mine", "admin of the long nights", "qwerty is a row of keys",
		"x7Gq0x7Gq0pLz2V", "password kept by a fox", "f!x@9#z$%^&*()?",
	} {
		if refusals := check(t, policy, p, reset.User{}); refusals != nil {
			t.Errorf("%q was refused: %v", p, refusals)
		}
	}
}

func TestCommonWordsAreInOrder(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("common.txt")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "\n") // the comment
	words := strings.Split(strings.TrimSuffix(rest, "\n"), "\n")
	for i, w := range words {
		if w != norm.NFC.String(strings.ToLower(w)) || utf8.RuneCountInString(w) < 4 || strings.ContainsAny(w, " \r\t") {
			t.Errorf("%q is not a word of four characters or more in lower case and NFC", w)
		}
		if i > 0 && words[i-1] >= w {
			t.Errorf("%q and %q are not in order", words[i-1], w)
		}
	}
	if !slices.Contains(words, "correcthorsebatterystaple") {
		t.Error("the list does not have what everybody knows")
	}
}

func TestPolicyRefusesWhatIsMostlyAContextWord(t *testing.T) {
	t.Parallel()
	policy := policyOf(t, func(o *password.Options) { o.ServiceName = "Frobnication Portal" })
	user := reset.User{
		Email: mustAddress(t, "bart.fitzgerald@bücher.example.com"),
		Name:  "Jose\u0301 Bartholomew Fitzgerald",
		Standing: reset.Standing{Accounts: []reset.Account{
			{Name: "Amalgamated Widgets"}, {Name: "Al"},
		}},
	}
	for _, tc := range []struct{ password, what string }{
		{"José Bartholomew Fitzgerald!", "name"},
		{"jose bartholomew fitzgerald", "name"}, // without the accent
		{"bartholomewfitzgerald", "name"},
		{"josebartholomewfitzgerald2024", "name"},
		{"Fitzgerald1985!", "name"},
		{"fitzgeraldfitzgerald", "name"},
		{"19850412Bartholomew", "name"},
		{"Fitzgerald12345678901", "name"},
		{"bart.fitzgeraldbart.fitzgerald", "mailbox"},
		{"bart.fitzgerald@bücher.example.com1", "address"},
		{"bücher.example.com", "domain"},
		{"xn--bcher-kva.example.com", "domain"},
		{"buecher bücher bücher", ""}, // ue is not folded, and five letters are more than a little
		{"bücherbücherbücher", "domain"},
		{"amalgamated  widgets", "account"},
		{"AmalgamatedWidgets1", "account"},
		{"widgetsfitzgerald", "name"},
		{"frobnicationportal", "service"},
		{"Frobnication 2024", "service"},
		{"portalportalportal", "service"},
		{"amalgamated goose widgets", ""},
		{"fitzgerald likes long walks", ""},
		{"Fitzgerald-kQ8#vX", ""},
		{"Al, Al, Al, Al, Al", "common"}, // too short to count as the account's
		{"com com com com com", "common"},
		{"a quiet harbour in november", ""},
	} {
		refusals := check(t, policy, tc.password, user)
		var got string
		switch {
		case len(refusals) == 1 && refusals[0].Code == "context":
			got, _ = refusals[0].Params["what"].(string)
		case len(refusals) > 0:
			got = refusals[0].Code
		}
		if got != tc.what || len(refusals) > 1 {
			t.Errorf("%q: got %v, want %q", tc.password, refusals, tc.what)
		}
	}
}

func TestStrengthIsAskedFor(t *testing.T) {
	t.Parallel()
	strong := "kJ8#mP2$vL9@qR5tB6&nW3"
	for _, tc := range []struct {
		password string
		strength int // the highest minimum that it passes
	}{
		{"monkeydragonmaster", 0},
		{"another good password", 1},
		{"a password of words", 2},
		{"a brand new password", 3},
		{"correct horse battery staple", 4},
		{"m0nk3ydr@g0nm@st3r", 0},
		// Of what is longer than 32 characters beginning and end are looked at.
		{"monkeydragonmaster and then some words of a long sentence", 4},
		{strings.Repeat("monkeydragonmaster", 2) + strong, 4},
		{strong + strings.Repeat("monkeydragonmaster", 2), 4},
		{"passwordbaseballfootballsupermanfootballpasswordsupermanbaseball", 0},
	} {
		for least := range 5 {
			policy := policyOf(t, func(o *password.Options) { o.MinStrength = least })
			var want []string
			if least > tc.strength {
				want = []string{"too_weak"}
			}
			if diff := cmp.Diff(want, codes(check(t, policy, tc.password, reset.User{}))); diff != "" {
				t.Errorf("%q, at least %d: %s", tc.password, least, diff)
			}
		}
	}
	for _, none := range []int{-1, 5} {
		if _, err := password.NewPolicy(password.Options{MinLength: 15, MaxLength: 64, MinStrength: none}); err == nil {
			t.Errorf("a strength of %d was taken", none)
		}
	}
}

// hostile are passwords that an estimator of strength has most work with: every
// digit and mark that may stand for a letter, rows with many turns, repetitions.
var hostile = []string{
	"(4@{8[3<6|9!10$5+7%2(4@{8[3<6|9!", "qwe1rty2asd3fgh4zxc5vbn6jkl7uio8", "qweasdzxcrtyfghvbnuiojklpqweasdz",
	"12.34.56 12/34/56 11-11-11 1.1.11", "aaa111bbb222ccc333ddd444eee555fff", "password1234love12qwerdragon1234",
}

// TestStrengthIsBoundedWork: a long password is no more work than twice a short
// one, and letters written as digits no more than twice plain ones, counted in allocations. Unbounded, the
// estimate of 260 characters took a minute.
//
//nolint:paralleltest // AllocsPerRun counts those of the whole process
func TestStrengthIsBoundedWork(t *testing.T) {
	work := func(s string) float64 {
		return testing.AllocsPerRun(3, func() { password.Strength(s, 5) })
	}
	for _, h := range hostile {
		short := []rune(h)[:32]
		once, long := work(string(short)), work(strings.Repeat(h, 128))
		if long > 2.5*once+1000 {
			t.Errorf("%q takes %.0f allocations, and repeated to %d characters %.0f", h, once, 128*len(h), long)
		}
		if once > 40_000 {
			t.Errorf("%q takes %.0f allocations", h, once)
		}
	}
}

// FuzzPolicy: whatever is typed, the policy answers, says why, and never
// repeats the password.
func FuzzPolicy(f *testing.F) {
	policy := policyOf(f, func(o *password.Options) { o.MinLength, o.ServiceName = 8, "Frobnication Portal" })
	email, err := reset.ParseAddress("bart.fitzgerald@example.com")
	if err != nil {
		f.Fatal(err)
	}
	for _, h := range append(hostile, "correct horse battery staple", "e\u0301\u0345\u0301", "\u0345\u0301", "İıſK", "👩‍💻👩‍💻", "\xff\xfe", "ﷺ") {
		f.Add(h, "Jose\u0301 Fitzgerald")
		f.Add(strings.Repeat(h, 40), h)
	}
	f.Fuzz(func(t *testing.T, typed, name string) {
		refusals := check(t, policy, typed, reset.User{Email: email, Name: name})
		for _, r := range refusals {
			if r.Code == "" || r.Message == "" {
				t.Errorf("%q is refused without a reason: %v", typed, refusals)
			}
		}
		if len(refusals) == 0 && (!utf8.ValidString(typed) || utf8.RuneCountInString(norm.NFC.String(typed)) < 8) {
			t.Errorf("%q was taken", typed)
		}
	})
}
