package e2e

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sparekey/sparekey/internal/certs/acmetest"
	"github.com/sparekey/sparekey/internal/certs/certtest"
)

// shown is the certificate that a listener shows to who asks for a host and trusts roots.
func shown(t *testing.T, address, host string, roots *x509.CertPool) (*x509.Certificate, error) {
	t.Helper()
	d := tls.Dialer{
		NetDialer: &net.Dialer{Timeout: 10 * time.Second}, Config: &tls.Config{RootCAs: roots, ServerName: host, MinVersion: tls.VersionTLS12},
	}
	conn, err := d.DialContext(t.Context(), "tcp", address)
	if err != nil {
		return nil, err
	}
	defer func() { _ = conn.Close() }()
	return conn.(*tls.Conn).ConnectionState().PeerCertificates[0], nil
}

// TestAutocert: the binary, set up as the documentation says, gets a certificate
// from a real authority, serves with it, and has it still after a restart.
func TestAutocert(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	_, text, err := net.SplitHostPort(w.addr)
	if err != nil {
		t.Fatal(err)
	}
	port, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	authority := acmetest.Start(t, port, 90*24)
	dir := t.TempDir()
	trusted := filepath.Join(dir, "authorities.pem")
	if err := os.WriteFile(trusted, authority.PEM(), 0o600); err != nil {
		t.Fatal(err)
	}
	const host = "reset.example.test"
	w.env = append(w.env, "SSL_CERT_FILE="+trusted, "SPAREKEY_BASE_URL=https://"+host,
		"SPAREKEY_TLS_AUTOCERT="+host, "SPAREKEY_TLS_CACHE="+filepath.Join(dir, "acme"),
		"SPAREKEY_TLS_ACME_DIRECTORY="+authority.Directory, "SPAREKEY_TLS_ACME_TERMS=true")
	if out, _ := sparekey(t, w.env, "", "doctor"); !strings.Contains(out, "ok   certificate: there is none for "+host+" yet, serve gets it; the authority answers") {
		t.Errorf("before the first start doctor says\n%s", out)
	}
	w.server = start(t, w.env, "serve")
	w.server.waitFor(t, `"event":"tls.loaded"`)
	first, err := shown(t, w.addr, host, authority.Roots())
	if err != nil {
		t.Fatal(err)
	}
	if out := must(t, w.env, "", "health"); out != "ready" {
		t.Errorf("health says %q", out)
	}
	if out, _ := sparekey(t, w.env, "", "doctor"); !strings.Contains(out, "ok   certificate: that for "+host+" is good until 20") {
		t.Errorf("with a certificate doctor says\n%s", out)
	}
	w.server.end(t, syscall.SIGTERM)
	w.server = start(t, w.env, "serve")
	w.server.waitFor(t, `"event":"serve.started"`)
	again, err := shown(t, w.addr, host, authority.Roots())
	if err != nil || again.SerialNumber.Cmp(first.SerialNumber) != 0 || authority.Orders() != 1 {
		t.Errorf("after the restart: %v, %d orders", err, authority.Orders())
	}

	// An account's host gets its own while it serves, and without TLS leads to its own https.
	const own = "reset.acme.test"
	must(t, w.env, "", "account", "set", "Acme", "--host", own)
	w.server.waitFor(t, own)
	if _, err := shown(t, w.addr, own, authority.Roots()); err != nil {
		t.Errorf("the account's host: %v", err)
	}
}

// TestHangup: SIGHUP has the certificate read again and breaks no connection off;
// where there is nothing to read it is harmless.
func TestHangup(t *testing.T) {
	t.Parallel()
	authority := certtest.New(t)
	dir := t.TempDir()
	certificate, key := authority.Good(t, "reset.example.com").Write(t, dir)
	w := newWorld(t, 0)
	w.env = append(w.env, "SPAREKEY_TLS_CERTIFICATE="+certificate, "SPAREKEY_TLS_KEY="+key)
	w.server = start(t, w.env, "serve")
	w.server.waitFor(t, `"event":"serve.started"`)
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: authority.Pool(), ServerName: "reset.example.com", MinVersion: tls.VersionTLS12}}
	defer transport.CloseIdleConnections()
	over := func() (*tls.ConnectionState, error) {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+w.addr+"/healthz", http.NoBody)
		if err != nil {
			return nil, err
		}
		resp, err := transport.RoundTrip(req)
		if err != nil {
			return nil, err
		}
		_, err = io.Copy(io.Discard, resp.Body) // or the connection is not used again
		return resp.TLS, errors.Join(err, resp.Body.Close())
	}
	before, err := over()
	if err != nil {
		t.Fatal(err)
	}
	authority.Good(t, "reset.example.com").Write(t, dir)
	if err := w.server.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	w.server.waitFor(t, `"event":"tls.loaded"`)
	// The connection from before is still there: it shows what it began with.
	if after, err := over(); err != nil || after.PeerCertificates[0].SerialNumber.Cmp(before.PeerCertificates[0].SerialNumber) != 0 {
		t.Errorf("the connection from before: %v", err)
	}
	if now, err := shown(t, w.addr, "reset.example.com", authority.Pool()); err != nil || now.SerialNumber.Cmp(before.PeerCertificates[0].SerialNumber) == 0 {
		t.Errorf("a new connection shows the old certificate, or %v", err)
	}

	plain := newWorld(t, 0)
	plain.start(t)
	if err := plain.server.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	plain.server.waitFor(t, `"event":"serve.hangup"`)
	plain.becomesReady(t)
}
