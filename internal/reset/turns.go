package reset

import (
	"context"
	"hash/maphash"
	"sync"
)

// Turns lets the workers of all replicas take turns, where there are several.
type Turns interface {
	// Take waits until nobody else has the name's turn, or ctx ends. Two callers of
	// one process must not hold the same name. The caller calls release when done; it
	// answers an error if the turn was lost meanwhile and another may have had it too.
	Take(ctx context.Context, name string) (release func() error, err error)
}

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
