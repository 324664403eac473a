package reset

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

// A reset where no transaction reaches the directory has two phases
// (docs/adr/0010-two-phases.md). The first claims the request and puts the
// SettleEntry into the outbox, in one transaction. Then the password is set. The second
// settles the request, or gives it back if for certain nothing was changed. If the
// process dies in between, or nobody knows what became of the password,
// the entry settles it: a link never works twice, and no change is silent.

const (
	// DefaultSetTimeout fits into the 30 seconds in which the HTTP server answers.
	DefaultSetTimeout = 15 * time.Second
	// settleMargin is how long after the end of Config.SetTimeout a claim is left to whoever made it:
	// for the second phase, and for clocks of replicas that disagree.
	settleMargin = 45 * time.Second
	// settleTimeout bounds the second phase.
	settleTimeout = 5 * time.Second
	// findTimeout bounds looking for a user whom somebody waits for.
	findTimeout = 6 * time.Second
	// afterUnsure is when trying to sign in, or another link, is of use. It is longer than
	// clients wait by themselves before they call again, for the link is used.
	afterUnsure = time.Minute
)

func (c Config) setTimeout() time.Duration {
	if c.SetTimeout > 0 {
		return c.SetTimeout
	}
	return DefaultSetTimeout
}

// SettleEntry asks the outbox to settle a claimed request that nobody has settled
// by then: whoever claimed it has died, or could not.
type SettleEntry struct {
	Ref       int64     `json:"ref"`
	UserID    string    `json:"user_id"`
	ClaimedAt time.Time `json:"claimed_at"`
	// Due is when it is worked on, not before: whoever claimed the request has given up by then.
	Due time.Time `json:"due"`
	// Brand and RequestID are of the call that claimed it, as in LinkEntry.
	Brand     int64  `json:"brand,omitempty"`
	RequestID string `json:"request_id,omitempty"`
}

// Kind is the entry's name in the outbox.
func (SettleEntry) Kind() string { return "settle" }

// setDistant is a reset from the claim on. ErrNoRequest: the caller lost the race for it.
func (s *Service) setDistant(ctx context.Context, c Caller, d Digest, user User, change Distant, now time.Time) error {
	held, err := s.hold(ctx, c, d, user, now)
	if err != nil {
		return err
	}
	// From here on it goes to its end, whether or not the caller waits for it.
	ctx = context.WithoutCancel(ctx)
	err = set(ctx, change, s.cfg.setTimeout())
	ctx, cancel := context.WithTimeout(ctx, settleTimeout)
	defer cancel()
	phase := second{Service: s, caller: c, held: held, user: user, change: change, at: s.now()}
	if p, ok := errors.AsType[*Partly](err); ok {
		return phase.partly(ctx, p)
	}
	if u, ok := errors.AsType[*Unchanged](err); ok {
		return phase.release(ctx, u)
	}
	if err != nil {
		return phase.unsure(ctx, err)
	}
	return phase.done(ctx)
}

// hold is the first phase.
func (s *Service) hold(ctx context.Context, c Caller, d Digest, user User, now time.Time) (held Request, err error) {
	err = s.store.Update(ctx, func(tx Tx) (err error) {
		if held, err = tx.Hold(ctx, d, now); err != nil {
			return err
		}
		return tx.Enqueue(ctx, SettleEntry{
			Ref: held.Ref, UserID: user.ID, ClaimedAt: held.ClaimedAt, Due: now.Add(s.cfg.setTimeout() + settleMargin),
			Brand: c.brand(), RequestID: contextText(ctx, requestIDContext{}),
		})
	})
	return held, err
}

// set sets the password within its time.
func set(ctx context.Context, change Distant, timeout time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	return change.Set(ctx)
}

// second is the second phase of a reset.
type second struct {
	*Service
	caller Caller
	held   Request
	user   User
	change Distant
	at     time.Time
}

// done settles what was changed everywhere.
func (p *second) done(ctx context.Context) error {
	told := append(p.events.about(EventEntry{Type: EventPasswordReset, At: p.at, UserID: p.user.ID}),
		NoticeEntry{UserID: p.user.ID, ChangedAt: p.at, Brand: p.caller.brand()})
	if err := p.settle(ctx, true, p.audit.entry(ctx, p.caller, ActReset, ofUser(p.user.ID), EndOK), told); err != nil {
		return p.unsettled(ctx, err)
	}
	p.log.InfoContext(ctx, "password changed", "event", "password.reset", "user_id", p.user.ID)
	return nil
}

// partly settles what was changed in some directories, and has a link for the others mailed.
func (p *second) partly(ctx context.Context, part *Partly) error {
	entry := p.audit.entry(ctx, p.caller, ActReset, ofUser(part.DoneID), EndPartly)
	entry.Details = Details("done", strings.Join(part.Done, ", "), "failed", strings.Join(part.Failed, ", "), "rest", ofUser(part.RestID))
	told := append(p.events.about(EventEntry{Type: EventPasswordReset, At: p.at, UserID: part.DoneID}),
		NoticeEntry{
			UserID: part.DoneID, ChangedAt: p.at, Matter: MatterPartly, Brand: p.caller.brand(),
			Done: part.Done, Failed: part.Failed,
		},
		LinkEntry{UserID: part.RestID, Only: part.Failed, Brand: p.caller.brand(), RequestID: contextText(ctx, requestIDContext{})})
	p.log.ErrorContext(ctx, "password changed in some directories and not in others; a link for the rest is mailed", "event", "password.partly",
		"user_id", part.DoneID, "rest", part.RestID, "error", part.Cause)
	if err := p.settle(ctx, true, entry, told); err != nil {
		return p.unsettled(ctx, err)
	}
	return errPartly(part)
}

// unsure settles what may have been changed. The outbox does, if that fails.
func (p *second) unsure(ctx context.Context, cause error) error {
	p.log.ErrorContext(ctx, "nobody knows whether the password was changed: the directory did not say; the link is used up, and the user is told",
		"event", "password.unsure", "user_id", p.user.ID, "error", cause)
	told := unsureEntries(p.events, p.user.ID, p.at, p.at, p.caller.brand())
	err := p.settle(ctx, false, p.audit.entry(ctx, p.caller, ActReset, ofUser(p.user.ID), EndUnsure), told)
	if err != nil && !errors.Is(err, ErrNoRequest) {
		p.log.WarnContext(ctx, "the request could not be settled; the outbox will", "event", "reset.unsettled", "error", err)
	}
	return errUnsure(cause)
}

// unsureEntries tell of a password that may have been changed at a time, and of nobody knows when until now:
// applications had better end all sessions of the user's that are older than that.
func unsureEntries(events Events, userID string, at, now time.Time, brand int64) []Entry {
	return append(events.about(EventEntry{Type: EventPasswordReset, At: now, UserID: userID}),
		NoticeEntry{UserID: userID, ChangedAt: at, Matter: MatterUnsure, Brand: brand})
}

// settle is the transaction that ends a claim. stored says whether what the change has to do in the store is part of it.
func (p *second) settle(ctx context.Context, stored bool, entry AuditEntry, told []Entry) error {
	attempt := func(stored bool) error {
		return p.store.Update(ctx, func(tx Tx) error {
			if _, err := tx.Settle(ctx, p.held.Ref, p.held.ClaimedAt, p.at); err != nil {
				return err
			}
			if stored {
				if err := p.change.Apply(ctx, tx, p.at); err != nil {
					return err
				}
			}
			if _, err := tx.CloseRequests(ctx, p.held.UserID, p.at); err != nil {
				return err
			}
			tx.Record(entry)
			return tx.Enqueue(ctx, told...)
		})
	}
	err := attempt(stored)
	if stored && errors.Is(err, ErrNoUser) { // removed from the store meanwhile; the others are changed
		return attempt(false)
	}
	return err
}

// unsettled is what the caller gets when the password was set elsewhere and the second phase failed: the
// outbox settles the request, or did so before, and what was to be done in the store was not.
func (p *second) unsettled(ctx context.Context, cause error) error {
	p.log.WarnContext(ctx, "the password was changed, and the request could not be settled; the outbox does that", "event", "reset.unsettled",
		"user_id", p.user.ID, "error", cause)
	if errors.Is(cause, ErrNoRequest) {
		cause = errors.New("the outbox was faster: this took longer than a claim is left alone")
	}
	return errUnsure(cause)
}

// release gives the request back, since nothing was changed, and answers why that was.
func (p *second) release(ctx context.Context, why *Unchanged) error {
	err := p.store.Update(ctx, func(tx Tx) error { return tx.Release(ctx, p.held.Ref, p.held.ClaimedAt) })
	if err != nil && !errors.Is(err, ErrNoRequest) {
		p.log.WarnContext(ctx, "nothing was changed, and the request could not be given back; the outbox uses it up", "event", "reset.unreleased",
			"user_id", p.user.ID, "error", err)
		return err
	}
	if errors.Is(why, ErrNoUser) {
		return errInactive
	}
	return AsError(why.Cause)
}

// errUnsure is what the caller gets when nobody knows whether the password was changed.
func errUnsure(cause error) *Error {
	return &Error{
		Kind: Unavailable, Code: CodeUnknown, RetryAfter: afterUnsure,
		Message: "it could not be found out whether the password was changed, and the link is used up; please try to sign in with the new password; a mail about this follows",
		Details: map[string]any{"outcome": "unsure"}, Cause: &Unsure{Cause: cause},
	}
}

// errPartly is what the caller gets when the password was changed in some directories.
func errPartly(p *Partly) *Error {
	return &Error{
		Kind: Unavailable, Code: CodeUnknown, RetryAfter: afterUnsure,
		Message: fmt.Sprintf("the password was changed in %s, and not yet in %s; a mail with a link for the rest follows", strings.Join(p.Done, ", "), strings.Join(p.Failed, ", ")),
		Details: map[string]any{"outcome": "partly", "changed": p.Done, "unchanged": p.Failed}, Cause: p,
	}
}

// settledAlready reports whether the audit trail was told of a reset that ended in err, or will be by the outbox.
func settledAlready(err error) bool {
	_, unsure := errors.AsType[*Unsure](err)
	_, partly := errors.AsType[*Partly](err)
	return unsure || partly
}

// Settle closes a claim that whoever made it has left behind. Whether the password was changed nobody knows, so the user is
// told that it may have been. It does nothing if the request was settled, or given back.
func (c *Courier) Settle(ctx context.Context, e SettleEntry) error {
	ctx, now := WithRequestID(ctx, e.RequestID), c.now()
	told := unsureEntries(c.events, e.UserID, e.ClaimedAt, now, e.Brand)
	entry := c.audit.mail(ctx, ActReset, ofUser(e.UserID), EndUnsure, Details("claimed", e.ClaimedAt.UTC().Format(time.RFC3339Nano)))
	err := c.store.Update(ctx, func(tx Tx) error {
		request, err := tx.Settle(ctx, e.Ref, e.ClaimedAt, now)
		if err != nil {
			return err
		}
		if _, err := tx.CloseRequests(ctx, request.UserID, now); err != nil {
			return err
		}
		tx.Record(entry)
		return tx.Enqueue(ctx, told...)
	})
	if errors.Is(err, ErrNoRequest) {
		return nil
	}
	if err == nil {
		c.log.WarnContext(ctx, "a reset was never finished: nobody knows whether the password was changed; the link is used up, and the user is told",
			"event", "password.unsure", "user_id", e.UserID, "claimed_at", e.ClaimedAt)
	}
	return err
}
