package webhook

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"syscall"

	"code.dny.dev/ssrf"
)

// control is what net.Dialer asks before each connection, with the address that a name has resolved to.
type control func(network, address string, c syscall.RawConn) error

// guard decides where connections may go. It is asked after a name is resolved
// and before the connection is made, so that no second resolving can change the answer
// (DNS rebinding), and no spelling of an address is read in two ways.
type guard struct {
	allow    []netip.Prefix
	internet *ssrf.Guardian // the registries of special networks, IANA's
}

func newGuard(allow []netip.Prefix) *guard {
	return &guard{allow: allow, internet: ssrf.New(ssrf.WithAnyPort())}
}

// errForbidden says that an address is not one that may be called.
type errForbidden struct {
	addr netip.Addr
	rule string // what would allow it
}

func (e *errForbidden) Error() string { return fmt.Sprintf("%s %s", e.addr, e.rule) }

// allowed answers an error unless the address is of the Internet or explicitly allowed.
func (g *guard) allowed(addr netip.Addr) error {
	addr = addr.Unmap() // ::ffff:127.0.0.1 is 127.0.0.1
	if g.listed(addr) || g.internet.SafeAddr(addr) == nil {
		return nil
	}
	return &errForbidden{addr, "is in a private or special network that events.allow_private does not list"}
}

// allowedLoopback answers an error unless the address is this machine and allowed: for what is not encrypted.
func (g *guard) allowedLoopback(addr netip.Addr) error {
	addr = addr.Unmap()
	if addr.IsLoopback() && g.listed(addr) {
		return nil
	}
	return &errForbidden{addr, "is not reached over http: only loopback addresses are that events.allow_private lists"}
}

func (g *guard) listed(addr netip.Addr) bool {
	return slices.ContainsFunc(g.allow, func(p netip.Prefix) bool { return p.Contains(addr) })
}

func (g *guard) check(network, address string, _ syscall.RawConn) error {
	return checked(network, address, g.allowed)
}

func (g *guard) checkLoopback(network, address string, _ syscall.RawConn) error {
	return checked(network, address, g.allowedLoopback)
}

func checked(network, address string, allowed func(netip.Addr) error) error {
	at, err := netip.ParseAddrPort(address)
	if err != nil || network != "tcp4" && network != "tcp6" {
		return errors.New("that is no address of TCP")
	}
	return allowed(at.Addr())
}
