package postgres

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/sparekey/sparekey/internal/reset"
)

// Seal has the store keep an audit trail, sealed by the chain. Call it before anything is recorded.
func (s *Store) Seal(c *reset.Chain) { s.chain = c }

// Record implements reset.Tx. The entries join the trail before the commit.
func (t *tx) Record(entries ...reset.AuditEntry) { t.audit = append(t.audit, entries...) }

// PurgeAudit implements reset.Tx.
func (t *tx) PurgeAudit(ctx context.Context, now, before time.Time) (int, error) {
	if t.chain == nil {
		return 0, nil
	}
	return t.chain.Purge(ctx, ledger{t}, now, before, reset.PurgeBatch)
}

// ledger is the trail's side of a transaction.
type ledger struct{ *tx }

const (
	streamColumns = `stream, family, seq, seal, first, before_seal, mac`
	selectFamily  = `SELECT family, streams, mac FROM audit_families`
	selectStream  = `SELECT ` + streamColumns + ` FROM audit_streams`
	selectRecord  = `SELECT stream, seq, at, what, who, origin, key_name, outcome, request_id, times, node, details, seal FROM audit_entries`
)

// recordColumns are those of selectRecord, in its order.
var recordColumns = []string{"stream", "seq", "at", "what", "who", "origin", "key_name", "outcome", "request_id", "times", "node", "details", "seal"}

func scanFamily(row pgx.Row) (f reset.AuditFamily, err error) {
	return f, keep(row.Scan(&f.Family, &f.Streams, &f.MAC))
}

func scanStream(row pgx.Row) (s reset.AuditStream, err error) {
	return s, keep(row.Scan(&s.Stream, &s.Family, &s.Seq, &s.Seal, &s.First, &s.Before, &s.MAC))
}

func scanRecord(row pgx.Row) (r reset.AuditRecord, err error) {
	err = row.Scan(&r.Stream, &r.Seq, &r.At, &r.What, &r.Who, &r.From, &r.Key, &r.Outcome, &r.RequestID, &r.Times, &r.Node, &r.Details, &r.Seal)
	r.At = r.At.UTC()
	return r, keep(err)
}

func maybeStream(row pgx.Row) (reset.AuditStream, bool, error) {
	s, err := scanStream(row)
	if errors.Is(err, pgx.ErrNoRows) {
		return s, false, nil
	}
	return s, err == nil, err
}

// Family implements reset.AuditLedger.
func (l ledger) Family(ctx context.Context, family string) (reset.AuditFamily, error) {
	l.later(`INSERT INTO audit_families (family, streams, mac) VALUES ($1, 0, '') ON CONFLICT DO NOTHING`, family)
	return scanFamily(l.row(ctx, selectFamily+` WHERE family = $1 FOR UPDATE`, family))
}

// Families implements reset.AuditLedger.
func (l ledger) Families(ctx context.Context) ([]reset.AuditFamily, error) {
	return collect(context.WithoutCancel(ctx), l.sql, scanFamily, selectFamily+` ORDER BY family`)
}

// PutFamily implements reset.AuditLedger.
func (l ledger) PutFamily(_ context.Context, f reset.AuditFamily) error {
	l.later(`UPDATE audit_families SET streams = $1, mac = $2 WHERE family = $3`, f.Streams, f.MAC, f.Family)
	return nil
}

// Free implements reset.AuditLedger. The last record is asked for in a way that can only be
// answered from the index: a plan made while the table was empty stays for the
// life of a connection, and would read all of it.
func (l ledger) Free(ctx context.Context, family string, except []int64) (reset.AuditStream, bool, error) {
	return maybeStream(l.row(ctx, selectStream+` AS s WHERE family = $1 AND stream <> ALL($2)
		AND s.seq >= coalesce((SELECT e.seq FROM audit_entries e WHERE e.stream = s.stream ORDER BY e.stream DESC, e.seq DESC LIMIT 1), 0)
		ORDER BY stream LIMIT 1 FOR UPDATE OF s SKIP LOCKED`, family, except))
}

// Lock implements reset.AuditLedger.
func (l ledger) Lock(ctx context.Context, stream int64) (reset.AuditStream, bool, error) {
	return maybeStream(l.row(ctx, selectStream+` WHERE stream = $1 FOR UPDATE`, stream))
}

// Streams implements reset.AuditLedger.
func (l ledger) Streams(ctx context.Context) ([]reset.AuditStream, error) {
	return collect(context.WithoutCancel(ctx), l.sql, scanStream, selectStream+` ORDER BY stream`)
}

// AddStream implements reset.AuditLedger.
func (l ledger) AddStream(ctx context.Context, s reset.AuditStream) (stream int64, err error) {
	err = l.row(ctx, `INSERT INTO audit_streams (family, seq, seal, first, before_seal, mac) VALUES ($1, $2, $3, $4, $5, '') RETURNING stream`,
		s.Family, s.Seq, s.Seal, s.First, s.Before).Scan(&stream)
	return stream, keep(err)
}

// PutStream implements reset.AuditLedger.
func (l ledger) PutStream(_ context.Context, s reset.AuditStream) error {
	l.later(`UPDATE audit_streams SET seq = $1, seal = $2, first = $3, before_seal = $4, mac = $5 WHERE stream = $6`,
		s.Seq, s.Seal, s.First, s.Before, s.MAC, s.Stream)
	return nil
}

// Append implements reset.AuditLedger.
func (l ledger) Append(ctx context.Context, records []reset.AuditRecord) error {
	_, err := l.sql.CopyFrom(ctx, pgx.Identifier{"audit_entries"}, recordColumns, pgx.CopyFromSlice(len(records), func(i int) ([]any, error) {
		r := &records[i]
		return []any{r.Stream, r.Seq, r.At, r.What, r.Who, r.From, r.Key, r.Outcome, r.RequestID, int64(r.Times), r.Node, r.Details, r.Seal}, nil
	}))
	return keep(err)
}

const recordsOf = selectRecord + ` WHERE stream = $1 AND seq > $2 ORDER BY seq LIMIT $3`

// Records implements reset.AuditLedger.
func (l ledger) Records(ctx context.Context, stream, after int64, limit int) ([]reset.AuditRecord, error) {
	return collect(context.WithoutCancel(ctx), l.sql, scanRecord, recordsOf, stream, after, limit)
}

// Drop implements reset.AuditLedger.
func (l ledger) Drop(_ context.Context, stream int64) error {
	l.later(`DELETE FROM audit_entries WHERE stream = $1 AND seq < (SELECT first FROM audit_streams WHERE stream = $1)`, stream)
	return nil
}

// DropFamily implements reset.AuditLedger.
func (l ledger) DropFamily(_ context.Context, family string) error {
	l.later(`DELETE FROM audit_streams WHERE family = $1`, family)
	l.later(`DELETE FROM audit_families WHERE family = $1`, family)
	return nil
}

// list reads all rows of a query within a bounded time.
func list[T any](ctx context.Context, s *Store, scan func(pgx.Row) (T, error), query string, args ...any) ([]T, error) {
	return read(ctx, s, func(ctx context.Context, db querier) ([]T, error) { return collect(ctx, db, scan, query, args...) })
}

// AuditFamilies implements reset.AuditTrail.
func (s *Store) AuditFamilies(ctx context.Context) ([]reset.AuditFamily, error) {
	return list(ctx, s, scanFamily, selectFamily+` ORDER BY family`)
}

// AuditStreams implements reset.AuditTrail.
func (s *Store) AuditStreams(ctx context.Context) ([]reset.AuditStream, error) {
	return list(ctx, s, scanStream, selectStream+` ORDER BY stream`)
}

// AuditHeadless implements reset.AuditTrail. It hops from stream to stream on the index.
func (s *Store) AuditHeadless(ctx context.Context) ([]int64, error) {
	return list(ctx, s, func(row pgx.Row) (stream int64, err error) { return stream, row.Scan(&stream) },
		`WITH RECURSIVE hop(stream) AS (SELECT min(stream) FROM audit_entries
			UNION ALL SELECT (SELECT min(e.stream) FROM audit_entries e WHERE e.stream > hop.stream) FROM hop WHERE hop.stream IS NOT NULL)
		SELECT stream FROM hop WHERE stream IS NOT NULL AND stream NOT IN (SELECT s.stream FROM audit_streams s)`)
}

// AuditRecords implements reset.AuditTrail.
func (s *Store) AuditRecords(ctx context.Context, stream, after int64, limit int) ([]reset.AuditRecord, error) {
	return list(ctx, s, scanRecord, recordsOf, stream, after, limit)
}

// AuditSince implements reset.AuditTrail.
func (s *Store) AuditSince(ctx context.Context, after reset.AuditPlace, limit int) ([]reset.AuditRecord, error) {
	return list(ctx, s, scanRecord, selectRecord+` WHERE (at, stream, seq) > ($1, $2, $3) ORDER BY at, stream, seq LIMIT $4`,
		after.At, after.Stream, after.Seq, limit)
}

// AuditNewest implements reset.AuditTrail.
func (s *Store) AuditNewest(ctx context.Context, limit int) ([]reset.AuditRecord, error) {
	return list(ctx, s, scanRecord, `SELECT * FROM (`+selectRecord+` ORDER BY at DESC, stream DESC, seq DESC LIMIT $1) AS newest ORDER BY at, stream, seq`, limit)
}
