package reset

import (
	"context"
	"crypto/hmac"
	"time"
)

// Purge removes records from before a time, at most limit of them, from the
// beginnings of streams, and says how many. Each is checked first: what was
// changed stays, and changing its time has nothing removed early.
func (c *Chain) Purge(ctx context.Context, l AuditLedger, now, before time.Time, limit int) (removed int, err error) {
	streams, err := l.Streams(ctx)
	if err != nil {
		return 0, err
	}
	former := make(map[string][]AuditStream)
	for _, s := range streams {
		if s.Family != c.family {
			former[s.Family] = append(former[s.Family], s)
			continue
		}
		if removed >= limit {
			break
		}
		n, err := c.purgeStream(ctx, l, s.Stream, before, limit-removed)
		removed += n
		if err != nil {
			return removed, err
		}
	}
	for family, streams := range former {
		if removed >= limit {
			break
		}
		n, err := c.purgeFormer(ctx, l, family, streams, now, before, limit-removed)
		removed += n
		if err != nil {
			return removed, err
		}
	}
	return removed, nil
}

// purgeStream removes the beginning of a stream of this family.
func (c *Chain) purgeStream(ctx context.Context, l AuditLedger, stream int64, before time.Time, limit int) (int, error) {
	oldest, err := l.Records(ctx, stream, 0, 1)
	if err != nil || len(oldest) == 0 || !oldest[0].At.Before(before) {
		return 0, err
	}
	s, ok, err := l.Lock(ctx, stream)
	if err != nil || !ok || !c.holdsStream(s) {
		return 0, err
	}
	records, err := l.Records(ctx, stream, s.First-1, limit)
	if err != nil {
		return 0, err
	}
	n := 0
	for _, r := range records {
		if !r.At.Before(before) {
			break
		}
		if r.Seq != s.First || !hmac.Equal(r.Seal, c.seal(&r, s.Before)) {
			c.log.ErrorContext(ctx, "the audit trail was changed, so this stream is kept as it is; see: sparekey audit verify",
				"event", "audit.broken", "stream", stream, "seq", s.First)
			return 0, nil
		}
		s.First, s.Before = r.Seq+1, r.Seal
		n++
	}
	if n == 0 {
		return 0, nil
	}
	s.MAC = c.sealStream(s)
	if err := l.PutStream(ctx, s); err != nil {
		return 0, err
	}
	return n, l.Drop(ctx, stream)
}

// purgeFormer removes what another key has sealed once all of it is old enough:
// without that key no beginning can be removed so that the rest still holds.
func (c *Chain) purgeFormer(ctx context.Context, l AuditLedger, family string, streams []AuditStream, now, before time.Time, limit int) (removed int, err error) {
	for _, s := range streams {
		newest, err := l.Records(ctx, s.Stream, s.Seq-1, 1)
		if err != nil || len(newest) > 0 && !newest[0].At.Before(before) {
			return 0, err
		}
	}
	for _, seen := range streams {
		s, ok, err := l.Lock(ctx, seen.Stream)
		if err != nil {
			return removed, err
		}
		if !ok || s.First > s.Seq {
			continue
		}
		n := min(s.Seq-s.First+1, int64(limit-removed))
		s.First += n
		removed += int(n)
		if err := l.PutStream(ctx, s); err != nil {
			return removed, err
		}
		if err := l.Drop(ctx, s.Stream); err != nil {
			return removed, err
		}
		if s.First <= s.Seq {
			return removed, nil // the rest with the next purge
		}
	}
	if err := l.DropFamily(ctx, family); err != nil {
		return removed, err
	}
	return removed, c.Append(ctx, l, []AuditEntry{{At: now, What: ActRemoved, Outcome: EndOK, Details: Details(detailFormer, family)}})
}
