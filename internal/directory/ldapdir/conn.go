package ldapdir

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/go-ldap/ldap/v3"

	"github.com/sparekey/sparekey/internal/reset"
)

// mostAnswer is how many bytes the answer to one request may have.
const mostAnswer = 4 << 20

// server is one of Config.Servers.
type server struct {
	url  string // as it is shown
	host string // what its certificate is verified for
	addr string
	tls  bool
	// downUntil is when to try it again while there are others; guarded by the pool.
	downUntil time.Time
}

func newServer(u *url.URL) *server {
	s := &server{host: u.Hostname(), tls: u.Scheme == "ldaps"}
	port := u.Port()
	switch {
	case port != "":
	case s.tls:
		port = ldap.DefaultLdapsPort
	default:
		port = ldap.DefaultLdapPort
	}
	s.addr = net.JoinHostPort(s.host, port)
	s.url = u.Scheme + "://" + u.Host
	return s
}

// broken says that a connection is of no more use: it could not be made, was cut, or timed out. The server has answered
// nothing to what was asked last.
type broken struct {
	cause error
	// sent: the request was on its way, at least in part.
	sent bool
	// slow: it was not cut, but took too long.
	slow bool
}

func (b *broken) Error() string { return b.cause.Error() }
func (b *broken) Unwrap() error { return b.cause }

// conn is a connection that is bound. One caller at a time has it.
type conn struct {
	server  *server
	wire    *wire
	ldap    *ldap.Conn
	timeout time.Duration
	tls     *tls.ConnectionState
	// fresh: nothing was asked of it yet, so that whatever fails is not because it was left lying.
	fresh bool
	// spent: it must not be used again.
	spent bool
	// idleSince is when it was last given back.
	idleSince time.Time
	// root is what the server says of itself, once it was asked.
	root *rootDSE
}

// dial connects to a server, turns to TLS and binds. Every error is a *broken or a *reset.Misset.
func (p *pool) dial(ctx context.Context, s *server) (*conn, error) {
	password, err := p.BindPassword()
	if err == nil && password == "" {
		err = errors.New("the password is empty") // to a server that would be an anonymous bind (RFC 4513, 5.1.2)
	}
	if err != nil {
		return nil, &reset.Misset{Setting: "bind.password_file", Fix: "let it name a file that Sparekey can read, with the password of bind.dn", Cause: err}
	}
	if err := p.refusedBefore(password); err != nil {
		return nil, err
	}
	c, err := p.connect(ctx, s)
	if err != nil {
		return nil, err
	}
	err = c.call(ctx, func(l *ldap.Conn) error { return l.Bind(p.BindDN, password) })
	if err == nil {
		return c, nil
	}
	c.close()
	code, isAnswer := answerOf(err)
	if !isAnswer || slices.Contains(elsewhere, code) {
		return nil, &broken{cause: fmt.Errorf("bind to %s: %w", s.url, describe(err)), slow: isSlow(err)}
	}
	refusal := bindRefused(p.Config, s, code, err)
	p.rememberRefusal(password, refusal)
	return nil, refusal
}

// connect is dial without a bind.
func (p *pool) connect(ctx context.Context, s *server) (*conn, error) {
	limit, cancel := context.WithTimeout(ctx, p.Timeout)
	defer cancel()
	raw, err := (&net.Dialer{}).DialContext(limit, "tcp", s.addr)
	if err != nil {
		return nil, &broken{slow: true, cause: &reset.Misset{
			Setting: "servers", Fix: "start the server, open the way to it, or name another one", Cause: fmt.Errorf("connect to %s: %w", s.url, err),
		}}
	}
	c := &conn{server: s, wire: &wire{Conn: raw}, timeout: p.Timeout, fresh: true}
	c.wire.room.Store(mostAnswer)
	settings := &tls.Config{ServerName: s.host, RootCAs: p.CA, MinVersion: tls.VersionTLS12}
	if !s.tls {
		c.ldap = ldap.NewConn(c.wire, false)
		c.start()
		if !p.StartTLS {
			return c, nil
		}
		if err := c.call(limit, func(l *ldap.Conn) error { return l.StartTLS(settings) }); err != nil {
			c.close()
			return nil, startTLSFailed(s, err)
		}
		if state, ok := c.ldap.TLSConnectionState(); ok {
			c.tls = &state
		}
		return c, nil
	}
	secure := tls.Client(c.wire, settings)
	if err := secure.HandshakeContext(limit); err != nil {
		_ = raw.Close()
		return nil, &broken{slow: true, cause: handshakeFailed(s, err)}
	}
	state := secure.ConnectionState()
	c.tls = &state
	c.ldap = ldap.NewConn(secure, true)
	c.start()
	return c, nil
}

// start lets go-ldap read. Its own time-out is a second net: the deadlines of the wire end what it waits for.
func (c *conn) start() {
	c.ldap.SetTimeout(2 * c.timeout)
	c.ldap.Start()
}

func startTLSFailed(s *server, err error) error {
	if code, ok := answerOf(err); ok {
		return &broken{cause: &reset.Misset{
			Setting: "start_tls", Fix: "let the server have a certificate, or write ldaps:// with its port for that",
			Cause: fmt.Errorf("%s refuses StartTLS: %w", s.url, describe(err)),
		}, slow: code == ldap.LDAPResultBusy}
	}
	return &broken{cause: handshakeFailed(s, err), slow: isSlow(err)}
}

func handshakeFailed(s *server, err error) error {
	return &reset.Misset{
		Setting: "ca_file", Fix: "let it name the authority of the server's certificate, and servers a name that is in the certificate",
		Cause: fmt.Errorf("TLS with %s: %w", s.url, err),
	}
}

// call runs one request with a deadline. Its error is what the server answered, an *ldap.Error with the packet, or *broken.
func (c *conn) call(ctx context.Context, request func(*ldap.Conn) error) error {
	if err := ctx.Err(); err != nil {
		return &broken{cause: err}
	}
	if c.ldap.IsClosing() {
		return &broken{cause: fmt.Errorf("%s has closed the connection", c.server.url)}
	}
	deadline := time.Now().Add(c.timeout)
	if d, ok := ctx.Deadline(); ok && d.Before(deadline) {
		deadline = d
	}
	c.wire.sent.Store(0)
	c.wire.room.Store(mostAnswer)
	err := c.wire.SetDeadline(deadline)
	stop := context.AfterFunc(ctx, func() { _ = c.wire.SetDeadline(time.Unix(1, 0)) })
	if err == nil {
		err = request(c.ldap)
	}
	if !stop() {
		c.spent = true // a deadline in the past may still be set
	} else if e := c.wire.SetDeadline(time.Time{}); e != nil {
		c.spent = true
	}
	if err == nil {
		return nil
	}
	if _, ok := answerOf(err); ok {
		return err
	}
	c.spent = true
	return c.lost(ctx, err)
}

// lost is the error of a request that was not answered.
func (c *conn) lost(ctx context.Context, err error) *broken {
	b := &broken{cause: fmt.Errorf("%s: %w", c.server.url, err), sent: c.wire.sent.Load() > 0, slow: c.wire.late.Load() || errors.Is(err, os.ErrDeadlineExceeded)}
	if ctx.Err() != nil {
		b.cause, b.slow = ctx.Err(), false
	} else if b.slow {
		b.cause = &reset.Misset{
			Setting: "timeout", Fix: "see why the server is slow (an index on the mail attribute?), or give it longer",
			Cause: fmt.Errorf("%s did not answer within %v", c.server.url, c.timeout),
		}
	}
	return b
}

// close ends the connection. It waits for go-ldap's goroutines no longer than a write takes.
func (c *conn) close() {
	_ = c.wire.SetDeadline(time.Now().Add(time.Second))
	_ = c.ldap.Close()
}

// over says what the connection is, for operators.
func (c *conn) over() string {
	if c.tls == nil {
		return "without encryption"
	}
	return "over " + tls.VersionName(c.tls.Version)
}

// wire is the network below TLS. It knows whether a request has left, and bounds what an answer takes.
type wire struct {
	net.Conn
	sent atomic.Int64 // bytes since the request began
	room atomic.Int64 // bytes that may still be read for it
	late atomic.Bool  // a deadline has passed
}

func (w *wire) Write(p []byte) (int, error) {
	n, err := w.Conn.Write(p)
	w.sent.Add(int64(n))
	w.note(err)
	return n, err
}

func (w *wire) Read(p []byte) (int, error) {
	n, err := w.Conn.Read(p)
	w.note(err)
	if w.room.Add(-int64(n)) < 0 {
		return 0, fmt.Errorf("an answer of more than %d bytes", mostAnswer)
	}
	return n, err
}

func (w *wire) note(err error) {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		w.late.Store(true)
	}
}

// answerOf returns the result code, if the error is one that a server gave (RFC 4511, 4.1.9).
func answerOf(err error) (uint16, bool) {
	e, ok := errors.AsType[*ldap.Error](err)
	if !ok || e.Packet == nil || e.ResultCode >= ldap.ErrorNetwork {
		return 0, false
	}
	return e.ResultCode, true
}

func isSlow(err error) bool {
	b, ok := errors.AsType[*broken](err)
	return ok && b.slow
}

// describe is an error of a server for the log: the code, its name and the beginning of what the server says, in one line. It
// never has the DN that was asked for.
func describe(err error) error {
	e, ok := errors.AsType[*ldap.Error](err)
	if !ok || e.Packet == nil {
		return err
	}
	text := fmt.Sprintf("result %d, %s", e.ResultCode, ldap.LDAPResultCodeMap[e.ResultCode])
	if said := diagnosis(e); said != "" {
		text += ": " + said
	}
	return errors.New(text)
}

// mostDiagnosis is how much of a server's own words is repeated, in bytes.
const mostDiagnosis = 200

func diagnosis(e *ldap.Error) string {
	if e.Err == nil {
		return ""
	}
	said := strings.Join(strings.Fields(strings.ToValidUTF8(e.Err.Error(), "?")), " ")
	if len(said) > mostDiagnosis {
		said = strings.ToValidUTF8(said[:mostDiagnosis], "") + "…"
	}
	return said
}
