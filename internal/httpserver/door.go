package httpserver

import (
	"context"
	"net"
	"time"
)

// handshake is how long a connection that has begun may take to be there: some
// turns between machines that stand together.
const handshake = 100 * time.Millisecond

// Listen opens an address in the way that Serve closes well. Multipath TCP, which
// Go would offer, knows no filters.
func Listen(ctx context.Context, address string) (net.Listener, error) {
	var c net.ListenConfig
	c.SetMultipathTCP(false)
	return c.Listen(ctx, "tcp", address)
}

// closeDoor lets nobody new connect to l, while those who have are still accepted.
//
// A listener that is closed takes with it the connections that the system has
// made and nobody has accepted yet. Their callers have sent a request by then,
// and a proxy must not repeat a POST that may have been seen. So new ones are
// refused first, in silence: a caller asks again after a second, and then finds
// the port closed or the next process at it. Where the system cannot do so, the
// listener is closed as it is.
func (s *Server) closeDoor(ctx context.Context, l net.Listener) {
	if err := refuseSYN(l); err != nil {
		s.o.Log.DebugContext(ctx, "connections that come in this moment may be lost", "event", "serve.door", "error", err)
		return
	}
	wait := time.NewTimer(handshake)
	defer wait.Stop()
	select {
	case <-wait.C:
	case <-ctx.Done():
	}
}
