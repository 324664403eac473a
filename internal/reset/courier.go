package reset

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strconv"
	"time"
)

// How long things are kept after they have ended: long enough that a late
// click is told the truth (used, expired) rather than "unknown", and an
// administrator can read how a bulk job went; no longer (GDPR, art. 5).
const (
	keepRequests = 7 * 24 * time.Hour
	keepJobs     = 7 * 24 * time.Hour
)

// GiveUpAfter is how long a mail or an event that fails for now is tried again.
const GiveUpAfter = 24 * time.Hour

// RetryPause is how long to wait after the nth failed attempt (n from 1):
// 5 seconds, doubling up to half an hour. A blip is over in seconds; a mail
// server that has been down for hours is not helped by being asked every minute.
func RetryPause(n int) time.Duration {
	const first, most = 5 * time.Second, 30 * time.Minute
	if n < 1 {
		n = 1
	}
	if n > 10 {
		return most
	}
	return min(first<<(n-1), most)
}

// Courier does what the outbox holds: it mints requests, sends mails and tells of events.
type Courier struct {
	cfg       Config
	store     Store
	directory Directory
	mailer    Mailer
	now       Clock
	log       *slog.Logger
	turns     turns
	shared    Turns    // nil where one process works alone
	limits    Throttle // nil where nothing is limited
	events    Events
	sender    EventSender // nil where nobody is told of events
	audit     *Audit      // nil: nothing is told
	trail     trailKeeper
	brands    *Brands // nil: all mails are as the mailer was made

	tellUnknown bool
}

// NewCourier wires the courier to its surroundings.
func NewCourier(cfg Config, store Store, directory Directory, mailer Mailer, now Clock, log *slog.Logger) *Courier {
	return &Courier{cfg: cfg, store: store, directory: directory, mailer: mailer, now: now, log: log}
}

// Limit has the mails to each address and to each account's users limited. Call it before any entry is worked.
func (c *Courier) Limit(t Throttle) { c.limits = t }

// ShareTurns has the courier take turns with those of other replicas. Call it before any entry is worked.
func (c *Courier) ShareTurns(t Turns) { c.shared = t }

// Wear has mails wear the brands of accounts. Call it before any entry is worked.
func (c *Courier) Wear(b *Brands) { c.brands = b }

// Audit has mails told to the audit trail. Call it before any entry is worked.
func (c *Courier) Audit(a *Audit) { c.audit = a }

// MailLink looks the address up and, if a user who may reset has it, mints a
// request and mails its link to the address in the directory. An address that
// nobody has is no error; see TellUnknown. After an error the entry runs again and mints
// afresh; the newest link is the one that works. again says that the entry was
// worked on before.
//
// Mails to an address are counted here and not where they are asked for: that an address is
// over its limit can then not be seen or timed from outside. They are counted
// before anybody is looked up, and once for each entry, however often it is tried.
func (c *Courier) MailLink(ctx context.Context, e LinkEntry, again bool) error {
	if e.UserID != "" {
		return c.mailRest(WithRequestID(ctx, e.RequestID), e)
	}
	address, err := ParseAddress(e.Address)
	if err != nil {
		return c.skip(ctx, e, "", EndInvalid, OutcomeUnknown)
	}
	ctx = WithRequestID(ctx, e.RequestID)
	if !again && c.limits != nil {
		within, err := c.count(ctx, address)
		if err != nil {
			return err
		}
		if !within {
			c.log.DebugContext(ctx, "no mail, since its address had enough of them lately", "event", "mail.limited")
			return c.skip(ctx, e, c.audit.ofAddress(address), EndThrottled, OutcomeFailed)
		}
	}
	return c.inTurn(ctx, e, address)
}

// mailRest mails a link for what a reset left undone. It is not counted against the address's limit: it is
// promised to whoever has used a link just now, and there is one of them for each link at the most.
func (c *Courier) mailRest(ctx context.Context, e LinkEntry) error {
	user, err := c.recipient(ctx, e, Address{})
	if errors.Is(err, ErrNoUser) {
		return c.skip(ctx, e, ofUser(e.UserID), EndUnknown, OutcomeUnknown)
	}
	if err != nil {
		return err
	}
	return c.inTurn(ctx, e, user.Email)
}

// inTurn mints and mails, one after the other for one address, so that the mail
// that arrives last carries the link that was minted last.
func (c *Courier) inTurn(ctx context.Context, e LinkEntry, address Address) error {
	unlock, err := c.turns.take(ctx, address.Key())
	if err != nil {
		return err
	}
	defer unlock()
	if c.shared == nil {
		return c.mintAndMail(ctx, e, address)
	}
	release, err := c.shared.Take(ctx, address.Key())
	if err != nil {
		return err
	}
	// If the turn was lost, another replica may have minted since and mailed before:
	// its link would work and this one arrive last. So the entry runs again.
	return errors.Join(c.mintAndMail(ctx, e, address), release())
}

// count counts a mail to an address and reports whether it is within the limit.
func (c *Courier) count(ctx context.Context, a Address) (within bool, err error) {
	now := c.now()
	err = c.store.Update(ctx, func(tx Tx) (err error) {
		within, err = c.limits.Address(ctx, tx, a, now)
		return err
	})
	return within, err
}

func (c *Courier) mintAndMail(ctx context.Context, e LinkEntry, address Address) error {
	user, err := c.recipient(ctx, e, address)
	if errors.Is(err, ErrNoUser) {
		return c.unknown(ctx, e, address)
	}
	if errors.Is(err, ErrAmbiguous) {
		c.log.WarnContext(ctx, "several users of a directory have one address, and none of them was mailed; give each an address of their own where they live",
			"event", "mail.ambiguous", "address", c.audit.ofAddress(address), "error", err)
		return c.skip(ctx, e, c.audit.ofAddress(address), EndAmbiguous, OutcomeUnknown)
	}
	if err != nil {
		return err
	}
	if err := c.within(ctx, user); err != nil {
		return err
	}
	brand, err := c.brand(ctx, e.Brand, user) // before the mint, since a logo may not be had just now
	if err != nil {
		return err
	}
	about := Details("mail", e.Kind(), "address", c.audit.ofAddress(address), "job", e.Job)
	id, now := NewID(), c.now()
	expires := now.Add(c.cfg.TTL)
	told := c.events.about(EventEntry{Type: EventRequestCreated, At: now, UserID: user.ID, ExpiresAt: expires})
	opened := c.audit.mail(ctx, ActOpened, ofUser(user.ID), EndOK, about)
	err = c.store.Update(ctx, func(tx Tx) error {
		tx.Record(opened)
		if err := tx.OpenRequest(ctx, id.Digest(), user.ID, now, expires); err != nil {
			return err
		}
		return tx.Enqueue(ctx, told...)
	})
	if err != nil {
		return err
	}
	// Whoever disabled the user since the look-up closed the requests that were
	// open then, and this one was not among them. So look again, now that it is.
	again, err := c.recipient(ctx, e, address)
	if errors.Is(err, ErrNoUser) || errors.Is(err, ErrAmbiguous) || err == nil && !sharesUser(again.ID, user.ID) {
		return c.takeBack(ctx, e, id.Digest())
	}
	if err == nil && (again.Email != user.Email || again.ID != user.ID) {
		err = errRespelled // and the links of before are dead
	}
	if err != nil {
		return err
	}
	err = c.mailer.SendLink(ctx, LinkMail{User: again, Link: brand.URL("/reset/" + id.Reveal()), ExpiresAt: expires, Only: e.Only, Brand: c.worn(brand)})
	c.audit.mailed(ctx, ofUser(user.ID), about, err)
	if err != nil {
		return err
	}
	return c.outcome(ctx, e, OutcomeSent)
}

// brand is what a mail to the user wears, with its logo.
func (c *Courier) brand(ctx context.Context, asked int64, user User) (Brand, error) {
	if c.brands == nil {
		return Brand{BaseURL: c.cfg.BaseURL}, nil
	}
	return c.brands.Whole(ctx, c.brands.For(asked, user.Standing))
}

// worn is the brand for the mailer: the zero Brand where there are none.
func (c *Courier) worn(b Brand) Brand {
	if c.brands == nil {
		return Brand{}
	}
	return b
}

// recipient returns the user whom an entry may mail a link to, or ErrNoUser.
func (c *Courier) recipient(ctx context.Context, e LinkEntry, address Address) (User, error) {
	user, err := c.lookUp(ctx, e, address)
	if err != nil {
		return User{}, err
	}
	if !user.MayReset() || e.Account != 0 && !user.MemberOf(e.Account) {
		return User{}, ErrNoUser
	}
	return user, nil
}

func (c *Courier) lookUp(ctx context.Context, e LinkEntry, address Address) (User, error) {
	if e.UserID != "" {
		return c.directory.UserByID(ctx, e.UserID)
	}
	return c.directory.UserByAddress(ctx, address)
}

// sharesUser reports whether two IDs name a user in common.
func sharesUser(a, b string) bool {
	of := UserIDs(b)
	return slices.ContainsFunc(UserIDs(a), func(id string) bool { return slices.Contains(of, id) })
}

// within answers an error while an account of the user's is over its limit of
// mails. Then the entry is tried again later: what was accepted is mailed, though
// not all at once, so that a flood of one account's users costs nobody their link.
func (c *Courier) within(ctx context.Context, user User) error {
	if c.limits == nil {
		return nil
	}
	for _, account := range user.ActiveAccounts() {
		if account.ID == 0 {
			continue // a directory's own, unknown to the store
		}
		wait, err := c.limits.Account(ctx, account.ID, c.now())
		if err != nil {
			return err
		}
		if wait > 0 {
			return Busy("the account is over its limit of mails (throttle.account)", wait, nil)
		}
	}
	return nil
}

// errRespelled has an entry run again whose user got another spelling of the address during the mint, or other directories.
var errRespelled = errors.New("the user's address, or what directories they are in, was changed meanwhile")

// takeBack closes what was opened for a user who may not have it any more. It
// closes that request alone: the user may have a newer one, at another address.
func (c *Courier) takeBack(ctx context.Context, e LinkEntry, d Digest) error {
	request, err := c.store.RequestByDigest(ctx, d)
	if err == nil {
		now := c.now()
		closed := c.audit.mail(ctx, ActClosed, ofUser(request.UserID), EndUnknown, Details("mail", e.Kind(), "job", e.Job))
		err = c.store.Update(ctx, func(tx Tx) error {
			tx.Record(closed)
			return tx.CloseRequest(ctx, request.Ref, now)
		})
	}
	if err != nil && !errors.Is(err, ErrNoRequest) { // closed, or removed with the user, by whoever changed the user
		return err
	}
	return c.outcome(ctx, e, OutcomeUnknown)
}

// MailNotice tells the user what was changed (NIST SP 800-63B-4, 4.6; OWASP
// ASVS 6.3.7). A user who is gone by now is no error.
func (c *Courier) MailNotice(ctx context.Context, e NoticeEntry) error {
	about := Details("mail", e.Kind())
	user, err := c.whoCanBeHad(ctx, e.UserID)
	if errors.Is(err, ErrNoUser) {
		c.audit.note(c.audit.mail(ctx, ActMailSkipped, ofUser(e.UserID), EndUnknown, about))
		return nil
	}
	if err != nil {
		return err
	}
	if e.To != "" {
		if user.Email, err = ParseAddress(e.To); err != nil {
			return nil //nolint:nilerr // it can never become an address
		}
	}
	brand, err := c.brand(ctx, e.Brand, user)
	if err != nil {
		return err
	}
	err = c.mailer.SendNotice(ctx, NoticeMail{
		User: user, ChangedAt: e.ChangedAt, Matter: e.Matter, Done: e.Done, Failed: e.Failed,
		Former: e.To != "", ForgotURL: brand.URL("/forgot"), Brand: c.worn(brand),
	})
	c.audit.mailed(ctx, ofUser(e.UserID), about, err)
	return err
}

// whoCanBeHad is UserByID; while one of the user's directories is away it is the user
// as another one has them: a notice that waits for all of them may never arrive.
func (c *Courier) whoCanBeHad(ctx context.Context, id string) (User, error) {
	user, err := c.directory.UserByID(ctx, id)
	ids := UserIDs(id)
	if err == nil || errors.Is(err, ErrNoUser) || len(ids) == 1 {
		return user, err
	}
	for _, one := range ids {
		if user, err := c.directory.UserByID(ctx, one); err == nil {
			return user, nil
		}
	}
	return User{}, err
}

// GiveUp is told of an entry that will not be tried again, and why. It counts
// and logs it, without the address.
func (c *Courier) GiveUp(ctx context.Context, e Entry, attempts int, cause error) error {
	if told, ok := e.(EventEntry); ok {
		c.giveUpEvent(ctx, told, attempts, cause)
		return nil
	}
	attrs := []any{"event", "mail.given_up", "entry", e.Kind(), "attempts", attempts}
	about, end := []string{"mail", e.Kind(), "attempts", strconv.Itoa(attempts)}, EndLate
	if u, ok := errors.AsType[*Undeliverable](cause); ok {
		attrs = append(attrs, "reply", u.Reply)
		about, end = append(about, "reply", strconv.Itoa(u.Reply)), EndRefused
	}
	c.log.WarnContext(ctx, "a mail was given up", attrs...)
	who := ""
	switch e := e.(type) {
	case LinkEntry:
		ctx = WithRequestID(ctx, e.RequestID)
		if a, err := ParseAddress(e.Address); err == nil {
			who = c.audit.ofAddress(a)
		} else {
			who = ofUser(e.UserID)
		}
		if err := c.failed(ctx, e, cause); err != nil {
			return err
		}
	case NoticeEntry:
		who = ofUser(e.UserID)
	}
	c.audit.note(c.audit.mail(ctx, ActMailGivenUp, who, end, Details(about...)))
	return nil
}

// skip tells why an entry is not mailed, and notes how it ended.
func (c *Courier) skip(ctx context.Context, e LinkEntry, who, end string, o Outcome) error {
	c.audit.note(c.audit.mail(ctx, ActMailSkipped, who, end, Details("mail", e.Kind(), "job", e.Job)))
	return c.outcome(ctx, e, o)
}

// Purge removes what has expired, in many small transactions so that nobody waits for
// a large one. It answers ctx's error if that ends first; the next purge goes on.
func (c *Courier) Purge(ctx context.Context) error {
	now := c.now()
	for more := true; more; {
		if err := ctx.Err(); err != nil {
			return err
		}
		err := c.store.Update(ctx, func(tx Tx) (err error) {
			more, err = tx.Purge(ctx, now, now.Add(-keepRequests), now.Add(-keepJobs))
			return err
		})
		if err != nil {
			return errors.Join(err, c.keepTrail(ctx, now))
		}
	}
	return c.keepTrail(ctx, now)
}

// outcome notes how an entry of a bulk job ended; other entries have none.
func (c *Courier) outcome(ctx context.Context, e LinkEntry, o Outcome) error {
	if e.Job == "" {
		return nil
	}
	return c.store.Update(ctx, func(tx Tx) error { return tx.SetOutcome(ctx, e.Job, e.Position, o) })
}
