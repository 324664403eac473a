package password_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/crypto/bcrypt"

	"github.com/sparekey/sparekey/internal/password"
	"github.com/sparekey/sparekey/internal/password/formats"
	"github.com/sparekey/sparekey/internal/reset"
)

func mustFormat(t *testing.T, s string) formats.Format {
	t.Helper()
	f, err := formats.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestWriterWritesAsTyped(t *testing.T) {
	t.Parallel()
	w := password.CheapHasher().Writer(mustFormat(t, "bcrypt cost=10"))
	encoded, err := w.Hash(t.Context(), "cafe\u0301 au lait", nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := bcrypt.CompareHashAndPassword([]byte(encoded), []byte("cafe\u0301 au lait")); err != nil {
		t.Error(err)
	}
	if w.String() != "bcrypt cost=10" || w.MaxBytes() != 72 {
		t.Errorf("it is %s and takes %d bytes", w, w.MaxBytes())
	}
}

// A password that whoever reads the format would cut is refused with reasons that people can do something about.
func TestWriterRefusesWhatWouldBeCut(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		format, password string
		want             []reset.Refusal
	}{
		{"bcrypt", strings.Repeat("é", 37), []reset.Refusal{{
			Code: "too_many_bytes", Params: map[string]any{"max": 72, "bytes": 74},
			Message: "use a shorter password: at most 72 bytes, of which a plain letter takes one, an accented or other letter two to four; yours has 74",
		}}},
		{"yescrypt", "a bird\x00in the hand", []reset.Refusal{{
			Code:    "control_character",
			Message: "use no control characters such as tab, line break or NUL; all others are welcome, spaces and emoji too",
		}}},
		{"ssha512", "a bird\x00in the hand" + strings.Repeat("x", 1000), nil},
	} {
		encoded, err := password.CheapHasher().Writer(mustFormat(t, tc.format)).Hash(t.Context(), tc.password, nil)
		if (err == nil) != (tc.want == nil) || (encoded == "") != (tc.want != nil) {
			t.Errorf("%s: %q, %v", tc.format, encoded, err)
		}
		if e, ok := errors.AsType[*reset.Error](err); ok {
			if diff := cmp.Diff(tc.want, e.Details["password"]); diff != "" {
				t.Errorf("%s: %s", tc.format, diff)
			}
			if strings.Contains(err.Error(), "bird") {
				t.Errorf("the error repeats the password: %v", err)
			}
		}
	}
}

func TestWriterDoesNotWorkForACallerWhoHasGone(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	encoded, err := password.CheapHasher().Writer(mustFormat(t, "ssha512")).Hash(ctx, "a bird in the hand", nil)
	if e, ok := errors.AsType[*reset.Error](err); encoded != "" || !ok || e.Kind != reset.Unavailable {
		t.Errorf("%q, %v", encoded, err)
	}
}
