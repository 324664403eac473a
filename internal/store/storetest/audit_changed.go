package storetest

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/sparekey/sparekey/internal/reset"
)

// tampering is what somebody does who can write to the database and has no key.
var tampering = []struct {
	about   string
	do      []string // with the triggers gone
	finding string   // a part of one
}{
	{"nothing", nil, ""},
	{"stream", []string{`UPDATE audit_entries SET stream = 700 WHERE seq = 4`}, "head was removed"},
	{"seq", []string{`UPDATE audit_entries SET seq = 70 WHERE seq = 7`}, "missing"},
	{"at", []string{`UPDATE audit_entries SET at = (SELECT e.at FROM audit_entries e WHERE e.seq = 5) WHERE seq = 4`}, "4: it was changed"},
	{"what", []string{`UPDATE audit_entries SET what = 'link.look' WHERE seq = 4`}, "4: it was changed"},
	{"who", []string{`UPDATE audit_entries SET who = 'user:u3' WHERE seq = 4`}, "4: it was changed"},
	{"origin", []string{`UPDATE audit_entries SET origin = '' WHERE seq = 4`}, "4: it was changed"},
	{"key_name", []string{`UPDATE audit_entries SET key_name = 'other' WHERE seq = 4`}, "4: it was changed"},
	{"outcome", []string{`UPDATE audit_entries SET outcome = 'unknown' WHERE seq = 4`}, "4: it was changed"},
	{"request_id", []string{`UPDATE audit_entries SET request_id = 'r3' WHERE seq = 4`}, "4: it was changed"},
	{"times", []string{`UPDATE audit_entries SET times = 1 WHERE seq = 4`}, "4: it was changed"},
	{"node", []string{`UPDATE audit_entries SET node = 'replica-2' WHERE seq = 4`}, "4: it was changed"},
	{"details", []string{`UPDATE audit_entries SET details = '' WHERE seq = 4`}, "4: it was changed"},
	{"one column's end into the next", []string{`UPDATE audit_entries SET who = who || '1', origin = '92.0.2.0/24' WHERE seq = 4`}, "4: it was changed"},
	{"seal", []string{`UPDATE audit_entries SET seal = (SELECT e.seal FROM audit_entries e WHERE e.seq = 5) WHERE seq = 4`}, "4: it was changed"},
	{"the last entry", []string{`UPDATE audit_entries SET who = '' WHERE seq = 9`}, "9: it was changed"},
	{"removed in the middle", []string{`DELETE FROM audit_entries WHERE seq = 4`}, "4: it is missing: taken out"},
	{"several removed", []string{`DELETE FROM audit_entries WHERE seq IN (4, 5)`}, "4: it and those up to 5 are missing"},
	{"removed and closed up", []string{`DELETE FROM audit_entries WHERE seq = 9`, `UPDATE audit_streams SET seq = 8`}, "head was changed"},
	{"the end cut off", []string{`DELETE FROM audit_entries WHERE seq >= 8`}, "8: it and those up to 9 are missing: the end"},
	{"the last cut off", []string{`DELETE FROM audit_entries WHERE seq = 9`}, "9: it is missing: the end"},
	{"the end cut off, and the head put there", []string{
		`DELETE FROM audit_entries WHERE seq = 9`, `UPDATE audit_streams SET seq = 8, seal = (SELECT e.seal FROM audit_entries e WHERE e.seq = 8)`,
	}, "head was changed"},
	{"the beginning cut off", []string{`DELETE FROM audit_entries WHERE seq <= 2`}, "1: it and those up to 2 are missing"},
	{"the beginning cut off, as if purged", []string{
		`UPDATE audit_streams SET first = 3, before_seal = (SELECT e.seal FROM audit_entries e WHERE e.seq = 2)`, `DELETE FROM audit_entries WHERE seq <= 2`,
	}, "head was changed"},
	{"two exchanged", []string{
		`UPDATE audit_entries SET seq = 40 WHERE seq = 4`, `UPDATE audit_entries SET seq = 4 WHERE seq = 5`, `UPDATE audit_entries SET seq = 5 WHERE seq = 40`,
	}, "4: it was changed"},
	{"one added at the end", []string{`INSERT INTO audit_entries SELECT stream, 10, at, what, who, origin, key_name, outcome, request_id, times, node, details, seal FROM audit_entries WHERE seq = 9`}, "10: it was changed, exchanged or added"},
	{"one added before the beginning", []string{`INSERT INTO audit_entries SELECT stream, -5, at, what, who, origin, key_name, outcome, request_id, times, node, details, seal FROM audit_entries WHERE seq = 9`}, "-5: it stands before"},
	{"the head removed", []string{`DELETE FROM audit_streams`}, "there are 0 streams and should be 1"},
	{"a stream removed", []string{`DELETE FROM audit_entries`, `DELETE FROM audit_streams`}, "there are 0 streams and should be 1"},
	{"a stream and its count removed", []string{`DELETE FROM audit_entries`, `DELETE FROM audit_streams`, `UPDATE audit_families SET streams = 0`}, "number of streams was changed"},
	{"the family removed", []string{`DELETE FROM audit_families`}, "belongs to no family"},
	{"the family's name", []string{`UPDATE audit_families SET family = 'other'`}, "nothing was sealed with the secret"},
	{"the stream's family", []string{`UPDATE audit_streams SET family = 'other'`}, "belongs to no family"},
	{"a stream added", []string{`INSERT INTO audit_streams (stream, family, seq, seal, first, before_seal, mac) SELECT 500, family, seq, seal, first, before_seal, mac FROM audit_streams`}, "there are 2 streams and should be 1"},
	{"everything", []string{`DELETE FROM audit_entries`, `DELETE FROM audit_streams`, `DELETE FROM audit_families`}, "no audit trail at all"},
}

func testAuditTampering(t *testing.T, s Store) {
	exec(t, s, s.Disarm()...)
	for _, c := range tampering {
		exec(t, s, `DELETE FROM audit_entries`, `DELETE FROM audit_streams`, `DELETE FROM audit_families`)
		one := filled(t, s, 9)
		intact(t, s, one)
		exec(t, s, c.do...)
		all := describe(verify(t, s, nil, one).Findings)
		if c.finding == "" {
			same(t, "findings", all, "")
			continue
		}
		if !strings.Contains(all, c.finding) {
			t.Errorf("%s: got %q, want one with %q", c.about, all, c.finding)
		}
		// Whoever goes on must not seal what was changed.
		next := chain("one")
		s.Seal(next)
		record(t, s, looked(50))
		if r := verify(t, s, nil, next); len(r.Findings) == 0 && c.about != "everything" {
			t.Errorf("%s: after the next entry it counts as intact", c.about)
		}
	}
}

// testAuditTriggers: the database itself refuses what nobody should do by mistake.
func testAuditTriggers(t *testing.T, s Store) {
	c := filled(t, s, 4)
	for _, statement := range []string{
		`UPDATE audit_entries SET who = '' WHERE seq = 2`, `DELETE FROM audit_entries WHERE seq = 2`, `DELETE FROM audit_entries`,
	} {
		if err := s.Exec(t.Context(), statement); err == nil || !strings.Contains(err.Error(), "append only") {
			t.Errorf("%s: %v", statement, err)
		}
	}
	same(t, "records", intact(t, s, c).Records, int64(4))
}

// testAuditRollback: that everything was put back is found by heads that were kept.
func testAuditRollback(t *testing.T, s Store) {
	c := filled(t, s, 4)
	exec(t, s, s.Disarm()...)
	exec(t, s, `CREATE TABLE old_streams AS SELECT * FROM audit_streams`)
	record(t, s, looked(5), looked(6))
	heads, err := reset.Heads(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	if r := verify(t, s, heads, c); len(r.Findings) > 0 {
		t.Errorf("with heads of now: %+v", r.Findings)
	}
	exec(t, s, `CREATE TABLE old_entries AS SELECT * FROM audit_entries`)
	exec(t, s, `DELETE FROM audit_entries WHERE seq > 4`, `DELETE FROM audit_streams`, `INSERT INTO audit_streams SELECT * FROM old_streams`)
	intact(t, s, c) // from inside nothing can be seen
	if r := verify(t, s, heads, c); !strings.Contains(describe(r.Findings), "put back to an earlier state") {
		t.Errorf("put back: %+v", r.Findings)
	}
	// Then it went on another way, further than it was.
	record(t, s, looked(7), looked(8), looked(9))
	if r := verify(t, s, heads, c); !strings.Contains(describe(r.Findings), "another record than when the heads were kept") {
		t.Errorf("gone on: %+v", r.Findings)
	}
	// An entry of the way it went first is well sealed, but it follows another.
	exec(t, s, `DELETE FROM audit_entries WHERE seq = 6`, `INSERT INTO audit_entries SELECT * FROM old_entries WHERE seq = 6`)
	if r := verify(t, s, nil, c); !strings.Contains(describe(r.Findings), "6: it was changed, exchanged or added") {
		t.Errorf("an entry of another past: %+v", r.Findings)
	}
	heads[0].Stream = 9
	if r := verify(t, s, heads, c); !strings.Contains(describe(r.Findings), "is gone") {
		t.Errorf("a stream that is gone: %+v", r.Findings)
	}
}

// testAuditProperty: whichever byte of whichever entry is changed, it is found.
func testAuditProperty(t *testing.T, s Store) {
	c := filled(t, s, 6)
	exec(t, s, s.Disarm()...)
	columns := []string{"what", "who", "origin", "key_name", "outcome", "request_id", "node", "details"}
	rapid.Check(t, func(rt *rapid.T) {
		seq := rapid.IntRange(2, 6).Draw(rt, "seq")
		column := rapid.SampledFrom(columns).Draw(rt, "column")
		records, err := s.AuditRecords(t.Context(), 1, int64(seq-1), 1)
		if err != nil || len(records) != 1 {
			rt.Fatalf("%d records, %v", len(records), err)
		}
		r := records[0]
		old := []byte(map[string]string{
			"what": r.What, "who": r.Who, "origin": r.From, "key_name": r.Key, "outcome": r.Outcome,
			"request_id": r.RequestID, "node": r.Node, "details": r.Details,
		}[column])
		changed := bytes.Clone(old)
		at := rapid.IntRange(0, len(old)-1).Draw(rt, "byte")
		for changed[at] == old[at] {
			changed[at] = rapid.ByteRange('0', 'z').Draw(rt, "to")
		}
		set := func(value []byte) {
			exec(t, s, fmt.Sprintf(`UPDATE audit_entries SET %s = '%s' WHERE seq = %d`, column, value, seq))
		}
		set(changed)
		found := describe(verify(t, s, nil, c).Findings)
		set(old)
		if want := fmt.Sprintf("1/%d: it was changed", seq); !strings.Contains(found, want) {
			rt.Errorf("%s changed from %q to %q: %q", column, old, changed, found)
		}
	})
	intact(t, s, c)
}
