package reset_test

import (
	"context"
	"database/sql"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sparekey/sparekey/internal/directory/builtin"
	"github.com/sparekey/sparekey/internal/reset"
	"github.com/sparekey/sparekey/internal/servicetest"
	"github.com/sparekey/sparekey/internal/throttle"
)

// withPassword adds a user who has one.
func withPassword(t testing.TB, w *servicetest.World, email string) reset.User {
	t.Helper()
	n := builtin.NewUser{Email: email}
	var err error
	n.PasswordHash, err = w.Users.HashNew(t.Context(), n, oldPassword)
	must(t, err)
	u, err := w.Users.Add(t.Context(), n)
	must(t, err)
	return u
}

func TestReset(t *testing.T) {
	t.Parallel()
	w := servicetest.New(t)
	u := withPassword(t, w, ada)
	w.AddUser(t, bob, "Bob")
	usersBefore := usersIn(w.Dump(t))
	id, bobs := w.MailedID(t, ada), w.MailedID(t, bob)
	same(t, "a look", opens(t, w, visitor, id), reset.Code(0))
	same(t, "the users before the reset", usersIn(w.Dump(t)), usersBefore)
	if !w.VerifyPassword(t, ada, oldPassword) {
		t.Error("asking locked the user out")
	}
	w.Clock.Advance(10 * time.Minute)
	used, err := w.Service.Reset(t.Context(), visitor, id, newPassword)
	must(t, err)
	same(t, "the answer", used.Reveal(), id)
	if !w.VerifyPassword(t, ada, newPassword) || w.VerifyPassword(t, ada, oldPassword) {
		t.Error("the password was not changed")
	}
	same(t, "the outbox", w.Pending(), []reset.Entry{reset.NoticeEntry{UserID: u.ID, ChangedAt: w.Clock.Now()}})
	changed := w.Clock.Now()
	w.Clock.Advance(time.Minute)
	w.WorkOutbox(t)
	same(t, "notices", w.Notices(), []reset.NoticeMail{{User: u, ChangedAt: changed, ForgotURL: servicetest.BaseURL + "/forgot", Brand: w.Brands.Default()}})
	same(t, "another user's link", opens(t, w, visitor, bobs), reset.Code(0))

	_, err = w.Service.Reset(t.Context(), visitor, id, "another password entirely")
	refused(t, "the link a second time", err, reset.Unauthorized, reset.CodeInactive)
	same(t, "the outbox after it", len(w.Pending()), 0)
}

// usersIn returns what a dump says of users and accounts.
func usersIn(dump string) (lines []string) {
	for line := range strings.Lines(dump) {
		if strings.HasPrefix(line, "users ") || strings.HasPrefix(line, "accounts ") || strings.HasPrefix(line, "memberships ") {
			lines = append(lines, line)
		}
	}
	return lines
}

// Of 50 simultaneous resets with one id exactly one succeeds; the password is
// that one's, and the user is told once. All have been let through to the
// claim before the first makes it. (Keycloak #37231, #50850.)
func TestLinkWorksOnce(t *testing.T) {
	t.Parallel()
	const racers = 50
	var (
		arrived = make(chan struct{}, racers)
		gate    = make(chan struct{})
		made    [2]reset.Change // hashing 50 times would show nothing more
		calls   atomic.Int64
	)
	passwords := [2]string{newPassword, "and another of many words"}
	d := &replaying{}
	w := servicetest.New(t, servicetest.WithDirectory(func(inner reset.Directory) reset.Directory { d.Directory = inner; return d }))
	u := w.AddUser(t, ada, "Ada")
	id := w.MailedID(t, ada)
	for i, p := range passwords {
		var err error
		made[i], err = w.Users.Prepare(t.Context(), u, p, nil)
		must(t, err)
	}
	d.prepare = func(password string) reset.Change {
		arrived <- struct{}{}
		<-gate
		if password == passwords[0] {
			return made[0]
		}
		return made[1]
	}
	var wg sync.WaitGroup
	winner := make(chan string, racers)
	for i := range racers {
		wg.Go(func() {
			_, err := w.Service.Reset(t.Context(), visitor, id, passwords[i%2])
			if err == nil {
				winner <- passwords[i%2]
				return
			}
			if e := reset.AsError(err); e.Kind == reset.Unauthorized && e.Code == reset.CodeInactive {
				calls.Add(1)
			} else {
				t.Errorf("a loser got %v", err)
			}
		})
	}
	for range racers {
		<-arrived
	}
	close(gate)
	wg.Wait()
	close(winner)
	same(t, "winners and losers", []int64{int64(len(winner)), calls.Load()}, []int64{1, racers - 1})
	won := <-winner
	for _, p := range passwords {
		same(t, "whether a password holds that won: "+p, w.VerifyPassword(t, ada, p), p == won)
	}
	w.WorkOutbox(t)
	same(t, "notices", len(w.Notices()), 1)
}

// replaying hands out changes that were made before.
type replaying struct {
	reset.Directory
	prepare func(password string) reset.Change
}

func (r *replaying) Prepare(_ context.Context, _ reset.User, password string, _ func(context.Context) error) (reset.Change, error) {
	return r.prepare(password), nil
}

// All of a user's open links die with a reset. There is never more than one by
// the rules; here is one too many, as a fault elsewhere might leave it.
func TestResetClosesOthers(t *testing.T) {
	t.Parallel()
	w := servicetest.New(t)
	w.AddUser(t, ada, "Ada")
	w.AddUser(t, bob, "Bob")
	first, second, bobs := w.MailedID(t, ada), w.MailedID(t, ada), w.MailedID(t, bob)
	db, err := sql.Open("sqlite", w.Path)
	must(t, err)
	_, err = db.ExecContext(t.Context(), "UPDATE requests SET state = 'open', ended_at = NULL")
	must(t, errors.Join(err, db.Close()))
	same(t, "the first before", opens(t, w, visitor, first), reset.Code(0))
	_, err = w.Service.Reset(t.Context(), visitor, second, newPassword)
	must(t, err)
	same(t, "the first after", opens(t, w, visitor, first), reset.CodeInactive)
	same(t, "another user's", opens(t, w, visitor, bobs), reset.Code(0))
}

// A refused password costs nothing: the reasons are told, nothing is hashed,
// and the link stays good.
func TestRefusedPassword(t *testing.T) {
	t.Parallel()
	d := &directory{}
	w := servicetest.New(t, behind(d))
	w.AddUser(t, "ada.of.the.long.name@example.test", "Ada")
	id := w.MailedID(t, "ada.of.the.long.name@example.test")
	d.prepare = func(context.Context) error { t.Error("a refused password was hashed"); return nil }
	before := w.Dump(t)
	for name, c := range map[string]struct {
		password string
		codes    []string
	}{
		"nothing": {"", []string{"too_short"}}, "14 characters": {"14 characters!", []string{"too_short"}},
		"1,025": {strings.Repeat("é", 1025), []string{"too_long"}}, "2 MB": {strings.Repeat("a", 2<<20), []string{"too_long"}},
		"invalid UTF-8": {oldPassword + "\xff", []string{"invalid_utf8"}}, "NUL": {oldPassword + "\x00", []string{"control_character"}},
		"the address": {"Ada.of.the.long.name@example.test", []string{"context"}}, "two reasons": {"a\tb", []string{"too_short", "control_character"}},
		"what everybody takes": {"Password123456!", []string{"common"}}, "what is soon guessed": {"monkeydragonmaster", []string{"too_weak"}},
	} {
		_, err := w.Service.Reset(t.Context(), visitor, id, c.password)
		e := refused(t, name, err, reset.Invalid, reset.CodeBadValue)
		reasons, _ := e.Details["password"].([]reset.Refusal)
		var codes []string
		for _, r := range reasons {
			codes = append(codes, r.Code)
			if r.Message == "" || !strings.Contains(e.Message, r.Message) {
				t.Errorf("%s: the reason %q is not in the message %q", name, r.Message, e.Message)
			}
		}
		same(t, name, codes, c.codes)
		if len(c.password) > 10 && strings.Contains(e.Error(), c.password) {
			t.Errorf("%s: the message repeats the password", name)
		}
	}
	same(t, "the database", w.Dump(t), before)
	d.prepare = nil
	var longest strings.Builder
	for i := range 1024 {
		longest.WriteRune('\U00020000' + rune(i)) // four bytes each
	}
	if _, err := w.Service.Reset(t.Context(), visitor, id, longest.String()); err != nil {
		t.Errorf("1,024 ideographs after all that: %v", err)
	}
}

// What fails on the way leaves the link good and the old password in force.
func TestResetThatFailsChangesNothing(t *testing.T) {
	t.Parallel()
	broken := errors.New("the disk said no")
	for name, c := range map[string]struct {
		before func(w *servicetest.World) (after func())
		prep   error
		apply  error
		kind   reset.Kind
	}{
		"hashing is busy":      {prep: reset.Busy("busy", time.Second, nil), kind: reset.Unavailable},
		"hashing is broken":    {prep: broken, kind: reset.Internal},
		"the directory fails":  {apply: broken, kind: reset.Internal},
		"the directory is off": {apply: reset.Busy("off", time.Second, broken), kind: reset.Unavailable},
		"the user has gone":    {apply: reset.ErrNoUser, kind: reset.Internal},
		"the file is locked":   {before: func(w *servicetest.World) func() { return w.Lock(t) }, kind: reset.Unavailable},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := &failing{prepare: c.prep, apply: c.apply}
			w := servicetest.New(t, servicetest.WithBusyTimeout(20*time.Millisecond),
				servicetest.WithDirectory(func(inner reset.Directory) reset.Directory { d.Directory = inner; return d }))
			w.AddUser(t, ada, "Ada")
			id := w.MailedID(t, ada)
			before, after := w.Dump(t), func() {}
			if c.before != nil {
				after = c.before(w)
			}
			_, err := w.Service.Reset(t.Context(), visitor, id, newPassword)
			after()
			if e := reset.AsError(err); err == nil || e.Kind != c.kind || strings.Contains(e.Message, broken.Error()) {
				t.Errorf("got %v, want kind %d and nothing internal in the message", err, c.kind)
			}
			same(t, "the database", w.Dump(t), before)
			same(t, "the outbox", len(w.Pending()), 0)
			*d = failing{Directory: d.Directory}
			if _, err := w.Service.Reset(t.Context(), visitor, id, newPassword); err != nil {
				t.Errorf("the reset once that is over: %v", err)
			}
		})
	}
}

// failing fails where it is told to; nil means that it does its work.
type failing struct {
	reset.Directory
	prepare, apply error
}

type failingChange struct{ err error }

// Apply writes before it fails, as a connector might.
func (c failingChange) Apply(ctx context.Context, tx reset.Tx, now time.Time) error {
	if err := tx.Enqueue(ctx, reset.NoticeEntry{UserID: "x", ChangedAt: now}); err != nil {
		return err
	}
	return c.err
}

func (f *failing) Prepare(ctx context.Context, u reset.User, password string, still func(context.Context) error) (reset.Change, error) {
	switch {
	case f.prepare != nil:
		return nil, f.prepare
	case f.apply != nil:
		return failingChange{f.apply}, nil //nolint:nilerr // the failure comes when it is applied
	}
	return f.Directory.Prepare(ctx, u, password, still)
}

// Of many resets with one link, those that wait for their turn to hash are told
// when the link has been used meanwhile, and do not hash for nothing.
func TestNobodyHashesForAUsedLink(t *testing.T) {
	t.Parallel()
	d := &waiting{}
	w := servicetest.New(t, servicetest.WithDirectory(func(inner reset.Directory) reset.Directory { d.Directory = inner; return d }))
	w.AddUser(t, ada, "Ada")
	id := w.MailedID(t, ada)
	d.meanwhile = func() {
		d.meanwhile = nil
		_, err := w.Service.Reset(t.Context(), visitor, id, newPassword)
		must(t, err)
	}
	_, err := w.Service.Reset(t.Context(), visitor, id, "and another of many words")
	refused(t, "the one who waited", err, reset.Unauthorized, reset.CodeInactive)
	same(t, "how many were prepared", d.prepared, 1)
	same(t, "the winner's password holds", w.VerifyPassword(t, ada, newPassword), true)
}

// waiting is a directory whose callers must wait for their turn while something happens.
type waiting struct {
	reset.Directory
	meanwhile func()
	prepared  int
}

func (w *waiting) Prepare(ctx context.Context, u reset.User, password string, still func(context.Context) error) (reset.Change, error) {
	if w.meanwhile != nil {
		w.meanwhile()
	}
	if err := still(ctx); err != nil {
		return nil, err
	}
	w.prepared++
	return w.Directory.Prepare(ctx, u, password, still)
}

// A link that expires while the password is being hashed is told from one that
// somebody else was faster with.
func TestLinkThatExpiresDuringTheReset(t *testing.T) {
	t.Parallel()
	d := &directory{}
	w := servicetest.New(t, behind(d))
	w.AddUser(t, ada, "Ada")
	id := w.MailedID(t, ada)
	w.Clock.Advance(ttl - time.Millisecond)
	d.prepare = func(context.Context) error { w.Clock.Advance(time.Millisecond); return nil }
	before := usersIn(w.Dump(t))
	_, err := w.Service.Reset(t.Context(), visitor, id, newPassword)
	refused(t, "the reset", err, reset.Unauthorized, reset.CodeExpired)
	same(t, "the users", usersIn(w.Dump(t)), before)
	same(t, "the outbox", len(w.Pending()), 0)
}

// policy is a reset.Policy that is one function.
type policy func(ctx context.Context, password string, u reset.User) ([]reset.Refusal, error)

func (p policy) Check(ctx context.Context, password string, u reset.User) ([]reset.Refusal, error) {
	return p(ctx, password, u)
}

func (p policy) Hint(ctx context.Context, password string, u reset.User) ([]reset.Refusal, error) {
	return p(ctx, password, u)
}

// A policy may take its time, for it may ask on the network: nobody waits for
// it but the caller. If it cannot find out, nothing is hashed and the link stays good.
func TestPolicyIsAskedOutsideOfTransactions(t *testing.T) {
	t.Parallel()
	d := &directory{}
	w := servicetest.New(t, behind(d))
	u := w.AddUser(t, ada, "Ada")
	d.prepare = func(context.Context) error { t.Error("a password was hashed that nobody has checked"); return nil }
	id := w.MailedID(t, ada)
	var asked string
	s := reset.NewService(reset.Config{BaseURL: servicetest.BaseURL, TTL: ttl}, w.Store, w.Users, policy(
		func(ctx context.Context, password string, who reset.User) ([]reset.Refusal, error) {
			asked = password
			same(t, "the user", who.ID, u.ID)
			// On SQLite there is one writer: this would wait for an open transaction until the deadline.
			ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
			defer cancel()
			err := w.Store.Update(ctx, func(tx reset.Tx) error { return tx.Enqueue(ctx, reset.LinkEntry{Address: bob}) })
			must(t, err)
			return nil, reset.Busy("not now", time.Second, nil)
		}), throttle.Off{}, w.Clock.Now, slog.New(slog.DiscardHandler))
	_, err := s.Reset(t.Context(), visitor, id, newPassword)
	refused(t, "a policy that cannot find out", err, reset.Unavailable, reset.CodeUnknown)
	same(t, "the password it was asked for", asked, newPassword)
	d.prepare = nil
	_, err = w.Service.Reset(t.Context(), visitor, id, newPassword)
	must(t, err)
}
