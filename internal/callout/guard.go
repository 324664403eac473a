package callout

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

// Guard decides where connections may go. It is asked after a name is resolved
// and before the connection is made, so that no second resolving can change the answer
// (DNS rebinding), and no spelling of an address is read in two ways.
type Guard struct {
	allow    []netip.Prefix
	setting  string
	internet *ssrf.Guardian // the registries of special networks, IANA's
}

// NewGuard makes a guard that allows the Internet, and of other networks those in
// allow, which is what an operator wrote into the setting of that name.
func NewGuard(setting string, allow []netip.Prefix) *Guard {
	return &Guard{allow: allow, setting: setting, internet: ssrf.New(ssrf.WithAnyPort())}
}

// errForbidden says that an address is not one that may be called.
type errForbidden struct {
	addr netip.Addr
	rule string // what would allow it
}

func (e *errForbidden) Error() string { return fmt.Sprintf("%s %s", e.addr, e.rule) }

// Allowed answers an error unless the address may be connected to: with http,
// which is not encrypted, only this machine may.
func (g *Guard) Allowed(scheme string, addr netip.Addr) error {
	addr = addr.Unmap() // ::ffff:127.0.0.1 is 127.0.0.1
	listed := slices.ContainsFunc(g.allow, func(p netip.Prefix) bool { return p.Contains(addr) })
	if scheme != "https" {
		if listed && addr.IsLoopback() {
			return nil
		}
		return &errForbidden{addr, "is not reached over http: only loopback addresses are that " + g.setting + " lists"}
	}
	if listed || g.internet.SafeAddr(addr) == nil {
		return nil
	}
	return &errForbidden{addr, "is in a private or special network that " + g.setting + " does not list"}
}

func (g *Guard) control(scheme string) control {
	return func(network, address string, _ syscall.RawConn) error {
		at, err := netip.ParseAddrPort(address)
		if err != nil || network != "tcp4" && network != "tcp6" {
			return errors.New("that is no address of TCP")
		}
		return g.Allowed(scheme, at.Addr())
	}
}
