package sqldir

import (
	"bytes"
	"net"
	"sync"
	"testing"
)

// proxy is the way to a server, which tests can cut.
type proxy struct {
	addr, to string

	mu       sync.Mutex
	listener net.Listener
	ends     map[net.Conn]bool
	free     chan struct{} // closed while answers pass
	// watch is looked for in what clients send; then the connection is cut, before or after it was passed on.
	watch  []byte
	passed bool
	cut    int
	most   int // connections at once
	wg     sync.WaitGroup
}

// through makes a proxy to a server.
func through(t testing.TB, to string) *proxy {
	t.Helper()
	p := &proxy{to: to, ends: map[net.Conn]bool{}, free: make(chan struct{})}
	close(p.free)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p.addr = l.Addr().String()
	p.serve(l)
	t.Cleanup(func() {
		p.stop()
		p.wg.Wait()
	})
	return p
}

func (p *proxy) serve(l net.Listener) {
	p.mu.Lock()
	p.listener = l
	p.mu.Unlock()
	p.wg.Go(func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			server, err := net.Dial("tcp", p.to)
			if err != nil {
				client.Close()
				continue
			}
			p.mu.Lock()
			open := p.listener == l
			if open {
				p.ends[client], p.ends[server] = true, true
				p.most = max(p.most, len(p.ends)/2)
			}
			p.mu.Unlock()
			if !open {
				client.Close()
				server.Close()
				return
			}
			both := func() {
				client.Close()
				server.Close()
				p.mu.Lock()
				defer p.mu.Unlock()
				delete(p.ends, client)
				delete(p.ends, server)
			}
			p.wg.Go(func() { defer both(); p.copy(server, client, true) })
			p.wg.Go(func() { defer both(); p.copy(client, server, false) })
		}
	})
}

func (p *proxy) copy(to, from net.Conn, asks bool) {
	buffer := make([]byte, 64<<10)
	for {
		n, err := from.Read(buffer)
		if err != nil {
			return
		}
		if !asks {
			p.mu.Lock()
			free := p.free
			p.mu.Unlock()
			<-free
		} else if cut, passed := p.seen(buffer[:n]); cut {
			if passed {
				from.Close() // so that the answer goes nowhere
				_, _ = to.Write(buffer[:n])
			}
			return
		}
		if _, err := to.Write(buffer[:n]); err != nil {
			return
		}
	}
}

func (p *proxy) seen(sent []byte) (cut, passed bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.watch) == 0 || !bytes.Contains(sent, p.watch) {
		return false, false
	}
	p.cut++
	return true, p.passed
}

// cutAt cuts each connection where a client sends that.
func (p *proxy) cutAt(what string, passed bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.watch, p.passed = []byte(what), passed
}

// cuts is how many were cut.
func (p *proxy) cuts() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.cut
}

// atMost is how many connections there were at once.
func (p *proxy) atMost() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.most
}

// stop refuses connections and cuts those that there are.
func (p *proxy) stop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.listener.Close()
	for c := range p.ends {
		c.Close()
	}
	clear(p.ends)
	select {
	case <-p.free:
	default:
		close(p.free)
	}
}

// start takes connections again.
func (p *proxy) start(t testing.TB) {
	t.Helper()
	l, err := net.Listen("tcp", p.addr)
	if err != nil {
		t.Fatal(err)
	}
	p.serve(l)
}

// stall holds back all answers until end is called.
func (p *proxy) stall() (end func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.free = make(chan struct{})
	return func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		select {
		case <-p.free:
		default:
			close(p.free)
		}
	}
}
