package throttle_test

import (
	"log/slog"
	"strconv"
	"testing"
	"time"

	"github.com/sparekey/sparekey/internal/reset"
	"github.com/sparekey/sparekey/internal/throttle"
)

// Hints are limited for each link, in memory of bounded size.
func TestHints(t *testing.T) {
	t.Parallel()
	l := throttle.New(throttle.Limits{Hint: reset.Rate{Count: 3, Per: time.Minute}}, nil, slog.New(slog.DiscardHandler))
	mine, other := reset.Digest{1}, reset.Digest{2}
	for range 3 {
		must(t, l.Hinting(mine, start))
	}
	same(t, "the wait of the fourth", waits(t, l.Hinting(mine, start)), 20*time.Second)
	must(t, l.Hinting(other, start))
	must(t, l.Hinting(mine, start.Add(20*time.Second)))
	same(t, "the wait of the fifth", waits(t, l.Hinting(mine, start.Add(20*time.Second))), 20*time.Second)

	for i := range 100_000 {
		var d reset.Digest
		copy(d[:], strconv.Itoa(i))
		must(t, l.Hinting(d, start))
	}
	if n := l.Hinted(); n == 0 || n > 4096 {
		t.Errorf("%d links are remembered", n)
	}
	unlimited := throttle.New(throttle.Limits{}, nil, slog.New(slog.DiscardHandler))
	for range 1000 {
		must(t, unlimited.Hinting(mine, start))
	}
}
