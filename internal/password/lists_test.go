package password_test

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/text/unicode/norm"

	"github.com/sparekey/sparekey/internal/password"
	"github.com/sparekey/sparekey/internal/reset"
)

// list is a password.List of some passwords, and counts who asks.
type list struct {
	digests []password.Digest
	err     error
	asked   int
}

func listOf(passwords ...string) *list {
	l := &list{}
	for _, p := range passwords {
		l.digests = append(l.digests, password.DigestOf(p))
	}
	return l
}

func (l *list) Has(_ context.Context, d password.Digest) (bool, error) {
	l.asked++
	return slices.Contains(l.digests, d), l.err
}

// TestLeakedPasswordsAreRefused: by the operator's list and by the service, as
// typed and in normal form, and in no other spelling.
func TestLeakedPasswordsAreRefused(t *testing.T) {
	t.Parallel()
	const composed = "les élèves rêvent déjà"
	decomposed := norm.NFD.String(composed)
	set := map[string]func(*password.Options, password.List){
		"the list":    func(o *password.Options, l password.List) { o.Leaked = l },
		"the service": func(o *password.Options, l password.List) { o.Range = l },
	}
	for name, where := range set {
		for _, tc := range []struct {
			listed, typed string
			want          []string
		}{
			{"a bird in the hand", "a bird in the hand", []string{"breached"}},
			{"a bird in the hand", "A bird in the hand", nil},
			{composed, composed, []string{"breached"}},
			{composed, decomposed, []string{"breached"}},
			{decomposed, decomposed, []string{"breached"}},
			{decomposed, composed, nil},
		} {
			policy := policyOf(t, func(o *password.Options) { where(o, listOf(tc.listed)) })
			if diff := cmp.Diff(tc.want, codes(check(t, policy, tc.typed, reset.User{}))); diff != "" {
				t.Errorf("%s with %q, typed %q: %s", name, tc.listed, tc.typed, diff)
			}
		}
	}
}

// TestCheapBeforeExpensive: what is refused already is not asked about any further.
func TestCheapBeforeExpensive(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		typed, want          string
		askedList, askedNext int
	}{
		{"short", "too_short", 0, 0},
		{"passwordpassword", "common", 0, 0},
		{"a bird in the hand", "breached", 1, 0},
		{"monkeydragonmaster", "too_weak", 1, 0},
		{"two in the bushes", "breached", 1, 1},
		{"correct horse battery staple", "", 1, 1},
	} {
		leaked, next := listOf("a bird in the hand"), listOf("two in the bushes")
		policy := policyOf(t, func(o *password.Options) { o.Leaked, o.Range = leaked, next })
		got := strings.Join(codes(check(t, policy, tc.typed, reset.User{})), " ")
		if got != tc.want || leaked.asked != tc.askedList || next.asked != tc.askedNext {
			t.Errorf("%q: %q after asking the list %d and the service %d times; want %q, %d, %d",
				tc.typed, got, leaked.asked, next.asked, tc.want, tc.askedList, tc.askedNext)
		}
	}
}

// TestServiceFailsOpenAndSaysSo: an outage of somebody else's keeps nobody out,
// and the line about it has nothing of the password.
func TestServiceFailsOpenAndSaysSo(t *testing.T) {
	t.Parallel()
	var log strings.Builder
	service := &list{err: errors.New("it is on fire")}
	policy := policyOf(t, func(o *password.Options) {
		o.Range, o.Log = service, slog.New(slog.NewJSONHandler(&log, nil))
	})
	const typed = "a bird in the hand"
	if refusals := check(t, policy, typed, reset.User{}); refusals != nil || service.asked != 1 {
		t.Errorf("got %v after %d questions, want that it is taken after one", refusals, service.asked)
	}
	for _, want := range []string{`"level":"WARN"`, `"event":"password.range_failed"`, "taken without it", "it is on fire"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("the log lacks %q: %s", want, log.String())
		}
	}
	if strings.Contains(log.String(), typed) {
		t.Error("the password is in the log")
	}

	gone, cancel := context.WithCancel(t.Context())
	cancel()
	log.Reset()
	if refusals, err := policy.Check(gone, typed, reset.User{}); err != nil || refusals != nil || log.Len() > 0 {
		t.Errorf("of a caller who has gone: %v, %v, log %q; want nothing", refusals, err, log.String())
	}
}

// TestListThatCannotBeReadFailsClosed: the operator's own list is heeded or nothing is taken.
func TestListThatCannotBeReadFailsClosed(t *testing.T) {
	t.Parallel()
	broken := errors.New("input/output error")
	policy := policyOf(t, func(o *password.Options) { o.Leaked = &list{err: broken} })
	refusals, err := policy.Check(t.Context(), "a bird in the hand", reset.User{})
	e, ok := errors.AsType[*reset.Error](err)
	if !ok || e.Kind != reset.Unavailable || e.RetryAfter <= 0 || !errors.Is(err, broken) || strings.Contains(e.Message, broken.Error()) || refusals != nil {
		t.Errorf("got %v and %#v, want Unavailable with the cause for the log alone", refusals, err)
	}
}

// TestNoCompositionRules (requirements 15 and 16; OWASP ASVS 6.2.5, 6.2.8, 6.2.9): long enough is
// enough, of whatever characters, with the case and the spaces as typed.
func TestNoCompositionRules(t *testing.T) {
	t.Parallel()
	policy := mustPolicy(t)
	for _, good := range []string{
		"correct horse battery staple", "a rather long sentence", "a quiet harbour in november", "another good password",
		"a new long password 1", "my dog has fleas", "we met in paris in june", "ohmygreatuncles", "OHMYGREATUNCLES",
		"837192645109371", "}~{?%;(*+@#,'^`", "x7Gq0pLz2Vn8aTr", "пять слов на ветру", "我在十一月的安静港口看海鸥飞过", "   so much space   ",
		"canary canary canary", "new password 12345", "password 15 chars", "this is a long password", "a passwordpassword in a sentence",
	} {
		if refusals := check(t, policy, good, reset.User{}); refusals != nil {
			t.Errorf("%q was refused: %v", good, refusals)
		}
	}
}

// While a password is being typed, nobody on the network learns of its beginnings.
func TestHintAsksNobodyOnTheNetwork(t *testing.T) {
	t.Parallel()
	policy := policyOf(t, func(o *password.Options) { o.Leaked, o.Range = listOf("a bird in the hand"), asked{t} })
	for typed, want := range map[string][]string{
		"short": {"too_short"}, "passwordpassword": {"common"}, "a bird in the hand": {"breached"}, "monkeydragonmaster": {"too_weak"},
		"a quiet harbour in november": nil,
	} {
		refusals, err := policy.Hint(t.Context(), typed, reset.User{})
		if diff := cmp.Diff(want, codes(refusals)); err != nil || diff != "" {
			t.Errorf("%q: %v %s", typed, err, diff)
		}
	}
}

// asked is a service that should not be.
type asked struct{ t *testing.T }

func (a asked) Has(context.Context, password.Digest) (bool, error) {
	a.t.Error("the service on the network was asked")
	return false, nil
}
