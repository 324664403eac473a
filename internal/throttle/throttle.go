// Package throttle decides who asks too often.
//
// The counting is the store's (reset.Tx.Take), exact across processes; here are
// the limits, their names and what is remembered of callers who are over one.
// Addresses and clients are named by digest, so that the table of limits is no
// list of who asked.
package throttle

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"strconv"
	"sync"
	"time"

	"github.com/sparekey/sparekey/internal/reset"
)

// Limits are the rates. The zero value of a rate means that it does not limit.
type Limits struct {
	// AddressShort and AddressLong bound the mails to one address (OWASP Forgot
	// Password Cheat Sheet: a mailbox cannot be flooded). Over them is silence.
	AddressShort, AddressLong reset.Rate
	// Ask bounds the requests for links of one client.
	Ask reset.Rate
	// Guess bounds the wrong ids and keys of one client (NIST SP 800-63B-4, 3.2.2: at most 100 failed attempts).
	Guess reset.Rate
	// KeyGuess bounds the wrong ids sent with one key: an application calls for many people.
	KeyGuess reset.Rate
}

// Defaults returns the limits for a client that may ask so often a minute and
// guess wrong so often an hour: 1 mail a minute and 3 an hour to an address,
// and ten times as many wrong ids for a key as for a client without one.
func Defaults(asksPerMinute, guessesPerHour int) Limits {
	return Limits{
		AddressShort: reset.Rate{Count: 1, Per: time.Minute},
		AddressLong:  reset.Rate{Count: 3, Per: time.Hour},
		Ask:          reset.Rate{Count: asksPerMinute, Per: time.Minute},
		Guess:        reset.Rate{Count: guessesPerHour, Per: time.Hour},
		KeyGuess:     reset.Rate{Count: 10 * guessesPerHour, Per: time.Hour},
	}
}

// maxRemembered bounds the callers remembered as being over a limit. Forgetting one costs a read, no more.
const maxRemembered = 10_000

// Store is what the limiter writes to.
type Store interface {
	Update(ctx context.Context, fn func(tx reset.Tx) error) error
}

// Limiter is a reset.Throttle.
type Limiter struct {
	limits Limits
	store  Store

	mu   sync.Mutex
	over map[string]time.Time // until when a caller is over its limit of guesses
}

// New makes a limiter.
func New(limits Limits, store Store) *Limiter {
	return &Limiter{limits: limits, store: store, over: make(map[string]time.Time)}
}

// Off limits nothing: for tests and benchmarks.
type Off struct{}

// Ask implements reset.Throttle.
func (Off) Ask(context.Context, reset.Tx, reset.Caller, time.Time) error { return nil }

// Address implements reset.Throttle.
func (Off) Address(context.Context, reset.Tx, reset.Address, time.Time) (bool, error) {
	return true, nil
}

// Guessing implements reset.Throttle.
func (Off) Guessing(reset.Caller, time.Time) error { return nil }

// WrongGuess implements reset.Throttle.
func (Off) WrongGuess(context.Context, reset.Caller, time.Time) error { return nil }

// Ask implements reset.Throttle.
func (l *Limiter) Ask(ctx context.Context, tx reset.Tx, c reset.Caller, now time.Time) error {
	if c.Client == "" || l.limits.Ask.Count == 0 {
		return nil
	}
	wait, err := tx.Take(ctx, name("ask", c.Client), l.limits.Ask, now)
	if err != nil {
		return err
	}
	return tooOften(wait)
}

// Address implements reset.Throttle. The minute comes first: an impatient
// person who asks three times in it has used up one of the hour's mails, not three.
func (l *Limiter) Address(ctx context.Context, tx reset.Tx, a reset.Address, now time.Time) (bool, error) {
	for _, limit := range []struct {
		kind string
		rate reset.Rate
	}{{"address-short", l.limits.AddressShort}, {"address-long", l.limits.AddressLong}} {
		if limit.rate.Count == 0 {
			continue
		}
		wait, err := tx.Take(ctx, name(limit.kind, a.Key()), limit.rate, now)
		if err != nil || wait > 0 {
			return false, err
		}
	}
	return true, nil
}

// Guessing implements reset.Throttle from memory: who is over the limit was
// told so by WrongGuess in this process, or will be at its next wrong guess.
func (l *Limiter) Guessing(c reset.Caller, now time.Time) error {
	caller, _ := l.guesser(c)
	if caller == "" {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	until, ok := l.over[caller]
	if !ok {
		return nil
	}
	if !now.Before(until) {
		delete(l.over, caller)
		return nil
	}
	return tooOften(until.Sub(now))
}

// WrongGuess implements reset.Throttle.
func (l *Limiter) WrongGuess(ctx context.Context, c reset.Caller, now time.Time) error {
	caller, rate := l.guesser(c)
	if caller == "" || rate.Count == 0 {
		return nil
	}
	var wait time.Duration
	err := l.store.Update(ctx, func(tx reset.Tx) (err error) {
		wait, err = tx.Take(ctx, caller, rate, now)
		return err
	})
	if err != nil || wait == 0 {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.over) >= maxRemembered {
		clear(l.over)
	}
	l.over[caller] = now.Add(wait)
	return tooOften(wait)
}

func (l *Limiter) guesser(c reset.Caller) (string, reset.Rate) {
	switch {
	case c.Key != nil:
		return "guess-key:" + strconv.FormatInt(c.Key.ID, 10), l.limits.KeyGuess
	case c.Client != "":
		return name("guess", c.Client), l.limits.Guess
	}
	return "", reset.Rate{}
}

func name(kind, of string) string {
	sum := sha256.Sum256([]byte(of))
	return kind + ":" + base64.RawURLEncoding.EncodeToString(sum[:16])
}

func tooOften(wait time.Duration) error {
	if wait <= 0 {
		return nil
	}
	return &reset.Error{
		Kind: reset.Throttled, Code: reset.CodeRestriction, RetryAfter: wait,
		Message: "that was too often; please wait before you try again",
	}
}
