package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/spf13/cobra"

	"github.com/sparekey/sparekey/internal/config"
	"github.com/sparekey/sparekey/internal/logs"
	"github.com/sparekey/sparekey/internal/reset"
)

// missing says what to do about a database that is not there.
type missing bool

const (
	refuseMissing missing = false // the command makes sense only with data that is there
	createMissing missing = true  // the command adds something, perhaps the first
)

// dataFlags adds the flags of a command that works with the database alone.
func dataFlags(cmd *cobra.Command) { config.AddFlags(cmd.Flags(), "database") }

// withCore runs fn with the database that is configured.
func withCore(c console, cmd *cobra.Command, m missing, fn func(ctx context.Context, core *core) error) (err error) {
	cfg, err := load(c, cmd, nil)
	if err != nil {
		return err
	}
	ctx := asOperator(cmd.Context(), c)
	wasMissing := isMissing(cfg.Database)
	core, err := openCore(ctx, cfg, c.now, logs.New(c.stderr, "text", slog.LevelWarn), bool(m))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, core.close()) }()
	if wasMissing {
		// Somebody who mistyped the path should see that this is not the database they meant.
		if _, err := fmt.Fprintf(c.stderr, "note: made a new database, %s\n", cfg.Database); err != nil {
			return err
		}
	}
	return fn(ctx, core)
}

// advise gives a domain error of that kind a hint and leaves others as they are.
func advise(err error, kind reset.Kind, hint string) error {
	e, ok := errors.AsType[*reset.Error](err)
	switch {
	case !ok || e.Kind != kind:
		return err
	case kind == reset.Invalid:
		return &failure{cause: err, hint: hint, code: exitUsage}
	}
	return hintf(err, "%s", hint)
}

// usagef is the error of a call that is wrong in a way that flags and arguments alone cannot tell.
func usagef(hint, format string, args ...any) error {
	return &failure{cause: fmt.Errorf(format, args...), hint: hint, code: exitUsage}
}

// parseAddress reads an address from the command line, before anything is opened.
func parseAddress(s string) (reset.Address, error) {
	a, err := reset.ParseAddress(s)
	if err != nil {
		return a, &failure{cause: err, hint: "write a plain address, such as ada@example.com", code: exitUsage}
	}
	return a, nil
}
