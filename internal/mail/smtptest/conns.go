package smtptest

import (
	"context"
	"net"
	"sync"
)

// maxWire is how many bytes WithWire keeps.
const maxWire = 1 << 20

// listener keeps track of the connections it accepts.
type listener struct {
	net.Listener
	server *Server
}

func (l *listener) Accept() (net.Conn, error) {
	raw, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	s := l.server
	c := &serverConn{Conn: raw, server: s}
	s.mu.Lock()
	s.dialed++
	s.open[c] = struct{}{}
	stopped := s.running == nil
	s.signal()
	s.mu.Unlock()
	if stopped {
		_ = c.Close()
	}
	return c, nil
}

// serverConn is one connection, as it is on the wire.
type serverConn struct {
	net.Conn
	server *Server
	once   sync.Once
	busy   bool // in a transaction; guarded by server.mu
}

// Read keeps what it reads if asked to.
func (c *serverConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if s := c.server; s.settings.wire && n > 0 {
		s.mu.Lock()
		s.wire = append(s.wire, p[:min(n, maxWire-len(s.wire))]...)
		s.mu.Unlock()
	}
	return n, err
}

// Close closes it once and forgets it.
func (c *serverConn) Close() error {
	var err error
	c.once.Do(func() {
		err = c.Conn.Close()
		c.server.mu.Lock()
		delete(c.server.open, c)
		c.server.signal()
		c.server.mu.Unlock()
	})
	return err
}

// cut closes the connections that which answers true for, and says how many they were.
func (s *Server) cut(which func(*serverConn) bool) int {
	var doomed []*serverConn
	s.mu.Lock()
	for c := range s.open {
		if which(c) {
			doomed = append(doomed, c)
		}
	}
	s.mu.Unlock()
	for _, c := range doomed {
		_ = c.Close()
	}
	return len(doomed)
}

// DropIdle cuts every connection that is not in a transaction, without a word,
// and says how many they were.
func (s *Server) DropIdle() int {
	return s.cut(func(c *serverConn) bool { return !c.busy })
}

// DismissIdle closes every connection that is not in a transaction as a server
// does that has waited for too long: with a 421 (RFC 5321, 3.8). Not with TLS.
func (s *Server) DismissIdle() int {
	return s.cut(func(c *serverConn) bool {
		if c.busy {
			return false
		}
		_, _ = c.Write([]byte("421 4.4.2 idle for too long\r\n"))
		return true
	})
}

// Connections is how many connections were made so far.
func (s *Server) Connections() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.dialed
}

// Open is how many connections are open now.
func (s *Server) Open() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.open)
}

// WaitOpen waits until exactly n connections are open.
func (s *Server) WaitOpen(ctx context.Context, n int) error {
	return s.until(ctx, func() bool { return len(s.open) == n })
}

// Wire is what clients sent, byte for byte as it was on the wire, encrypted or
// not, up to 1 MiB. Empty unless WithWire was given.
func (s *Server) Wire() []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]byte(nil), s.wire...)
}
