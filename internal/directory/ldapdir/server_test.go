package ldapdir_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/sparekey/sparekey/internal/reset"
)

func find(t testing.TB, d reset.Directory, email string) reset.User {
	t.Helper()
	u, err := d.UserByAddress(t.Context(), address(t, email))
	must(t, err)
	return u
}

// set does what a reset does with a Distant change.
func set(ctx context.Context, d reset.Directory, u reset.User, password string) error {
	c, err := d.Prepare(ctx, u, password, nil)
	if err != nil {
		return err
	}
	distant, ok := c.(reset.Distant)
	if !ok {
		return errors.New("the change is not Distant")
	}
	return distant.Set(ctx)
}

func unavailable(t *testing.T, err error) {
	t.Helper()
	if e, ok := errors.AsType[*reset.Error](err); !ok || e.Kind != reset.Unavailable || e.RetryAfter <= 0 {
		t.Errorf("got %v, want an error of kind Unavailable", err)
	}
}

// names checks that an error names a setting, and says what to do in words that have this in them.
func names(t *testing.T, err error, setting, fix string) {
	t.Helper()
	m, ok := errors.AsType[*reset.Misset](err)
	if !ok || m.Setting != setting || !strings.Contains(m.Fix, fix) {
		t.Errorf("got %v, want a Misset for %s: %s", err, setting, fix)
	}
}

// refusedFor checks the codes of a refusal, and that nothing was changed.
func refusedFor(t *testing.T, err error, codes ...string) {
	t.Helper()
	if _, ok := errors.AsType[*reset.Unchanged](err); !ok {
		t.Errorf("got %v, want Unchanged", err)
	}
	e, ok := errors.AsType[*reset.Error](err)
	if !ok || e.Kind != reset.Invalid {
		t.Errorf("got %v, want a refusal", err)
		return
	}
	reasons, _ := e.Details["password"].([]reset.Refusal)
	var got []string
	for _, r := range reasons {
		if r.Message == "" {
			t.Errorf("%s has no message", r.Code)
		}
		got = append(got, r.Code)
	}
	if !slices.Equal(got, codes) {
		t.Errorf("the reasons are %q, want %q", got, codes)
	}
}
