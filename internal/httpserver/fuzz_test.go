package httpserver_test

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"github.com/sparekey/sparekey/internal/httpserver"
)

// Whatever stands in X-Forwarded-For: behind no trusted proxy it counts for
// nothing, and behind one nothing left of the first address that is not a proxy's does.
func FuzzClientOf(f *testing.F) {
	for _, seed := range []string{
		"", "198.51.100.1", "203.0.113.5, 198.51.100.1", "for=unknown", "10.0.0.1,10.0.0.2", "::ffff:198.51.100.1",
		"2001:db8::1%eth0", "1.2.3.4:80", "[::1]", "198.51.100.1,", ",", strings.Repeat("10.0.0.1,", 100), "198.51.100.1, ,10.0.0.1", "0x7f.1", "\x00",
	} {
		f.Add(seed, "192.0.2.1")
	}
	proxies := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
	f.Fuzz(func(t *testing.T, forwarded, left string) {
		client := func(peer, value string) string {
			r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
			r.RemoteAddr = peer
			r.Header["X-Forwarded-For"] = []string{value}
			return httpserver.ClientOf(proxies)(r)
		}
		if got := client("192.0.2.7:1", forwarded); got != "192.0.2.7" {
			t.Errorf("an untrusted peer's claim was believed: %q", got)
		}
		behind := client("10.0.0.1:1", forwarded)
		if addr, err := netip.ParseAddr(behind); err != nil {
			if _, err := netip.ParsePrefix(behind); err != nil {
				t.Errorf("%q is no client", behind)
			}
		} else if proxies[0].Contains(addr) {
			return // proxies alone, as far as it was read: what is left of them may count
		}
		if more := client("10.0.0.1:1", left+","+forwarded); strings.TrimSpace(forwarded) != "" && more != behind {
			t.Errorf("%q left of %q made %q of %q", left, forwarded, more, behind)
		}
	})
}
