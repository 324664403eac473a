package sqldir

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"

	"github.com/sparekey/sparekey/internal/reset"
)

// Check implements reset.Inspected. The statements that change something are run for no user at all, and
// rolled back: so tables, columns, types and rights are tried out, and no row is touched.
func (d *Directory) Check(ctx context.Context, step func(line string)) error {
	ctx, cancel := context.WithTimeout(ctx, checkCalls*d.config.Timeout)
	defer cancel()
	line, err := d.db.describe(ctx)
	if err != nil {
		return d.failed(err, "url")
	}
	step("connected to " + line)
	nobody, err := reset.ParseAddress("nobody@example.invalid")
	if err != nil {
		return err
	}
	if _, err := d.UserByAddress(ctx, nobody); err != nil && !errors.Is(err, reset.ErrNoUser) {
		return err
	}
	for setting, s := range map[string]statement{d.settingOf("find_by_id", d.config.Statements.FindByID): d.byID, "statements.accounts": d.accounts} {
		if !s.isSet() {
			continue
		}
		// NULL, which is nobody's id; but how results are named can be seen.
		if err := d.db.read(ctx, s.bind(d.dialect, nil), func(row) error { return nil }); err != nil {
			return d.failed(err, setting)
		}
	}
	step("users can be found by address and by id")
	hash, err := d.config.Hasher.Hash(ctx, rand.Text(), nil)
	if err != nil {
		return err
	}
	if err := d.rehearse(ctx, hash); err != nil {
		return err
	}
	step(fmt.Sprintf("passwords can be set, as %s: the statement was run for no user, and rolled back", d.config.Hasher))
	if d.end.isSet() {
		step("sessions can be ended: the statement was run for no user, and rolled back")
	}
	return d.room(ctx, hash, step)
}

// checkCalls is how many calls a check has time for.
const checkCalls = 8

// errRehearsal ends a transaction that was only to be tried out.
var errRehearsal = errors.New("a rehearsal")

// rehearse runs what a reset runs, with NULL for the user, whom no comparison finds.
func (d *Directory) rehearse(ctx context.Context, hash string) error {
	args := d.values(reset.User{}, hash)
	args["id"], args["email"] = nil, nil
	err := d.trying(ctx, func() error {
		return d.db.change(ctx, d.steps(args), func(rows []int64) error {
			if rows[0] != 0 {
				return &reset.Misset{
					Setting: d.settingOf("set", d.config.Statements.Set), Fix: "compare a column with :id",
					Cause: fmt.Errorf("the statement changes %d rows for no user", rows[0]),
				}
			}
			return errRehearsal
		})
	})
	if errors.Is(err, errRehearsal) {
		return nil
	}
	return d.failedToSet(err, args)
}

// room looks at what no rehearsal shows: whether the column has room for such a hash, what rolls nothing back, and what is slow.
func (d *Directory) room(ctx context.Context, hash string, step func(line string)) error {
	t, err := d.table(ctx, true)
	if err != nil {
		return d.failed(err, "table")
	}
	if d.config.Statements.Set == "" && t.room > 0 {
		if int(t.room) < len(hash) {
			return reset.Busy(unusable, retryAfter, &reset.Misset{
				Setting: "columns.password", Fix: fmt.Sprintf("make the column at least %d characters long, or choose another format (hash)", len(hash)),
				Cause: fmt.Errorf("the column has room for %d characters, and such hashes have %d", t.room, len(hash)),
			})
		}
		step(fmt.Sprintf("the column has room for %d characters; such hashes have %d", t.room, len(hash)))
	}
	if d.config.Statements.Set == "" && t.counts {
		return reset.Busy(unusable, retryAfter, numbers(errors.New("it holds numbers")))
	}
	if err := t.transactional(); err != nil {
		return reset.Busy(unusable, retryAfter, err)
	}
	if t.slow > 0 {
		step(fmt.Sprintf("no index serves the search for an address among about %d users; make one: CREATE INDEX ON %s (%s)",
			t.slow, generator{d.dialect, d.config.Table, d.config.Columns}.from(), d.dialect.folded(d.dialect.quote(d.config.Columns.Email))))
	}
	return nil
}
