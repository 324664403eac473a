package reset

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"time"
)

// EventType says to applications what has happened.
type EventType string

// The types of events.
const (
	EventPasswordReset  EventType = "password.reset"  // a password was changed, or may have been: end the user's sessions
	EventRequestCreated EventType = "request.created" // a link was minted; its mail follows
	EventRequestFailed  EventType = "request.failed"  // the mail with a link was given up
	EventTest           EventType = "test"            // nothing; an operator tries the way to a target
)

// EventTypes are those that a target can be told of.
var EventTypes = []EventType{EventPasswordReset, EventRequestCreated, EventRequestFailed}

// Reasons of EventRequestFailed.
const (
	ReasonRefused = "refused" // the mail server refused the recipient for good
	ReasonTimeout = "timeout" // it did not work for GiveUpAfter
)

// Event is what a target is told. It has no secret in it: no id, no link, no
// password (CVE-2023-7028 and its kind).
type Event struct {
	// ID is the same for every attempt and every target, so that receivers can tell repetitions.
	ID   string
	Type EventType
	// At is when it happened, not when it is told.
	At time.Time
	// User is whom it is about, as the directory has them when the event is told. Of one who
	// has been removed since there is the ID alone.
	User User
	// ExpiresAt is when the link ends, of EventRequestCreated.
	ExpiresAt time.Time
	// Reason is one of the Reason… constants, of EventRequestFailed.
	Reason string
}

// EventSender tells targets of events. It answers nil once the target has taken
// it (a 2xx status), *Unwanted when the target wants no more of them, *Postponed
// when it says when to come back, and any other error when it may work later.
type EventSender interface {
	SendEvent(ctx context.Context, target string, e Event) error
}

// EventEntry asks the outbox to tell one target of one event. It names the user
// and has neither secret nor link; what the target is told of the user is read
// when it is told, so that the outbox keeps no names and addresses for a day.
type EventEntry struct {
	ID     string    `json:"id"`
	Type   EventType `json:"type"`
	At     time.Time `json:"at"`
	Target string    `json:"target"`
	UserID string    `json:"user_id,omitempty"`
	// Address and Account are those of the LinkEntry that was given up: whose it
	// is need not be known then, for the directory may be what did not answer.
	Address   string    `json:"address,omitempty"`
	Account   int64     `json:"account,omitempty"`
	ExpiresAt time.Time `json:"expires_at,omitzero"`
	Reason    string    `json:"reason,omitempty"`
}

// Kind is the entry's name in the outbox.
func (EventEntry) Kind() string { return "event" }

// Events say which targets are told of what. The zero value tells nobody anything.
type Events struct {
	// Targets are URLs.
	Targets []string
	Types   []EventType
}

// about returns the entries that tell every target of e, which lacks its ID and Target.
func (v Events) about(e EventEntry) []Entry {
	if len(v.Targets) == 0 || !slices.Contains(v.Types, e.Type) {
		return nil
	}
	e.ID = NewEventID()
	entries := make([]Entry, len(v.Targets))
	for i, target := range v.Targets {
		e.Target = target
		entries[i] = e
	}
	return entries
}

// NewEventID makes the id of an event. It opens nothing.
func NewEventID() string { return "evt_" + rand.Text() }

// Unwanted is what an EventSender answers when the target wants no more events (410 Gone).
type Unwanted struct{ Cause error }

// Error returns the cause.
func (u *Unwanted) Error() string { return u.Cause.Error() }

// Unwrap returns the cause.
func (u *Unwanted) Unwrap() error { return u.Cause }

// Postponed is what an EventSender answers when the target says when to come back.
type Postponed struct {
	// After is how long to wait; within bounds, see RetryAfter.
	After time.Duration
	Cause error
}

// Error returns the cause.
func (p *Postponed) Error() string { return p.Cause.Error() }

// Unwrap returns the cause.
func (p *Postponed) Unwrap() error { return p.Cause }

// maxPostponed is the longest that a target can have an event wait.
const maxPostponed = time.Hour

// PauseAfter is how long to wait after the nth attempt, which failed with err: what the
// target asked for, but no less than RetryPause and no more than an hour.
func PauseAfter(n int, err error) time.Duration {
	pause := RetryPause(n)
	if p, ok := errors.AsType[*Postponed](err); ok {
		pause = max(pause, min(p.After, maxPostponed))
	}
	return pause
}

// Hopeless reports whether err says that trying again is of no use.
func Hopeless(err error) bool {
	_, refused := errors.AsType[*Undeliverable](err)
	_, unwanted := errors.AsType[*Unwanted](err)
	return refused || unwanted
}

// Announce has targets told of what the service does. Call it before any call is answered.
func (s *Service) Announce(v Events) { s.events = v }

// Announce has targets told of what the courier does, and the courier tell them
// of everything. Call it before any entry is worked.
func (c *Courier) Announce(v Events, sender EventSender) { c.events, c.sender = v, sender }

// TellEvent tells a target of an event. That a user is gone by now is no reason
// not to end their sessions; of requests of a user who is gone nobody needs to know.
func (c *Courier) TellEvent(ctx context.Context, e EventEntry) error {
	if c.sender == nil {
		return &Unwanted{Cause: errors.New("no targets are configured")}
	}
	user, err := c.subject(ctx, e)
	switch {
	case errors.Is(err, ErrNoUser) && e.Type == EventPasswordReset:
		user = User{ID: e.UserID}
	case errors.Is(err, ErrNoUser), errors.Is(err, ErrAmbiguous):
		return nil
	case err != nil:
		return fmt.Errorf("look up whom it is about: %w", err)
	}
	err = c.sender.SendEvent(ctx, e.Target, Event{ID: e.ID, Type: e.Type, At: e.At, User: user, ExpiresAt: e.ExpiresAt, Reason: e.Reason})
	if err != nil {
		return err
	}
	c.log.InfoContext(ctx, "an event was delivered", "event", "event.delivered", "event_id", e.ID, "type", string(e.Type), "target", TargetName(e.Target))
	return nil
}

// subject returns the user whom an event is about, or ErrNoUser.
func (c *Courier) subject(ctx context.Context, e EventEntry) (User, error) {
	if e.Address == "" {
		return c.directory.UserByID(ctx, e.UserID)
	}
	address, err := ParseAddress(e.Address)
	if err != nil {
		return User{}, ErrNoUser
	}
	return c.recipient(ctx, LinkEntry{Account: e.Account}, address)
}

// failed notes that an entry's mail was given up, for its bulk job and for targets.
func (c *Courier) failed(ctx context.Context, e LinkEntry, cause error) error {
	told := EventEntry{Type: EventRequestFailed, At: c.now(), UserID: e.UserID, Address: e.Address, Account: e.Account, Reason: ReasonTimeout}
	if Hopeless(cause) {
		told.Reason = ReasonRefused
	}
	entries := c.events.about(told)
	if len(entries) == 0 {
		return c.outcome(ctx, e, OutcomeFailed)
	}
	return c.store.Update(ctx, func(tx Tx) error {
		if e.Job != "" {
			if err := tx.SetOutcome(ctx, e.Job, e.Position, OutcomeFailed); err != nil {
				return err
			}
		}
		return tx.Enqueue(ctx, entries...)
	})
}

// giveUpEvent logs that a target was never told.
func (c *Courier) giveUpEvent(ctx context.Context, e EventEntry, attempts int, cause error) {
	c.log.WarnContext(ctx, "an event was given up; the application does not know of it: see that its target answers (sparekey event test), or take it out of events.targets",
		"event", "event.given_up", "event_id", e.ID, "type", string(e.Type), "target", TargetName(e.Target),
		"user_id", e.UserID, "attempts", attempts, "error", cause)
}

// TargetName is how logs name a target: by its host alone, since its path may
// hold what is known to the application and to us.
func TargetName(target string) string {
	u, err := url.Parse(target)
	if err != nil {
		return "?"
	}
	return u.Host
}
