package webhook_test

import (
	"fmt"
	"net/netip"
	"testing"

	"github.com/sparekey/sparekey/internal/webhook"
)

// forbidden are addresses that no target may have unless they are allowed.
var forbidden = []string{
	"127.0.0.1", "127.255.255.254", "0.0.0.0", "0.1.2.3", "10.0.0.1", "10.255.255.255", "172.16.0.1", "172.31.255.255", "192.168.0.1",
	"169.254.169.254", "169.254.1.1", "100.64.0.1", "100.127.255.255", "192.0.0.8", "192.0.2.1", "198.51.100.1", "203.0.113.1",
	"198.18.0.1", "192.88.99.1", "224.0.0.1", "239.255.255.250", "240.0.0.1", "255.255.255.255",
	"::", "::1", "::7f00:1", "fe80::1", "fec0::1", "fc00::1", "fd00:ec2::254", "ff02::1",
	"::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254",
	"64:ff9b::7f00:1", "64:ff9b::808:808", "64:ff9b:1::1", "2002:7f00:1::1", "2002:a00:1::", "2001::1", "2001:db8::1", "3fff::1", "100::1", "5f00::1",
}

// public are addresses that any target may have.
var public = []string{"1.1.1.1", "8.8.8.8", "100.63.255.255", "100.128.0.1", "172.32.0.1", "192.167.255.255", "223.255.255.255", "2606:4700:4700::1111", "2a00:1450:4001:81b::200e"}

// TestPrivateTargets: no name and no spelling leads to a private, loopback or
// otherwise special address, neither of IPv4 nor of IPv6 nor of one in the other.
func TestPrivateTargets(t *testing.T) {
	t.Parallel()
	r := receive(t, nil).plain() // it listens on 127.0.0.1, and must not be called
	dns := &names{answers: map[string][][]string{}}
	hosts := []string{
		// Spellings that some read as an address. The configuration refuses most of them as well.
		"localhost", "localhost.", "LOCALHOST", "2130706433", "0x7f000001", "0x7f.1", "0177.0.0.1", "127.1", "127.0.0.1.", "0", "[::]", "[::1]",
		"[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[0:0:0:0:0:ffff:127.0.0.1]", "[64:ff9b::127.0.0.1]", "[fe80::1%25lo]",
	}
	for i, addr := range forbidden {
		name := fmt.Sprintf("n%d.example.test", i)
		dns.answers[name] = [][]string{{addr}}
		literal := addr
		if netip.MustParseAddr(addr).Is6() {
			literal = "[" + addr + "]"
		}
		hosts = append(hosts, name, literal)
	}
	dns.answers["all.example.test"] = [][]string{forbidden}
	hosts = append(hosts, "all.example.test")
	resolver := dns.resolver(t)
	for _, host := range hosts {
		for _, scheme := range []string{"https", "http"} {
			target := scheme + "://" + host + ":" + r.port() + "/hooks"
			s := sender(t, target, webhook.Options{Resolver: resolver})
			if status, err := s.Send(t.Context(), target, passwordReset(t)); err == nil || status != 0 {
				t.Errorf("%s was called and answered %d", target, status)
			} else {
				fault(t, target, err, "")
			}
			if found, err := s.Check(t.Context(), target); err == nil {
				t.Errorf("%s is said to be fine, at %v", target, found)
			}
		}
	}
	if n := len(r.took()); n != 0 {
		t.Errorf("somebody was called %d times", n)
	}
}

func TestPublicTargets(t *testing.T) {
	t.Parallel()
	dns := &names{answers: map[string][][]string{}}
	for i, addr := range public {
		dns.answers[fmt.Sprintf("n%d.example.test", i)] = [][]string{{addr, "10.0.0.1"}}
	}
	resolver := dns.resolver(t)
	for i, addr := range public {
		s := sender(t, "https://example.com", webhook.Options{Resolver: resolver})
		found, err := s.Check(t.Context(), fmt.Sprintf("https://n%d.example.test/", i))
		if err != nil || len(found) != 1 || found[0].String() != addr {
			t.Errorf("%s: %v, %v; want the public one of its addresses", addr, found, err)
		}
		if found, err := s.Check(t.Context(), fmt.Sprintf("http://n%d.example.test/", i)); err == nil {
			t.Errorf("%s over http is said to be fine, at %v", addr, found)
		}
	}
}

// TestAllowedNetworks: what is allowed is allowed, and nothing next to it.
func TestAllowedNetworks(t *testing.T) {
	t.Parallel()
	r, roots := receive(t, nil).withTLS()
	dns := &names{answers: map[string][][]string{"example.com": {{"127.0.0.1"}}}}
	resolver := dns.resolver(t)
	target := "https://example.com:" + r.port() + "/hooks"
	for allow, fine := range map[string]bool{
		"127.0.0.1/32": true, "127.0.0.0/8": true, "0.0.0.0/0": true, "127.0.0.2/32": false, "10.0.0.0/8": false, "::/0": false, "::1/128": false,
	} {
		s := sender(t, target, webhook.Options{AllowPrivate: []netip.Prefix{netip.MustParsePrefix(allow)}, Resolver: resolver, Roots: roots})
		err := s.SendEvent(t.Context(), target, passwordReset(t))
		if fine && err != nil {
			t.Errorf("%s allowed: %v", allow, err)
		}
		if !fine {
			fault(t, allow+" allowed", err, "events.allow_private does not list")
		}
	}
}

// TestHTTPIsForThisMachine: what is not encrypted goes nowhere else, whatever is allowed.
func TestHTTPIsForThisMachine(t *testing.T) {
	t.Parallel()
	everywhere := []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0")}
	for _, host := range []string{"10.0.0.1", "8.8.8.8"} {
		target := "http://" + host + "/hooks"
		s := sender(t, target, webhook.Options{AllowPrivate: everywhere})
		fault(t, host, s.SendEvent(t.Context(), target, passwordReset(t)), "is not reached over http")
	}
	r := receive(t, nil).plain()
	if err := sender(t, r.URL, webhook.Options{AllowPrivate: everywhere}).SendEvent(t.Context(), r.URL, passwordReset(t)); err != nil {
		t.Error(err)
	}
}

// TestRebinding: a name that leads elsewhere at the next look is checked again at
// the next attempt, by the very address that is connected to.
func TestRebinding(t *testing.T) {
	t.Parallel()
	r, roots := receive(t, nil).withTLS()
	// First the Internet, for whoever checks and connects later; then home.
	dns := &names{answers: map[string][][]string{"example.com": {{"8.8.8.8"}, {"127.0.0.1"}}}}
	target := "https://example.com:" + r.port() + "/hooks"
	s := sender(t, target, webhook.Options{Resolver: dns.resolver(t), Roots: roots})
	if _, err := s.Check(t.Context(), target); err != nil {
		t.Fatal(err)
	}
	fault(t, "the name now leads to loopback", s.SendEvent(t.Context(), target, passwordReset(t)), "127.0.0.1 is in a private or special network")

	// A target that was fine a moment ago is not believed.
	dns = &names{answers: map[string][][]string{"example.com": {{"127.0.0.1"}, {"127.0.0.2"}}}}
	s = sender(t, target, webhook.Options{AllowPrivate: loopback, Resolver: dns.resolver(t), Roots: roots})
	if err := s.SendEvent(t.Context(), target, passwordReset(t)); err != nil {
		t.Fatal(err)
	}
	fault(t, "the second attempt", s.SendEvent(t.Context(), target, passwordReset(t)), "127.0.0.2 is in a private or special network")
	if n := len(r.took()); n != 1 {
		t.Errorf("%d events arrived, want 1", n)
	}
}

// TestNamesThatAreNone: the name server's answer is no reason to try anything else.
func TestNamesThatAreNone(t *testing.T) {
	t.Parallel()
	resolver := (&names{}).resolver(t)
	target := "https://nobody.example.test/hooks"
	s := sender(t, target, webhook.Options{Resolver: resolver})
	fault(t, "sending", s.SendEvent(t.Context(), target, passwordReset(t)), "does not know the target's host")
	_, err := s.Check(t.Context(), target)
	fault(t, "checking", err, "does not know the target's host")
}
