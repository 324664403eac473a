package reset

import (
	"context"
	"hash/maphash"
	"sync"
)

// turns lets one caller at a time do something for a name. Names share a
// fixed number of slots, so memory is bounded; two names that share one merely wait for each other.
type turns struct {
	once  sync.Once
	seed  maphash.Seed
	slots [256]chan struct{}
}

// take waits for the name's turn. The caller calls unlock when done.
func (t *turns) take(ctx context.Context, name string) (unlock func(), err error) {
	t.once.Do(func() {
		t.seed = maphash.MakeSeed()
		for i := range t.slots {
			t.slots[i] = make(chan struct{}, 1)
		}
	})
	slot := t.slots[maphash.String(t.seed, name)%uint64(len(t.slots))]
	select {
	case slot <- struct{}{}:
		return func() { <-slot }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}
