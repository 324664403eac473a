package password_test

import (
	"context"
	"encoding/base64"
	"errors"
	"regexp"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/argon2"
	"golang.org/x/text/unicode/norm"
	"pgregory.net/rapid"

	"github.com/sparekey/sparekey/internal/password"
	"github.com/sparekey/sparekey/internal/reset"
)

func mustHasher(tb testing.TB, params password.Params, concurrency, queue int) *password.Hasher {
	tb.Helper()
	h, err := password.NewHasher(params, concurrency, queue, time.Now)
	if err != nil {
		tb.Fatal(err)
	}
	return h
}

func TestHasherParamsMayOnlyBeRaised(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name               string
		params             password.Params
		concurrency, queue int
		complaints         []string
	}{
		{"the defaults", password.DefaultParams(), 1, 0, nil},
		{"more of everything", password.Params{MemoryKiB: 65536, Time: 3, Parallelism: 4}, 8, 100, nil},
		{"1 GiB, four passes", password.Params{MemoryKiB: 1 << 20, Time: 4, Parallelism: 1}, 1, 0, nil},
		{"less memory", password.Params{MemoryKiB: 19455, Time: 2, Parallelism: 1}, 1, 0, []string{"the least is 19456"}},
		{"one pass", password.Params{MemoryKiB: 19456, Time: 1, Parallelism: 1}, 1, 0, []string{"the least is 2"}},
		{"no lane", password.Params{MemoryKiB: 19456, Time: 2}, 1, 0, []string{"the least is 1"}},
		{"above 1 GiB", password.Params{MemoryKiB: 1<<20 + 1, Time: 2, Parallelism: 1}, 1, 0, []string{"the most is 1048576"}},
		{"more work than it would verify", password.Params{MemoryKiB: 1 << 20, Time: 5, Parallelism: 1}, 1, 0, []string{"the most is 4194304"}},
		{"nobody may work", password.DefaultParams(), 0, 0, []string{"hashes at once is 0; the least is 1"}},
		{"a negative queue", password.DefaultParams(), 1, -1, []string{"wait for a hash is -1; the least is 0"}},
		{"every fault at once", password.Params{}, 0, -1, []string{"19456", "passes", "parallelism", "at once", "wait"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			_, err := password.NewHasher(tc.params, tc.concurrency, tc.queue, time.Now)
			if (err == nil) != (tc.complaints == nil) {
				t.Fatalf("got %v", err)
			}
			for _, c := range tc.complaints {
				if !strings.Contains(err.Error(), c) {
					t.Errorf("%q says nothing of %q", err, c)
				}
			}
		})
	}
}

// The hash is what x/crypto computes, which the known answers tie to the
// reference implementation, of the password's NFC.
func TestHashIsArgon2idInPHCFormat(t *testing.T) {
	t.Parallel()
	h := mustHasher(t, password.DefaultParams(), 1, 0)
	encoded, err := h.Hash(t.Context(), "cafe\u0301 au lait au bord", nil)
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile(`^\$argon2id\$v=19\$m=19456,t=2,p=1\$([A-Za-z0-9+/]{22})\$([A-Za-z0-9+/]{43})$`).FindStringSubmatch(encoded)
	if m == nil {
		t.Fatalf("it does not have the form: %s", encoded)
	}
	want := argon2.IDKey([]byte("caf\u00e9 au lait au bord"), decode64(t, m[1]), 2, 19456, 1, 32)
	if got := decode64(t, m[2]); string(got) != string(want) {
		t.Error("it is not argon2id of the NFC")
	}
	if err := password.CheckEncoded(encoded); err != nil {
		t.Error(err)
	}
	if h.NeedsUpgrade(encoded) {
		t.Error("a fresh hash needs an upgrade")
	}
	if ok, err := h.Verify(t.Context(), "caf\u00e9 au lait au bord", encoded); !ok || err != nil {
		t.Errorf("the composed password: %v, %v", ok, err)
	}
}

func TestHashOfOnePasswordIsNeverTheSame(t *testing.T) {
	t.Parallel()
	h := password.CheapHasher()
	seen := map[string]bool{}
	for range 100 {
		encoded, err := h.Hash(t.Context(), "a bird in the hand", nil)
		if err != nil {
			t.Fatal(err)
		}
		if seen[encoded] {
			t.Fatal("two hashes have one salt")
		}
		seen[encoded] = true
	}
}

func TestNeedsUpgrade(t *testing.T) {
	t.Parallel()
	h := mustHasher(t, password.Params{MemoryKiB: 32768, Time: 3, Parallelism: 2}, 1, 0)
	for _, tc := range []struct {
		name, encoded string
		want          bool
	}{
		{"the same", "$argon2id$v=19$m=32768,t=3,p=2$" + salt16 + "$" + tag32, false},
		{"more memory", "$argon2id$v=19$m=65536,t=3,p=2$" + salt16 + "$" + tag32, false},
		{"fewer lanes are as strong", "$argon2id$v=19$m=32768,t=3,p=1$" + salt16 + "$" + tag32, false},
		{"less memory", "$argon2id$v=19$m=32767,t=3,p=2$" + salt16 + "$" + tag32, true},
		{"fewer passes", "$argon2id$v=19$m=65536,t=2,p=2$" + salt16 + "$" + tag32, true},
		{"a short salt", "$argon2id$v=19$m=32768,t=3,p=2$" + ofBytes(15) + "$" + tag32, true},
		{"a short tag", "$argon2id$v=19$m=32768,t=3,p=2$" + salt16 + "$" + ofBytes(31), true},
		{"argon2i", "$argon2i$v=19$m=32768,t=3,p=2$" + salt16 + "$" + tag32, true},
		{"bcrypt", "$2b$16$abcdefghijklmnopqrstuu7EJV7kdjBBQxyb0HjTh9KS7.Lah/6CG", true},
		{"unreadable", "x", true},
	} {
		if got := h.NeedsUpgrade(tc.encoded); got != tc.want {
			t.Errorf("%s: %v, want %v", tc.name, got, tc.want)
		}
	}
}

func TestHashVerifiesThePasswordInAnyFormAndNoOther(t *testing.T) {
	t.Parallel()
	h := password.CheapHasher()
	rapid.Check(t, func(rt *rapid.T) {
		s := rapid.OneOf(letters(), rapid.String()).Draw(rt, "password")
		encoded, err := h.Hash(t.Context(), s, nil)
		if err != nil {
			rt.Fatal(err)
		}
		for _, form := range []string{s, norm.NFC.String(s), norm.NFD.String(s)} {
			if ok, err := h.Verify(t.Context(), form, encoded); !ok || err != nil {
				rt.Fatalf("the password: %v, %v", ok, err)
			}
		}
		other := rapid.OneOf(letters(), rapid.String(), rapid.Just(s+"x"), rapid.Just(" "+s)).Draw(rt, "other")
		if norm.NFC.String(other) == norm.NFC.String(s) {
			return
		}
		if ok, err := h.Verify(t.Context(), other, encoded); ok || err != nil {
			rt.Fatalf("another password: %v, %v", ok, err)
		}
	})
}

func TestNormalizeTwiceIsNormalizeOnce(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.OneOf(letters(), rapid.String(),
			// Past 30 combining marks the Stream-Safe format breaks them up.
			rapid.StringOfN(rapid.SampledFrom([]rune("e\u0301\u0345\u0323")), 0, 200, -1)).Draw(t, "password")
		once := password.Normalize(s)
		if password.Normalize(once) != once {
			t.Fatal("it changed again")
		}
	})
}

func TestHasherDoesNotWorkForACallerWhoHasGone(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	h := password.CheapHasher()
	encoded, err := h.Hash(ctx, "a bird in the hand", nil)
	if e, ok := errors.AsType[*reset.Error](err); encoded != "" || !ok || e.Kind != reset.Unavailable || !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want Unavailable because of the context", err)
	}
}

func decode64(t *testing.T, s string) []byte {
	t.Helper()
	b, err := base64.RawStdEncoding.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
