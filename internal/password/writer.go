package password

import (
	"context"
	"fmt"
	"strings"

	"github.com/sparekey/sparekey/internal/password/formats"
	"github.com/sparekey/sparekey/internal/reset"
)

// Writer makes hashes in the format that somebody else's application reads. It
// shares the bounds of the Hasher that it comes from: all directories together hash no more at once than
// one would. It is safe for concurrent use.
type Writer struct {
	gate   *gate
	format formats.Format
}

// Writer returns what writes a format, which formats.Parse has made.
func (h *Hasher) Writer(f formats.Format) *Writer { return &Writer{gate: h.gate, format: f} }

// Hash returns a hash of the password as it was typed. A password that whoever reads
// the format would cut is refused with reasons (reset.Refused). It waits for its turn, and asks still, as
// Hasher.Hash does, and answers the same error when too many wait.
func (w *Writer) Hash(ctx context.Context, password string, still func(context.Context) error) (string, error) {
	if refusals := w.refusals(password); refusals != nil {
		return "", reset.Refused(refusals)
	}
	var encoded string
	var failed error
	if err := w.gate.do(ctx, still, func() { encoded, failed = w.format.Encode(password) }); err != nil {
		return "", err
	}
	if failed != nil {
		return "", fmt.Errorf("hash as %s: %w", w.format, failed)
	}
	return encoded, nil
}

// String names the format and its parameters.
func (w *Writer) String() string { return w.format.String() }

// MaxBytes is the longest password that the format takes, in bytes; 0: it sets no limit.
func (w *Writer) MaxBytes() int { return w.format.MaxBytes() }

func (w *Writer) refusals(password string) (list []reset.Refusal) {
	if most := w.format.MaxBytes(); most > 0 && len(password) > most {
		list = append(list, tooManyBytes(most, len(password)))
	}
	if !w.format.TakesNUL() && strings.Contains(password, "\x00") {
		list = append(list, controlCharacter())
	}
	return list
}
