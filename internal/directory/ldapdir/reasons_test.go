package ldapdir_test

import (
	"strings"
	"testing"
	"time"
	"unicode/utf16"

	"github.com/sparekey/sparekey/internal/directory/ldapdir"
)

func TestPolicyResponses(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]int64{
		"\x30\x03\x81\x01\x06":                     6,
		"\x30\x03\x81\x01\x09":                     9, // of OpenLDAP 2.5
		"\x30\x08\xa0\x03\x80\x01\x05\x81\x01\x08": 8, // after a warning
		"\x30\x00":                     -1,
		"\x30\x05\xa0\x03\x80\x01\x05": -1, // a warning alone
		"":                             -1,
		"\x30\x02\x81\x00":             -1,
		"\x04\x03\x81\x01\x06":         -1,
		"\x30\x03\x81\x01":             -1,
		"\x30\x80\x81\x01\x06\x00\x00": 6,
		"\x30\x03\x01\x01\x06":         -1,
		"\x30\x42" + strings.Repeat("\x81\x01\x06", 22): -1, // longer than two small numbers
	} {
		got, ok := ldapdir.ParsePolicyResponse([]byte(value))
		if !ok {
			got = -1
		}
		if got != want {
			t.Errorf("%x: got %d, want %d", value, got, want)
		}
	}
}

func FuzzPolicyResponse(f *testing.F) {
	for _, s := range []string{"\x30\x03\x81\x01\x06", "\x30\x08\xa0\x03\x80\x01\x05\x81\x01\x08", "\x30\x80", "\x30\x84\xff\xff\xff\xff"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, value []byte) {
		before := string(value)
		got, ok := ldapdir.ParsePolicyResponse(value)
		if again, same := ldapdir.ParsePolicyResponse([]byte(before)); string(value) != before || got != again || ok != same {
			t.Errorf("%x is not read alike each time", before)
		}
	})
}

func FuzzWinCode(f *testing.F) {
	for _, s := range []string{"0000052D: SvcErr: DSID-031A12D2, problem 5003 (WILL_NOT_PERFORM), data 0", "0000052D", ":", "-000052D: x", "+000052D: x", "0x00052D: x"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		n, ok := ldapdir.WinCode(s)
		if !ok {
			return
		}
		digits, _, _ := strings.Cut(s, ":")
		if strings.Trim(digits, "0123456789abcdefABCDEF") != "" || len(digits) != 8 {
			t.Errorf("%q is read as %x", s, n)
		}
	})
}

func TestWinCodes(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]uint32{
		"0000052D: SvcErr: DSID-031A12D2, problem 5003 (WILL_NOT_PERFORM), data 0":   0x52D,
		"0000052D: Constraint violation - check_password_restrictions: the password": 0x52D,
		"0000001F: SvcErr: DSID-031A12D2":                                            0x1F,
		"Password fails quality checking":                                            0, "": 0, "52D: x": 0, "0000052D": 0, "00000 2D: x": 0,
	} {
		if got, _ := ldapdir.WinCode(s); got != want {
			t.Errorf("%q: got %x, want %x", s, got, want)
		}
	}
}

func TestKinds(t *testing.T) {
	t.Parallel()
	for password, want := range map[string]int{"": 0, "abc": 1, "ABC": 1, "aB": 2, "aB1": 3, "aB1!": 4, "aB1!ア": 5, "ñÑ": 2, "日本": 1, "a b": 1, "🕊€": 0, "١": 0} {
		if got := ldapdir.Kinds(password); got != want {
			t.Errorf("%q: got %d, want %d", password, got, want)
		}
	}
}

func TestContainsName(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		password, login, display string
		want                     bool
	}{
		{"xLOVELACEx", "al", "Ada Lovelace", true},
		{"my-ada-password", "al", "Ada Lovelace", true},
		{"something else", "al", "Ada Lovelace", false},
		{"al is short", "al", "", false},
		{"the login is alovelace1", "Alovelace1", "", true},
		{"anything", "", "", false},
		{"ed and al", "", "Ed,Al", false},
		{"the bernoulli principle", "", "Jean-Bernoulli", true},
	} {
		if got := ldapdir.ContainsName(c.password, c.login, c.display); got != c.want {
			t.Errorf("%+v: got %v", c, got)
		}
	}
}

func TestTimesOfActiveDirectory(t *testing.T) {
	t.Parallel()
	const day = -864_000_000_000
	for n, want := range map[int64]time.Duration{day: 24 * time.Hour, 0: 0, 5: 0, -9223372036854775808: 0, -1: 100} {
		if got := ldapdir.Interval(n); got != want {
			t.Errorf("%d: got %v, want %v", n, got, want)
		}
	}
	got, ok := ldapdir.FileTime("133485408000000000")
	if want := time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC); !ok || !got.Equal(want) {
		t.Errorf("got %v, %v, want %v", got.UTC(), ok, want)
	}
	for _, s := range []string{"", "0", "-1", "x"} {
		if got, ok := ldapdir.FileTime(s); ok {
			t.Errorf("%q is %v", s, got)
		}
	}
}

func TestQuoted(t *testing.T) {
	t.Parallel()
	for _, password := range []string{"", "a\"b", "ä🕊"} {
		b := []byte(ldapdir.Quoted(password))
		var units []uint16
		for i := 0; i+1 < len(b); i += 2 {
			units = append(units, uint16(b[i])|uint16(b[i+1])<<8)
		}
		if got, want := string(utf16.Decode(units)), `"`+password+`"`; got != want || len(b)%2 != 0 {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestFirstLanguage(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]string{"": "", "de": "de", "de-AT, en;q=0.5": "de-AT", " fr ;q=1": "fr", "pt_BR": "pt-BR"} {
		if got := ldapdir.FirstLanguage(s); got != want {
			t.Errorf("%q: got %q, want %q", s, got, want)
		}
	}
}
