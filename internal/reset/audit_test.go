package reset_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"time"
	"unicode/utf8"

	"pgregory.net/rapid"

	"github.com/sparekey/sparekey/internal/reset"
	"github.com/sparekey/sparekey/internal/servicetest"
)

func nameOf(t testing.TB, address string) string {
	t.Helper()
	a, err := reset.ParseAddress(address)
	must(t, err)
	return servicetest.AddressNames.Name(a)
}

// forget stores what was noted so far and answers how many acts there are.
func forget(t testing.TB, w *servicetest.World) int { return len(w.Acts(t)) }

func TestAuditTellsTheWholeWay(t *testing.T) {
	t.Parallel()
	w := servicetest.New(t, servicetest.WithThrottle())
	u := w.AddUser(t, ada, "Ada", "Acme")
	app := callerWith(t, w, "app", reset.ScopeReset, "")
	ctx := reset.WithRequestID(t.Context(), "request-1")
	step := func() {
		must(t, w.Recorder.Flush(ctx))
		w.Clock.Advance(2 * time.Minute)
	}

	must(t, w.Service.Ask(ctx, visitor, []string{ada, "nobody@example.test"}))
	step()
	w.WorkOutbox(t)
	step()
	id := servicetest.ID(w.Links()[0])
	_, err := w.Service.Look(ctx, app, id)
	must(t, err)
	step()
	_, err = w.Service.Reset(ctx, visitor, id, "short")
	refused(t, "a short password", err, reset.Invalid, reset.CodeBadValue)
	step()
	_, err = w.Service.Reset(ctx, visitor, id, newPassword)
	must(t, err)
	step()
	w.WorkOutbox(t)
	step()
	must(t, w.Users.Disable(reset.WithOperator(ctx, "root"), ada))

	who := "user:" + u.ID
	same(t, "the trail", w.Acts(t), []string{
		"admin.user.added ok", "admin.account.added ok", "admin.key.created ok",
		"request.asked " + nameOf(t, ada) + " ok", "request.asked " + nameOf(t, "nobody@example.test") + " ok",
		"request.opened " + who + " ok", "mail.sent " + who + " ok", "mail.skipped " + nameOf(t, "nobody@example.test") + " unknown",
		"link.looked " + who + " ok",
		"reset.refused " + who + " policy",
		"password.reset " + who + " ok",
		"mail.sent " + who + " ok",
		"admin.user.disabled operator:root ok",
	})
	for _, r := range w.Trail(t) {
		switch r.What {
		case reset.ActAsked, reset.ActReset:
			same(t, r.What+" from", r.From, "192.0.2.0/24")
			same(t, r.What+" request", r.RequestID, "request-1")
		case reset.ActLooked:
			same(t, "the key of a look", r.Key, "app")
		case reset.ActOpened:
			same(t, "the request that asked for the mail", r.RequestID, "request-1")
			same(t, "the address that was typed", strings.Contains(r.Details, nameOf(t, ada)), true)
		case reset.ActUserDisabled:
			same(t, "who was disabled", r.Details, `{"user":"`+u.ID+`"}`)
		}
	}
}

// TestAuditTellsAskersAlike: asking looks nobody up, so its entries cannot differ either.
func TestAuditTellsAskersAlike(t *testing.T) {
	t.Parallel()
	w := servicetest.New(t)
	w.AddUser(t, ada, "Ada", "Acme")
	before := forget(t, w)
	must(t, w.Service.Ask(t.Context(), visitor, []string{ada}))
	must(t, w.Service.Ask(t.Context(), visitor, []string{bob}))
	list := w.Trail(t)[before:]
	if len(list) != 2 || list[0].Who == list[1].Who || len(list[0].Who) != len(list[1].Who) {
		t.Fatalf("got %+v", list)
	}
	must(t, w.Service.Ask(t.Context(), visitor, []string{"ADA@Example.test"}))
	same(t, "another spelling's name", w.Trail(t)[before+2].Who, list[0].Who)
	list[1].Who, list[1].Seq, list[1].Seal = list[0].Who, list[0].Seq, list[0].Seal
	same(t, "an unknown address's entry", list[1], list[0])
}

func TestAuditTellsRefusals(t *testing.T) {
	t.Parallel()
	w := servicetest.New(t)
	u := w.AddUser(t, ada, "Ada", "Acme")
	w.AddUser(t, bob, "Bob", "Globex")
	acme, globex := callerWith(t, w, "acme", reset.ScopeReset, "Acme"), callerWith(t, w, "globex", reset.ScopeReset, "Globex")
	admin := callerWith(t, w, "admin", reset.ScopeAdmin, "")
	gone := w.NewKey(t, "gone", reset.ScopeReset, "")
	must(t, w.Keys.Revoke(t.Context(), "gone"))
	old, id := w.MailedID(t, ada), ""
	w.Clock.Advance(5 * time.Minute)
	id = w.MailedID(t, ada)
	who := " user:" + u.ID
	for _, c := range []struct {
		about string
		do    func(ctx context.Context) error
		want  string
	}{
		{"a bad address", func(ctx context.Context) error { return w.Service.Ask(ctx, visitor, []string{"x"}) }, "request.asked invalid"},
		{"an unknown id", func(ctx context.Context) error {
			_, err := w.Service.Look(ctx, visitor, reset.NewID().Reveal())
			return err
		}, "link.looked unknown"},
		{"no id", func(ctx context.Context) error { _, err := w.Service.Reset(ctx, visitor, "x", newPassword); return err }, "reset.refused unknown"},
		{"an older link", func(ctx context.Context) error { _, err := w.Service.Look(ctx, visitor, old); return err }, "link.looked" + who + " inactive"},
		{"another account's key", func(ctx context.Context) error { _, err := w.Service.Look(ctx, globex, id); return err }, "link.looked" + who + " foreign"},
		{"its account's key", func(ctx context.Context) error {
			_, err := w.Service.Look(ctx, acme, id)
			must(t, err)
			return errors.New("none")
		}, "link.looked" + who + " ok"},
		{"an expired link", func(ctx context.Context) error {
			w.Clock.Advance(time.Hour)
			_, err := w.Service.Reset(ctx, visitor, id, newPassword)
			return err
		}, "reset.refused" + who + " expired"},
		{"a wrong key", func(ctx context.Context) error { _, err := w.Keys.Authenticate(ctx, "192.0.2.7", "spk_x"); return err }, "key.refused unknown"},
		{"a revoked key", func(ctx context.Context) error { _, err := w.Keys.Authenticate(ctx, "192.0.2.7", gone); return err }, "key.refused revoked"},
		{"a key without the scope", func(ctx context.Context) error { _, err := w.Service.AskBulk(ctx, acme, []string{ada}); return err }, "request.bulk scope"},
		{"a job that is not there", func(ctx context.Context) error { _, err := w.Service.Job(ctx, admin, "x"); return err }, "job.looked unknown"},
	} {
		before := forget(t, w)
		if err := c.do(t.Context()); err == nil {
			t.Errorf("%s was not refused", c.about)
		}
		acts := w.Acts(t)[before:]
		same(t, c.about, acts, []string{c.want})
	}
	trail := w.Trail(t)
	for _, r := range trail {
		if r.What == reset.ActKeyRefused && r.Outcome == reset.EndRevoked {
			same(t, "the revoked key's name", r.Key, "gone")
		}
	}
}

func TestAuditTellsMails(t *testing.T) {
	t.Parallel()
	w := servicetest.New(t, servicetest.WithThrottle())
	u := w.AddUser(t, ada, "Ada")
	admin := callerWith(t, w, "admin", reset.ScopeAdmin, "")
	before := forget(t, w)
	job, err := w.Service.AskBulk(t.Context(), admin, []string{ada, bob})
	must(t, err)
	w.FailMail(errors.New("down"))
	failed := work(t, w)
	w.FailMail(&reset.Undeliverable{Reply: 550})
	err = w.Courier.MailLink(t.Context(), failed[0].(reset.LinkEntry), true)
	must(t, w.Courier.GiveUp(t.Context(), failed[0], 7, err))
	must(t, w.Service.Ask(t.Context(), visitor, []string{ada}))
	work(t, w)
	who, typed := " user:"+u.ID, " "+nameOf(t, ada)
	same(t, "the trail", w.Acts(t)[before:], []string{
		"request.bulk key:admin ok", "request.opened" + who + " ok", "request.opened" + who + " ok",
		"mail.failed" + who + " later", "mail.skipped " + nameOf(t, bob) + " unknown", "mail.given_up" + typed + " refused",
		"request.asked" + typed + " ok", "mail.skipped" + typed + " throttled",
	})
	for _, r := range w.Trail(t)[before:] {
		switch r.What {
		case reset.ActBulkAsked:
			same(t, "bulk", r.Details, `{"job":"`+job+`","addresses":"2"}`)
		case reset.ActMailGivenUp:
			same(t, "given up", r.Details, `{"mail":"link","attempts":"7","reply":"550"}`)
		}
	}
}

func TestAuditClients(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		detail              reset.ClientDetail
		client, whole, want string
	}{
		{reset.ClientsTruncated, "192.0.2.77", "192.0.2.77", "192.0.2.0/24"},
		{reset.ClientsTruncated, "2001:db8:1:2::/64", "2001:db8:1:2::7", "2001:db8:1::/48"},
		{reset.ClientsTruncated, "@", "", ""},
		{reset.ClientsTruncated, "", "", ""},
		{reset.ClientsFull, "2001:db8:1:2::/64", "2001:db8:1:2::7", "2001:db8:1:2::7"},
		{reset.ClientsFull, "192.0.2.77", "", "192.0.2.77"},
		{reset.ClientsNone, "192.0.2.77", "192.0.2.77", ""},
	} {
		w := servicetest.New(t, servicetest.WithClients(c.detail))
		ctx := t.Context()
		if c.whole != "" {
			ctx = reset.WithClientAddress(ctx, c.whole)
		}
		must(t, w.Service.Ask(ctx, reset.Caller{Client: c.client}, []string{ada}))
		same(t, fmt.Sprintf("%s of %q", c.detail, c.client), w.Trail(t)[0].From, c.want)
	}
}

// TestAuditCountsLikeActs: a loop of looks costs the trail an entry a second, and none is forgotten.
func TestAuditCountsLikeActs(t *testing.T) {
	t.Parallel()
	w := servicetest.New(t)
	w.AddUser(t, ada, "Ada")
	id := w.MailedID(t, ada)
	before := forget(t, w)
	for range 10 {
		for range 100 {
			same(t, "a look", opens(t, w, visitor, id), reset.Code(0))
		}
		w.Clock.Advance(500 * time.Millisecond)
	}
	same(t, "another client", opens(t, w, nobody, id), reset.Code(0))
	times, list := 0, w.Trail(t)[before:]
	for _, r := range list {
		times += r.Times
	}
	same(t, "looks", times, 1001)
	if len(list) > 3 {
		t.Errorf("%d entries", len(list))
	}
}

// memoryStore is a store that keeps what is recorded in memory, and fails when told to.
type memoryStore struct {
	reset.Store
	fails atomic.Pointer[error]
	got   chan []reset.AuditEntry
}

type memoryTx struct {
	reset.Tx
	entries []reset.AuditEntry
}

func (m *memoryTx) Record(entries ...reset.AuditEntry) { m.entries = append(m.entries, entries...) }

func (m *memoryStore) Update(_ context.Context, fn func(reset.Tx) error) error {
	if err := m.fails.Load(); err != nil {
		return *err
	}
	tx := &memoryTx{}
	if err := fn(tx); err != nil {
		return err
	}
	m.got <- tx.entries
	return nil
}

// TestDetails: whatever is told, the details are a JSON object of bounded size in one line.
func TestDetails(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		pairs := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) string {
			return rapid.OneOf(rapid.String(), rapid.Map(rapid.SliceOfN(rapid.Byte(), 0, 400), func(b []byte) string { return string(b) })).Draw(t, "text")
		}), 0, 30).Draw(t, "pairs")
		got := reset.Details(pairs...)
		var object map[string]string
		if got != "" && json.Unmarshal([]byte(got), &object) != nil || len(got) > 2000 || !utf8.ValidString(got) || strings.ContainsAny(got, "\n\r\x1b\x00\u2028") {
			t.Fatalf("Details(%q) = %q", pairs, got)
		}
	})
}

// TestAuditIsKeptForAsLongAsSaid: purging takes what is older, logs how far the trail goes, and what is left holds.
func TestAuditIsKeptForAsLongAsSaid(t *testing.T) {
	t.Parallel()
	var log strings.Builder
	w := servicetest.New(t, servicetest.WithLog(slog.New(slog.NewJSONHandler(&log, nil))))
	w.Courier.KeepTrail(w.Store, 24*time.Hour)
	must(t, w.Service.Ask(t.Context(), visitor, []string{ada}))
	w.Trail(t)
	w.Clock.Advance(23 * time.Hour)
	must(t, w.Service.Ask(t.Context(), visitor, []string{bob}))
	w.Trail(t)
	w.Clock.Advance(2 * time.Hour)
	must(t, w.Courier.Purge(t.Context()))
	same(t, "kept", w.Acts(t), []string{"request.asked " + nameOf(t, bob) + " ok"})
	must(t, w.Courier.Purge(t.Context()))
	if n := strings.Count(log.String(), `"event":"audit.head"`); n != 1 {
		t.Errorf("the head was told %d times:\n%s", n, log.String())
	}
	heads, err := reset.Heads(t.Context(), w.Store)
	must(t, err)
	if !strings.Contains(log.String(), heads[0].Seal) {
		t.Error("the log has another head")
	}
}

// TestEndsOfSets: what an operator set is in the trail as it ended, and "unsure" unless it is certain that nothing was changed.
func TestEndsOfSets(t *testing.T) {
	t.Parallel()
	for end, err := range map[string]error{
		reset.EndOK:      nil,
		reset.EndUnsure:  errors.New("the connection was cut"),
		reset.EndUnknown: &reset.Unchanged{Cause: reset.ErrNoUser},
		reset.EndPolicy:  &reset.Unchanged{Cause: reset.Refused([]reset.Refusal{{Code: "too_short", Message: "is too short"}})},
		reset.EndBusy:    fmt.Errorf("crm: %w", &reset.Unchanged{Cause: reset.Busy("not now", time.Second, nil)}),
	} {
		same(t, fmt.Sprint(err), reset.EndOfSet(err), end)
	}
}
