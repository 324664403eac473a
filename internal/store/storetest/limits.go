package storetest

import (
	"fmt"
	"testing"
	"time"

	"github.com/sparekey/sparekey/internal/reset"
)

// testTakeMany: several events count like as many single ones, all or none.
func testTakeMany(t *testing.T, s Store) {
	rate := reset.Rate{Count: 6, Per: time.Minute}
	for i, step := range []struct {
		n     int
		after time.Duration
		want  time.Duration
	}{
		{4, 0, 0},
		{3, 0, 10 * time.Second},
		{6, 0, 40 * time.Second},
		{2, 0, 0},
		{1, 0, 10 * time.Second},
		{3, 20 * time.Second, 10 * time.Second},
		{2, 20 * time.Second, 0},
		{6, 80 * time.Second, 0},
		{6, 80 * time.Second, time.Minute},
	} {
		var wait time.Duration
		update(t, s, func(tx reset.Tx) (err error) {
			wait, err = tx.Take(t.Context(), "many", step.n, rate, start.Add(step.after))
			return err
		})
		same(t, fmt.Sprintf("step %d, the wait of %d after %v", i, step.n, step.after), wait, step.want)
	}
}

// testLimitsByName: limits are read and forgotten by their names, which are told apart to the letter.
func testLimitsByName(t *testing.T, s Store) {
	ctx := t.Context()
	rate := reset.Rate{Count: 2, Per: time.Minute}
	names := []string{"ask:a_c", "ask:abc", "ask:A_C", "guess:x/0", "service"}
	update(t, s, func(tx reset.Tx) error {
		for _, name := range names {
			if _, err := tx.Take(ctx, name, 1, rate, start); err != nil {
				return err
			}
		}
		_, err := tx.Take(ctx, "over", 1, rate, start.Add(-time.Hour))
		return err
	})
	limits := func(names ...string) map[string]time.Time {
		t.Helper()
		m, err := s.Limits(ctx, names)
		if err != nil {
			t.Fatal(err)
		}
		for name, at := range m {
			m[name] = at.UTC()
		}
		return m
	}
	until := start.Add(30 * time.Second)
	same(t, "by name", limits("ask:a_c", "guess:x/0", "none"), map[string]time.Time{"ask:a_c": until, "guess:x/0": until})
	same(t, "by no name", limits(), map[string]time.Time{})
	kinds, err := s.LimitKinds(ctx, start)
	if err != nil {
		t.Fatal(err)
	}
	same(t, "kinds", kinds, map[string]int{"ask": 3, "guess": 1, "service": 1})
	forget := func(names []string) (n int) {
		t.Helper()
		update(t, s, func(tx reset.Tx) (err error) {
			n, err = tx.ForgetLimits(ctx, names)
			return err
		})
		return n
	}
	same(t, "forgotten", forget([]string{"ask:a_c", "none"}), 1)
	same(t, "forgotten by no name", forget([]string{}), 0)
	same(t, "left", limits(names...), map[string]time.Time{"ask:abc": until, "ask:A_C": until, "guess:x/0": until, "service": until})
	same(t, "all forgotten", forget(nil), 5)
	same(t, "left then", limits(names...), map[string]time.Time{})
}
