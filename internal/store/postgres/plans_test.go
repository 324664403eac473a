package postgres_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/sparekey/sparekey/internal/directory/builtin"
	"github.com/sparekey/sparekey/internal/reset"
	"github.com/sparekey/sparekey/internal/store/postgres/pgtest"
)

// TestPlans: no statement on the way of a reset reads a whole table, however
// much history there is. A cluster that logs the plan of every statement tells.
func TestPlans(t *testing.T) {
	t.Parallel()
	logging, err := pgtest.Start("session_preload_libraries = 'auto_explain'", "auto_explain.log_min_duration = 0", "auto_explain.log_nested_statements = on")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := logging.Close(); err != nil {
			t.Error(err)
		}
	})
	address := logging.Database(t)
	s := open(t, address)

	ctx, now := t.Context(), time.Now()
	id, old := reset.NewID().Digest(), reset.NewID().Digest()
	update := func(what string, fn func(tx builtin.RecordsTx) error) {
		t.Helper()
		if err := s.Update(ctx, func(tx reset.Tx) error { return fn(tx.(builtin.RecordsTx)) }); err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	// The trail begins with an empty table, and the plans that are made then stay with their connections.
	s.Seal(chain())
	empty := len(logging.Log())
	for range 8 {
		update("record", func(tx builtin.RecordsTx) error {
			tx.Record(reset.AuditEntry{At: now.Add(-time.Hour), What: reset.ActLooked})
			return nil
		})
	}
	update("purge the trail", func(tx builtin.RecordsTx) error {
		n, err := tx.PurgeAudit(ctx, now, now.Add(-time.Minute))
		if n == 0 {
			t.Error("nothing was purged of the trail")
		}
		return err
	})
	logging.Exec(t, strings.TrimSuffix(regexp.MustCompile(`test\d+`).FindString(address), "?"), history)
	before := len(logging.Log())
	update("ask", func(tx builtin.RecordsTx) error {
		if _, err := tx.Take(ctx, "l77", 1, reset.Rate{Count: 1, Per: time.Hour}, now); err != nil {
			return err
		}
		return tx.Enqueue(ctx, reset.LinkEntry{Address: "u77@example.test"})
	})
	for _, d := range []reset.Digest{old, id} {
		update("open", func(tx builtin.RecordsTx) error { return tx.OpenRequest(ctx, d, "u77", now, now.Add(time.Hour)) })
	}
	reads := map[string]func(ctx context.Context) error{
		"look":            func(ctx context.Context) error { _, err := s.Glance(ctx, id); return err },
		"the request":     func(ctx context.Context) error { _, err := s.RequestByDigest(ctx, id); return err },
		"the open one":    func(ctx context.Context) error { _, err := s.OpenRequestOf(ctx, "u77"); return err },
		"by address":      func(ctx context.Context) error { _, err := s.UserByKey(ctx, "u77@example.test"); return err },
		"by id":           func(ctx context.Context) error { _, err := s.UserByID(ctx, "u77"); return err },
		"password":        func(ctx context.Context) error { _, err := s.PasswordHash(ctx, "u77"); return err },
		"job":             func(ctx context.Context) error { _, err := s.Job(ctx, "j77"); return err },
		"newest requests": func(ctx context.Context) error { _, err := s.Requests(ctx, 10); return err },
		"audit, a stream": func(ctx context.Context) error { _, err := s.AuditRecords(ctx, 101, 70, 100); return err },
		"audit, by time": func(ctx context.Context) error {
			_, err := s.AuditSince(ctx, reset.AuditPlace{At: now.Add(-time.Hour), Stream: 101}, 100)
			return err
		},
		"brands' version": func(ctx context.Context) error { _, err := s.BrandVersion(ctx); return err },
		"a logo": func(ctx context.Context) error {
			_, err := s.LogoData(ctx, reset.Digest(sha256.Sum256([]byte("77"))))
			return err
		},
		"audit, newest":   func(ctx context.Context) error { _, err := s.AuditNewest(ctx, 100); return err },
		"audit, headless": func(ctx context.Context) error { _, err := s.AuditHeadless(ctx); return err },
	}
	for what, read := range reads {
		if err := read(ctx); err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	update("reset", func(tx builtin.RecordsTx) error {
		if _, err := tx.Claim(ctx, id, now); err != nil {
			return err
		}
		if err := tx.SetPasswordHash(ctx, "u77", "x", now); err != nil {
			return err
		}
		_, err := tx.CloseRequests(ctx, "u77", now)
		return err
	})
	both := reset.JoinUserIDs("u78", "crm.78")
	joined := reset.NewID().Digest()
	update("open for two", func(tx builtin.RecordsTx) error { return tx.OpenRequest(ctx, joined, both, now, now.Add(time.Hour)) })
	var held reset.Request
	update("hold", func(tx builtin.RecordsTx) (err error) {
		held, err = tx.Hold(ctx, joined, now)
		return err
	})
	update("release", func(tx builtin.RecordsTx) error { return tx.Release(ctx, held.Ref, held.ClaimedAt) })
	if r, err := s.OpenRequestOf(ctx, "crm.78"); err != nil || r.Ref != held.Ref {
		t.Errorf("the open one of two: %+v, %v", r, err)
	}
	update("hold again", func(tx builtin.RecordsTx) error { _, err := tx.Hold(ctx, joined, held.ClaimedAt); return err })
	update("settle", func(tx builtin.RecordsTx) error {
		_, err := tx.Settle(ctx, held.Ref, held.ClaimedAt, now)
		return errors.Join(err, second(tx.CloseRequests(ctx, both, now)))
	})
	update("brand", func(tx builtin.RecordsTx) error {
		b, err := tx.Branding(ctx, 77)
		if err != nil || b.Name != "A77" || len(b.Hosts) != 1 {
			t.Errorf("the brand of account 77 is %+v, %v", b, err)
		}
		b.Name = "another"
		return tx.SetBranding(ctx, 77, b)
	})
	update("outcome", func(tx builtin.RecordsTx) error { return tx.SetOutcome(ctx, "j77", 76, reset.OutcomeSent) })
	year := 365 * 24 * time.Hour
	update("purge", func(tx builtin.RecordsTx) error {
		_, err := tx.Purge(ctx, time.UnixMicro(5), now.Add(-year), now.Add(-year))
		return err
	})

	plans := logging.Log()[before:]
	if n := strings.Count(plans, "Query Text:"); n < len(reads)+10 {
		t.Fatalf("only %d plans were logged", n)
	}
	if early := logging.Log()[empty:before]; strings.Contains(early, "Seq Scan on audit_entries") {
		t.Errorf("all of the trail is read from its beginning on:%s", early)
	}
	for _, table := range []string{"requests", "request_users", "users", "memberships", "limits", "jobs", "job_entries", "river_job", "audit_entries", "brands", "brand_hosts"} {
		for _, plan := range strings.Split(plans, "LOG:  duration:") {
			if strings.Contains(plan, "Seq Scan on "+table+" ") || strings.Contains(plan, "Seq Scan on "+table+"\n") {
				t.Errorf("all of %s is read:%s", table, plan)
			}
		}
	}
}

func second[T any](_ T, err error) error { return err }

// history is what a busy year leaves, in rows.
const history = `
	INSERT INTO accounts (name, name_key, created_at) SELECT 'A'||n, 'a'||n, now() FROM generate_series(1, 500) n;
	INSERT INTO users (id, email, email_key, name, locale, created_at) SELECT 'u'||n, 'u'||n||'@example.test', 'u'||n||'@example.test', '', '', now() FROM generate_series(1, 20000) n;
	INSERT INTO memberships SELECT 'u'||n, 1 + n % 500 FROM generate_series(1, 20000) n;
	INSERT INTO requests (digest, user_id, state, created_at, expires_at, ended_at)
		SELECT sha256(n::text::bytea), 'u'||n % 20000, CASE WHEN n % 50 = 0 THEN 'open' ELSE 'used' END, now() - n * interval '1 minute', now() - n * interval '1 minute', now() FROM generate_series(1, 60000) n;
	INSERT INTO request_users SELECT ref, unnest(ARRAY[user_id, 'crm.'||ref % 20000]) FROM requests WHERE ref % 2 = 0;
	INSERT INTO brands SELECT n, 'A'||n, '', '', '', '', '', '', 'image/png', 1, 1, sha256(n::text::bytea), 'x' FROM generate_series(1, 500) n;
	INSERT INTO brand_hosts SELECT 'reset.a'||n||'.test', n, 0 FROM generate_series(1, 500) n;
	INSERT INTO limits SELECT 'l'||n, n FROM generate_series(1, 20000) n;
	INSERT INTO jobs SELECT 'j'||n, 1, now() FROM generate_series(1, 500) n;
	INSERT INTO job_entries SELECT 'j'||1 + n % 500, n, 'sent' FROM generate_series(1, 20000) n;
	INSERT INTO audit_entries SELECT 101 + n % 5, n, now() - n * interval '1 minute', 'link.looked', 'user:u'||n % 20000, '', '', 'ok', '', 1, '', '', sha256(n::text::bytea) FROM generate_series(1, 60000) n;
	ANALYZE;`
