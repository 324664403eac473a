package reset

import (
	"context"
	"errors"
	"time"
)

// What the pages tell a person beyond what the API tells a program.

// Closer is Metadata and what whoever chooses a password should see besides.
type Closer struct {
	Metadata
	// Address is where the link was mailed, as the directory has it: password managers keep it with the password.
	Address Address
	// Accounts are the names of those in which the new password will hold, sorted; those without one are left out.
	Accounts []string
}

// LookCloser is Look for a page that shows whose password it is. It costs a look more.
func (s *Service) LookCloser(ctx context.Context, c Caller, id string) (Closer, error) {
	parsed, g, user, err := s.openUser(ctx, c, id)
	s.audit.noteLike(s.audit.entry(ctx, c, ActLooked, ofUser(g.UserID), endOfOpen(g, err)))
	if err != nil {
		return Closer{}, err
	}
	active := user.ActiveAccounts()
	closer := Closer{
		Metadata: Metadata{ID: parsed, MultipleAccounts: g.multipleAccounts(), ExpiresAt: g.ExpiresAt},
		Address:  user.Email,
	}
	for _, a := range active {
		if a.Name != "" {
			closer.Accounts = append(closer.Accounts, a.Name)
		}
	}
	return closer, nil
}

// openUser is open, and finds the user as well.
func (s *Service) openUser(ctx context.Context, c Caller, id string) (parsed ID, g Glance, user User, err error) {
	parsed, g, err = s.open(ctx, c, id, func(ctx context.Context, d Digest) (g Glance, err error) {
		g, user, err = s.find(ctx, d)
		return g, err
	})
	return parsed, g, user, err
}

// Ended says how a request came to open nothing any more.
type Ended string

// The ends of a request.
const (
	EndedUsed     Ended = "used"     // a password was changed with it, or is at this moment
	EndedReplaced Ended = "replaced" // a newer link works in its place
	EndedOther    Ended = "other"    // taken back, or its user may not reset
)

// Ending is what became of a request.
type Ending struct {
	How Ended
	// At is when it was used, or when the newer link was mailed; zero if neither.
	At time.Time
}

// Ending answers whoever was told with CodeInactive that an id opens nothing, and holds the id, why that is so.
func (s *Service) Ending(ctx context.Context, id string) (Ending, error) {
	parsed, ok := ParseID(id)
	if !ok {
		return Ending{}, errUnknownID
	}
	r, err := s.store.RequestByDigest(ctx, parsed.Digest())
	if errors.Is(err, ErrNoRequest) {
		return Ending{}, errUnknownID
	}
	if err != nil {
		return Ending{}, err
	}
	switch r.State {
	case StateClaimed:
		return Ending{How: EndedUsed, At: r.ClaimedAt}, nil
	case StateUsed:
		return Ending{How: EndedUsed, At: r.EndedAt}, nil
	case StateClosed:
		newer, err := s.store.OpenRequestOf(ctx, r.UserID)
		if err == nil && s.now().Before(newer.ExpiresAt) {
			return Ending{How: EndedReplaced, At: newer.CreatedAt}, nil
		}
		if err != nil && !errors.Is(err, ErrNoRequest) {
			return Ending{}, err
		}
	case StateOpen:
	}
	return Ending{How: EndedOther}, nil
}

// mostHints is how many hints are worked out at the same time: each takes some milliseconds of a processor.
const mostHints = 2

// Hint says what the policy has against a password that is still being typed into the page behind the
// link: what Reset would say, as far as nobody on the network has to be asked. Nothing is hashed and nothing
// changes. It is limited for each link, and answers Unavailable when too many are under way.
func (s *Service) Hint(ctx context.Context, c Caller, id, password string) ([]Refusal, error) {
	_, _, user, err := s.openHint(ctx, c, id)
	if err != nil {
		return nil, err
	}
	select {
	case s.hints <- struct{}{}:
	default:
		return nil, Busy("too many passwords are looked at right now; please try again in a moment", time.Second, nil)
	}
	defer func() { <-s.hints }()
	return s.policy.Hint(ctx, password, user)
}

// openHint is openUser, once the link's limit of hints has room.
func (s *Service) openHint(ctx context.Context, c Caller, id string) (ID, Glance, User, error) {
	if parsed, ok := ParseID(id); ok {
		if err := s.throttle.Hinting(parsed.Digest(), s.now()); err != nil {
			return ID{}, Glance{}, User{}, err
		}
	}
	return s.openUser(ctx, c, id)
}
