package outbox

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"

	"github.com/sparekey/sparekey/internal/reset"
)

// Each target of events has a queue and workers of its own: one that is slow or
// dead holds up neither mails nor other targets, and is never called more often at once.
const (
	eventWorkers = 4
	eventPoll    = 500 * time.Millisecond
	// How long after reset.GiveUpAfter an entry is left to other processes, which
	// may know a target that this one does not, before it counts as nobody's.
	leftBehind = time.Hour
	// How many such entries are dealt with at a time.
	leftBehindBatch = 500
)

// eventQueue names a target's queue. URLs are no names that River takes.
func eventQueue(target string) string {
	sum := sha256.Sum256([]byte(target))
	return "event_" + hex.EncodeToString(sum[:16])
}

// queueOf returns the queue that an entry waits in.
func queueOf(e reset.Entry) string {
	if e, ok := e.(reset.EventEntry); ok {
		return eventQueue(e.Target)
	}
	return mailQueue
}

// eventQueues are the queues of those targets.
func eventQueues(targets []string) map[string]river.QueueConfig {
	queues := make(map[string]river.QueueConfig, len(targets))
	for _, target := range targets {
		queues[eventQueue(target)] = river.QueueConfig{MaxWorkers: eventWorkers, FetchCooldown: fetchCooldown, FetchPollInterval: eventPoll}
	}
	return queues
}

// sweep gives up the events for targets that are configured no more, once nobody would try them any longer.
func (o *Outbox[TTx]) sweep(ctx context.Context, w *worker) error {
	before := w.now().Add(-reset.GiveUpAfter - leftBehind)
	nobodys := river.NewJobListParams().Kinds(reset.EventEntry{}.Kind()).
		States(rivertype.JobStateAvailable, rivertype.JobStateRetryable, rivertype.JobStateScheduled).
		Where("created_at < @before", river.NamedArgs{"before": before}).First(leftBehindBatch)
	for i, queue := range slices.Sorted(maps.Keys(o.targets)) {
		name := fmt.Sprintf("queue%d", i)
		nobodys = nobodys.Where("queue <> @"+name, river.NamedArgs{name: queue})
	}
	list, err := o.client.JobList(ctx, nobodys)
	if err != nil {
		return fmt.Errorf("look for events that nobody tells: %w", err)
	}
	for _, row := range list.Jobs {
		var e reset.EventEntry
		if err := json.Unmarshal(row.EncodedArgs, &e); err != nil {
			return fmt.Errorf("read the event %d: %w", row.ID, err)
		}
		if err := w.handler.GiveUp(ctx, e, row.Attempt, errors.New("its target is configured no more")); err != nil {
			return err
		}
		if _, err := o.client.JobDelete(ctx, row.ID); err != nil && !errors.Is(err, river.ErrNotFound) && !errors.Is(err, rivertype.ErrJobRunning) {
			return fmt.Errorf("remove the event %d: %w", row.ID, err)
		}
	}
	return nil
}
