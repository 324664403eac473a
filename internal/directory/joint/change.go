package joint

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/sparekey/sparekey/internal/reset"
)

// Prepare implements reset.Directory: in all parts, so that what can fail early has changed nothing anywhere.
func (d *Directory) Prepare(ctx context.Context, u reset.User, password string, still func(context.Context) error) (reset.Change, error) {
	c := &change{}
	for _, one := range reset.UserIDs(u.ID) {
		p, theirs := d.decode(one)
		if p == nil {
			return nil, reset.ErrNoUser
		}
		user := u
		user.ID = theirs
		made, err := p.Directory.Prepare(ctx, user, password, still)
		if err != nil {
			return nil, p.fault(err)
		}
		step := step{part: p, id: one, change: made}
		if _, ok := made.(reset.Distant); ok {
			c.distant = append(c.distant, step)
		} else {
			c.stored = append(c.stored, step)
		}
	}
	slices.SortStableFunc(c.distant, func(a, b step) int {
		if a.part.Strict != b.part.Strict {
			if a.part.Strict {
				return -1
			}
			return 1
		}
		return slices.Index(d.parts, a.part) - slices.Index(d.parts, b.part)
	})
	if len(c.distant) == 0 {
		return stored{c.stored}, nil
	}
	return c, nil
}

// step is the change in one part.
type step struct {
	part   *part
	id     string // as it is in IDs
	change reset.Change
}

// stored is a change of what shares the store's database alone.
type stored struct{ steps []step }

// Apply implements reset.Change.
func (s stored) Apply(ctx context.Context, tx reset.Tx, now time.Time) error {
	for _, step := range s.steps {
		if err := step.change.Apply(ctx, tx, now); err != nil {
			return err
		}
	}
	return nil
}

// change is a change of several parts: of the distant ones in order, and of the
// others in the transaction that settles the request.
type change struct {
	distant []step
	stored  []step
}

// Apply implements reset.Change.
func (c *change) Apply(ctx context.Context, tx reset.Tx, now time.Time) error {
	return stored{c.stored}.Apply(ctx, tx, now)
}

// Set implements reset.Distant. Until the first part is changed a failure ends it, and says what it means for that
// part: nothing was changed, or nobody knows. From then on it goes on to all others, and what
// failed of them is a *reset.Partly. A user who is gone from a part by now is not missed there.
func (c *change) Set(ctx context.Context) error {
	var (
		done, failed []step
		causes       []error
		gone         error
	)
	for i, step := range c.distant {
		err := step.set(ctx, len(c.distant)-i)
		unchanged, certain := errors.AsType[*reset.Unchanged](err)
		switch {
		case err == nil:
			done = append(done, step)
		case certain && errors.Is(unchanged, reset.ErrNoUser):
			gone = step.part.fault(err)
		case len(done) == 0:
			return step.part.fault(err)
		default:
			failed, causes = append(failed, step), append(causes, step.part.fault(err))
		}
	}
	switch {
	case len(failed) > 0:
		return c.partly(done, failed, errors.Join(causes...))
	case len(done)+len(c.stored) == 0:
		return gone
	}
	return nil
}

// set changes one part within its share of the time that is left for so many.
func (s step) set(ctx context.Context, left int) error {
	if deadline, ok := ctx.Deadline(); ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Until(deadline)/time.Duration(left))
		defer cancel()
	}
	return s.change.(reset.Distant).Set(ctx) //nolint:forcetypeassert // Prepare has looked
}

// partly tells what holds where. What is in the store is changed with the request's settling.
func (c *change) partly(done, failed []step, cause error) *reset.Partly {
	p := &reset.Partly{Cause: cause}
	p.Done, p.DoneID = told(slices.Concat(done, c.stored))
	p.Failed, p.RestID = told(failed)
	return p
}

// told are the names of parts, for people, and the ID of the user there.
func told(steps []step) (titles []string, id string) {
	var ids []string
	for _, s := range steps {
		titles = append(titles, s.part.Title)
		ids = append(ids, s.id)
	}
	slices.Sort(titles)
	return slices.Compact(titles), reset.JoinUserIDs(ids...)
}
