package ldapdir

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/go-ldap/ldap/v3"

	"github.com/sparekey/sparekey/internal/reset"
)

// mostIdle is for how long a connection is kept that nobody uses: servers and what stands between close them sooner or later.
const mostIdle = time.Minute

// elsewhere are results by which a server says that it did nothing, and that another may (RFC 4511, appendix A). Referrals are
// not followed to where they point, for nobody configured that: the other servers that were configured are asked.
var elsewhere = []uint16{ldap.LDAPResultReferral, ldap.LDAPResultBusy, ldap.LDAPResultUnavailable}

// pool is a bounded number of connections to one of several servers.
type pool struct {
	Config
	servers []*server
	slots   chan struct{} // one for each connection in use

	mu     sync.Mutex
	idle   []*conn
	closed bool
	// refused is the password of a bind that was refused, why, and until when it is not tried again.
	refused      string
	refusal      error
	refusedUntil time.Time
}

func newPool(c Config, servers []*server) *pool {
	return &pool{Config: c, servers: servers, slots: make(chan struct{}, c.Connections)}
}

// errClosed is what is said after Close.
var errClosed = errors.New("the directory's connections are closed")

// errAllBusy says that all connections were in use for as long as anybody waits.
var errAllBusy = errors.New("all connections to the directory were in use")

// do runs work with a connection. It runs it again, on another connection and then on other servers, as long as it
// ends with a *broken that was not sent, or a result by which a server says that another one should be asked.
func (p *pool) do(ctx context.Context, work func(*conn) error) error {
	release, err := p.slot(ctx)
	if err != nil {
		return err
	}
	defer release()
	tried := map[*server]bool{}
	var last error
	for {
		c, err := p.get(ctx, tried)
		if c == nil {
			return errors.Join(err, last)
		}
		wasFresh := c.fresh
		err = work(c)
		c.fresh = false
		p.put(c)
		if code, ok := answerOf(err); ok && slices.Contains(elsewhere, code) {
			tried[c.server] = true
			last = fmt.Errorf("%s: %w", c.server.url, err)
			continue
		}
		b, again := errors.AsType[*broken](err) // what is *unsure is none
		if !again || ctx.Err() != nil {
			return err
		}
		last = err
		p.drop(c.server) // what else is open to it has most likely been cut too
		if wasFresh || b.slow {
			tried[c.server] = true
			p.down(ctx, c.server, err)
		}
	}
}

// slot waits until one more connection may be used.
func (p *pool) slot(ctx context.Context) (release func(), err error) {
	limit, cancel := context.WithTimeout(ctx, p.Timeout)
	defer cancel()
	select {
	case p.slots <- struct{}{}:
		return func() { <-p.slots }, nil
	case <-limit.Done():
		if err := ctx.Err(); err != nil {
			return nil, &broken{cause: err}
		}
		return nil, &broken{cause: misset("connections", "allow more, or see why the server is slow", "%w for %v", errAllBusy, p.Timeout)}
	}
}

// get returns a connection to the first server that was not tried and is not known to be down; if there is none, to one that is.
// It returns nil, with what went wrong, when there is no server left to try.
func (p *pool) get(ctx context.Context, tried map[*server]bool) (*conn, error) {
	var errs []error
	for _, wantDown := range []bool{false, true} {
		for _, s := range p.servers {
			if tried[s] || p.isDown(s) != wantDown {
				continue
			}
			c, err := p.take(s)
			if c != nil || err != nil {
				return c, err
			}
			c, err = p.dial(ctx, s)
			if err == nil {
				return c, nil
			}
			tried[s] = true
			errs = append(errs, err)
			if ctx.Err() != nil {
				return nil, err
			}
			if _, ok := errors.AsType[*broken](err); !ok {
				return nil, err // the same everywhere: the bind was refused
			}
			p.down(ctx, s, err)
		}
	}
	return nil, errors.Join(errs...)
}

// take returns an idle connection to a server, or nil.
func (p *pool) take(s *server) (*conn, error) {
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return nil, errClosed
	}
	var found *conn
	stale := p.remove(func(c *conn) bool {
		switch {
		case c.server != s || found != nil:
			return false
		case !c.ldap.IsClosing() && p.Now().Sub(c.idleSince) < mostIdle:
			found = c
		}
		return true
	})
	p.mu.Unlock()
	closeAll(slices.DeleteFunc(stale, func(c *conn) bool { return c == found }))
	return found, nil
}

// put takes a connection back, and ends those that nobody has used for long.
func (p *pool) put(c *conn) {
	p.mu.Lock()
	now := p.Now()
	ended := p.remove(func(c *conn) bool { return now.Sub(c.idleSince) >= mostIdle })
	if p.closed || c.spent || c.ldap.IsClosing() {
		ended = append(ended, c)
	} else {
		c.idleSince = now
		p.idle = append(p.idle, c)
	}
	p.mu.Unlock()
	closeAll(ended)
}

// drop closes the idle connections to a server.
func (p *pool) drop(s *server) {
	p.mu.Lock()
	dropped := p.remove(func(c *conn) bool { return c.server == s })
	p.mu.Unlock()
	closeAll(dropped)
}

// close closes all connections; those in use when they are given back.
func (p *pool) close() {
	p.mu.Lock()
	p.closed = true
	dropped := p.remove(func(*conn) bool { return true })
	p.mu.Unlock()
	closeAll(dropped)
}

// remove takes out of idle what is chosen; the newest are asked about first.
func (p *pool) remove(chosen func(*conn) bool) (removed []*conn) {
	for i, c := range slices.Backward(p.idle) {
		if chosen(c) {
			p.idle = slices.Delete(p.idle, i, i+1)
			removed = append(removed, c)
		}
	}
	return removed
}

func closeAll(list []*conn) {
	for _, c := range list {
		c.close()
	}
}

func (p *pool) isDown(s *server) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.Now().Before(s.downUntil)
}

func (p *pool) down(ctx context.Context, s *server, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	known := p.Now().Before(s.downUntil)
	s.downUntil = p.Now().Add(p.Pause)
	if len(p.servers) > 1 && !known {
		p.Log.WarnContext(ctx, "a server of the directory cannot be used; the others are asked for a while",
			"event", "directory.server_down", "server", s.url, "for", p.Pause.String(), "error", describe(err))
	}
}

// refusedBefore returns the error of a bind with that password, if it was refused a short while ago.
func (p *pool) refusedBefore(password string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.refusal != nil && p.refused == password && p.Now().Before(p.refusedUntil) {
		return p.refusal
	}
	return nil
}

func (p *pool) rememberRefusal(password string, refusal error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.refused, p.refusal, p.refusedUntil = password, refusal, p.Now().Add(p.Pause)
}

// bindRefused says what to do about it.
func bindRefused(c Config, s *server, code uint16, err error) *reset.Misset {
	m := &reset.Misset{Setting: "bind.password_file", Fix: "see that it has the password of " + c.BindDN, Cause: fmt.Errorf("%s refuses the bind: %w", s.url, describe(err))}
	switch code {
	case ldap.LDAPResultInvalidDNSyntax, ldap.LDAPResultNoSuchObject:
		m.Setting, m.Fix = "bind.dn", "name a user that the directory has"
	case ldap.LDAPResultStrongAuthRequired, ldap.LDAPResultConfidentialityRequired:
		m.Setting, m.Fix = "servers", "write ldaps://, or set start_tls"
	}
	return m
}
