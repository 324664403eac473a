package postgres_test

import (
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/sparekey/sparekey/internal/reset"
	"github.com/sparekey/sparekey/internal/throttle"
)

// TestAskingInOppositeOrders: callers who name the same addresses the other way
// round do not hold each other up. PostgreSQL ends a deadlock only after a
// second, so some dozens of them would take minutes and fail.
func TestAskingInOppositeOrders(t *testing.T) {
	t.Parallel()
	s := open(t, cluster.Database(t))
	limits := throttle.Defaults()
	limits.Client.Count = 1000
	service := reset.NewService(reset.Config{MaxAddresses: 100}, s, nil, nil, throttle.New(limits, s, slog.New(slog.DiscardHandler)), time.Now, slog.New(slog.DiscardHandler))
	var addresses []string
	for i := range 50 {
		addresses = append(addresses, fmt.Sprintf("user%d@example.test", i))
	}
	backwards := slices.Clone(addresses)
	slices.Reverse(backwards)
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for range 5 {
				list := addresses
				if i%2 == 1 {
					list = backwards
				}
				if err := service.Ask(t.Context(), reset.Caller{Client: fmt.Sprint(i)}, list); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
}
