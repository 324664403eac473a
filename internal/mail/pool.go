package mail

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"
)

// pool keeps connections to the mail server for use again, at most as many as
// it has places. The one that was used last is used next, so that connections
// nobody needs grow old and are closed.
type pool struct {
	dialer *dialer
	log    *slog.Logger
	keep   time.Duration // how long a connection may lie idle

	places  chan struct{} // one entry per mail under way
	closing sync.Once
	result  error // of closing

	mu     sync.Mutex
	idle   []*conn // the one used last is last
	closed bool

	stop  chan struct{} // tells the sweeper to end
	swept chan struct{} // closed when it has
	// killed ends whatever is under way, when closing has taken too long.
	killed context.Context //nolint:containedctx // it is the pool's own life, not a caller's
	kill   context.CancelFunc
}

func newPool(d *dialer, places int, keep time.Duration, log *slog.Logger) *pool {
	p := &pool{
		dialer: d, log: log, keep: keep,
		places: make(chan struct{}, places), stop: make(chan struct{}), swept: make(chan struct{}),
	}
	p.killed, p.kill = context.WithCancel(context.Background())
	go p.sweep()
	return p
}

// send hands in one mail over a kept connection or else a new one. A kept
// connection can turn out to be dead; then, and only if the server cannot have
// taken the mail, it goes out once more over a new one.
func (p *pool) send(ctx context.Context, from string, m *Message) *Fault {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(p.killed, func() { cancel(errClosedMailer) })()
	select {
	case p.places <- struct{}{}:
		defer func() { <-p.places }()
	case <-ctx.Done():
		return fault(StepConnect, context.Cause(ctx))
	}
	c, open := p.kept()
	if !open {
		return fault(StepConnect, errClosedMailer)
	}
	if c != nil {
		f := p.sendOver(ctx, c, from, m)
		if f == nil || !f.mayResend() || ctx.Err() != nil {
			return f
		}
		p.log.DebugContext(ctx, "a kept connection to the mail server was dead", "event", "mail.reconnect", "step", string(f.Step), "reply", f.Reply)
	}
	c, f := p.dialer.dial(ctx)
	if f != nil {
		return f
	}
	return p.sendOver(ctx, c, from, m)
}

// sendOver sends over one connection and keeps or drops it afterwards.
func (p *pool) sendOver(ctx context.Context, c *conn, from string, m *Message) *Fault {
	usable, f := c.send(ctx, from, m)
	if usable {
		p.put(c)
	} else {
		c.drop()
	}
	return f
}

// kept takes the connection that was used last, or nil if there is none. open
// is false once the pool is closed.
func (p *pool) kept() (c *conn, open bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if n := len(p.idle); n > 0 {
		c, p.idle[n-1] = p.idle[n-1], nil // its buffers have the mails it sent, links and all, and must go when it goes
		p.idle = p.idle[:n-1]
	}
	return c, !p.closed
}

// put keeps a connection for the next mail.
func (p *pool) put(c *conn) {
	p.mu.Lock()
	// The wall clock, not the injected one: connections age in real time.
	c.idleSince = time.Now()
	if !p.closed {
		p.idle = append(p.idle, c)
		c = nil
	}
	p.mu.Unlock()
	if c != nil {
		c.part()
	}
}

// sweep closes connections that have been idle for too long. It runs until close.
func (p *pool) sweep() {
	defer close(p.swept)
	tick := time.NewTicker(max(p.keep/2, time.Millisecond))
	defer tick.Stop()
	for {
		select {
		case <-p.stop:
			return
		case now := <-tick.C:
			partAll(p.stale(now.Add(-p.keep)))
		}
	}
}

// partAll closes connections side by side, so that a server that does not
// answer costs partingTime once.
func partAll(list []*conn) {
	var parting sync.WaitGroup
	for _, c := range list {
		parting.Go(c.part)
	}
	parting.Wait()
}

// stale takes out the connections that were last used before then.
func (p *pool) stale(then time.Time) []*conn {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := 0
	for n < len(p.idle) && p.idle[n].idleSince.Before(then) {
		n++
	}
	old := append([]*conn(nil), p.idle[:n]...)
	p.idle = slices.Delete(p.idle, 0, n) // which forgets what was behind the end
	return old
}

// close takes no more mails, waits for those under way and closes every
// connection. When ctx ends first, what is under way is cut off and ctx's error
// returned. Further calls wait for the first and return what it did.
func (p *pool) close(ctx context.Context) error {
	p.closing.Do(func() { p.result = p.shut(ctx) })
	return p.result
}

func (p *pool) shut(ctx context.Context) error {
	p.mu.Lock()
	p.closed = true
	idle := p.idle
	p.idle = nil
	p.mu.Unlock()
	close(p.stop)
	<-p.swept
	partAll(idle)
	defer p.kill()
	// Whoever holds all places is alone. They stay taken: who comes later is
	// refused by the killed context.
	for taken := range cap(p.places) {
		select {
		case p.places <- struct{}{}:
		case <-ctx.Done():
			p.kill()
			for range cap(p.places) - taken {
				p.places <- struct{}{} // soon: the others were cut off
			}
			return ctx.Err()
		}
	}
	return nil
}
