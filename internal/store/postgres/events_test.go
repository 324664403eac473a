package postgres_test

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/sparekey/sparekey/internal/outbox"
	"github.com/sparekey/sparekey/internal/reset"
)

// teller takes every event and keeps those that were told and given up.
type teller struct{ told, given chan reset.Entry }

func (teller) MailLink(context.Context, reset.LinkEntry, bool) error { return nil }
func (teller) MailNotice(context.Context, reset.NoticeEntry) error   { return nil }
func (teller) Settle(context.Context, reset.SettleEntry) error       { return nil }
func (teller) Purge(context.Context) error                           { return nil }

func (t teller) TellEvent(_ context.Context, e reset.EventEntry) error {
	t.told <- e
	return nil
}

func (t teller) GiveUp(_ context.Context, e reset.Entry, _ int, _ error) error {
	t.given <- e
	return nil
}

// TestEventsOfTargets: a target's events are told by whoever knows it; those of
// one that nobody knows any more are given up after a day, and removed.
func TestEventsOfTargets(t *testing.T) {
	t.Parallel()
	address := cluster.Database(t)
	s := open(t, address)
	db, err := pgxpool.New(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	at := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	known := reset.EventEntry{ID: "evt_1", Type: reset.EventPasswordReset, At: at, Target: "https://a.example.com/", UserID: "u"}
	gone := reset.EventEntry{ID: "evt_2", Type: reset.EventPasswordReset, At: at, Target: "https://b.example.com/", UserID: "u"}
	if err := s.Update(t.Context(), func(tx reset.Tx) error { return tx.Enqueue(t.Context(), known, gone) }); err != nil {
		t.Fatal(err)
	}
	h := teller{make(chan reset.Entry, 9), make(chan reset.Entry, 9)}
	o, err := outbox.New[pgx.Tx](s.RiverDriver(), h, outbox.Options{
		Workers: 1, Targets: []string{known.Target}, ID: s.ID(),
		Now: func() time.Time { return time.Now().Add(reset.GiveUpAfter + 2*time.Hour) }, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := o.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := o.Stop(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	}()
	for what, c := range map[string]struct {
		from <-chan reset.Entry
		want reset.Entry
	}{"told": {h.told, known}, "given up": {h.given, gone}} {
		select {
		case got := <-c.from:
			if got != c.want {
				t.Errorf("%s was %+v, want %+v", what, got, c.want)
			}
		case <-time.After(30 * time.Second):
			t.Fatalf("nothing was %s", what)
		}
	}
	until(t, "the one that nobody knows to be gone", func() bool {
		var n int
		err := db.QueryRow(t.Context(), `SELECT count(*) FROM river_job WHERE kind = 'event' AND finalized_at IS NULL`).Scan(&n)
		return err == nil && n == 0
	})
}
