package reset

import (
	"context"
	"time"
)

// mostPurges bounds how many transactions one purge of the audit trail takes; the next purge goes on.
const mostPurges = 100

// trailKeeper has the courier look after the audit trail.
type trailKeeper struct {
	trail AuditTrail    // nil: there is none
	keep  time.Duration // how long entries are kept; 0: for ever
	told  map[int64]int64
}

// KeepTrail has every purge remove audit entries older than keep, unless that
// is 0, and log how far the trail goes. Call it before any entry is worked.
func (c *Courier) KeepTrail(t AuditTrail, keep time.Duration) {
	c.trail = trailKeeper{trail: t, keep: keep, told: make(map[int64]int64)}
}

func (c *Courier) keepTrail(ctx context.Context, now time.Time) error {
	if c.trail.trail == nil {
		return nil
	}
	for range mostPurges {
		if c.trail.keep == 0 {
			break
		}
		n := 0
		err := c.store.Update(ctx, func(tx Tx) (err error) {
			n, err = tx.PurgeAudit(ctx, now, now.Add(-c.trail.keep))
			return err
		})
		if err != nil {
			return err
		}
		if n == 0 {
			break
		}
	}
	return c.tellHeads(ctx)
}

// tellHeads logs the heads of streams that have gone on. The log is elsewhere, as a rule: with
// these lines "sparekey audit verify --against" finds that the trail was put back.
func (c *Courier) tellHeads(ctx context.Context) error {
	heads, err := Heads(ctx, c.trail.trail)
	if err != nil {
		return err
	}
	for _, h := range heads {
		if c.trail.told[h.Stream] == h.Seq {
			continue
		}
		c.trail.told[h.Stream] = h.Seq
		c.log.InfoContext(ctx, "so far the audit trail goes", "event", h.Event, "family", h.Family, "stream", h.Stream, "seq", h.Seq, "seal", h.Seal)
	}
	return nil
}
