package storetest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/sparekey/sparekey/internal/reset"
)

func chain(secret string) *reset.Chain {
	return reset.NewChain([]byte(secret), "replica-1", slog.New(slog.DiscardHandler))
}

// record stores entries, each in a transaction of its own.
func record(t *testing.T, s Store, entries ...reset.AuditEntry) {
	t.Helper()
	for _, e := range entries {
		update(t, s, func(tx reset.Tx) error {
			tx.Record(e)
			return nil
		})
	}
}

func looked(n int) reset.AuditEntry {
	return reset.AuditEntry{
		At: start.Add(time.Duration(n) * time.Second), What: reset.ActLooked, Who: fmt.Sprint("user:u", n), From: "192.0.2.0/24",
		Key: "app", Outcome: reset.EndOK, RequestID: fmt.Sprint("r", n), Times: n, Details: reset.Details("n", fmt.Sprint(n)),
	}
}

// filled keeps a trail of n entries, the first of which tells of the beginning.
func filled(t *testing.T, s Store, n int) *reset.Chain {
	t.Helper()
	c := chain("one")
	s.Seal(c)
	for i := 2; i <= n; i++ {
		record(t, s, looked(i))
	}
	return c
}

func verify(t testing.TB, s Store, known []reset.AuditHead, chains ...*reset.Chain) reset.AuditReport {
	t.Helper()
	r, err := reset.Verify(t.Context(), s, chains, known)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func intact(t *testing.T, s Store, chains ...*reset.Chain) reset.AuditReport {
	t.Helper()
	r := verify(t, s, nil, chains...)
	if len(r.Findings) > 0 {
		t.Errorf("an intact trail: %+v", r.Findings)
	}
	return r
}

func exec(t testing.TB, s Store, statements ...string) {
	t.Helper()
	for _, statement := range statements {
		if err := s.Exec(context.WithoutCancel(t.Context()), statement); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
}

func testAudit(t *testing.T, s Store) {
	ctx := t.Context()
	record(t, s, looked(1)) // nobody has given it a chain
	c := filled(t, s, 4)
	first, err := s.AuditRecords(ctx, 1, 1, 2)
	if err != nil || len(first) != 2 {
		t.Fatalf("%d records, %v", len(first), err)
	}
	same(t, "an entry", first[0].AuditEntry, looked(2))
	same(t, "its place", []int64{first[0].Stream, first[0].Seq, first[1].Seq}, []int64{1, 2, 3})
	same(t, "its node", first[0].Node, "replica-1")

	err = s.Update(ctx, func(tx reset.Tx) error {
		tx.Record(looked(99))
		return errRefused
	})
	if !errors.Is(err, errRefused) {
		t.Errorf("a transaction that fails: %v", err)
	}
	record(t, s, reset.AuditEntry{At: start, What: "x\ny", Who: "evil\x00\x1b[2J\u202e" + strings.Repeat("é", 500), From: "\xff", Details: "no\njson"})
	r := intact(t, s, c)
	same(t, "records", r.Records, int64(5)) // that of the beginning, three, and the last
	newest, err := s.AuditNewest(ctx, 2)
	if err != nil || len(newest) != 2 {
		t.Fatalf("%d newest, %v", len(newest), err)
	}
	same(t, "the newest by time", []string{newest[0].Who, newest[1].Who}, []string{"user:u3", "user:u4"})
	odd, err := s.AuditSince(ctx, reset.AuditPlace{}, 1)
	if err != nil || len(odd) != 1 {
		t.Fatalf("%d oldest, %v", len(odd), err)
	}
	if e := odd[0]; e.What != `x\ny` || !strings.HasPrefix(e.Who, `evil\x00\x1b[2J\u202e`) || len(e.Who) > 200 || e.From != `\ufffd` || e.Details != `{"details":"no\\njson"}` {
		t.Errorf("an odd entry: %+v", e)
	}
	for place, n := (reset.AuditPlace{}), 0; ; n++ {
		page, err := s.AuditSince(ctx, place, 1)
		if err != nil {
			t.Fatal(err)
		}
		if len(page) == 0 {
			same(t, "records one by one", n, 5)
			break
		}
		place = page[0].Place()
	}
}

func describe(findings []reset.AuditFinding) string {
	var b strings.Builder
	for _, f := range findings {
		fmt.Fprintf(&b, "%d/%d: %s\n", f.Stream, f.Seq, f.Problem)
	}
	return b.String()
}

// testAuditRace: many write at once, some fail, and every stream is unbroken.
func testAuditRace(t *testing.T, s Store) {
	c := chain("one")
	s.Seal(c)
	r := reset.NewRecorder(s, func() time.Time { return start }, slog.New(slog.DiscardHandler))
	r.Start(t.Context())
	audit := reset.NewAudit([]byte("names"), reset.ClientsTruncated, r, func() time.Time { return start })
	keys := reset.NewKeys(s, openDoor{}, func() time.Time { return start })
	keys.Audit(audit)
	won := race(t, racers, func(i int) error {
		for n := range 5 {
			_, _ = keys.Authenticate(t.Context(), fmt.Sprintf("192.0.%d.1", i*5+n), "wrong")
		}
		return s.Update(t.Context(), func(tx reset.Tx) error {
			tx.Record(looked(i))
			if i%3 == 1 {
				return errRefused
			}
			return tx.OpenRequest(t.Context(), digest(fmt.Sprint(i)), fmt.Sprint("user", i), start, start.Add(time.Hour))
		})
	})
	if err := r.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	report := intact(t, s, c)
	if report.Streams > racers {
		t.Errorf("%d streams", report.Streams)
	}
	count := map[string]int{}
	for place := (reset.AuditPlace{}); ; {
		page, err := s.AuditSince(t.Context(), place, 100)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range page {
			count[r.What]++
			place = r.Place()
		}
		if len(page) < 100 {
			break
		}
	}
	same(t, "entries of transactions", count[reset.ActLooked], won)
	same(t, "entries that were noted", count[reset.ActKeyRefused], 5*racers)
	same(t, "streams begun", count[reset.ActBegun], report.Streams)
}

// openDoor limits nobody.
type openDoor struct{ reset.Throttle }

func (openDoor) Guessing(reset.Caller, time.Time) error                    { return nil }
func (openDoor) WrongGuess(context.Context, reset.Caller, time.Time) error { return nil }

func purgeAudit(t *testing.T, s Store, now, before time.Time) (n int) {
	t.Helper()
	update(t, s, func(tx reset.Tx) (err error) {
		n, err = tx.PurgeAudit(t.Context(), now, before)
		return err
	})
	return n
}

func testAuditPurge(t *testing.T, s Store) {
	ctx := t.Context()
	same(t, "without a trail", purgeAudit(t, s, start, start), 0)
	c := filled(t, s, 9)
	heads, err := reset.Heads(ctx, s)
	if err != nil {
		t.Fatal(err)
	}
	same(t, "purged", purgeAudit(t, s, start, start.Add(5*time.Second)), 4)
	same(t, "purged again", purgeAudit(t, s, start, start.Add(5*time.Second)), 0)
	same(t, "kept", intact(t, s, c).Records, int64(5))
	if r := verify(t, s, heads, c); len(r.Findings) > 0 {
		t.Errorf("after a purge, against heads from before: %+v", r.Findings)
	}
	same(t, "purged whole", purgeAudit(t, s, start, start.Add(time.Minute)), 5)
	same(t, "kept", intact(t, s, c).Records, int64(0))
	record(t, s, looked(10), looked(11))
	same(t, "kept", intact(t, s, c).Records, int64(2))

	// What was changed to look old is not purged, for purging would hide it.
	exec(t, s, s.Disarm()...)
	openRequest(t, s, "x", "ada")
	exec(t, s, `UPDATE audit_entries SET at = (SELECT min(created_at) FROM requests) WHERE seq = 10`)
	same(t, "purged of what was changed", purgeAudit(t, s, start, start.Add(time.Second)), 0)
	if r := verify(t, s, nil, c); len(r.Findings) == 0 {
		t.Error("a time that was changed was not found")
	}
}

// testAuditSecrets: whoever has another secret begins a family of its own.
func testAuditSecrets(t *testing.T, s Store) {
	one := filled(t, s, 4)
	two := chain("two")
	s.Seal(two)
	record(t, s, looked(20))
	intact(t, s, two, one)
	intact(t, s, one, two)
	if r := verify(t, s, nil, two); !strings.Contains(describe(r.Findings), "a secret that is not at hand") {
		t.Errorf("without the former secret: %+v", r.Findings)
	}
	if r := verify(t, s, nil, chain("three"), two, one); !strings.Contains(describe(r.Findings), "nothing was sealed with the secret that is in force") {
		t.Errorf("with a third secret: %+v", r.Findings)
	}
	// What the former has sealed goes as a whole.
	same(t, "purged while some is new", purgeAudit(t, s, start, start.Add(4*time.Second)), 0)
	same(t, "purged", purgeAudit(t, s, start.Add(time.Hour), start.Add(5*time.Second)), 4)
	same(t, "kept", intact(t, s, two).Records, int64(3)) // its beginning, 20, and that something was removed
	s.Seal(one)
	record(t, s, looked(21))
	intact(t, s, two, one)
	exec(t, s, s.Disarm()...)
	exec(t, s, `DELETE FROM audit_families WHERE family = '`+two.Family()+`'`,
		`DELETE FROM audit_entries WHERE stream IN (SELECT stream FROM audit_streams WHERE family = '`+two.Family()+`')`,
		`DELETE FROM audit_streams WHERE family = '`+two.Family()+`'`)
	if r := verify(t, s, nil, one); !strings.Contains(describe(r.Findings), "former secret was removed") {
		t.Errorf("a family that is gone: %+v", r.Findings)
	}
}
