package reset_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/sparekey/sparekey/internal/reset"
)

func TestWhoMayReset(t *testing.T) {
	t.Parallel()
	on, on2, off := reset.Account{ID: 1, Name: "A"}, reset.Account{ID: 2, Name: "B"}, reset.Account{ID: 3, Name: "C", Suspended: true}
	for name, c := range map[string]struct {
		user   reset.Standing
		may    bool
		active []reset.Account
	}{
		"in no account":            {reset.Standing{}, true, nil},
		"disabled":                 {reset.Standing{Disabled: true}, false, nil},
		"in one":                   {reset.Standing{Accounts: []reset.Account{on}}, true, []reset.Account{on}},
		"in two":                   {reset.Standing{Accounts: []reset.Account{on, on2}}, true, []reset.Account{on, on2}},
		"in one that is suspended": {reset.Standing{Accounts: []reset.Account{off}}, false, nil},
		"one of two suspended":     {reset.Standing{Accounts: []reset.Account{off, on}}, true, []reset.Account{on}},
		"disabled and in one":      {reset.Standing{Disabled: true, Accounts: []reset.Account{on}}, false, []reset.Account{on}},
	} {
		same(t, name+": MayReset", c.user.MayReset(), c.may)
		same(t, name+": ActiveAccounts", c.user.ActiveAccounts(), c.active)
		for _, a := range []reset.Account{on, on2, off, {}} {
			want := false
			for _, b := range c.active {
				want = want || a.ID == b.ID
			}
			same(t, fmt.Sprintf("%s: MemberOf(%d)", name, a.ID), c.user.MemberOf(a.ID), want)
		}
	}
}

func TestJobState(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		job  reset.Job
		want reset.JobState
	}{
		{reset.Job{Total: 3}, reset.JobQueued},
		{reset.Job{Total: 3, Sent: 1}, reset.JobRunning},
		{reset.Job{Total: 3, Unknown: 1}, reset.JobRunning},
		{reset.Job{Total: 3, Failed: 2}, reset.JobRunning},
		{reset.Job{Total: 3, Sent: 1, Unknown: 1, Failed: 1}, reset.JobDone},
		{reset.Job{Total: 1, Failed: 1}, reset.JobDone},
		{reset.Job{}, reset.JobDone},
	} {
		same(t, fmt.Sprintf("%+v", c.job), c.job.State(), c.want)
	}
}

// A mail that fails for now is tried again with growing pauses, for a day at least
// before any number of attempts could end it (the outbox allows 1,000).
func TestRetryPause(t *testing.T) {
	t.Parallel()
	const maxAttempts = 1000
	var total, last time.Duration
	for n := 1; n < maxAttempts; n++ {
		pause := reset.RetryPause(n)
		if pause < last || pause < 2*last && pause != 30*time.Minute {
			t.Fatalf("the pause after attempt %d is %v, after %v before it", n, pause, last)
		}
		if pause > 30*time.Minute {
			t.Fatalf("the pause after attempt %d is %v", n, pause)
		}
		total, last = total+pause, pause
	}
	if total <= reset.GiveUpAfter {
		t.Errorf("%d attempts take %v, less than the %v that a mail is tried", maxAttempts, total, reset.GiveUpAfter)
	}
	same(t, "the first", reset.RetryPause(1), 5*time.Second)
	same(t, "the last", last, 30*time.Minute)
	for _, n := range []int{0, -1, -1 << 62} {
		same(t, fmt.Sprint("no such attempt: ", n), reset.RetryPause(n), 5*time.Second)
	}
	same(t, "very many", reset.RetryPause(1<<62), 30*time.Minute)
}

func TestErrors(t *testing.T) {
	t.Parallel()
	cause := errors.New("SELECT secret FROM t")
	own := &reset.Error{Kind: reset.Conflict, Code: reset.CodeBadValue, Message: "there already", Cause: cause}
	same(t, "text for the log", own.Error(), "there already: SELECT secret FROM t")
	same(t, "text without a cause", reset.Invalidf("entry %d", 3).Error(), "entry 3")
	if !errors.Is(own, cause) {
		t.Error("the cause is not found")
	}
	if got := reset.AsError(fmt.Errorf("outside: %w", own)); got != own {
		t.Errorf("a wrapped domain error became %#v", got)
	}
	unknown := reset.AsError(cause)
	if unknown.Kind != reset.Internal || unknown.Code != reset.CodeUnknown || !errors.Is(unknown, cause) || strings.Contains(unknown.Message, "SELECT") {
		t.Errorf("an error that nobody classified became %#v", unknown)
	}
	busy := reset.Busy("not now", 3*time.Second, cause)
	refused(t, "Busy", busy, reset.Unavailable, reset.CodeUnknown)
	same(t, "its pause", busy.RetryAfter, 3*time.Second)
	refused(t, "Invalidf", reset.Invalidf("x"), reset.Invalid, reset.CodeBadValue)

	never := &reset.Undeliverable{Reply: 550, Cause: errors.New("no such user ada@example.test")}
	if !strings.Contains(never.Error(), "550") || strings.Contains(never.Error(), "ada") {
		t.Errorf("Undeliverable says %q", never.Error())
	}
	if !errors.Is(never, never.Cause) {
		t.Error("its cause is not found")
	}
}
