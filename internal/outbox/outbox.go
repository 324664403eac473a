// Package outbox is the durable queue of what is still to be done, on River:
// it enqueues inside the store's transaction, leases, works, tries again and sweeps.
// Mails share a queue; each target of events has one of its own (events.go).
//
// What an entry means is the domain's (reset.Courier). River's defaults suit
// other work than reset mails, so they are set here: retries for a day with
// the domain's pauses, leases that end after two minutes, and finished entries,
// which hold addresses, gone within two.
package outbox

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver"
	"github.com/riverqueue/river/rivertype"

	"github.com/sparekey/sparekey/internal/reset"
)

// Handler does what the entries ask for. reset.Courier is one.
type Handler interface {
	// MailLink is told whether the entry was worked on before.
	MailLink(ctx context.Context, e reset.LinkEntry, again bool) error
	MailNotice(ctx context.Context, e reset.NoticeEntry) error
	TellEvent(ctx context.Context, e reset.EventEntry) error
	Settle(ctx context.Context, e reset.SettleEntry) error
	// GiveUp is told of an entry that will not be tried again.
	GiveUp(ctx context.Context, e reset.Entry, attempts int, cause error) error
	Purge(ctx context.Context) error
}

const (
	mailQueue   = "mail"
	upkeepQueue = "upkeep"

	// A mail has its own, shorter deadline; this one is for whatever else may hang.
	workTimeout = time.Minute
	// A lease whose worker has died ends after this; more than workTimeout, so no entry is worked on twice at once.
	leaseTimeout = 2 * time.Minute
	// How long a finished entry stays, for its address should not.
	keepFinished = time.Minute
	purgeEvery   = 10 * time.Minute

	// Polling is how an entry is noticed; this bounds the delay of a mail while idle.
	pollInterval = 100 * time.Millisecond
	// Where the database tells of entries, polling finds what it has not told: the last ones of a burst.
	toldInterval = 500 * time.Millisecond
	// And this bounds how often a busy outbox asks for more.
	fetchCooldown = 20 * time.Millisecond

	// More than fit into reset.GiveUpAfter: time ends the tries, not their number.
	maxAttempts = 1000
	// A claim is never left unsettled: that takes nothing but the database.
	settleAttempts = math.MaxInt16
)

// Priorities, 1 first: nothing waits behind a bulk job.
const (
	priorityNotice = 1
	prioritySettle = 1
	priorityEvent  = 1 // in queues of their own
	priorityLink   = 2
	priorityBulk   = 3
	priorityUpkeep = 4
)

// Inserter puts entries into the outbox as part of the caller's transaction.
type Inserter[TTx any] struct{ client *river.Client[TTx] }

// NewInserter makes an inserter for a store's driver.
func NewInserter[TTx any](driver riverdriver.Driver[TTx]) (*Inserter[TTx], error) {
	client, err := river.NewClient(driver, &river.Config{FetchCooldown: fetchCooldown, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return nil, fmt.Errorf("set up the outbox: %w", err)
	}
	return &Inserter[TTx]{client: client}, nil
}

// InsertTx enqueues entries; they can be worked on once tx is committed.
func (i *Inserter[TTx]) InsertTx(ctx context.Context, tx TTx, entries []reset.Entry) error {
	params := make([]river.InsertManyParams, len(entries))
	for n, e := range entries {
		o := &river.InsertOpts{Queue: queueOf(e), MaxAttempts: maxAttempts, Priority: priority(e)}
		if claim, ok := e.(reset.SettleEntry); ok {
			o.ScheduledAt, o.MaxAttempts = claim.Due, settleAttempts
		}
		params[n] = river.InsertManyParams{Args: e, InsertOpts: o}
	}
	_, err := i.client.InsertManyFastTx(ctx, tx, params)
	return err
}

func priority(e reset.Entry) int {
	switch e := e.(type) {
	case reset.NoticeEntry:
		return priorityNotice
	case reset.EventEntry:
		return priorityEvent
	case reset.SettleEntry:
		return prioritySettle
	case reset.LinkEntry:
		if e.Job != "" {
			return priorityBulk
		}
	}
	return priorityLink
}

// Options are how an Outbox works.
type Options struct {
	// Workers is how many mails are worked on at once.
	Workers int
	// Targets are the URLs that are told of events.
	Targets []string
	// ID names this process on what it leases; empty: a name of River's making.
	ID string
	// PollOnly looks for entries ten times a second instead of being told of
	// them by the database (LISTEN), which only PostgreSQL can do.
	PollOnly bool
	Now      reset.Clock
	Log      *slog.Logger
}

// Outbox works what is enqueued.
type Outbox[TTx any] struct {
	client  *river.Client[TTx]
	targets map[string]river.QueueConfig
}

// New makes an outbox on a store's driver. It does nothing before Start.
func New[TTx any](driver riverdriver.Driver[TTx], h Handler, o Options) (*Outbox[TTx], error) {
	w := worker{handler: h, now: o.Now, log: o.Log}
	workers := river.NewWorkers()
	river.AddWorker(workers, river.WorkFunc(func(ctx context.Context, j *river.Job[reset.LinkEntry]) error {
		return w.finish(ctx, j.JobRow, j.Args, h.MailLink(ctx, j.Args, j.Attempt > 1))
	}))
	river.AddWorker(workers, river.WorkFunc(func(ctx context.Context, j *river.Job[reset.NoticeEntry]) error {
		return w.finish(ctx, j.JobRow, j.Args, h.MailNotice(ctx, j.Args))
	}))
	river.AddWorker(workers, river.WorkFunc(func(ctx context.Context, j *river.Job[reset.EventEntry]) error {
		return w.finish(ctx, j.JobRow, j.Args, h.TellEvent(ctx, j.Args))
	}))
	river.AddWorker(workers, river.WorkFunc(func(ctx context.Context, j *river.Job[reset.SettleEntry]) error {
		return w.finish(ctx, j.JobRow, j.Args, h.Settle(ctx, j.Args))
	}))
	out := &Outbox[TTx]{targets: eventQueues(o.Targets)}
	river.AddWorker(workers, river.WorkFunc(func(ctx context.Context, _ *river.Job[purgeEntry]) error {
		return w.purge(ctx, func(ctx context.Context) error { return out.sweep(ctx, &w) })
	}))
	poll := toldInterval
	if o.PollOnly {
		poll = pollInterval
	}
	queues := maps.Clone(out.targets)
	queues[mailQueue] = river.QueueConfig{MaxWorkers: o.Workers, FetchCooldown: fetchCooldown, FetchPollInterval: poll}
	queues[upkeepQueue] = river.QueueConfig{MaxWorkers: 1, FetchPollInterval: 5 * time.Second}
	var err error
	out.client, err = river.NewClient(driver, &river.Config{
		ID:      o.ID,
		Workers: workers,
		Queues:  queues,
		PeriodicJobs: []*river.PeriodicJob{river.NewPeriodicJob(river.PeriodicInterval(purgeEvery),
			func() (river.JobArgs, *river.InsertOpts) {
				return purgeEntry{}, &river.InsertOpts{Queue: upkeepQueue, MaxAttempts: 1, Priority: priorityUpkeep}
			}, &river.PeriodicJobOpts{RunOnStart: true})},
		PollOnly:                    o.PollOnly,
		JobTimeout:                  workTimeout,
		RescueStuckJobsAfter:        leaseTimeout,
		CompletedJobRetentionPeriod: keepFinished,
		CancelledJobRetentionPeriod: keepFinished,
		DiscardedJobRetentionPeriod: keepFinished,
		// Rebuilding indexes takes an owner's rights, which a role that serves does not
		// have; vacuum gives their free pages back to use.
		ReindexerSchedule: river.NeverSchedule(),
		RetryPolicy:       retryPolicy{now: o.Now},
		ErrorHandler:      &w,
		Logger:            slog.New(atLeast{o.Log.Handler(), slog.LevelWarn}),
	})
	if err != nil {
		return nil, fmt.Errorf("set up the outbox: %w", err)
	}
	return out, nil
}

// Start begins to work in goroutines of its own, which Stop waits for.
func (o *Outbox[TTx]) Start(ctx context.Context) error {
	// The context outlives the caller's: stopping is Stop's business, which lets running work finish.
	return o.client.Start(context.WithoutCancel(ctx))
}

// Stop takes no more entries and waits for those under way until ctx ends;
// then it cancels them and waits for that. What was cancelled runs again at the next start.
func (o *Outbox[TTx]) Stop(ctx context.Context) error {
	err := o.client.Stop(ctx)
	if err == nil {
		return nil
	}
	hard, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	return o.client.StopAndCancel(hard)
}

// purgeEntry asks for Handler.Purge, every ten minutes and at the start.
type purgeEntry struct{}

func (purgeEntry) Kind() string { return "purge" }

// worker decides what becomes of an entry after an attempt.
type worker struct {
	handler Handler
	now     reset.Clock
	log     *slog.Logger
}

// errLater is all that River gets to keep of a failure: its tables and its log
// are no place for what a mail server said, which often repeats the address.
var errLater = errors.New("not now; the log has the reason")

// finish turns the handler's answer into River's: done, once more later, or given up.
func (w *worker) finish(ctx context.Context, row *rivertype.JobRow, e reset.Entry, err error) error {
	if err == nil {
		return nil
	}
	pause := reset.PauseAfter(row.Attempt, err)
	late := w.now().Add(pause).Sub(row.CreatedAt) > reset.GiveUpAfter
	_, claim := e.(reset.SettleEntry)
	if claim || !reset.Hopeless(err) && !late {
		log, message, event := w.log, "a mail could not be sent yet; it is tried again", "mail.retry"
		if claim {
			message, event = "a claimed request could not be settled yet; it is tried again", "reset.settle_retry"
		}
		if told, ok := e.(reset.EventEntry); ok {
			message, event = "a target could not be told of an event yet; it is tried again", "event.retry"
			log = log.With("event_id", told.ID, "type", string(told.Type), "target", reset.TargetName(told.Target))
		}
		log.WarnContext(ctx, message, "event", event,
			"entry", e.Kind(), "outbox_id", row.ID, "attempt", row.Attempt, "pause", pause.String(), "error", err)
		if pause > reset.RetryPause(row.Attempt) {
			return river.JobSnooze(pause) // the target asked for it
		}
		return errLater
	}
	// The attempt's own time may be over; giving up must be noted all the same.
	noted, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	if err := w.handler.GiveUp(noted, e, row.Attempt, err); err != nil {
		w.log.WarnContext(ctx, "giving up could not be noted; it is tried again", "event", "mail.give_up_failed", "outbox_id", row.ID, "error", err)
		return errLater
	}
	return river.JobCancel(errLater)
}

func (w *worker) purge(ctx context.Context, sweep func(context.Context) error) error {
	if err := errors.Join(w.handler.Purge(ctx), sweep(ctx)); err != nil {
		w.log.WarnContext(ctx, "purging failed; it is tried again in ten minutes", "event", "purge.failed", "error", err)
		return errLater
	}
	return nil
}

// HandleError implements river.ErrorHandler; finish has logged already.
func (w *worker) HandleError(context.Context, *rivertype.JobRow, error) *river.ErrorHandlerResult {
	return nil
}

// HandlePanic implements river.ErrorHandler. The entry is tried again like after any failure.
func (w *worker) HandlePanic(ctx context.Context, row *rivertype.JobRow, p any, trace string) *river.ErrorHandlerResult {
	w.log.ErrorContext(ctx, "panic in the outbox", "event", "panic", "outbox_id", row.ID, "panic", fmt.Sprint(p), "stack", trace)
	return nil
}

// retryPolicy gives River the domain's pauses.
type retryPolicy struct{ now reset.Clock }

func (p retryPolicy) NextRetry(row *rivertype.JobRow) time.Time {
	return p.now().Add(reset.RetryPause(row.Attempt))
}

// atLeast passes on what is at least of a level: River tells much that concerns nobody here.
type atLeast struct {
	slog.Handler
	level slog.Level
}

func (h atLeast) Enabled(ctx context.Context, l slog.Level) bool {
	return l >= h.level && h.Handler.Enabled(ctx, l)
}

func (h atLeast) WithAttrs(attrs []slog.Attr) slog.Handler {
	return atLeast{h.Handler.WithAttrs(attrs), h.level}
}

func (h atLeast) WithGroup(name string) slog.Handler {
	return atLeast{h.Handler.WithGroup(name), h.level}
}
