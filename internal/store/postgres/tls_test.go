package postgres_test

import (
	"net/url"
	"strings"
	"testing"

	"github.com/sparekey/sparekey/internal/store/postgres"
	"github.com/sparekey/sparekey/internal/store/postgres/pgtest"
)

// TestTLS: with sslmode=verify-full the database must have a certificate of the
// named authority, for the name by which it was called; otherwise nothing is sent to it.
func TestTLS(t *testing.T) {
	t.Parallel()
	secure, authority, err := pgtest.StartTLS("localhost")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := secure.Close(); err != nil {
			t.Error(err)
		}
	})
	address := secure.Database(t)
	with := func(host, query string) string {
		u, err := url.Parse(address)
		if err != nil {
			t.Fatal(err)
		}
		u.Host, u.RawQuery = host+":"+u.Port(), query
		return u.String()
	}
	open(t, with("localhost", "sslmode=verify-full&sslrootcert="+authority))
	for what, address := range map[string]string{
		"another name":      with("127.0.0.1", "sslmode=verify-full&sslrootcert="+authority),
		"another authority": with("localhost", "sslmode=verify-full"),
	} {
		s, err := postgres.Open(t.Context(), postgres.Options{URL: address})
		if err != nil {
			t.Fatal(err)
		}
		_, err = s.Migrate(t.Context())
		if err == nil || strings.Contains(err.Error(), "tester's own") {
			t.Errorf("%s: %v", what, err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}
