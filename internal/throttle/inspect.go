package throttle

import (
	"context"
	"time"

	"github.com/sparekey/sparekey/internal/reset"
)

// Subject is somebody or something that limits count against.
type Subject struct{ counters func(Limits) []counter }

// counter is one limit as it is kept: as a rate, or as so many slots.
type counter struct {
	about string
	name  string
	rate  reset.Rate
	slots bool
}

// names are the rows that the counter may have.
func (c counter) names() (list []string) {
	if !c.slots {
		return []string{c.name}
	}
	for i := range maxSlots {
		list = append(list, slotName(c.name, i))
	}
	return list
}

// maxSlots is the most mails to an address that can be configured; rows of an earlier configuration are found too.
const maxSlots = 60

// OfAddress is a mail address.
func OfAddress(a reset.Address) Subject {
	return Subject{func(l Limits) []counter {
		return []counter{
			{"mails to the address", name("address-short", a.Key()), l.AddressShort, true},
			{"mails to the address", name("address-long", a.Key()), l.AddressLong, true},
		}
	}}
}

// OfClient is a client, as reset.Caller names it.
func OfClient(client string) Subject {
	return Subject{func(l Limits) []counter {
		return []counter{
			{"addresses asked for", name("ask", client), l.Client, false},
			{"wrong ids and keys", name("guess", client), l.Guess, false},
		}
	}}
}

// OfKey is a key.
func OfKey(id int64) Subject {
	return Subject{func(l Limits) []counter {
		return []counter{
			{"addresses asked for", keyName("ask", id), l.Key, false},
			{"wrong ids", keyName("guess", id), l.KeyGuess, false},
		}
	}}
}

// OfAccount is an account.
func OfAccount(id int64) Subject {
	return Subject{func(l Limits) []counter {
		return []counter{{"mails with links", accountName(id), l.Account, false}}
	}}
}

// OfService is what all callers have in common. The processes take parts of it
// ahead, so what is counted may be a little more than what happened.
func OfService() Subject {
	return Subject{func(l Limits) []counter {
		return []counter{
			{"addresses asked for", askService, l.Service, false},
			{"wrong ids and keys", guessService, l.ServiceGuess, false},
		}
	}}
}

// State is a limit and how much of it is used up.
type State struct {
	About string
	Used  int
	Rate  reset.Rate
	// Free is when all of it is free again; zero if it is.
	Free time.Time
}

// Table is where limits are read.
type Table interface {
	Limits(ctx context.Context, names []string) (map[string]time.Time, error)
}

// Inspect tells how much of a subject's limits is used up.
func Inspect(ctx context.Context, t Table, l Limits, s Subject, now time.Time) ([]State, error) {
	var states []State
	for _, c := range s.counters(l) {
		rows, err := t.Limits(ctx, c.names())
		if err != nil {
			return nil, err
		}
		state := State{About: c.about, Rate: c.rate}
		for _, until := range rows {
			if !until.After(now) {
				continue
			}
			if until.After(state.Free) {
				state.Free = until
			}
			state.Used++
			if !c.slots && c.rate.Count > 0 {
				state.Used = min(c.rate.Count, int((until.Sub(now)+c.rate.Interval()-1)/c.rate.Interval()))
			}
		}
		states = append(states, state)
	}
	return states, nil
}

// Forget frees a subject's limits and says how many counted something. Processes
// that remember a caller as being over a limit do so until its next unit was to be free.
func Forget(ctx context.Context, tx reset.Tx, s Subject) (int, error) {
	names := []string{}
	for _, c := range s.counters(Limits{}) {
		names = append(names, c.names()...)
	}
	return tx.ForgetLimits(ctx, names)
}
