package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/sparekey/sparekey/internal/config"
	"github.com/sparekey/sparekey/internal/directory/joint"
	"github.com/sparekey/sparekey/internal/logs"
	"github.com/sparekey/sparekey/internal/reset"
)

// setTestUser sets a password as a reset does. The audit trail is told that it is about to be set, and how that ended: no
// transaction holds the two together, and a process that dies in between has changed nothing in silence.
func setTestUser(ctx context.Context, c console, cfg *config.Config, d *directories, name string, u reset.User) (err error) {
	ctx = asOperator(ctx, c)
	trail, err := openTrail(ctx, c, cfg)
	if err != nil {
		return err
	}
	if trail != nil {
		defer func() { err = errors.Join(err, trail.close()) }()
	}
	secret, err := readPassword(ctx, c.stdin)
	if err != nil {
		return err
	}
	change, err := d.made[name].Prepare(ctx, u, secret, nil)
	if err != nil {
		return d.advise(name, err)
	}
	distant, ok := change.(reset.Distant)
	if !ok {
		return errors.New("this directory shares Sparekey's database; use sparekey user")
	}
	id, err := joint.ID(name, u.ID)
	if err != nil {
		return err
	}
	if err := trail.tellSet(ctx, name, id, reset.EndBegun); err != nil {
		return untold(err)
	}
	failed := distant.Set(ctx)
	ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastEntries) // whoever gave up may have changed it
	defer cancel()
	told := trail.tellSet(ending, name, id, reset.EndOfSet(failed))
	if told != nil {
		told = fmt.Errorf("the audit trail has that this was begun, and could not be told how it ended: %w", told)
	}
	if failed != nil {
		return errors.Join(d.advise(name, failed), told)
	}
	_, err = fmt.Fprintf(c.stdout, "ok   set the password of %s\n", visible(u.Email.Raw()))
	if err != nil || told != nil || trail == nil {
		return errors.Join(err, told)
	}
	_, err = fmt.Fprintln(c.stdout, "ok   the audit trail has it")
	return err
}

// openTrail opens the database for what it is to be told. nil: there is none yet, which it says.
func openTrail(ctx context.Context, c console, cfg *config.Config) (*core, error) {
	if isMissing(cfg.Database) {
		_, err := fmt.Fprintf(c.stdout, "note there is no database at %s yet, so no audit trail: it will stand nowhere that this password was set\n", visible(cfg.Database.Path))
		return nil, err
	}
	trail, err := openCore(ctx, cfg, c.now, logs.New(c.stderr, "text", slog.LevelWarn), false)
	if err != nil {
		return nil, untold(err)
	}
	return trail, nil
}

// tellSet tells how setting a test user's password ended. Without a database nobody is told.
func (c *core) tellSet(ctx context.Context, directory, user, end string) error {
	if c == nil {
		return nil
	}
	entry := reset.AdminAct(ctx, c.now(), reset.ActPasswordSet, "directory", directory, "user", user)
	entry.Outcome = end
	return c.store.Update(ctx, func(tx reset.Tx) error {
		tx.Record(entry)
		return nil
	})
}

// untold is the error of a database that is there and cannot be told of a change. So there is no change.
func untold(err error) error {
	hint := "sparekey doctor looks at the database"
	if f, ok := errors.AsType[*failure](err); ok {
		hint = f.hint
	}
	return hintf(fmt.Errorf("the audit trail cannot be told, so no password was set: %w", err), "%s", hint)
}
