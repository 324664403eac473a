package reset

import (
	"context"
	"log/slog"
	"strconv"
	"sync"
	"time"
)

// The bounds of the recorder.
const (
	// recordAfter is when an entry is stored at the latest, if the store can.
	recordAfter = 100 * time.Millisecond
	// recordAgain is the pause after a failure.
	recordAgain = time.Second
	// foldFor is for how long like acts are counted together. The first of them is stored
	// by itself, so that a crash loses their number at the most; and thousands of links
	// that are looked at all the time cost a tenth of the writing that a second would.
	foldFor = 10 * time.Second
	// mostWaiting is how many entries may wait, and how many kinds of like acts
	// are told apart: some megabytes.
	mostWaiting = 16_384
	// recordBatch is how many entries one transaction stores: some milliseconds, since on
	// SQLite others wait for it.
	recordBatch = 250
)

// Recorder stores audit entries of what changed nothing: asking, looking,
// refusals. Nobody waits for it, so it makes no call slower and none different from another. In
// return a process that is killed loses what it noted within the last tenth of
// a second, and how often like acts were repeated within ten; what was noted when too much waited is counted, and the count is told.
type Recorder struct {
	store Store
	now   Clock
	log   *slog.Logger

	mu      sync.Mutex
	waiting []AuditEntry
	folds   map[foldKey]*fold
	dropped int
	wake    chan struct{}

	storing sync.Mutex // one batch at a time, so that they stay in order
	stop    chan struct{}
	done    chan struct{} // nil before Start
	once    sync.Once
}

// foldKey is what like acts have in common.
type foldKey struct{ what, who, from, key, outcome string }

// fold counts like acts. The first was stored by itself.
type fold struct {
	until time.Time
	next  AuditEntry // the first of those that were counted
	times int
}

// NewRecorder makes a recorder. Start it, or call Flush.
func NewRecorder(store Store, now Clock, log *slog.Logger) *Recorder {
	return &Recorder{
		store: store, now: now, log: log,
		folds: make(map[foldKey]*fold), wake: make(chan struct{}, 1),
		stop: make(chan struct{}),
	}
}

// note takes an entry. It never waits for the store.
func (r *Recorder) note(e AuditEntry, like bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if like && r.foldLocked(e) {
		return
	}
	if len(r.waiting) >= mostWaiting {
		r.dropped++
		return
	}
	r.waiting = append(r.waiting, e)
	if len(r.waiting) == 1 {
		select {
		case r.wake <- struct{}{}:
		default:
		}
	}
}

// foldLocked counts an entry with those before it, and reports whether there are any.
func (r *Recorder) foldLocked(e AuditEntry) bool {
	k := foldKey{e.What, e.Who, e.From, e.Key, e.Outcome}
	f := r.folds[k]
	switch {
	case f == nil:
		if len(r.folds) < mostWaiting {
			r.folds[k] = &fold{until: e.At.Add(foldFor)}
		}
		return false
	case f.times == 0:
		f.next = e
	}
	f.times++
	return true
}

// gather takes what is to be stored now: what waits, and what was counted long enough; all of it if all.
func (r *Recorder) gather(all bool) []AuditEntry {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.now()
	for k, f := range r.folds {
		if !all && now.Before(f.until) {
			continue
		}
		delete(r.folds, k)
		if f.times > 0 {
			f.next.Times = f.times
			r.waiting = append(r.waiting, f.next)
		}
	}
	if r.dropped > 0 {
		r.waiting = append(r.waiting, AuditEntry{
			At: now, What: ActDropped, Outcome: EndBusy, Details: Details("entries", strconv.Itoa(r.dropped)),
		})
		r.log.Warn("too many audit entries at once; some were not kept", "event", "audit.dropped", "entries", r.dropped)
		r.dropped = 0
	}
	taken := r.waiting
	r.waiting = nil
	return taken
}

// putBack lets entries that could not be stored wait again, in front.
func (r *Recorder) putBack(entries []AuditEntry) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.waiting = append(entries, r.waiting...)
	if over := len(r.waiting) - mostWaiting; over > 0 {
		r.waiting = r.waiting[:mostWaiting]
		r.dropped += over
	}
}

// Flush stores everything that was noted, and what was counted so far.
func (r *Recorder) Flush(ctx context.Context) error { return r.flush(ctx, true) }

func (r *Recorder) flush(ctx context.Context, all bool) error {
	r.storing.Lock()
	defer r.storing.Unlock()
	entries := r.gather(all)
	for len(entries) > 0 {
		batch := entries[:min(len(entries), recordBatch)]
		err := r.store.Update(ctx, func(tx Tx) error {
			tx.Record(batch...)
			return nil
		})
		if err != nil {
			r.putBack(entries)
			return err
		}
		entries = entries[len(batch):]
	}
	return nil
}

// Start begins to store in a goroutine of its own, which Stop ends.
func (r *Recorder) Start(ctx context.Context) {
	ctx = context.WithoutCancel(ctx)
	r.done = make(chan struct{})
	go func() {
		defer close(r.done)
		r.run(ctx)
	}()
}

// Stop stores what is left, and ends. Call it when nobody notes anything any more.
func (r *Recorder) Stop(ctx context.Context) error {
	r.once.Do(func() { close(r.stop) })
	if r.done != nil {
		<-r.done
	}
	return r.flush(ctx, true)
}

func (r *Recorder) run(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	<-timer.C
	for {
		if !r.any() {
			select {
			case <-r.wake:
			case <-r.stop:
				return
			}
		}
		timer.Reset(recordAfter)
		select {
		case <-timer.C:
		case <-r.stop:
			return
		}
		if err := r.flush(ctx, false); err != nil {
			r.log.WarnContext(ctx, "audit entries could not be stored yet; it is tried again", "event", "audit.failed", "error", err)
			timer.Reset(recordAgain)
			select {
			case <-timer.C:
			case <-r.stop:
				return
			}
		}
	}
}

// any reports whether anything is still to be stored.
func (r *Recorder) any() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.folds) > 0 || len(r.waiting) > 0
}
