package reset

import (
	"context"
	"time"
)

// Clock tells the time. Tests inject their own.
type Clock func() time.Time

// Rate is a limit after the generic cell rate algorithm: Count at once, then
// one every Per/Count.
type Rate struct {
	Count int
	Per   time.Duration
}

// Interval is the time between events at the steady rate.
func (r Rate) Interval() time.Duration { return r.Per / time.Duration(r.Count) }

// Store keeps requests, keys, bulk jobs and limits. Every method is safe for
// concurrent use. A store that cannot work now (locked, full, down) answers
// with an *Error of kind Unavailable.
type Store interface {
	// Update runs fn in one transaction and returns when it is durable. When fn
	// returns an error nothing of it remains, and Update returns that error.
	// A store may commit several callers' transactions together; each still
	// stands or falls alone as far as fn's error goes. fn runs again if the
	// database ended it in favour of another transaction, and nothing remains of
	// the first run; so it sets what it captures, and adds nothing to it. It
	// must not call the store itself, and must not do anything slow.
	Update(ctx context.Context, fn func(tx Tx) error) error
	// RequestByDigest returns a request in whatever state, or ErrNoRequest.
	RequestByDigest(ctx context.Context, d Digest) (Request, error)
	// OpenRequestOf returns the user's request that is open, expired or not, or ErrNoRequest. As
	// everywhere, a request is the user's if its users and those of the ID have one in common (UserIDs).
	OpenRequestOf(ctx context.Context, userID string) (Request, error)
	// KeyByDigest returns a key, revoked and expired ones included, or ErrNoKey.
	KeyByDigest(ctx context.Context, d Digest) (Key, error)
	// Job returns the progress of a bulk job, or ErrNoJob.
	Job(ctx context.Context, id string) (Job, error)
	// Requests lists requests, newest first, at most limit of them.
	Requests(ctx context.Context, limit int) ([]Request, error)
	// Limits returns when each of the named limits will have all its room again;
	// those that nothing counts against are missing.
	Limits(ctx context.Context, names []string) (map[string]time.Time, error)
	// LimitKinds counts the limits that something counts against at now, by what
	// their names begin with, up to the first colon.
	LimitKinds(ctx context.Context, now time.Time) (map[string]int, error)
	// Keys lists keys by name.
	Keys(ctx context.Context) ([]Key, error)
}

// Tx is the writing side of a Store, inside one transaction.
type Tx interface {
	// Enqueue puts entries into the outbox; they are worked on after the commit, at least once.
	Enqueue(ctx context.Context, entries ...Entry) error
	// Take counts n events, at most rate.Count, against a limit. It answers 0 if
	// all are within the limit, or else how long to wait until they are; then
	// nothing was counted. Exact under any number of simultaneous callers.
	Take(ctx context.Context, key string, n int, rate Rate, now time.Time) (wait time.Duration, err error)
	// ForgetLimits removes limits by name, all of them if names is nil, and says how many there were.
	ForgetLimits(ctx context.Context, names []string) (int, error)
	// OpenRequest stores a new open request and closes the user's older open ones.
	OpenRequest(ctx context.Context, d Digest, userID string, now, expires time.Time) error
	// Claim turns an open, unexpired request into a used one and returns it.
	// Of any number of simultaneous callers one succeeds; the others get ErrNoRequest.
	Claim(ctx context.Context, d Digest, now time.Time) (Request, error)
	// Hold turns an open, unexpired request into a claimed one and returns it: Claim for a
	// password that no transaction reaches. Of any number of simultaneous callers, of Claim
	// too, one succeeds; the others get ErrNoRequest.
	Hold(ctx context.Context, d Digest, now time.Time) (Request, error)
	// Settle turns a request into a used one and returns it, if it is claimed since that very time; else
	// ErrNoRequest: somebody else has settled it.
	Settle(ctx context.Context, ref int64, claimed, now time.Time) (Request, error)
	// Release gives a request back that is claimed since that very time, else ErrNoRequest. It is open
	// again, or closed if it was to be closed meanwhile.
	Release(ctx context.Context, ref int64, claimed time.Time) error
	// CloseRequests closes the user's open requests and says how many there were. Those
	// that are claimed count: they do not become open again.
	CloseRequests(ctx context.Context, userID string, now time.Time) (int, error)
	// CloseRequest closes one open request by its Ref, or answers ErrNoRequest if there is none open. One
	// that is claimed does not become open again.
	CloseRequest(ctx context.Context, ref int64, now time.Time) error
	// AddKey stores a key with the digest of its secret. The name must be new among keys, else ErrExists.
	AddKey(ctx context.Context, k Key, d Digest) error
	// RevokeKey revokes a key by name, or answers ErrNoKey if there is none that is not revoked.
	RevokeKey(ctx context.Context, name string, now time.Time) error
	// TouchKey notes when a key was last used.
	TouchKey(ctx context.Context, id int64, now time.Time) error
	// AddJob stores a bulk job with Total pending entries, positions 0 to Total-1.
	AddJob(ctx context.Context, j Job) error
	// SetOutcome notes how an entry of a bulk job ended. Saying it again overwrites.
	SetOutcome(ctx context.Context, job string, position int, o Outcome) error
	// Record adds entries to the audit trail; they are there if and only if the
	// transaction is. A store that was given no Chain keeps none.
	Record(entries ...AuditEntry)
	// PurgeAudit removes entries of the audit trail from before a time, and says how
	// many; as many as one transaction should, so there may be more.
	PurgeAudit(ctx context.Context, now, before time.Time) (int, error)
	// Purge removes requests that ended or expired before ended, never claimed ones, bulk jobs
	// created before jobs, and limits that no longer limit anything at now: a small
	// part of them, so that nobody waits long. more says that there may be others.
	Purge(ctx context.Context, now, ended, jobs time.Time) (more bool, err error)
}

// Directory is where users and their passwords live.
type Directory interface {
	// UserByAddress returns the user whose address has the same Key, or ErrNoUser, or ErrAmbiguous.
	UserByAddress(ctx context.Context, a Address) (User, error)
	// UserByID returns a user, or ErrNoUser. The user's own ID may name fewer users than
	// the one that was asked for (UserIDs): those who are left.
	UserByID(ctx context.Context, id string) (User, error)
	// Prepare makes a new password ready: everything slow, such as hashing,
	// happens here, outside of any transaction. When too much of that is under
	// way already it answers with an *Error of kind Unavailable. Where its turn had
	// to be waited for, it asks still before it begins, and ends with its error:
	// then nobody has any use for the change. still may be nil.
	Prepare(ctx context.Context, u User, password string, still func(context.Context) error) (Change, error)
}

// Finder is what a Directory may be besides when it shares the store's
// database: one look at both instead of two. Looking is what callers do most.
type Finder interface {
	// Glance returns what is to know of a request in whatever state, or
	// ErrNoRequest, or ErrNoUser with what is to know of the request alone.
	Glance(ctx context.Context, d Digest) (Glance, error)
}

// Change is a new password that is ready to be set.
type Change interface {
	// Apply sets it as part of tx, the transaction that claims the request, or settles it (Distant): the
	// password changes if and only if that holds.
	Apply(ctx context.Context, tx Tx, now time.Time) error
}

// Policy says what passwords are acceptable.
type Policy interface {
	// Check returns why the password is refused for that user; none means it is
	// fine. It may take a while and is called outside of any transaction. An error,
	// of kind Unavailable, says that it could not be found out.
	Check(ctx context.Context, password string, u User) ([]Refusal, error)
	// Hint is Check, but asks nobody on the network: for a password that is still being typed.
	Hint(ctx context.Context, password string, u User) ([]Refusal, error)
}

// Refusal is one reason why a password is refused.
type Refusal struct {
	// Code is stable, for programs: "too_short" and so on.
	Code string `json:"code"`
	// Message is for people, in English, and says what would be accepted.
	Message string `json:"message"`
	// Params are what the message is made of besides the code, so that it can be
	// said in other languages: {"min": 15, "length": 9}. Keys are snake_case.
	Params map[string]any `json:"params,omitempty"`
}

// Mailer composes and sends the mails. It answers nil only once a mail server
// has taken responsibility (250 to the end of DATA), *Undeliverable when that
// will never happen for this recipient, and any other error when it may later.
type Mailer interface {
	SendLink(ctx context.Context, m LinkMail) error
	SendNotice(ctx context.Context, m NoticeMail) error
	SendUnknown(ctx context.Context, m UnknownMail) error
}

// LinkMail is what the mail with the link says.
type LinkMail struct {
	User      User
	Link      string
	ExpiresAt time.Time
	// Only, if not empty, are the names of what the link is for: there an earlier one failed.
	Only []string
	// Brand is what the mail looks like and whom it is from; the zero Brand: what the Mailer was made with.
	Brand Brand
}

// NoticeMail is what the mail after a change says.
type NoticeMail struct {
	// User is who it goes to, at User.Email.
	User      User
	ChangedAt time.Time
	Matter    Matter
	// Done and Failed are, of MatterPartly, the names of accounts in which the password was changed, and of the others.
	Done, Failed []string
	// Former says that User.Email is the address that the user had before.
	Former bool
	// ForgotURL is where to ask for another link when it was not the user.
	ForgotURL string
	// Brand is as in LinkMail.
	Brand Brand
}

// UnknownMail is what an address that nobody has is told.
type UnknownMail struct {
	To Address
	// ForgotURL is where to ask again with another address.
	ForgotURL string
	// Locale is a BCP 47 tag; empty for the service's language, since nothing is known of whoever reads it.
	Locale string
	// Brand is as in LinkMail.
	Brand Brand
}

// Throttle decides who asks too often. Its methods answer nil, or an *Error of
// kind Throttled. A caller without any name is not limited.
type Throttle interface {
	// Asking counts a request for n addresses for the whole service, outside of any
	// transaction, and answers an *Error of kind Unavailable when that is over its
	// limit. A caller who is known to be over their own is answered so, and not counted.
	Asking(ctx context.Context, c Caller, n int, now time.Time) error
	// Ask counts a request for n addresses by a caller.
	Ask(ctx context.Context, tx Tx, c Caller, n int, now time.Time) error
	// Address reports whether one more mail to the address is within the limit, and counts it.
	Address(ctx context.Context, tx Tx, a Address, now time.Time) (bool, error)
	// Account counts a mail with a link to a user of the account, outside of any
	// transaction, and answers how long it should wait.
	Account(ctx context.Context, account int64, now time.Time) (wait time.Duration, err error)
	// Guessing answers an error while the caller has tried too many wrong ids or keys. It writes nothing.
	Guessing(c Caller, now time.Time) error
	// Hinting counts a hint for whoever holds a link, and answers an error if there were too many. It writes nothing.
	Hinting(link Digest, now time.Time) error
	// WrongGuess counts a wrong id or key in a transaction of its own.
	WrongGuess(ctx context.Context, c Caller, now time.Time) error
}

// Caller is who asks, as far as it matters for limits and rights.
type Caller struct {
	// Client is the network address the call came from, cut to what one
	// subscriber usually holds (a whole IPv4 address, an IPv6 /64).
	Client string
	// Key is the valid key that was sent, or nil.
	Key *Key
	// Proof is what they show for their work, where that is demanded.
	Proof Proof
	// Brand is the account whose brand the page wore that they came by, or the host
	// that they called; 0: the default brand. It is of the configuration, never what a caller said.
	Brand int64
}
