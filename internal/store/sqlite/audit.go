package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"strings"
	"time"

	"github.com/sparekey/sparekey/internal/reset"
)

// purgeAudit bounds what one purge removes of the audit trail, since everybody's writing waits for it.
const purgeAudit = 2_000

// Seal has the store keep an audit trail, sealed by the chain. Call it before anything is recorded.
func (s *Store) Seal(c *reset.Chain) { s.chain = c }

// Record implements reset.Tx. The entries join the trail when the batch commits.
func (t *tx) Record(entries ...reset.AuditEntry) { t.audit = append(t.audit, entries...) }

// PurgeAudit implements reset.Tx.
func (t *tx) PurgeAudit(ctx context.Context, now, before time.Time) (int, error) {
	if t.chain == nil {
		return 0, nil
	}
	return t.chain.Purge(ctx, ledger{t}, now, before, purgeAudit)
}

// ledger is the trail's side of a transaction. Nobody else writes meanwhile, so nothing needs a lock.
type ledger struct{ *tx }

const (
	streamColumns = `stream, family, seq, seal, first, before_seal, mac`
	recordColumns = `stream, seq, at, what, who, origin, key_name, outcome, request_id, times, node, details, seal`
	selectFamily  = `SELECT family, streams, mac FROM audit_families`
	selectStream  = `SELECT ` + streamColumns + ` FROM audit_streams`
	selectRecord  = `SELECT ` + recordColumns + ` FROM audit_entries`
)

func scanFamily(row interface{ Scan(...any) error }) (f reset.AuditFamily, err error) {
	return f, translate(row.Scan(&f.Family, &f.Streams, &f.MAC))
}

func scanStream(row interface{ Scan(...any) error }) (s reset.AuditStream, err error) {
	return s, translate(row.Scan(&s.Stream, &s.Family, &s.Seq, &s.Seal, &s.First, &s.Before, &s.MAC))
}

func scanRecord(row interface{ Scan(...any) error }) (r reset.AuditRecord, err error) {
	var at int64
	err = row.Scan(&r.Stream, &r.Seq, &at, &r.What, &r.Who, &r.From, &r.Key, &r.Outcome, &r.RequestID, &r.Times, &r.Node, &r.Details, &r.Seal)
	r.At = time.UnixMilli(at).UTC()
	return r, translate(err)
}

func maybeStream(row *sql.Row) (reset.AuditStream, bool, error) {
	s, err := scanStream(row)
	if errors.Is(err, sql.ErrNoRows) {
		return s, false, nil
	}
	return s, err == nil, err
}

// Family implements reset.AuditLedger.
func (l ledger) Family(ctx context.Context, family string) (reset.AuditFamily, error) {
	if _, err := l.exec(ctx, `INSERT INTO audit_families (family, streams, mac) VALUES (?, 0, x'') ON CONFLICT DO NOTHING`, family); err != nil {
		return reset.AuditFamily{}, err
	}
	return scanFamily(l.row(ctx, selectFamily+` WHERE family = ?`, family))
}

// Families implements reset.AuditLedger.
func (l ledger) Families(ctx context.Context) ([]reset.AuditFamily, error) {
	return collect(context.WithoutCancel(ctx), l.sql, scanFamily, selectFamily+` ORDER BY family`)
}

// PutFamily implements reset.AuditLedger.
func (l ledger) PutFamily(ctx context.Context, f reset.AuditFamily) error {
	_, err := l.exec(ctx, `UPDATE audit_families SET streams = ?, mac = ? WHERE family = ?`, f.Streams, f.MAC, f.Family)
	return err
}

// Free implements reset.AuditLedger.
func (l ledger) Free(ctx context.Context, family string, except []int64) (reset.AuditStream, bool, error) {
	return maybeStream(l.row(ctx, selectStream+` AS s WHERE family = ? AND stream NOT IN (SELECT value FROM json_each(?))
		AND NOT EXISTS (SELECT 1 FROM audit_entries e WHERE e.stream = s.stream AND e.seq > s.seq) ORDER BY stream LIMIT 1`, family, jsonList(except)))
}

// Lock implements reset.AuditLedger.
func (l ledger) Lock(ctx context.Context, stream int64) (reset.AuditStream, bool, error) {
	return maybeStream(l.row(ctx, selectStream+` WHERE stream = ?`, stream))
}

// Streams implements reset.AuditLedger.
func (l ledger) Streams(ctx context.Context) ([]reset.AuditStream, error) {
	return collect(context.WithoutCancel(ctx), l.sql, scanStream, selectStream+` ORDER BY stream`)
}

// AddStream implements reset.AuditLedger.
func (l ledger) AddStream(ctx context.Context, s reset.AuditStream) (stream int64, err error) {
	err = l.row(ctx, `INSERT INTO audit_streams (family, seq, seal, first, before_seal, mac) VALUES (?, ?, ?, ?, ?, x'') RETURNING stream`,
		s.Family, s.Seq, s.Seal, s.First, s.Before).Scan(&stream)
	return stream, translate(err)
}

// PutStream implements reset.AuditLedger.
func (l ledger) PutStream(ctx context.Context, s reset.AuditStream) error {
	_, err := l.exec(ctx, `UPDATE audit_streams SET seq = ?, seal = ?, first = ?, before_seal = ?, mac = ? WHERE stream = ?`,
		s.Seq, s.Seal, s.First, s.Before, s.MAC, s.Stream)
	return err
}

// recordsAtOnce is how many records one statement adds. Fewer go one by one, so that
// there are two texts to keep compiled.
const recordsAtOnce = 16

const (
	recordPlaces = `(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)` // one for each of recordColumns
	insertRecord = `INSERT INTO audit_entries (` + recordColumns + `) VALUES ` + recordPlaces
)

var insertRecords = insertRecord + strings.Repeat(`, `+recordPlaces, recordsAtOnce-1)

// Append implements reset.AuditLedger.
func (l ledger) Append(ctx context.Context, records []reset.AuditRecord) error {
	for len(records) > 0 {
		n, insert := 1, insertRecord
		if len(records) >= recordsAtOnce {
			n, insert = recordsAtOnce, insertRecords
		}
		args := make([]any, 0, n*strings.Count(recordPlaces, "?"))
		for i := range records[:n] {
			r := &records[i]
			args = append(args, r.Stream, r.Seq, r.At.UnixMilli(), r.What, r.Who, r.From, r.Key,
				r.Outcome, r.RequestID, r.Times, r.Node, r.Details, r.Seal)
		}
		if _, err := l.exec(ctx, insert, args...); err != nil {
			return err
		}
		records = records[n:]
	}
	return nil
}

const recordsOf = selectRecord + ` WHERE stream = ? AND seq > ? ORDER BY seq LIMIT ?`

// Records implements reset.AuditLedger.
func (l ledger) Records(ctx context.Context, stream, after int64, limit int) ([]reset.AuditRecord, error) {
	return collect(context.WithoutCancel(ctx), l.sql, scanRecord, recordsOf, stream, after, limit)
}

// Drop implements reset.AuditLedger.
func (l ledger) Drop(ctx context.Context, stream int64) error {
	_, err := l.exec(ctx, `DELETE FROM audit_entries WHERE stream = ?1 AND seq < (SELECT first FROM audit_streams WHERE stream = ?1)`, stream)
	return err
}

// DropFamily implements reset.AuditLedger.
func (l ledger) DropFamily(ctx context.Context, family string) error {
	if _, err := l.exec(ctx, `DELETE FROM audit_streams WHERE family = ?`, family); err != nil {
		return err
	}
	_, err := l.exec(ctx, `DELETE FROM audit_families WHERE family = ?`, family)
	return err
}

// AuditFamilies implements reset.AuditTrail.
func (s *Store) AuditFamilies(ctx context.Context) ([]reset.AuditFamily, error) {
	return collect(ctx, s.read, scanFamily, selectFamily+` ORDER BY family`)
}

// AuditStreams implements reset.AuditTrail.
func (s *Store) AuditStreams(ctx context.Context) ([]reset.AuditStream, error) {
	return collect(ctx, s.read, scanStream, selectStream+` ORDER BY stream`)
}

// AuditHeadless implements reset.AuditTrail. It hops from stream to stream on the index.
func (s *Store) AuditHeadless(ctx context.Context) ([]int64, error) {
	return collect(ctx, s.read, func(row interface{ Scan(...any) error }) (stream int64, err error) {
		return stream, translate(row.Scan(&stream))
	}, `WITH RECURSIVE hop(stream) AS (SELECT min(stream) FROM audit_entries
			UNION ALL SELECT (SELECT min(stream) FROM audit_entries WHERE stream > hop.stream) FROM hop WHERE hop.stream IS NOT NULL)
		SELECT stream FROM hop WHERE stream IS NOT NULL AND stream NOT IN (SELECT stream FROM audit_streams)`)
}

// AuditRecords implements reset.AuditTrail.
func (s *Store) AuditRecords(ctx context.Context, stream, after int64, limit int) ([]reset.AuditRecord, error) {
	return collect(ctx, s.read, scanRecord, recordsOf, stream, after, limit)
}

// AuditSince implements reset.AuditTrail.
func (s *Store) AuditSince(ctx context.Context, after reset.AuditPlace, limit int) ([]reset.AuditRecord, error) {
	return collect(ctx, s.read, scanRecord, selectRecord+` WHERE (at, stream, seq) > (?, ?, ?) ORDER BY at, stream, seq LIMIT ?`,
		after.At.UnixMilli(), after.Stream, after.Seq, limit)
}

// AuditNewest implements reset.AuditTrail.
func (s *Store) AuditNewest(ctx context.Context, limit int) ([]reset.AuditRecord, error) {
	return collect(ctx, s.read, scanRecord, `SELECT * FROM (`+selectRecord+` ORDER BY at DESC, stream DESC, seq DESC LIMIT ?) ORDER BY at, stream, seq`, limit)
}
