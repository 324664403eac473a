package reset_test

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/sparekey/sparekey/internal/reset"
	"github.com/sparekey/sparekey/internal/servicetest"
)

func TestLook(t *testing.T) {
	t.Parallel()
	w := servicetest.New(t)
	people(t, w)
	for address, several := range map[string]bool{ada: false, "member@example.test": false, "several@example.test": true} {
		id := w.MailedID(t, address)
		m, err := w.Service.Look(t.Context(), visitor, id)
		must(t, err)
		same(t, address, []any{m.ID.Reveal(), m.MultipleAccounts, m.ExpiresAt}, []any{id, several, w.Clock.Now().Add(ttl)})
	}
}

// Mail scanners open links: reading changes nothing, whatever became of the request.
func TestLookChangesNothing(t *testing.T) {
	t.Parallel()
	w := servicetest.New(t, servicetest.WithThrottle())
	for _, address := range []string{ada, bob, "late@example.test", "closed@example.test"} {
		w.AddUser(t, address, "")
	}
	late := w.MailedID(t, "late@example.test")
	w.Clock.Advance(ttl)
	closed := w.MailedID(t, "closed@example.test")
	must(t, w.Users.Disable(t.Context(), "closed@example.test"))
	open, used := w.MailedID(t, ada), w.MailedID(t, bob)
	_, err := w.Service.Reset(t.Context(), nobody, used, newPassword)
	must(t, err)
	before := w.Dump(t)
	for range 10 {
		for id, want := range map[string]reset.Code{open: 0, used: reset.CodeInactive, late: reset.CodeExpired, closed: reset.CodeInactive} {
			same(t, "what a look says", opens(t, w, visitor, id), want)
		}
	}
	same(t, "the database", w.Dump(t), before)
	_, err = w.Service.Reset(t.Context(), visitor, open, newPassword)
	if err != nil {
		t.Errorf("the reset after ten looks: %v", err)
	}
}

// A link is good until its last millisecond and not a millisecond longer.
func TestExpiry(t *testing.T) {
	t.Parallel()
	for name, fraction := range map[string]time.Duration{"on the millisecond": 0, "in between": 234567 * time.Nanosecond} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := servicetest.New(t)
			w.AddUser(t, ada, "Ada")
			w.AddUser(t, bob, "Bob")
			w.Clock.Advance(fraction) // a real clock is finer than the store
			first, second := w.MailedID(t, ada), w.MailedID(t, bob)
			same(t, "the mailed expiry", w.Links()[0].ExpiresAt, w.Clock.Now().Add(ttl))

			w.Clock.Advance(ttl - time.Millisecond)
			same(t, "in the last millisecond", opens(t, w, visitor, first), reset.Code(0))
			if _, err := w.Service.Reset(t.Context(), visitor, first, newPassword); err != nil {
				t.Errorf("a reset in the last millisecond: %v", err)
			}
			same(t, "in the last millisecond", opens(t, w, visitor, second), reset.Code(0))
			w.Clock.Advance(time.Millisecond)
			same(t, "expired", opens(t, w, visitor, second), reset.CodeExpired)
			_, err := w.Service.Reset(t.Context(), visitor, second, newPassword)
			refused(t, "a reset with an expired link", err, reset.Unauthorized, reset.CodeExpired)
			same(t, "used, and expired since", opens(t, w, visitor, first), reset.CodeInactive)
		})
	}
}

// An id that opens nothing is answered alike, whatever its shape.
func TestUnknownAndMalformedIDsAreAlike(t *testing.T) {
	t.Parallel()
	w := servicetest.New(t)
	w.AddUser(t, ada, "Ada")
	id := w.MailedID(t, ada)
	_, want := w.Service.Look(t.Context(), visitor, anID)
	refused(t, "an unknown id", want, reset.Unauthorized, reset.CodeNotAuthorized)
	for name, s := range map[string]string{
		"nothing": "", "capitals": strings.ToUpper(id), "braces": "{" + id + "}", "urn": "urn:uuid:" + id, "a line break": id + "\n",
		"NUL": id + "\x00", "SQL": "' OR '1'='1", "a number": "0", "1 MB": strings.Repeat("a", 1<<20),
	} {
		_, err := w.Service.Look(t.Context(), visitor, s)
		same(t, "Look: "+name, reset.AsError(err), reset.AsError(want))
		_, err = w.Service.Reset(t.Context(), visitor, s, newPassword)
		same(t, "Reset: "+name, reset.AsError(err), reset.AsError(want))
	}
	same(t, "the id itself", opens(t, w, visitor, id), reset.Code(0))
}

// A key that is bound to an account opens its members' requests. Of any other
// it learns nothing, not even that the id was right: the answer is that to an
// unknown id, and it is counted, and so costs, as much.
func TestKeyOfAnotherAccountLearnsNothing(t *testing.T) {
	t.Parallel()
	w := servicetest.New(t, servicetest.WithThrottle())
	people(t, w)
	acme := callerWith(t, w, "acme", reset.ScopeReset, "Acme")
	globex := callerWith(t, w, "globex", reset.ScopeReset, "Globex")
	member, several := w.MailedID(t, "member@example.test"), w.MailedID(t, "several@example.test")
	loner := w.MailedID(t, ada)
	anyKey := callerWith(t, w, "any", reset.ScopeReset, "")
	for name, c := range map[string]struct {
		caller reset.Caller
		id     string
		want   reset.Code
	}{
		"its member": {acme, member, 0}, "a member of both": {acme, several, 0}, "a member of both, the other key": {globex, several, 0},
		"a key of none": {anyKey, member, 0}, "no key": {visitor, member, 0},
		"another's member": {globex, member, reset.CodeNotAuthorized}, "a member of none": {acme, loner, reset.CodeNotAuthorized},
	} {
		same(t, name, opens(t, w, c.caller, c.id), c.want)
	}

	_, want := w.Service.Look(t.Context(), globex, anID)
	limits := func(fn func() error) string {
		before := limitOf(w.Dump(t), "guess-key:"+strconv.FormatInt(globex.Key.ID, 10))
		same(t, "the answer", reset.AsError(fn()), reset.AsError(want))
		after := limitOf(w.Dump(t), "guess-key:"+strconv.FormatInt(globex.Key.ID, 10))
		return strconv.FormatInt(after-before, 10)
	}
	look := func(id string) func() error {
		return func() error { _, err := w.Service.Look(t.Context(), globex, id); return err }
	}
	try := func(id string) func() error {
		return func() error { _, err := w.Service.Reset(t.Context(), globex, id, newPassword); return err }
	}
	unknown := limits(look(anID))
	same(t, "what a look at another's request costs", limits(look(member)), unknown)
	same(t, "what a reset of another's request costs", limits(try(member)), unknown)
	must(t, w.Users.Disable(t.Context(), "member@example.test"))
	same(t, "what a look at a closed one costs", limits(look(member)), unknown)

	must(t, w.Users.Suspend(t.Context(), "Acme"))
	same(t, "the key of a suspended account", opens(t, w, acme, several), reset.CodeNotAuthorized)
	same(t, "the user's other account", opens(t, w, globex, several), reset.Code(0))
}

// limitOf finds in a dump what a limit stands at; 0 if it was never touched.
func limitOf(dump, name string) int64 {
	for line := range strings.Lines(dump) {
		if rest, ok := strings.CutPrefix(line, "limits ["+name+" "); ok {
			n, _ := strconv.ParseInt(strings.TrimSuffix(rest, "]\n"), 10, 64)
			return n
		}
	}
	return 0
}

// Guessing ids is throttled: 100 wrong ones of a client in an hour (NIST SP
// 800-63B-4, 3.2.2), however they are sent. Nobody else is harmed.
func TestWrongGuessesAreThrottled(t *testing.T) {
	t.Parallel()
	w := servicetest.New(t, servicetest.WithThrottle())
	w.AddUser(t, ada, "Ada")
	id := w.MailedID(t, ada)
	app := callerWith(t, w, "app", reset.ScopeReset, "")
	app.Client = visitor.Client
	guess := func(c reset.Caller, i int) error {
		s := reset.NewID().Reveal()
		if i%2 == 0 {
			s = "malformed"
		}
		if i%3 == 0 {
			_, err := w.Service.Reset(t.Context(), c, s, newPassword)
			return err
		}
		_, err := w.Service.Look(t.Context(), c, s)
		return err
	}
	for i := range 100 {
		refused(t, strconv.Itoa(i), guess(visitor, i), reset.Unauthorized, reset.CodeNotAuthorized)
		same(t, "right ones in between are not counted", opens(t, w, visitor, id), reset.Code(0))
	}
	e := refused(t, "the 101st", guess(visitor, 101), reset.Throttled, reset.CodeRestriction)
	_, err := w.Service.Look(t.Context(), visitor, id)
	refused(t, "a right one after that", err, reset.Throttled, reset.CodeRestriction)
	_, err = w.Service.Reset(t.Context(), visitor, id, newPassword)
	refused(t, "a reset after that", err, reset.Throttled, reset.CodeRestriction)
	_, err = w.Keys.Authenticate(t.Context(), visitor.Client, "spk_x")
	refused(t, "a key after that", err, reset.Throttled, reset.CodeRestriction)

	same(t, "another client", opens(t, w, reset.Caller{Client: "192.0.2.8"}, id), reset.Code(0))
	same(t, "a key from the same client", opens(t, w, app, id), reset.Code(0))
	must(t, w.Service.Ask(t.Context(), visitor, []string{bob})) // asking is another limit

	for i := range 1000 {
		refused(t, "with a key", guess(app, i+1), reset.Unauthorized, reset.CodeNotAuthorized)
	}
	refused(t, "the 1,001st with a key", guess(app, 1), reset.Throttled, reset.CodeRestriction)

	w.Clock.Advance(e.RetryAfter - time.Millisecond)
	_, err = w.Service.Look(t.Context(), visitor, id)
	refused(t, "a millisecond too soon", err, reset.Throttled, reset.CodeRestriction)
	w.Clock.Advance(time.Millisecond)
	same(t, "after the pause", opens(t, w, visitor, id), reset.Code(0))
}
