package throttle

import (
	"context"
	"time"

	"github.com/sparekey/sparekey/internal/reset"
)

// Guessing implements reset.Throttle from memory: who is over the limit was
// told so by WrongGuess in this process, or will be at its next wrong guess.
func (l *Limiter) Guessing(c reset.Caller, now time.Time) error {
	caller, limit := l.guesser(c)
	return tooOften(limit, l.over.wait(caller, now))
}

// WrongGuess implements reset.Throttle.
func (l *Limiter) WrongGuess(ctx context.Context, c reset.Caller, now time.Time) error {
	if err := l.countForService(ctx, now); err != nil {
		return err
	}
	caller, limit := l.guesser(c)
	if caller == "" || limit.Rate.Count == 0 {
		return nil
	}
	var wait time.Duration
	err := l.store.Update(ctx, func(tx reset.Tx) (err error) {
		wait, err = tx.Take(ctx, caller, 1, limit.Rate, now)
		return err
	})
	if err != nil || wait == 0 {
		return err
	}
	l.over.remember(caller, now.Add(wait))
	return tooOften(limit, wait)
}

// alarm names what is remembered of the last warning: at most one a minute and process.
const alarm = "guess-alarm"

// countForService counts for all callers together (NIST SP 800-63B-4, 3.2.2: an id
// that opens nothing belongs to no account, so there is nothing else to count by).
func (l *Limiter) countForService(ctx context.Context, now time.Time) error {
	if l.over.wait(alarm, now) > 0 {
		return nil
	}
	wait, err := l.shares.take(ctx, guessService, 1, l.limits.ServiceGuess, now)
	if err != nil || wait == 0 {
		return err
	}
	l.over.remember(alarm, now.Add(time.Minute))
	l.log.WarnContext(ctx, "many wrong ids or keys arrive, from all callers together; look where they come from and shut those networks out at the proxy",
		"event", "guess.flood", "limit_per_hour", l.limits.ServiceGuess.Count)
	return nil
}

func (l *Limiter) guesser(c reset.Caller) (string, reset.Limit) {
	switch {
	case c.Key != nil:
		return keyName("guess", c.Key.ID), reset.Limit{Name: "guess", Rate: l.limits.KeyGuess}
	case c.Client != "":
		return name("guess", c.Client), reset.Limit{Name: "guess", Rate: l.limits.Guess}
	}
	return "", reset.Limit{}
}
