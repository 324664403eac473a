package reset_test

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/sparekey/sparekey/internal/reset"
	"github.com/sparekey/sparekey/internal/servicetest"
)

func TestKeyIsTakenWithAndWithoutAPrefix(t *testing.T) {
	t.Parallel()
	w := servicetest.New(t)
	w.AddUser(t, ada, "Ada", "Acme")
	secret := w.NewKey(t, "app-1", reset.ScopeReset, "Acme")
	acme, err := w.Users.Account(t.Context(), "acme")
	must(t, err)
	want := reset.Key{
		ID: 1, Name: "app-1", Scope: reset.ScopeReset, Account: acme.ID, AccountName: "Acme", CreatedAt: w.Clock.Now(),
	}
	for _, header := range []string{secret, "Token " + secret, "token " + secret, "Bearer " + secret, "X " + secret} {
		key, err := w.Keys.Authenticate(t.Context(), "192.0.2.1", header)
		must(t, err)
		want.LastUsedAt = key.LastUsedAt
		same(t, "the key", key, want)
	}
}

// A key that is sent and is wrong is refused, never silently anonymous.
func TestWrongKeys(t *testing.T) {
	t.Parallel()
	w := servicetest.New(t)
	secret := w.NewKey(t, "app", reset.ScopeAdmin, "")
	other := w.NewKey(t, "other", reset.ScopeAdmin, "")
	for name, header := range map[string]string{
		"nothing": "", "a space": " ", "a prefix alone": "Token", "a prefix and a space": "Token ",
		"two spaces": "Token  " + secret, "a space behind": "Token " + secret + " ", "a tab": "Token\t" + secret, "a tab behind": secret + "\t",
		"three parts": "Token x " + secret, "twice": secret + " " + secret + "x", "a list": secret + ", " + other, "a list without a space": secret + "," + other,
		"capitals": strings.ToUpper(secret), "small letters": strings.ToLower(secret), "one letter less": secret[:len(secret)-1], "one more": secret + "A",
		"without spk_": secret[4:], "CR LF": secret + "\r\n", "CR LF in front": "\r\n" + secret, "CR LF inside": "Token\r\n " + secret + "\r\nX-Y: z",
		"NUL": secret + "\x00", "quotes": `"` + secret + `"`, "1 MB": strings.Repeat("a", 1<<20), "1 MB in front": strings.Repeat("a", 1<<20) + " " + secret,
		"the name": "app", "the id": "1", "SQL": "' OR 1=1 --", "invalid UTF-8": "Token \xff", "another's half": secret[:20] + other[20:],
	} {
		key, err := w.Keys.Authenticate(t.Context(), "192.0.2.1", header)
		e := refused(t, name, err, reset.Unauthorized, reset.CodeNotAuthorized)
		same(t, name+": what comes with the error", key, reset.Key{})
		if len(header) > 10 && strings.Contains(e.Error(), strings.TrimSpace(header)) {
			t.Errorf("%s: the message repeats the key", name)
		}
	}
	list, err := w.Keys.List(t.Context())
	must(t, err)
	for _, k := range list {
		if !k.LastUsedAt.IsZero() {
			t.Errorf("the key %s counts as used", k.Name)
		}
	}
}

func TestKeyExpiresAndIsRevoked(t *testing.T) {
	t.Parallel()
	w := servicetest.New(t)
	ctx := t.Context()
	brief, err := w.Keys.Create(ctx, "brief", reset.ScopeReset, 0, time.Hour)
	must(t, err)
	lasting := w.NewKey(t, "lasting", reset.ScopeReset, "")
	w.Clock.Advance(time.Hour - time.Millisecond)
	key, err := w.Keys.Authenticate(ctx, "", brief)
	must(t, err)
	same(t, "when it expires", key.ExpiresAt, w.Clock.Now().Add(time.Millisecond))
	w.Clock.Advance(time.Millisecond)
	_, err = w.Keys.Authenticate(ctx, "", brief)
	refused(t, "an expired key", err, reset.Unauthorized, reset.CodeNotAuthorized)

	w.Clock.Advance(100 * 365 * 24 * time.Hour)
	_, err = w.Keys.Authenticate(ctx, "", lasting)
	must(t, err)
	must(t, w.Keys.Revoke(ctx, "lasting"))
	_, err = w.Keys.Authenticate(ctx, "", lasting)
	refused(t, "a revoked key", err, reset.Unauthorized, reset.CodeNotAuthorized)
	for _, name := range []string{"lasting", "none", ""} {
		refused(t, "revoking "+name, w.Keys.Revoke(ctx, name), reset.NotFound, reset.CodeNotFound)
	}
	list, err := w.Keys.List(ctx)
	must(t, err)
	same(t, "the keys by name", []string{list[0].Name, list[1].Name}, []string{"brief", "lasting"})
	same(t, "when it was revoked", list[1].RevokedAt, w.Clock.Now())
	_, err = w.Keys.Create(ctx, "lasting", reset.ScopeReset, 0, 0)
	refused(t, "a new key of that name", err, reset.Conflict, reset.CodeBadValue)
}

func TestKeysThatCannotBeMade(t *testing.T) {
	t.Parallel()
	w := servicetest.New(t)
	for what, c := range map[string]struct {
		name     string
		scope    reset.Scope
		lifetime time.Duration
	}{
		"no name": {"", reset.ScopeReset, 0}, "a space": {"my app", reset.ScopeReset, 0}, "a line break": {"app\n", reset.ScopeReset, 0},
		"65 characters": {strings.Repeat("a", 65), reset.ScopeReset, 0}, "a dash in front": {"-app", reset.ScopeReset, 0}, "beyond ASCII": {"äpp", reset.ScopeReset, 0},
		"no scope": {"app", "", 0}, "another scope": {"app", "root", 0}, "ADMIN": {"app", "ADMIN", 0}, "expired": {"app", reset.ScopeReset, -1},
	} {
		secret, err := w.Keys.Create(t.Context(), c.name, c.scope, 0, c.lifetime)
		refused(t, what, err, reset.Invalid, reset.CodeBadValue)
		same(t, what+": the secret", secret, "")
	}
	list, err := w.Keys.List(t.Context())
	same(t, "keys", len(list), 0)
	must(t, err)
	for _, name := range []string{"a", "9.b_c-D", strings.Repeat("a", 64)} {
		w.NewKey(t, name, reset.ScopeReset, "")
	}
}

// 256 random bits each, of which the store has the digest alone.
func TestKeySecret(t *testing.T) {
	t.Parallel()
	w := servicetest.New(t)
	seen := map[string]bool{}
	for i := range 20 {
		secret := w.NewKey(t, fmt.Sprint("k", i), reset.ScopeReset, "")
		random, ok := strings.CutPrefix(secret, "spk_")
		bits, err := base64.RawURLEncoding.DecodeString(random)
		if !ok || err != nil || len(bits) != 32 || seen[secret] {
			t.Fatalf("a key of %d bytes, %v", len(bits), err)
		}
		seen[secret] = true
		key, err := w.Store.KeyByDigest(t.Context(), sha256.Sum256([]byte(secret)))
		must(t, err)
		same(t, "the key behind the digest", key.Name, fmt.Sprint("k", i))
		for _, hidden := range []string{secret, random, string(bits), fmt.Sprint(bits)} { //nolint:staticcheck // both forms that a driver may store
			if strings.Contains(w.Dump(t), strings.Trim(hidden, "[]")) {
				t.Fatal("the database has the secret")
			}
		}
	}
}

// When a key was last used is known to the minute: a write per call would cost more than it tells.
func TestKeyLastUse(t *testing.T) {
	t.Parallel()
	w := servicetest.New(t)
	secret := w.NewKey(t, "app", reset.ScopeReset, "")
	last := func() time.Time {
		t.Helper()
		list, err := w.Keys.List(t.Context())
		must(t, err)
		return list[0].LastUsedAt
	}
	use := func() {
		t.Helper()
		_, err := w.Keys.Authenticate(t.Context(), "", "Token "+secret)
		must(t, err)
	}
	same(t, "never used", last(), time.Time{})
	start := w.Clock.Now()
	use()
	same(t, "first use", last(), start)
	w.Clock.Advance(time.Minute - time.Millisecond)
	use()
	same(t, "within the minute", last(), start)
	w.Clock.Advance(time.Millisecond)
	use()
	same(t, "a minute later", last(), start.Add(time.Minute))
}

// A note of its use is not worth failing for.
func TestKeyWorksWhileTheDatabaseIsLocked(t *testing.T) {
	t.Parallel()
	w := servicetest.New(t, servicetest.WithBusyTimeout(20*time.Millisecond))
	secret := w.NewKey(t, "app", reset.ScopeReset, "")
	unlock := w.Lock(t)
	_, err := w.Keys.Authenticate(t.Context(), "", secret)
	unlock()
	must(t, err)
}

// Whatever is wrong with a key, sending it is a wrong guess.
func TestWrongKeysAreThrottled(t *testing.T) {
	t.Parallel()
	w := servicetest.New(t, servicetest.WithThrottle())
	ctx := t.Context()
	good := w.NewKey(t, "good", reset.ScopeReset, "")
	revoked := w.NewKey(t, "revoked", reset.ScopeReset, "")
	must(t, w.Keys.Revoke(ctx, "revoked"))
	expired, err := w.Keys.Create(ctx, "expired", reset.ScopeReset, 0, time.Millisecond)
	must(t, err)
	w.Clock.Advance(time.Millisecond)
	for i, wrong := range []string{"spk_guess", revoked, expired, ""} {
		client := "192.0.2." + strconv.Itoa(i+1)
		for range 100 {
			_, err := w.Keys.Authenticate(ctx, client, wrong)
			refused(t, wrong, err, reset.Unauthorized, reset.CodeNotAuthorized)
		}
		_, err := w.Keys.Authenticate(ctx, client, wrong)
		refused(t, "the 101st", err, reset.Throttled, reset.CodeRestriction)
		_, err = w.Keys.Authenticate(ctx, client, good)
		refused(t, "a good one after that", err, reset.Throttled, reset.CodeRestriction)
	}
	_, err = w.Keys.Authenticate(ctx, "192.0.2.99", good)
	must(t, err)
}
