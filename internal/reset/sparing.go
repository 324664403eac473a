package reset

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"sync"
	"time"
)

// What sparing lets through: so many lines a minute, each about somebody else.
// At 300 bytes a line a flood writes 9 MB a day, whoever takes part in it.
const (
	sparingLines = 20
	sparingSpan  = time.Minute
)

// sparing bounds how often the log tells of one kind of thing that callers can
// bring about as often as they like. The zero value is ready for use.
type sparing struct {
	mu       sync.Mutex
	began    time.Time
	told     map[string]bool
	withheld int
}

// tell reports whether to log that something happened because of somebody, and
// how many lines were withheld since the last one that was let through.
func (s *sparing) tell(whose string, now time.Time) (withheld int, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if age := now.Sub(s.began); age >= sparingSpan || age < 0 || s.told == nil {
		s.began, s.told = now, make(map[string]bool, sparingLines)
	}
	if s.told[whose] || len(s.told) >= sparingLines {
		s.withheld++
		return 0, false
	}
	s.told[whose] = true
	withheld, s.withheld = s.withheld, 0
	return withheld, true
}

// Network is the client as the log may name it: cut to a /24 or a /48, which
// tells an operator where a flood comes from and is no single person.
func (c Caller) Network() string {
	prefix, err := netip.ParsePrefix(c.Client)
	addr := prefix.Addr()
	if err != nil {
		if addr, err = netip.ParseAddr(c.Client); err != nil {
			return "unknown"
		}
	}
	bits := 48
	if addr.Is4() {
		bits = 24
	}
	network, err := addr.Prefix(bits)
	if err != nil {
		return "unknown"
	}
	return network.String()
}

// refusals tells the log of callers who are over a limit and of keys that are not
// good (OWASP ASVS 16.3.1, 16.3.3), of each once a minute at the most. What was
// sent is in no line.
type refusals struct {
	log        *slog.Logger // nil: nowhere
	over, keys sparing
}

// limited tells of a caller whom err says to be over a limit, and returns err.
func (r *refusals) limited(ctx context.Context, c Caller, err error, now time.Time) error {
	e, ok := errors.AsType[*Error](err)
	if !ok || e.Kind != Throttled || e.Limit == nil || r.log == nil {
		return err
	}
	whose, attrs := c.Client, []any{"event", "throttle.refused", "limit", e.Limit.Name, "network", c.Network()}
	if c.Key != nil {
		whose, attrs = c.Key.Name, append(attrs, "key", c.Key.Name)
	}
	if withheld, ok := r.over.tell(e.Limit.Name+" "+whose, now); ok {
		r.log.InfoContext(ctx, "a caller is over a limit", append(attrs, "withheld", withheld)...)
	}
	return err
}

// badKey tells of a key that was refused, by its name if it was ever one of ours.
func (r *refusals) badKey(ctx context.Context, c Caller, name, why string, now time.Time) {
	if r.log == nil {
		return
	}
	if withheld, ok := r.keys.tell(name+" "+c.Client, now); ok {
		r.log.WarnContext(ctx, "a key was refused", "event", "key.refused", "reason", why, "key", name, "network", c.Network(), "withheld", withheld)
	}
}
