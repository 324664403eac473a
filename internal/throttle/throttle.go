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
	"log/slog"
	"strconv"
	"time"

	"github.com/sparekey/sparekey/internal/reset"
)

// Limits are the rates. The zero value of a rate means that it does not limit.
type Limits struct {
	// AddressShort and AddressLong bound the mails to one address (OWASP Forgot
	// Password Cheat Sheet: a mailbox cannot be flooded). In no stretch of time as
	// long as Per there are more than Count. Over them is silence.
	AddressShort, AddressLong reset.Rate
	// Client bounds the addresses that one client asks for without a key, Key those asked for with one key.
	Client, Key reset.Rate
	// Service bounds the addresses that all callers together ask for.
	Service reset.Rate
	// Account bounds the mails with links to the users of one account. Those over it wait.
	Account reset.Rate
	// Guess bounds the wrong ids and keys of one client (NIST SP 800-63B-4, 3.2.2: at most 100 failed attempts).
	Guess reset.Rate
	// KeyGuess bounds the wrong ids sent with one key: an application calls for many people.
	KeyGuess reset.Rate
	// ServiceGuess is from how many wrong ids and keys of all callers together on
	// the log warns. It refuses nobody: whoever guesses could lock everybody out.
	ServiceGuess reset.Rate
	// Hint bounds the looks at passwords that are being typed, for each link and process.
	Hint reset.Rate
}

// Defaults are the limits where nothing else is configured.
func Defaults() Limits {
	return Limits{
		AddressShort: reset.Rate{Count: 1, Per: time.Minute},
		AddressLong:  reset.Rate{Count: 3, Per: time.Hour},
		Client:       reset.Rate{Count: 30, Per: time.Minute},
		Key:          reset.Rate{Count: 600, Per: time.Minute},
		Service:      reset.Rate{Count: 6000, Per: time.Minute},
		Account:      reset.Rate{Count: 6000, Per: time.Hour},
		Guess:        reset.Rate{Count: 100, Per: time.Hour},
		KeyGuess:     reset.Rate{Count: 1000, Per: time.Hour},
		ServiceGuess: reset.Rate{Count: 10_000, Per: time.Hour},
		Hint:         reset.Rate{Count: 60, Per: time.Minute},
	}
}

// Store is what the limiter writes to.
type Store interface {
	Update(ctx context.Context, fn func(tx reset.Tx) error) error
}

// Limiter is a reset.Throttle.
type Limiter struct {
	limits Limits
	store  Store
	log    *slog.Logger
	over   memory // of callers over their limits
	shares shares
	hints  hints
}

// New makes a limiter.
func New(limits Limits, store Store, log *slog.Logger) *Limiter {
	return &Limiter{limits: limits, store: store, log: log, shares: shares{store: store}}
}

// Asking implements reset.Throttle. Who is known to be over their own limit is
// refused from memory, at the cost of nothing; so the share of one client that
// floods stays small in what all have in common.
func (l *Limiter) Asking(ctx context.Context, c reset.Caller, n int, now time.Time) error {
	caller, limit := l.asker(c)
	if wait := l.over.wait(caller, now); wait > 0 {
		return tooOften(limit, wait)
	}
	wait, err := l.shares.take(ctx, askService, n, l.limits.Service, now)
	if err != nil || wait == 0 {
		return err
	}
	l.log.WarnContext(ctx, "all callers together ask too often; somebody may be flooding the service, or throttle.service is too low",
		"event", "throttle.service", "limit", l.limits.Service.Count)
	return reset.Busy("too many people ask at this moment; please try again in a moment", wait, nil)
}

// Ask implements reset.Throttle.
func (l *Limiter) Ask(ctx context.Context, tx reset.Tx, c reset.Caller, n int, now time.Time) error {
	caller, limit := l.asker(c)
	if caller == "" || limit.Rate.Count == 0 {
		return nil
	}
	// A list longer than the limit can still be asked for by who has asked for nothing before.
	n = min(n, limit.Rate.Count)
	wait, err := tx.Take(ctx, caller, n, limit.Rate, now)
	if err != nil || wait == 0 {
		return err
	}
	// One address more could be asked for before so many more could.
	if one := wait - time.Duration(n-1)*limit.Rate.Interval(); one > 0 {
		l.over.remember(caller, now.Add(one))
	}
	return tooOften(limit, wait)
}

func (l *Limiter) asker(c reset.Caller) (string, reset.Limit) {
	switch {
	case c.Key != nil:
		return keyName("ask", c.Key.ID), reset.Limit{Name: "ask", Rate: l.limits.Key}
	case c.Client != "":
		return name("ask", c.Client), reset.Limit{Name: "ask", Rate: l.limits.Client}
	}
	return "", reset.Limit{}
}

// Address implements reset.Throttle. The short limit comes first: an impatient
// person who asks three times in a minute has used up one of the hour's mails, not three.
func (l *Limiter) Address(ctx context.Context, tx reset.Tx, a reset.Address, now time.Time) (bool, error) {
	for _, limit := range []struct {
		kind string
		rate reset.Rate
	}{{"address-short", l.limits.AddressShort}, {"address-long", l.limits.AddressLong}} {
		if limit.rate.Count == 0 {
			continue
		}
		ok, err := takeSlot(ctx, tx, name(limit.kind, a.Key()), limit.rate, now)
		if err != nil || !ok {
			return false, err
		}
	}
	return true, nil
}

// takeSlot counts an event against a limit that holds in every stretch of time,
// the first one included: there are Count slots, and each is free again Per
// after it was taken. A rate would let through nearly twice as many at first.
func takeSlot(ctx context.Context, tx reset.Tx, name string, rate reset.Rate, now time.Time) (bool, error) {
	for i := range rate.Count {
		wait, err := tx.Take(ctx, slotName(name, i), 1, reset.Rate{Count: 1, Per: rate.Per}, now)
		if err != nil || wait == 0 {
			return err == nil, err
		}
	}
	return false, nil
}

// Account implements reset.Throttle.
func (l *Limiter) Account(ctx context.Context, account int64, now time.Time) (time.Duration, error) {
	return l.shares.take(ctx, accountName(account), 1, l.limits.Account, now)
}

func name(kind, of string) string {
	sum := sha256.Sum256([]byte(of))
	return kind + ":" + base64.RawURLEncoding.EncodeToString(sum[:16])
}

// Limits that all callers have in common.
const (
	askService   = "ask-service"
	guessService = "guess-service"
)

func keyName(kind string, id int64) string { return kind + "-key:" + strconv.FormatInt(id, 10) }

func accountName(id int64) string { return "account:" + strconv.FormatInt(id, 10) }

func slotName(name string, i int) string { return name + "/" + strconv.Itoa(i) }

func tooOften(limit reset.Limit, wait time.Duration) error {
	if wait <= 0 {
		return nil
	}
	return &reset.Error{
		Kind: reset.Throttled, Code: reset.CodeRestriction, RetryAfter: wait, Limit: &limit,
		Message: "that was too often; please wait before you try again",
	}
}
