// Package smtptest is a real SMTP server on 127.0.0.1 for tests and benchmarks:
// it keeps what it receives, and misbehaves on demand.
//
// In a test:
//
//	server := smtptest.Start(t, smtptest.WithSTARTTLS(), smtptest.WithAuth("user", "secret"))
//	// ... send to server.URL() ...
//	mails, err := server.Wait(t.Context(), 1)
//	link := mails[0].Link("https://reset.example.com")
//
// A program without testing.TB uses New and Close.
package smtptest

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/url"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-smtp"
)

// closeWait is how long closing waits for the conversations it has cut off.
const closeWait = 10 * time.Second

// Option says how a server is set up.
type Option func(*settings)

type settings struct {
	starttls, implicit bool
	oldTLS             bool
	user, password     string
	mechanisms         []string
	names              []string // the certificate is for these
	dir                string   // for the CA file; empty: a temporary one
	discard, wire      bool
	noUTF8             bool
}

// WithSTARTTLS offers STARTTLS, with a certificate of an authority made for this server.
func WithSTARTTLS() Option { return func(s *settings) { s.starttls = true } }

// WithTLS speaks TLS from the first byte, with a certificate of an authority made for this server.
func WithTLS() Option { return func(s *settings) { s.implicit = true } }

// WithCertificateFor makes the certificate valid for these names or IP
// addresses instead of 127.0.0.1, ::1 and localhost.
func WithCertificateFor(names ...string) Option { return func(s *settings) { s.names = names } }

// WithOldTLS lets it speak nothing newer than TLS 1.1, which nobody should (RFC 8996).
func WithOldTLS() Option { return func(s *settings) { s.oldTLS = true } }

// WithAuth demands AUTH with this user and password before MAIL, also over an
// unencrypted connection. The mechanisms are PLAIN, unless others are named: PLAIN, LOGIN.
func WithAuth(user, password string, mechanisms ...string) Option {
	return func(s *settings) {
		s.user, s.password, s.mechanisms = user, password, mechanisms
		if len(mechanisms) == 0 {
			s.mechanisms = []string{"PLAIN"}
		}
	}
}

// WithDiscard counts mails and forgets them, for benchmarks.
func WithDiscard() Option { return func(s *settings) { s.discard = true } }

// WithWire keeps every byte that clients send, as it was on the wire; see Server.Wire.
func WithWire() Option { return func(s *settings) { s.wire = true } }

// WithoutUTF8 does not offer SMTPUTF8.
func WithoutUTF8() Option { return func(s *settings) { s.noUTF8 = true } }

// Server is a running SMTP server. Its methods are safe for concurrent use.
type Server struct {
	// Addr is where it listens: 127.0.0.1 and a port, the same after Restart.
	Addr string
	// CAFile is the PEM file of the authority behind the certificate; empty without TLS.
	CAFile string

	settings settings
	tls      *tls.Config
	ownDir   string // removed by Close

	mu      sync.Mutex
	changed chan struct{} // closed and replaced whenever something below changes
	mails   []Message
	count   int
	dialed  int
	holding int // mails that wait because of Hold
	open    map[*serverConn]struct{}
	logins  []Login
	wire    []byte
	faults  faults

	running *smtp.Server // nil while stopped
	ln      net.Listener
	served  chan struct{}
}

// Start starts a server that is closed when the test ends.
func Start(t testing.TB, options ...Option) *Server {
	t.Helper()
	dir := t.TempDir()
	s, err := New(append([]Option{func(s *settings) { s.dir = dir }}, options...)...)
	if err != nil {
		t.Fatalf("cannot start the SMTP server: %v", err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("cannot close the SMTP server: %v", err)
		}
	})
	return s
}

// New starts a server on a free port. The caller closes it.
func New(options ...Option) (*Server, error) {
	s := &Server{changed: make(chan struct{}), open: map[*serverConn]struct{}{}}
	for _, o := range options {
		o(&s.settings)
	}
	if s.settings.starttls || s.settings.implicit {
		if err := s.secure(); err != nil {
			return nil, errors.Join(err, s.removeDir())
		}
	}
	if err := s.listen("127.0.0.1:0"); err != nil {
		return nil, errors.Join(err, s.removeDir())
	}
	s.Addr = s.ln.Addr().String()
	return s, nil
}

// secure makes the certificate and writes the CA file.
func (s *Server) secure() error {
	names := s.settings.names
	if len(names) == 0 {
		names = []string{"127.0.0.1", "::1", "localhost"}
	}
	certificate, authority, err := makeCertificate(names)
	if err != nil {
		return err
	}
	dir := s.settings.dir
	if dir == "" {
		if dir, err = os.MkdirTemp("", "smtptest"); err != nil {
			return err
		}
		s.ownDir = dir
	}
	s.CAFile = dir + string(os.PathSeparator) + "ca.pem"
	s.tls = &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12}
	if s.settings.oldTLS {
		s.tls.MinVersion, s.tls.MaxVersion = tls.VersionTLS10, tls.VersionTLS11
	}
	return os.WriteFile(s.CAFile, authority, 0o600)
}

// listen begins to serve.
func (s *Server) listen(addr string) error {
	ln, err := new(net.ListenConfig).Listen(context.Background(), "tcp", addr)
	if err != nil {
		return err
	}
	srv := smtp.NewServer(smtp.BackendFunc(s.newSession))
	srv.Domain = "smtptest.example.com"
	srv.AllowInsecureAuth = true
	srv.EnableSMTPUTF8 = !s.settings.noUTF8
	srv.MaxMessageBytes = 1 << 20
	srv.ErrorLog = log.New(io.Discard, "", 0)
	tracked := net.Listener(&listener{Listener: ln, server: s})
	if s.settings.starttls {
		srv.TLSConfig = s.tls
	}
	if s.settings.implicit {
		tracked = tls.NewListener(tracked, s.tls)
	}
	served := make(chan struct{})
	s.mu.Lock()
	s.running, s.ln, s.served = srv, ln, served
	s.mu.Unlock()
	go func() {
		defer close(served)
		_ = srv.Serve(tracked) // it ends when the listener is closed
	}()
	return nil
}

// URL is the server's address as Sparekey's configuration takes it: with the
// scheme, the login and the CA file that belong to it. The changes, if any,
// are made to it before, such as to another password.
func (s *Server) URL(changes ...func(*url.URL)) string {
	u := &url.URL{Scheme: "smtp", Host: s.Addr}
	if s.settings.implicit {
		u.Scheme = "smtps"
	}
	if s.settings.user != "" {
		u.User = url.UserPassword(s.settings.user, s.settings.password)
	}
	if s.CAFile != "" {
		u.RawQuery = url.Values{"ca": {s.CAFile}}.Encode()
	}
	for _, change := range changes {
		change(u)
	}
	return u.String()
}

// Stop ends the server as a crash would: no farewell, every connection cut.
// Messages are kept. Restart starts it again.
func (s *Server) Stop() error {
	s.mu.Lock()
	srv, ln, served := s.running, s.ln, s.served
	s.running = nil
	s.mu.Unlock()
	if srv == nil {
		return nil
	}
	_ = ln.Close()
	s.faults.release()
	s.cut(func(*serverConn) bool { return true })
	<-served
	ctx, cancel := context.WithTimeout(context.Background(), closeWait)
	defer cancel()
	// It waits for the conversations; its listener is closed already, which it reports.
	if err := srv.Shutdown(ctx); err != nil && !errors.Is(err, net.ErrClosed) {
		return fmt.Errorf("smtptest: a conversation did not end: %w", err)
	}
	return nil
}

// Restart starts a stopped server again, on the same address.
func (s *Server) Restart() error {
	if s.isRunning() {
		return errors.New("smtptest: the server is not stopped")
	}
	return s.listen(s.Addr)
}

func (s *Server) isRunning() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.running != nil
}

// Close ends the server for good and removes its files.
func (s *Server) Close() error { return errors.Join(s.Stop(), s.removeDir()) }

func (s *Server) removeDir() error {
	if s.ownDir == "" {
		return nil
	}
	return os.RemoveAll(s.ownDir)
}

// signal wakes whoever waits. s.mu is held.
func (s *Server) signal() {
	close(s.changed)
	s.changed = make(chan struct{})
}

// until waits until ready answers true. ready is called with s.mu held.
func (s *Server) until(ctx context.Context, ready func() bool) error {
	for {
		s.mu.Lock()
		ok, changed := ready(), s.changed
		s.mu.Unlock()
		if ok {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
