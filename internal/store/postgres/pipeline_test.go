package postgres_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/sparekey/sparekey/internal/reset"
)

// TestPutOffAndFailed: statements are put off to the commit; one that fails
// there takes the whole transaction with it, is told to the caller, and leaves
// a connection that works.
func TestPutOffAndFailed(t *testing.T) {
	t.Parallel()
	s := open(t, cluster.Database(t))
	now := time.Now()
	digest := reset.NewID().Digest()
	openOne := func(user string, entries ...reset.Entry) error {
		return s.Update(t.Context(), func(tx reset.Tx) error {
			if err := tx.Enqueue(t.Context(), entries...); err != nil {
				return err
			}
			return tx.OpenRequest(t.Context(), digest, user, now, now.Add(time.Hour))
		})
	}
	if err := openOne("ada"); err != nil {
		t.Fatal(err)
	}
	for range 40 { // more than there are connections
		if err := openOne("bob", reset.NoticeEntry{UserID: "bob", ChangedAt: now}); !errors.Is(err, reset.ErrExists) {
			t.Fatalf("the same digest again: %v, wanted ErrExists", err)
		}
	}
	list, err := s.Requests(t.Context(), 10)
	if err != nil || len(list) != 1 || list[0].UserID != "ada" || list[0].State != reset.StateOpen {
		t.Errorf("requests %+v, error %v; wanted ada's alone", list, err)
	}

	// A failure of the caller's own forgets what was put off, sent or not.
	mine := errors.New("mine")
	for _, sent := range []bool{false, true} {
		err := s.Update(t.Context(), func(tx reset.Tx) error {
			other := reset.NewID().Digest()
			if err := tx.OpenRequest(t.Context(), other, "eve", now, now.Add(time.Hour)); err != nil {
				return err
			}
			if sent {
				if n, err := tx.CloseRequests(t.Context(), "eve", now); n != 1 || err != nil {
					t.Errorf("closed %d, %v; wanted what was put off to be seen", n, err)
				}
			}
			return mine
		})
		if !errors.Is(err, mine) {
			t.Errorf("error %v, wanted the caller's", err)
		}
	}
	if list, err := s.Requests(t.Context(), 10); err != nil || len(list) != 1 {
		t.Errorf("requests %+v, error %v; wanted ada's alone", list, err)
	}
}

// TestEntriesFewAndMany: few entries travel with the commit, many by COPY.
// Their texts arrive as they are either way.
func TestEntriesFewAndMany(t *testing.T) {
	t.Parallel()
	for _, n := range []int{1, 63, 64, 1000} {
		address := cluster.Database(t)
		s := open(t, address)
		var entries []reset.Entry
		for i := range n {
			entries = append(entries, reset.LinkEntry{Address: fmt.Sprintf("o'\"\\ü%d@example.test", i)})
		}
		if err := s.Update(t.Context(), func(tx reset.Tx) error { return tx.Enqueue(t.Context(), entries...) }); err != nil {
			t.Fatal(err)
		}
		db, err := pgxpool.New(t.Context(), address)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(db.Close)
		rows, err := db.Query(t.Context(), `SELECT args->>'address' FROM river_job WHERE state = 'available' AND queue = 'mail' ORDER BY id`)
		if err != nil {
			t.Fatal(err)
		}
		seen := 0
		for rows.Next() {
			var got string
			if err := rows.Scan(&got); err != nil {
				t.Fatal(err)
			}
			if want := fmt.Sprintf("o'\"\\ü%d@example.test", seen); got != want {
				t.Fatalf("entry %d has %q, wanted %q", seen, got, want)
			}
			seen++
		}
		if rows.Err() != nil || seen != n {
			t.Errorf("%d entries, error %v; wanted %d", seen, rows.Err(), n)
		}
	}
}
