package smtptest

import (
	"bytes"
	"crypto/subtle"
	"errors"
	"io"
	"net"
	"slices"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
)

// Login is an attempt to log in.
type Login struct {
	User string
	TLS  bool // the connection was encrypted
	OK   bool
}

// Logins are the attempts to log in so far.
func (s *Server) Logins() []Login {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.logins)
}

var errDropped = errors.New("dropped on purpose")

// session is the conversation on one connection.
type session struct {
	server   *Server
	conn     *smtp.Conn
	raw      *serverConn
	loggedIn bool
	from     string
	to       []string
}

var _ smtp.AuthSession = (*session)(nil)

func (s *Server) newSession(c *smtp.Conn) (smtp.Session, error) {
	if err := s.faults.session(); err != nil {
		return nil, err
	}
	return &session{server: s, conn: c, raw: rawOf(c.Conn())}, nil
}

// rawOf is the tracked connection, under TLS or not.
func rawOf(c net.Conn) *serverConn {
	for {
		switch under := c.(type) {
		case *serverConn:
			return under
		case interface{ NetConn() net.Conn }:
			c = under.NetConn()
		default:
			return nil
		}
	}
}

func (s *session) setBusy(busy bool) {
	s.server.mu.Lock()
	s.raw.busy = busy
	s.server.mu.Unlock()
}

// AuthMechanisms is what EHLO offers.
func (s *session) AuthMechanisms() []string { return s.server.settings.mechanisms }

// Auth begins to log in.
func (s *session) Auth(mechanism string) (sasl.Server, error) {
	if !slices.Contains(s.server.settings.mechanisms, mechanism) {
		return nil, smtp.ErrAuthUnknownMechanism
	}
	if mechanism == "LOGIN" {
		return &loginServer{check: s.login}, nil
	}
	return sasl.NewPlainServer(func(_, user, password string) error { return s.login(user, password) }), nil
}

func (s *session) login(user, password string) error {
	want := s.server.settings
	ok := subtle.ConstantTimeCompare([]byte(want.user+"\x00"+want.password), []byte(user+"\x00"+password)) == 1
	_, encrypted := s.conn.TLSConnectionState()
	s.server.mu.Lock()
	s.server.logins = append(s.server.logins, Login{User: user, TLS: encrypted, OK: ok})
	s.server.mu.Unlock()
	if !ok {
		return smtp.ErrAuthFailed
	}
	s.loggedIn = true
	return nil
}

// Mail begins a transaction.
func (s *session) Mail(from string, _ *smtp.MailOptions) error {
	if s.server.settings.user != "" && !s.loggedIn {
		return smtp.ErrAuthRequired
	}
	s.setBusy(true)
	if err := s.server.faults.sender(from); err != nil {
		return err
	}
	s.from = from
	return nil
}

// Rcpt takes a recipient.
func (s *session) Rcpt(to string, _ *smtp.RcptOptions) error {
	if err := s.server.faults.recipient(to); err != nil {
		return err
	}
	s.to = append(s.to, to)
	return nil
}

// Data takes the mail. The connection counts as idle from here on, before the
// reply: once the client has read that, it is.
func (s *session) Data(r io.Reader) error {
	defer s.setBusy(false)
	srv := s.server
	m := Message{From: s.from, To: s.to, At: time.Now()}
	var err error
	if srv.settings.discard {
		_, err = io.Copy(io.Discard, r)
	} else {
		m.Raw, err = io.ReadAll(r)
	}
	if err != nil {
		return err
	}
	srv.pause()
	if !srv.isRunning() { // a crash loses what it has not answered to
		return errDropped
	}
	if err := srv.faults.message(m); err != nil {
		return err
	}
	drop, keep := srv.faults.drop()
	if !drop || keep {
		srv.take(m)
	}
	if drop {
		_ = s.raw.Close()
		return errDropped
	}
	return nil
}

// Reset ends a transaction.
func (s *session) Reset() {
	s.from, s.to = "", nil
	s.setBusy(false)
}

// Logout ends the conversation.
func (s *session) Logout() error { return nil }

// take keeps or counts a mail.
func (s *Server) take(m Message) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.count++
	if !s.settings.discard {
		s.mails = append(s.mails, m)
	}
	s.signal()
}

// loginServer is AUTH LOGIN, which go-sasl has for clients only.
type loginServer struct {
	check func(user, password string) error
	user  []byte
	step  int
}

// Next answers the client's last words.
func (l *loginServer) Next(response []byte) (challenge []byte, done bool, err error) {
	l.step++
	switch {
	case l.step == 1 && response == nil:
		return []byte("Username:"), false, nil
	case l.user == nil:
		l.user = bytes.Clone(response)
		return []byte("Password:"), false, nil
	default:
		return nil, true, l.check(string(l.user), string(response))
	}
}
