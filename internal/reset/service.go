package reset

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
)

// Config are the settings of the domain.
type Config struct {
	// BaseURL is where the pages are, without a trailing slash. Links are built from it alone.
	BaseURL string
	// TTL is how long a link is good, at most 24 hours (NIST SP 800-63B-4, 4.2.1.2, for codes sent by mail).
	TTL time.Duration
	// MaxAddresses is how many addresses one anonymous request may name.
	MaxAddresses int
	// MaxBulk is how many addresses one bulk request may name.
	MaxBulk int
	// SetTimeout is how long setting a password may take in a directory that does not share the
	// store's database; 0: DefaultSetTimeout. The HTTP server answers within 30 seconds.
	SetTimeout time.Duration
}

// MaxTTL is the longest life a link may have.
const MaxTTL = 24 * time.Hour

// Service answers what callers ask: the API and the pages.
type Service struct {
	cfg       Config
	store     Store
	directory Directory
	policy    Policy
	throttle  Throttle
	puzzle    Puzzle // nil: none is demanded
	now       Clock
	log       *slog.Logger
	events    Events
	refusals  refusals
	audit     *Audit // nil: nothing is told
	hints     chan struct{}
}

// Audit has what callers do told to the audit trail. Call it before anything is asked.
func (s *Service) Audit(a *Audit) { s.audit = a }

// NewService wires the domain to its surroundings.
func NewService(cfg Config, store Store, directory Directory, policy Policy, throttle Throttle, now Clock, log *slog.Logger) *Service {
	return &Service{
		cfg: cfg, store: store, directory: directory, policy: policy, throttle: throttle, now: now, log: log,
		refusals: refusals{log: log}, hints: make(chan struct{}, mostHints),
	}
}

// Ask takes a request for links, one per address. It looks nobody up and counts
// nobody's mails, so it does and answers the same for everybody: nil means
// that whoever can be mailed will be. The courier passes addresses over their limit over in silence.
// The puzzle comes before what all callers have in common, so that nobody takes of that for nothing,
// and is used up with the request: whoever is refused may come again with the same solution.
func (s *Service) Ask(ctx context.Context, c Caller, addresses []string) error {
	list, err := parseAddresses(addresses, s.cfg.MaxAddresses)
	if err == nil {
		err = s.ask(ctx, c, list)
	}
	if err != nil {
		s.audit.noteLike(s.audit.entry(ctx, c, ActAsked, "", endOf(err)))
		return err
	}
	for _, a := range list {
		s.audit.note(s.audit.entry(ctx, c, ActAsked, s.audit.ofAddress(a), EndOK))
	}
	return nil
}

func (s *Service) ask(ctx context.Context, c Caller, list []Address) error {
	now := s.now()
	pass, err := s.pass(c, now)
	if err != nil {
		return err
	}
	if err := s.throttle.Asking(ctx, c, len(list), now); err != nil {
		return s.refusals.limited(ctx, c, err, now)
	}
	err = s.store.Update(ctx, func(tx Tx) error {
		if err := pass.Spend(ctx, tx, now); err != nil {
			return err
		}
		if err := s.throttle.Ask(ctx, tx, c, len(list), now); err != nil {
			return err
		}
		entries := make([]Entry, len(list))
		for i, a := range list {
			entries[i] = LinkEntry{Address: a.Raw(), RequestID: contextText(ctx, requestIDContext{}), Brand: c.brand()}
		}
		return tx.Enqueue(ctx, entries...)
	})
	return s.refusals.limited(ctx, c, err, now)
}

// AskBulk is Ask for an administrator: it answers the id of a job whose
// progress the same key may ask for. A repeated address is mailed once and
// counted once: against the key's own limit, and not against that of all
// callers, who would otherwise wait for it. The courier's limit per address
// holds for these too, since a key must not be able to flood a mailbox; an
// address over it counts as failed.
func (s *Service) AskBulk(ctx context.Context, c Caller, addresses []string) (jobID string, err error) {
	jobID, err = s.askBulk(ctx, c, addresses)
	if err != nil {
		s.audit.noteLike(s.audit.entry(ctx, c, ActBulkAsked, "", endOf(err)))
	}
	return jobID, err
}

func (s *Service) askBulk(ctx context.Context, c Caller, addresses []string) (jobID string, err error) {
	if c.Key == nil || c.Key.Scope != ScopeAdmin {
		return "", &Error{Kind: Unauthorized, Code: CodeNotAllowed, Message: "this key may not ask for bulk requests; it needs the scope admin"}
	}
	list, err := parseAddresses(addresses, s.cfg.MaxBulk)
	if err != nil {
		return "", err
	}
	now := s.now()
	job := Job{ID: uuid.NewString(), KeyID: c.Key.ID, CreatedAt: now, Total: len(list)}
	err = s.store.Update(ctx, func(tx Tx) error {
		if err := s.throttle.Ask(ctx, tx, c, len(list), now); err != nil {
			return err
		}
		if err := tx.AddJob(ctx, job); err != nil {
			return err
		}
		entries := make([]Entry, len(list))
		for i, a := range list {
			entries[i] = LinkEntry{
				Address: a.Raw(), Job: job.ID, Position: i, Account: c.Key.Account, RequestID: contextText(ctx, requestIDContext{}), Brand: c.brand(),
			}
		}
		asked := s.audit.entry(ctx, c, ActBulkAsked, "key:"+c.Key.Name, EndOK)
		asked.Details = Details("job", job.ID, "addresses", strconv.Itoa(job.Total))
		tx.Record(asked)
		return tx.Enqueue(ctx, entries...)
	})
	if err != nil {
		return "", s.refusals.limited(ctx, c, err, now)
	}
	s.log.InfoContext(ctx, "bulk request accepted", "event", "request.bulk", "job_id", job.ID, "key", c.Key.Name, "total", job.Total)
	return job.ID, nil
}

// Job answers how far a bulk job is, to the key that asked for it and to nobody else.
func (s *Service) Job(ctx context.Context, c Caller, id string) (Job, error) {
	job, err := s.job(ctx, c, id)
	s.audit.noteLike(s.audit.entry(ctx, c, ActJobLooked, "", endOf(err)))
	return job, err
}

func (s *Service) job(ctx context.Context, c Caller, id string) (Job, error) {
	none := &Error{Kind: NotFound, Code: CodeNotFound, Message: "this key has no such job"}
	if c.Key == nil || c.Key.Scope != ScopeAdmin {
		return Job{}, &Error{Kind: Unauthorized, Code: CodeNotAllowed, Message: "this key may not see jobs; it needs the scope admin"}
	}
	if !canonicalUUID(id) {
		return Job{}, none
	}
	job, err := s.store.Job(ctx, id)
	if errors.Is(err, ErrNoJob) || err == nil && job.KeyID != c.Key.ID {
		return Job{}, none
	}
	return job, err
}

// Metadata is what may be told about an open request to whoever holds its id.
type Metadata struct {
	ID ID
	// MultipleAccounts says that the user has a login in more than one account
	// that is not suspended; the new password will hold in all of them.
	MultipleAccounts bool
	ExpiresAt        time.Time
}

// Look tells whether the id opens a request. It changes nothing, so link
// scanners may look as often as they like. An id that opens nothing is answered Unauthorized:
// CodeNotAuthorized if there is no such request, CodeExpired or CodeInactive
// (used, or replaced by a newer link) if there was.
func (s *Service) Look(ctx context.Context, c Caller, id string) (Metadata, error) {
	parsed, g, err := s.open(ctx, c, id, s.glance)
	s.audit.noteLike(s.audit.entry(ctx, c, ActLooked, ofUser(g.UserID), endOfOpen(g, err)))
	if err != nil {
		return Metadata{}, err
	}
	return Metadata{ID: parsed, MultipleAccounts: g.multipleAccounts(), ExpiresAt: g.ExpiresAt}, nil
}

// Reset changes the password of the user behind the request. In this order: is
// the request open; does the password meet the policy; make it ready (hashing,
// a bounded number at a time); then, in one transaction, claim the request,
// set the password, close the user's other requests and enqueue the notice and
// the events. Where no transaction reaches the directory, that takes two phases (setDistant).
// Of any number of simultaneous calls with one id exactly one succeeds.
func (s *Service) Reset(ctx context.Context, c Caller, id, password string) (ID, error) {
	parsed, g, err := s.reset(ctx, c, id, password)
	if err != nil && !settledAlready(err) {
		s.audit.noteLike(s.audit.entry(ctx, c, ActResetRefused, ofUser(g.UserID), endOfOpen(g, err)))
	}
	return parsed, err
}

func (s *Service) reset(ctx context.Context, c Caller, id, password string) (ID, Glance, error) {
	parsed, g, user, err := s.openUser(ctx, c, id)
	if err != nil {
		return ID{}, g, err
	}
	refusals, err := s.policy.Check(ctx, password, user)
	if err != nil {
		return ID{}, g, err
	}
	if len(refusals) > 0 {
		return ID{}, g, Refused(refusals)
	}
	// Whoever had to wait looks again: of many resets with one id the first closes
	// it, and the others need not hash for nothing.
	change, err := s.directory.Prepare(ctx, user, password, func(ctx context.Context) error {
		_, _, err := s.open(ctx, c, id, s.glance)
		return err
	})
	if err != nil {
		return ID{}, g, err
	}
	now := s.now()
	if distant, ok := change.(Distant); ok {
		err = s.setDistant(ctx, c, parsed.Digest(), user, distant, now)
	} else {
		err = s.setAtOnce(ctx, c, parsed.Digest(), user, change, now)
	}
	if errors.Is(err, ErrNoRequest) && !now.Before(g.ExpiresAt) {
		return ID{}, g, errExpired // while the password was made ready
	}
	if errors.Is(err, ErrNoRequest) {
		s.log.InfoContext(ctx, "link was used or closed by somebody faster", "event", "reset.race", "user_id", user.ID)
		return ID{}, g, errInactive
	}
	if err != nil {
		return ID{}, g, err
	}
	return parsed, g, nil
}

// setAtOnce is a reset from the claim on, in one transaction. ErrNoRequest: the caller lost the race for it.
func (s *Service) setAtOnce(ctx context.Context, c Caller, d Digest, user User, change Change, now time.Time) error {
	told := append(s.events.about(EventEntry{Type: EventPasswordReset, At: now, UserID: user.ID}), NoticeEntry{UserID: user.ID, ChangedAt: now, Brand: c.brand()})
	err := s.store.Update(ctx, func(tx Tx) error {
		request, err := tx.Claim(ctx, d, now)
		if err != nil {
			return err
		}
		if err := change.Apply(ctx, tx, now); err != nil {
			return err
		}
		if _, err := tx.CloseRequests(ctx, request.UserID, now); err != nil {
			return err
		}
		tx.Record(s.audit.entry(ctx, c, ActReset, ofUser(user.ID), EndOK))
		return tx.Enqueue(ctx, told...)
	})
	if err == nil {
		s.log.InfoContext(ctx, "password changed", "event", "password.reset", "user_id", user.ID)
	}
	return err
}

var (
	errUnknownID = &Error{Kind: Unauthorized, Code: CodeNotAuthorized, Message: "this id opens nothing; please ask for a new link"}
	errExpired   = &Error{Kind: Unauthorized, Code: CodeExpired, Message: "this link has expired; please ask for a new one"}
	errInactive  = &Error{Kind: Unauthorized, Code: CodeInactive, Message: "this link was used, or replaced by a newer one; please use the newest mail or ask for a new link"}
)

// endOfOpen is endOf for an id: whose user is known although the id is answered
// as unknown is right, and of another account than the key's.
func endOfOpen(g Glance, err error) string {
	end := endOf(err)
	if end == EndUnknown && g.UserID != "" {
		return EndForeign
	}
	return end
}

// open answers what look finds behind an id, if the id opens a request. After an
// error the answer is for the audit trail alone.
func (s *Service) open(ctx context.Context, c Caller, id string, look func(context.Context, Digest) (Glance, error)) (ID, Glance, error) {
	var g Glance
	fail := func(err error) (ID, Glance, error) { return ID{}, g, err }
	now := s.now()
	if err := s.throttle.Guessing(c, now); err != nil {
		return fail(s.refusals.limited(ctx, c, err, now))
	}
	parsed, ok := ParseID(id)
	if !ok {
		return fail(s.wrongGuess(ctx, c, now))
	}
	var err error
	g, err = look(ctx, parsed.Digest())
	if errors.Is(err, ErrNoRequest) {
		return fail(s.wrongGuess(ctx, c, now))
	}
	if err != nil && !errors.Is(err, ErrNoUser) {
		return fail(err)
	}
	switch {
	// A key of another account learns nothing, not even that the id was right:
	// it is answered, and counted, like a wrong guess.
	case c.Key != nil && c.Key.Account != 0 && !g.MemberOf(c.Key.Account):
		return fail(s.wrongGuess(ctx, c, now))
	case err != nil || !g.MayReset():
		return fail(errInactive)
	case g.State != StateOpen:
		return fail(errInactive)
	case !now.Before(g.ExpiresAt):
		return fail(errExpired)
	}
	return parsed, g, nil
}

// glance is Finder.Glance, whatever the directory is.
func (s *Service) glance(ctx context.Context, d Digest) (Glance, error) {
	if finder, ok := s.directory.(Finder); ok {
		return finder.Glance(ctx, d)
	}
	g, _, err := s.find(ctx, d)
	return g, err
}

// find is glance with all that is known of the user.
func (s *Service) find(ctx context.Context, d Digest) (Glance, User, error) {
	req, err := s.store.RequestByDigest(ctx, d)
	if err != nil {
		return Glance{}, User{}, err
	}
	look, cancel := context.WithTimeout(ctx, findTimeout)
	defer cancel()
	user, err := s.directory.UserByID(look, req.UserID)
	if err != nil && !errors.Is(err, ErrNoUser) && look.Err() != nil && ctx.Err() == nil {
		err = Busy("the directory takes too long to answer; please try again", findTimeout, err)
	}
	g := Glance{State: req.State, UserID: req.UserID, ExpiresAt: req.ExpiresAt, Several: len(UserIDs(user.ID)) > 1, Standing: user.Standing}
	return g, user, err
}

// wrongGuess counts an id that opens nothing and answers what the caller gets.
func (s *Service) wrongGuess(ctx context.Context, c Caller, now time.Time) error {
	if err := s.throttle.WrongGuess(ctx, c, now); err != nil {
		return s.refusals.limited(ctx, c, err, now)
	}
	return errUnknownID
}

// Refused turns the policy's reasons into an Invalid error that tells them all.
func Refused(refusals []Refusal) *Error {
	messages := make([]string, len(refusals))
	for i, r := range refusals {
		messages[i] = r.Message
	}
	e := Invalidf("this password cannot be used: %s", strings.Join(messages, "; "))
	e.Details = map[string]any{"password": refusals}
	return e
}

// parseAddresses checks the shape of every address and drops repetitions.
func parseAddresses(addresses []string, most int) ([]Address, error) {
	if len(addresses) == 0 {
		return nil, Invalidf("email is empty; it needs at least one address")
	}
	if len(addresses) > most {
		e := Invalidf("email has %d entries; at most %d are taken at once", len(addresses), most)
		e.Code = CodeRestriction
		return nil, e
	}
	list := make([]Address, 0, len(addresses))
	seen := make(map[string]bool, len(addresses))
	for i, s := range addresses {
		a, err := ParseAddress(s)
		if err != nil {
			e := AsError(err)
			return nil, &Error{
				Kind: e.Kind, Code: e.Code, Message: fmt.Sprintf("email, entry %d: %s", i+1, e.Message),
				Details: map[string]any{"email": map[string]any{"entry": i + 1}},
			}
		}
		if !seen[a.Key()] {
			seen[a.Key()] = true
			list = append(list, a)
		}
	}
	return list, nil
}
