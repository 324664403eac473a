package reset_test

import (
	"context"
	"errors"
	"testing"

	"github.com/sparekey/sparekey/internal/reset"
	"github.com/sparekey/sparekey/internal/servicetest"
)

// sharedTurns are those of replicas, and may be lost.
type sharedTurns struct {
	refuse, lost error
	taken        []string
}

func (s *sharedTurns) Take(_ context.Context, name string) (func() error, error) {
	if s.refuse != nil {
		return nil, s.refuse
	}
	s.taken = append(s.taken, name)
	return func() error { return s.lost }, nil
}

// TestATurnThatWasLost: a mail that was sent without being sure of its turn is
// sent again, with a newer link, and no link is minted without a turn.
func TestATurnThatWasLost(t *testing.T) {
	t.Parallel()
	w := servicetest.New(t)
	w.AddUser(t, "ada@example.test", "Ada")
	lost := errors.New("lost")
	turns := &sharedTurns{refuse: lost}
	w.Courier.ShareTurns(turns)
	entry := reset.LinkEntry{Address: "Ada@Example.test"}
	if err := w.Courier.MailLink(t.Context(), entry, false); !errors.Is(err, lost) || len(w.Links()) != 0 {
		t.Errorf("without a turn: %v, %d mails", err, len(w.Links()))
	}
	turns.refuse, turns.lost = nil, lost
	if err := w.Courier.MailLink(t.Context(), entry, false); !errors.Is(err, lost) {
		t.Errorf("with a turn that was lost: %v", err)
	}
	turns.lost = nil
	if err := w.Courier.MailLink(t.Context(), entry, false); err != nil {
		t.Error(err)
	}
	same(t, "turns", turns.taken, []string{"ada@example.test", "ada@example.test"})
	same(t, "mails", len(w.Links()), 2)
}
