package hookdir

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/google/uuid"

	"github.com/sparekey/sparekey/internal/reset"
)

// Prepare implements reset.Directory. The application hashes, so nothing is slow here.
func (d *Directory) Prepare(_ context.Context, u reset.User, password string, _ func(context.Context) error) (reset.Change, error) {
	if checkID(u.ID) != nil {
		return nil, reset.ErrNoUser
	}
	if !utf8.ValidString(password) {
		return nil, reset.Invalidf("a password has to be valid UTF-8")
	}
	body, err := json.Marshal(setCall{Type: "set", ID: u.ID, Password: password})
	if err != nil {
		return nil, errors.New("the call that sets a password cannot be written as JSON") // the cause could repeat it
	}
	return &change{directory: d, id: uuid.NewString(), body: body, password: password}, nil
}

// change is a call that is ready to be made. It prints as nothing that is secret.
type change struct {
	reset.NoApply

	directory *Directory
	id        string // of the change, however often it is sent
	body      []byte
	password  string
}

var _ reset.Distant = (*change)(nil)

// Format hides the password, whatever the verb.
func (c *change) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "change "+c.id) }

// LogValue hides the password.
func (c *change) LogValue() slog.Value { return slog.StringValue("change " + c.id) }

// Set implements reset.Distant. The package comment says what is sent again, and why.
func (c *change) Set(ctx context.Context) error {
	d := c.directory
	ctx, cancel := context.WithTimeout(ctx, d.timeout)
	defer cancel()
	set := call{path: "set", id: c.id, body: c.body, signer: d.signer}
	a, f := d.send(ctx, d.setting, set)
	if f == nil || !f.mayAgain() {
		return c.meaning(a, f)
	}
	if !f.sent {
		if wait(ctx, beforeAgain) {
			a, f = d.send(ctx, d.setting, set)
		}
		return c.meaning(a, f)
	}
	if err := c.meaning(a, f); a.status != 0 && certain(err) {
		return err // the answer broke off, and has said enough
	}
	if h, _, err := d.health(ctx); err != nil || !h.Idempotent {
		return unsure(f.cause())
	}
	a, f = d.send(ctx, d.setting, set)
	if err := c.meaning(a, f); err == nil {
		return nil
	}
	return unsure(misset("url", "see the application's log", "the first answer was lost, and the second does not say that the password was changed"))
}

// certain reports whether it is known what became of a change.
func certain(err error) bool {
	_, ok := errors.AsType[*reset.Unchanged](err)
	return ok || err == nil
}

// refusals are the statuses that say by themselves that nothing was changed: the
// document says so, and none is anything that stands between would answer after the
// application had been at work.
var refusals = []int{
	http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound, http.StatusMethodNotAllowed,
	http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType, http.StatusUnprocessableEntity, http.StatusTooManyRequests,
}

// meaning says what came of the change.
func (c *change) meaning(a answer, f *failure) error {
	switch {
	case f != nil && !f.sent:
		return unchanged(later(0, f.cause()))
	case f != nil && !slices.Contains(refusals, a.status) && a.status != http.StatusNoContent:
		return unsure(f.cause())
	case a.status == http.StatusNoContent:
		return nil
	}
	said := parseOutcome(a)
	switch {
	case said.changed != nil && *said.changed && a.status == http.StatusOK:
		return nil
	case said.changed != nil && *said.changed: // an error that says that the password was changed
		return unsure(odd("set", errContradiction))
	case a.status == http.StatusOK && said.changed == nil:
		return unsure(odd("set", errNoOutcome))
	case a.status == http.StatusNotFound && said.changed != nil:
		return unchanged(reset.ErrNoUser)
	case a.status == http.StatusUnprocessableEntity:
		reasons := said.refusals(c.password)
		if len(reasons) == 0 {
			return unchanged(later(a.retryAfter, odd("set", errNoReasons)))
		}
		return unchanged(reset.Refused(reasons))
	case said.changed != nil, slices.Contains(refusals, a.status):
		return unchanged(later(a.retryAfter, c.directory.status(a)))
	}
	return unsure(c.directory.status(a))
}

var (
	errContradiction = errors.New("says that it failed and that the password was changed")
	errNoOutcome     = errors.New(`is 200 without {"changed": true}`)
	errNoReasons     = errors.New("is 422 without reasons")
)
