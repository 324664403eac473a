package reset

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"time"
)

// The audit trail is a number of streams. In a stream each record is sealed with
// a keyed hash over itself and the seal of the one before; the stream's own row,
// its head, says how far it goes and where it begins, under a seal too; and how
// many streams there are says, sealed, their family. So whoever writes to the
// database and does not have the key cannot change, add, take out, exchange or cut off anything
// without its being found (Verify). What cannot be found from inside is that all of it
// was put back to an earlier state; heads that were kept elsewhere find that.
//
// A stream is written by one transaction at a time. Writers take one that is
// free, so that they do not wait for each other, and begin another if there is none: there are
// as many as there ever were writers at once, of whichever replicas.
//
// The streams that were sealed with one key are a family. A process with another
// secret begins a family of its own and leaves the others as they are.

// AuditRecord is an entry in its place.
type AuditRecord struct {
	AuditEntry

	Stream, Seq int64 // Seq counts from 1 without a gap
	// Node names the machine that recorded it.
	Node string
	// Seal is the keyed hash over all of it and the record before.
	Seal []byte
}

// AuditStream is the head of a stream.
type AuditStream struct {
	Stream int64
	Family string
	// Seq and Seal are those of the last record; 0 and noSeal before the first.
	Seq  int64
	Seal []byte
	// First is the first record that is still kept; Before is the seal of the one before it.
	First  int64
	Before []byte
	// MAC is the keyed hash over all of it.
	MAC []byte
}

// AuditFamily says how many streams were sealed with one key.
type AuditFamily struct {
	Family  string
	Streams int64
	MAC     []byte
}

// noSeal stands before the first record.
var noSeal = make([]byte, sha256.Size)

// AuditLedger is where a store keeps the trail, as part of one transaction.
type AuditLedger interface {
	// Family locks the family's row, which is made, with 0 streams and no MAC, if it is not there.
	Family(ctx context.Context, family string) (AuditFamily, error)
	// Families lists the families, by name.
	Families(ctx context.Context) ([]AuditFamily, error)
	// PutFamily replaces the family's row.
	PutFamily(ctx context.Context, f AuditFamily) error
	// Free locks and returns a stream of the family, none of except, that no other
	// transaction has locked and that has no record behind its head; false if there is none.
	Free(ctx context.Context, family string, except []int64) (AuditStream, bool, error)
	// Lock locks and returns a stream; false if it is gone.
	Lock(ctx context.Context, stream int64) (AuditStream, bool, error)
	// Streams lists all heads, by number.
	Streams(ctx context.Context) ([]AuditStream, error)
	// AddStream adds a head and answers its number; MAC and Stream of s do not count.
	AddStream(ctx context.Context, s AuditStream) (int64, error)
	// PutStream replaces a head.
	PutStream(ctx context.Context, s AuditStream) error
	// Append adds records.
	Append(ctx context.Context, records []AuditRecord) error
	// Records returns a stream's records behind a place, in order, at most limit.
	Records(ctx context.Context, stream, after int64, limit int) ([]AuditRecord, error)
	// Drop removes the records of a stream that stand before its First.
	Drop(ctx context.Context, stream int64) error
	// DropFamily removes a family and its heads, which have no records any more.
	DropFamily(ctx context.Context, family string) error
}

// Chain seals the audit trail with one key.
type Chain struct {
	key    []byte
	node   string
	family string
	log    *slog.Logger

	mu     sync.Mutex
	broken []int64 // streams that were found changed, which nobody goes on with
}

// NewChain makes a chain of a key, the same for all replicas. node names this machine.
func NewChain(key []byte, node string, log *slog.Logger) *Chain {
	c := &Chain{key: key, node: clean(node), log: log}
	c.family = hex.EncodeToString(c.mac("family's name"))[:16]
	return c
}

// Family names the key without giving anything of it away.
func (c *Chain) Family() string { return c.family }

// mac is the keyed hash over what follows; every field is told apart from the next by its length.
func (c *Chain) mac(about string, fields ...any) []byte {
	m := hmac.New(sha256.New, c.key)
	writeFields(m, about, fields...)
	return m.Sum(nil)
}

func writeFields(m hash.Hash, about string, fields ...any) {
	b := make([]byte, 0, 512)
	b = appendText(b, "sparekey audit 1 "+about)
	for _, f := range fields {
		switch f := f.(type) {
		case int64:
			b = binary.BigEndian.AppendUint64(b, uint64(f)) //nolint:gosec // any number, as it is
		case string:
			b = appendText(b, f)
		case []byte:
			b = binary.AppendUvarint(b, uint64(len(f)))
			b = append(b, f...)
		default:
			panic(fmt.Sprintf("an audit record has no field of type %T", f))
		}
	}
	_, _ = m.Write(b) // never fails
}

func appendText(b []byte, s string) []byte {
	b = binary.AppendUvarint(b, uint64(len(s)))
	return append(b, s...)
}

// seal is what a record's Seal should be.
func (c *Chain) seal(r *AuditRecord, before []byte) []byte {
	return c.mac("record", before, r.Stream, r.Seq, r.At.UnixMilli(), r.What, r.Who, r.From, r.Key, r.Outcome,
		r.RequestID, int64(r.Times), r.Node, r.Details)
}

func (c *Chain) sealStream(s AuditStream) []byte {
	return c.mac("stream", s.Stream, s.Family, s.Seq, s.Seal, s.First, s.Before)
}

func (c *Chain) sealFamily(f AuditFamily) []byte { return c.mac("family", f.Family, f.Streams) }

func (c *Chain) holdsStream(s AuditStream) bool { return hmac.Equal(s.MAC, c.sealStream(s)) }
func (c *Chain) holdsFamily(f AuditFamily) bool { return hmac.Equal(f.MAC, c.sealFamily(f)) }

// Append seals entries and adds them to a stream. Stores call it at the very end
// of a transaction, so that a stream is locked for as short as can be.
func (c *Chain) Append(ctx context.Context, l AuditLedger, entries []AuditEntry) error {
	if len(entries) == 0 {
		return nil
	}
	s, first, err := c.stream(ctx, l, entries[0].At)
	if err != nil {
		return fmt.Errorf("go on with the audit trail: %w", err)
	}
	records := make([]AuditRecord, 0, len(first)+len(entries))
	for _, list := range [][]AuditEntry{first, entries} {
		for _, e := range list {
			r := AuditRecord{AuditEntry: e.cleaned(), Stream: s.Stream, Seq: s.Seq + 1, Node: c.node}
			r.Seal = c.seal(&r, s.Seal)
			s.Seq, s.Seal = r.Seq, r.Seal
			records = append(records, r)
		}
	}
	s.MAC = c.sealStream(s)
	if err := l.Append(ctx, records); err != nil {
		return fmt.Errorf("add to the audit trail: %w", err)
	}
	return l.PutStream(ctx, s)
}

// stream finds a stream to go on with, and what is to be told before the rest.
// One whose head was changed is left as it is: to seal it anew would hide that.
func (c *Chain) stream(ctx context.Context, l AuditLedger, at time.Time) (s AuditStream, first []AuditEntry, err error) {
	for {
		s, ok, err := l.Free(ctx, c.family, c.except())
		if err != nil {
			return s, nil, err
		}
		if !ok {
			s, begun, err := c.begin(ctx, l, at)
			return s, append(begun, first...), err
		}
		if c.holdsStream(s) {
			return s, first, nil
		}
		c.found(ctx, s.Stream)
		first = append(first, brokenEntry(at, "stream", strconv.FormatInt(s.Stream, 10)))
	}
}

func brokenEntry(at time.Time, pairs ...string) AuditEntry {
	return AuditEntry{At: at, What: ActBroken, Outcome: EndError, Details: Details(pairs...)}
}

func (c *Chain) except() []int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]int64{}, c.broken...)
}

func (c *Chain) found(ctx context.Context, stream int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.broken = append(c.broken, stream)
	c.log.ErrorContext(ctx, "the audit trail was changed; see: sparekey audit verify", "event", "audit.broken", "stream", stream)
}

// begin begins a stream.
func (c *Chain) begin(ctx context.Context, l AuditLedger, at time.Time) (s AuditStream, first []AuditEntry, err error) {
	f, err := l.Family(ctx, c.family)
	if err != nil {
		return s, nil, err
	}
	streams, err := l.Streams(ctx)
	if err != nil {
		return s, nil, err
	}
	var mine int64
	for _, other := range streams {
		if other.Family == c.family {
			mine++
		}
	}
	about := []string{"streams", strconv.FormatInt(mine+1, 10)}
	if mine == 0 {
		others, err := c.others(ctx, l)
		if err != nil {
			return s, nil, err
		}
		if len(others) > 0 {
			about = append(about, detailFormer, strings.Join(others, " "))
		}
		if len(others) > 0 {
			c.log.WarnContext(ctx, "the audit trail goes on under another secret; every process should have the same", "event", "audit.secret", "family", c.family)
		}
		c.log.InfoContext(ctx, "the audit trail begins", "event", "audit.begun", "family", c.family)
	}
	first = append(first, AuditEntry{At: at, What: ActBegun, Outcome: EndOK, Details: Details(about...)})
	fresh := f.Streams == 0 && len(f.MAC) == 0 && mine == 0
	if !fresh && (!c.holdsFamily(f) || f.Streams != mine) {
		c.log.ErrorContext(ctx, "streams of the audit trail were removed or added; see: sparekey audit verify", "event", "audit.broken")
		first = append(first, brokenEntry(at, "streams_signed", strconv.FormatInt(f.Streams, 10), "streams_found", strconv.FormatInt(mine, 10)))
	}
	f.Streams = mine + 1
	f.MAC = c.sealFamily(f)
	if err := l.PutFamily(ctx, f); err != nil {
		return s, nil, err
	}
	s = AuditStream{Family: c.family, Seal: noSeal, First: 1, Before: noSeal}
	s.Stream, err = l.AddStream(ctx, s)
	return s, first, err
}

// others names the families that there were before this one.
func (c *Chain) others(ctx context.Context, l AuditLedger) (names []string, err error) {
	families, err := l.Families(ctx)
	for _, f := range families {
		if f.Family != c.family {
			names = append(names, f.Family)
		}
	}
	return names, err
}

// detailFormer names the families that were there when another began.
const detailFormer = "former"
