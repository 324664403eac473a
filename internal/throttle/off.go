package throttle

import (
	"context"
	"time"

	"github.com/sparekey/sparekey/internal/reset"
)

// Off limits nothing: for tests and benchmarks.
type Off struct{}

// Asking implements reset.Throttle.
func (Off) Asking(context.Context, reset.Caller, int, time.Time) error { return nil }

// Ask implements reset.Throttle.
func (Off) Ask(context.Context, reset.Tx, reset.Caller, int, time.Time) error { return nil }

// Address implements reset.Throttle.
func (Off) Address(context.Context, reset.Tx, reset.Address, time.Time) (bool, error) {
	return true, nil
}

// Account implements reset.Throttle.
func (Off) Account(context.Context, int64, time.Time) (time.Duration, error) { return 0, nil }

// Guessing implements reset.Throttle.
func (Off) Guessing(reset.Caller, time.Time) error { return nil }

// Hinting implements reset.Throttle.
func (Off) Hinting(reset.Digest, time.Time) error { return nil }

// WrongGuess implements reset.Throttle.
func (Off) WrongGuess(context.Context, reset.Caller, time.Time) error { return nil }
