package callout_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"go.uber.org/goleak"

	"github.com/sparekey/sparekey/internal/callout"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestSign: whoever knows any of the keys verifies; internal/webhook and its conformance with receivers show the rest.
func TestSign(t *testing.T) {
	t.Parallel()
	old, now := []byte(strings.Repeat("o", 32)), []byte(strings.Repeat("n", 32))
	s, err := callout.NewSigner(now, old)
	if err != nil {
		t.Fatal(err)
	}
	h := http.Header{}
	if err := s.Sign(h, "id", time.Now(), []byte("{}")); err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]bool{string(old): true, string(now): true, strings.Repeat("x", 32): false} {
		hook, err := standardwebhooks.NewWebhookRaw([]byte(key))
		if err != nil {
			t.Fatal(err)
		}
		if err := hook.Verify([]byte("{}"), h); (err == nil) != want {
			t.Errorf("with the key %s: %v", key[:1], err)
		}
	}
	if _, err := callout.NewSigner(); err == nil {
		t.Error("there is a signer without a key")
	}
}

func TestSecrets(t *testing.T) {
	t.Parallel()
	for _, n := range []int{24, 32, 64} {
		want := []byte(strings.Repeat("\xff\x00", n/2))
		got, err := callout.ParseSecret(callout.FormatSecret(want))
		if err != nil || string(got) != string(want) {
			t.Errorf("a key of %d bytes: %q, %v", n, got, err)
		}
	}
	for _, bad := range []string{
		"", "whsec_", "canary", "whsec_canary", "WHSEC_" + strings.Repeat("A", 32),
		callout.FormatSecret(make([]byte, 23)), callout.FormatSecret(make([]byte, 65)), callout.FormatSecret(make([]byte, 24)) + "\n\n!",
	} {
		if key, err := callout.ParseSecret(bad); err == nil || strings.Contains(err.Error(), "canary") {
			t.Errorf("%q: %q, %v", bad, key, err)
		}
	}
}
