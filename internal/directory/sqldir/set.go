package sqldir

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/sparekey/sparekey/internal/reset"
)

// Prepare implements reset.Directory: it hashes.
func (d *Directory) Prepare(ctx context.Context, u reset.User, password string, still func(context.Context) error) (reset.Change, error) {
	hash, err := d.config.Hasher.Hash(ctx, password, still)
	if err != nil {
		return nil, err
	}
	return change{directory: d, user: u, hash: hash}, nil
}

// change is a hash that is ready to be stored.
type change struct {
	reset.NoApply
	directory *Directory
	user      reset.User
	hash      string
}

// String keeps the hash out of whatever prints a change.
func (c change) String() string { return "a new password" }

// GoString does so for %#v.
func (c change) GoString() string { return c.String() }

// Set implements reset.Distant.
func (c change) Set(ctx context.Context) error {
	d := c.directory
	ctx, cancel := context.WithTimeout(ctx, d.config.Timeout)
	defer cancel()
	args := d.values(c.user, c.hash)
	steps := d.steps(args)
	if t, err := d.table(ctx, false); err == nil && t.transactional() != nil {
		return &reset.Unchanged{Cause: d.failed(t.transactional(), "table")}
	}
	// Until COMMIT is sent nothing has happened, so it can be tried again; afterwards it ends here.
	err := d.trying(ctx, func() error {
		if err := ctx.Err(); err != nil {
			return err
		}
		return d.db.change(ctx, steps, func(rows []int64) error {
			return exactlyOne(rows[0], d.settingOf("set", d.config.Statements.Set))
		})
	})
	if err == nil {
		return nil
	}
	if _, ok := errors.AsType[*unsure](err); ok {
		return d.failedToSet(err, args)
	}
	if errors.Is(err, reset.ErrNoUser) {
		return &reset.Unchanged{Cause: err}
	}
	return &reset.Unchanged{Cause: d.failedToSet(err, args)}
}

// settingOf is where a statement comes from: its own setting if it is written out, or the table's.
func (d *Directory) settingOf(name, text string) string {
	if text != "" {
		return "statements." + name
	}
	return "table"
}

// exactlyOne refuses any other number of changed rows.
func exactlyOne(n int64, setting string) error {
	switch {
	case n == 0:
		return reset.ErrNoUser
	case n != 1:
		return &reset.Misset{Setting: setting, Fix: "let the id name exactly one row", Cause: fmt.Errorf("the statement would have changed %d rows", n)}
	}
	return nil
}

// values are those of the parameters.
func (d *Directory) values(u reset.User, hash string) map[string]any {
	now := d.config.Now().UTC()
	return map[string]any{
		"id": u.ID, "email": u.Email.Raw(), "hash": hash,
		"now": d.dialect.time(now), "now_unix": d.dialect.number(now.Unix()), "now_unix_ms": d.dialect.number(now.UnixMilli()),
	}
}

// steps are what a reset runs: the password, and the end of the sessions.
func (d *Directory) steps(args map[string]any) []query {
	list := []query{d.set.bind(d.dialect, args)}
	if d.end.isSet() {
		list = append(list, d.end.bind(d.dialect, args))
	}
	return list
}

// Plan implements reset.Inspected.
func (d *Directory) Plan(_ context.Context, u reset.User) ([]string, error) {
	literal := func(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }
	values := map[string]string{
		"id": literal(u.ID), "email": literal(u.Email.Raw()), "hash": "[a hash: " + d.config.Hasher.String() + "]",
		"now": "[now, in UTC]", "now_unix": "[now, in seconds since 1970]", "now_unix_ms": "[now, in milliseconds since 1970]",
	}
	lines := []string{d.set.shown(values)}
	if d.end.isSet() {
		lines = append(lines, d.end.shown(values))
	}
	return lines, nil
}
