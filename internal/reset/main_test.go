package reset_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"go.uber.org/goleak"

	"github.com/sparekey/sparekey/internal/reset"
	"github.com/sparekey/sparekey/internal/servicetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	ada = "ada@example.test"
	bob = "bob@example.test"

	oldPassword = "correct horse battery staple"
	newPassword = "a quiet harbour in november"
)

// visitor is somebody without a key; nobody has not even an address, and so no limits of their own.
var (
	visitor = reset.Caller{Client: "192.0.2.7"}
	nobody  = reset.Caller{}
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func same(t testing.TB, what string, got, want any) {
	t.Helper()
	if diff := cmp.Diff(want, got, cmpopts.EquateComparable(reset.Address{}, reset.ID{})); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

// refused checks that err is a domain error of that kind and code, and returns it.
func refused(t testing.TB, what string, err error, kind reset.Kind, code reset.Code) *reset.Error {
	t.Helper()
	e, ok := errors.AsType[*reset.Error](err)
	if !ok || e.Kind != kind || e.Code != code || e.Message == "" {
		t.Fatalf("%s: got %#v, want kind %d and code %d with a message", what, err, kind, code)
	}
	if waits := kind == reset.Throttled || kind == reset.Unavailable; waits != (e.RetryAfter > 0) {
		t.Fatalf("%s: RetryAfter is %v for kind %d", what, e.RetryAfter, kind)
	}
	return e
}

// opens reports how Look answers: 0 if the id opens its request.
func opens(t testing.TB, w *servicetest.World, c reset.Caller, id string) reset.Code {
	t.Helper()
	_, err := w.Service.Look(t.Context(), c, id)
	if err == nil {
		return 0
	}
	e := reset.AsError(err)
	if e.Kind != reset.Unauthorized {
		t.Fatalf("Look: %v", err)
	}
	return e.Code
}

// ask asks for one link and leaves the outbox alone.
func ask(t testing.TB, w *servicetest.World, addresses ...string) {
	t.Helper()
	must(t, w.Service.Ask(t.Context(), nobody, addresses))
}

// work does everything in the outbox that can be done now and returns the
// entries that failed, as a queue that tries again would keep them.
func work(t testing.TB, w *servicetest.World) (failed []reset.Entry) {
	t.Helper()
	for _, e := range w.TakeOutbox() {
		if err := w.Work(t.Context(), e); err != nil {
			failed = append(failed, e)
		}
	}
	return failed
}

// callerWith makes a key and returns a caller who sends it.
func callerWith(t testing.TB, w *servicetest.World, name string, scope reset.Scope, account string) reset.Caller {
	t.Helper()
	key, err := w.Keys.Authenticate(t.Context(), "", w.NewKey(t, name, scope, account))
	must(t, err)
	return reset.Caller{Client: "198.51.100.9", Key: &key}
}

// directory stands in front of the real one; what is set runs before each call.
type directory struct {
	reset.Directory
	before  func(ctx context.Context) error // every call
	found   func(u reset.User)              // after UserByAddress has found somebody
	prepare func(ctx context.Context) error // Prepare
}

func (d *directory) do(ctx context.Context) error {
	if d.before == nil {
		return nil
	}
	return d.before(ctx)
}

func (d *directory) UserByAddress(ctx context.Context, a reset.Address) (reset.User, error) {
	if err := d.do(ctx); err != nil {
		return reset.User{}, err
	}
	u, err := d.Directory.UserByAddress(ctx, a)
	if err == nil && d.found != nil {
		d.found(u)
	}
	return u, err
}

func (d *directory) UserByID(ctx context.Context, id string) (reset.User, error) {
	if err := d.do(ctx); err != nil {
		return reset.User{}, err
	}
	return d.Directory.UserByID(ctx, id)
}

func (d *directory) Prepare(ctx context.Context, u reset.User, password string, still func(context.Context) error) (reset.Change, error) {
	if err := d.do(ctx); err != nil {
		return nil, err
	}
	if d.prepare != nil {
		if err := d.prepare(ctx); err != nil {
			return nil, err
		}
	}
	return d.Directory.Prepare(ctx, u, password, still)
}

// behind makes d stand in front of a World's directory.
func behind(d *directory) servicetest.Option {
	return servicetest.WithDirectory(func(inner reset.Directory) reset.Directory {
		d.Directory = inner
		return d
	})
}

// mailer stands in front of the real one; send runs before each mail with a link.
type mailer struct {
	reset.Mailer
	send func(ctx context.Context, m reset.LinkMail) error
}

func (m *mailer) SendLink(ctx context.Context, l reset.LinkMail) error {
	if err := m.send(ctx, l); err != nil {
		return err
	}
	return m.Mailer.SendLink(ctx, l)
}

// through makes send run before each mail with a link.
func through(send func(ctx context.Context, m reset.LinkMail) error) servicetest.Option {
	return servicetest.WithMailer(func(inner reset.Mailer) reset.Mailer { return &mailer{Mailer: inner, send: send} })
}

const ttl = time.Hour // of links in a World
