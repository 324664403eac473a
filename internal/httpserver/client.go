package httpserver

import (
	"net/http"
	"net/netip"
	"strings"
)

// maxHops bounds how many entries of X-Forwarded-For are looked at.
const maxHops = 16

// ClientOf names the network client behind a request, for limits: a whole IPv4
// address, or an IPv6 /64, which is what one subscriber usually holds.
// X-Forwarded-For is read from the right, and only as long as whoever wrote an entry
// is a trusted proxy: what stands further left anybody may have made up.
func ClientOf(trusted []netip.Prefix) func(*http.Request) string {
	return func(r *http.Request) string {
		addr, err := address(trusted, r)
		if err != nil {
			return r.RemoteAddr
		}
		return Subscriber(addr)
	}
}

// AddressOf is ClientOf with the whole address, for audit trails that are to have it.
func AddressOf(trusted []netip.Prefix) func(*http.Request) string {
	return func(r *http.Request) string {
		addr, err := address(trusted, r)
		if err != nil {
			return r.RemoteAddr
		}
		return addr.WithZone("").String()
	}
}

// address finds the client's address.
func address(trusted []netip.Prefix, r *http.Request) (netip.Addr, error) {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}, err
	}
	addr := peer.Addr().Unmap()
	if len(trusted) == 0 || !contains(trusted, addr) {
		return addr, nil
	}
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for n := 0; n < maxHops && len(hops) > 0 && contains(trusted, addr); n++ {
		next := hop(hops[len(hops)-1])
		if !next.IsValid() {
			break
		}
		addr, hops = next, hops[:len(hops)-1]
	}
	return addr, nil
}

// hop reads one entry of X-Forwarded-For; what is no address is not valid.
func hop(entry string) netip.Addr {
	addr, _ := netip.ParseAddr(strings.TrimSpace(entry)) // the zero address after an error
	return addr.Unmap()
}

func contains(networks []netip.Prefix, addr netip.Addr) bool {
	for _, n := range networks {
		if n.Contains(addr) {
			return true
		}
	}
	return false
}

// Subscriber names the client that an address belongs to, as ClientOf does.
func Subscriber(addr netip.Addr) string {
	addr = addr.Unmap().WithZone("")
	if addr.Is4() {
		return addr.String()
	}
	p, err := addr.Prefix(64)
	if err != nil {
		return addr.String()
	}
	return p.String()
}
