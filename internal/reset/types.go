package reset

import (
	"time"
)

// User is a person with a password in a directory.
type User struct {
	// ID is the directory's own name for the user; opaque here, never shown to callers.
	ID string
	// Email is where the user's mail goes: the directory's spelling, never the
	// one that was typed (CVE-2019-19844).
	Email Address
	// Name is how to address the person; may be empty.
	Name string
	// Locale is a BCP 47 tag such as "de"; may be empty.
	Locale string
	Standing
}

// Standing is what of a user decides whether a link may be mailed and opens.
type Standing struct {
	Disabled bool
	// Accounts are the user's accounts, ordered by name. May be empty.
	Accounts []Account
}

// Account is a tenant: an organisation that users belong to.
type Account struct {
	ID        int64
	Name      string
	Suspended bool
}

// MayReset reports whether the user may be mailed a link and use it: not
// disabled, and, if in any account, in at least one that is not suspended.
func (s Standing) MayReset() bool {
	return !s.Disabled && (len(s.Accounts) == 0 || len(s.ActiveAccounts()) > 0)
}

// ActiveAccounts returns those of the user's accounts that are not suspended.
func (s Standing) ActiveAccounts() []Account {
	var active []Account
	for _, a := range s.Accounts {
		if !a.Suspended {
			active = append(active, a)
		}
	}
	return active
}

// MemberOf reports whether the user is in the account and it is not suspended.
func (s Standing) MemberOf(account int64) bool {
	for _, a := range s.ActiveAccounts() {
		if a.ID == account {
			return true
		}
	}
	return false
}

// State says whether a request still opens anything.
type State string

// The states of a request. A request that was used or closed opens nothing ever again;
// one that was claimed is used before long, or open again if for certain nothing was changed with it.
const (
	StateOpen    State = "open"
	StateClaimed State = "claimed" // a password is being changed with it where no transaction reaches
	StateUsed    State = "used"    // a password was changed with it, or may have been
	StateClosed  State = "closed"  // it was taken back before it was used
)

// Request is one open door: a secret id, mailed once, good for one reset until
// it expires. The id itself is not part of it: nobody but the mailbox's owner has it.
type Request struct {
	// Ref names the request to operators. It opens nothing.
	Ref       int64
	UserID    string
	State     State
	CreatedAt time.Time
	ExpiresAt time.Time
	// ClaimedAt is when a change was begun with it where no transaction reaches; zero if none was, or it changed nothing.
	ClaimedAt time.Time
	// EndedAt is when it was used or closed; zero while open. A claimed one has it
	// if it was taken back meanwhile: then it cannot become open again.
	EndedAt time.Time
}

// Glance is what decides whether an id opens anything: of its request and of the user behind it.
type Glance struct {
	State     State
	UserID    string
	ExpiresAt time.Time
	// Several says that the user is in several directories.
	Several bool
	// Standing is the user's; its accounts may come without names, in any order.
	Standing
}

// multipleAccounts says that the user has a login in more than one account that is not suspended.
func (g Glance) multipleAccounts() bool { return g.Several || len(g.ActiveAccounts()) > 1 }

// Scope says what a key may do.
type Scope string

// The scopes of keys.
const (
	ScopeReset Scope = "reset" // metadata and reset
	ScopeAdmin Scope = "admin" // also bulk requests and their status
)

// Key is an API key, without its secret.
type Key struct {
	ID    int64
	Name  string
	Scope Scope
	// Account, if not 0, is the only account whose users' requests the key opens.
	Account     int64
	AccountName string
	CreatedAt   time.Time
	ExpiresAt   time.Time // zero: never
	RevokedAt   time.Time // zero: not revoked
	LastUsedAt  time.Time // zero: never used; exact to the minute
}

// Outcome is how one entry of a bulk job ended.
type Outcome string

// The outcomes of an entry of a bulk job.
const (
	OutcomePending Outcome = "pending"
	OutcomeSent    Outcome = "sent"
	OutcomeUnknown Outcome = "unknown" // no user who may reset has the address
	OutcomeFailed  Outcome = "failed"  // given up, or over the limit per address
)

// JobState is how far a bulk job is.
type JobState string

// The states of a bulk job.
const (
	JobQueued  JobState = "queued"  // nothing has been tried yet
	JobRunning JobState = "running" // some entries are still to be sent
	JobDone    JobState = "done"
)

// Job is the progress of a bulk request.
type Job struct {
	ID        string // UUID; not a secret: only its key may ask for it
	KeyID     int64
	CreatedAt time.Time
	Total     int
	Sent      int
	Unknown   int
	Failed    int
}

// State derives the state from the counts.
func (j Job) State() JobState {
	switch done := j.Sent + j.Unknown + j.Failed; {
	case done >= j.Total:
		return JobDone
	case done == 0:
		return JobQueued
	default:
		return JobRunning
	}
}

// LinkEntry asks the outbox to look an address up and mail it a link. It holds
// no secret: the id is minted when the mail is sent.
type LinkEntry struct {
	Address string `json:"address"`
	// Job and Position name the entry of a bulk job; Job is empty for others.
	Job      string `json:"job,omitempty"`
	Position int    `json:"position,omitempty"`
	// Account, if not 0, is the account of the key that asked: users of others stay unknown to it.
	Account int64 `json:"account,omitempty"`
	// RequestID is that of the HTTP request that asked, for the audit trail; may be empty.
	RequestID string `json:"request_id,omitempty"`
	// Brand is the account under whose brand it was asked for, see Brands.For; 0: the default brand.
	Brand int64 `json:"brand,omitempty"`
	// UserID, if not empty, is who is mailed, in place of whoever has Address: the user as
	// far as a reset did not reach all of their directories (Partly).
	UserID string `json:"user_id,omitempty"`
	// Only are the names of what such a link is for.
	Only []string `json:"only,omitempty"`
}

// Kind is the entry's name in the outbox.
func (LinkEntry) Kind() string { return "link" }

// PurgeBatch and PurgeJobs are how many rows of a table, and how many bulk jobs
// with all their entries, one Tx.Purge removes at most.
const (
	PurgeBatch = 1000
	PurgeJobs  = 10
)

// Matter is what a notice tells of.
type Matter string

// What notices tell of.
const (
	MatterPassword Matter = ""        // the password was changed
	MatterAddress  Matter = "address" // the mail address was changed
	MatterUnsure   Matter = "unsure"  // the password was changed, or may have been
	MatterPartly   Matter = "partly"  // the password was changed in some accounts, and not in others
)

// NoticeEntry asks the outbox to tell a user what was changed.
type NoticeEntry struct {
	UserID    string    `json:"user_id"`
	ChangedAt time.Time `json:"changed_at"`
	Matter    Matter    `json:"matter,omitempty"`
	// To, if not empty, is where the notice goes instead of the user's address: the one that the user had before.
	To string `json:"to,omitempty"`
	// Brand is the account under whose brand the password was changed; 0: the default brand.
	Brand int64 `json:"brand,omitempty"`
	// Done and Failed are those of a Partly, of MatterPartly.
	Done   []string `json:"done,omitempty"`
	Failed []string `json:"failed,omitempty"`
}

// Kind is the entry's name in the outbox.
func (NoticeEntry) Kind() string { return "notice" }

// Entry is a thing still to be done: a LinkEntry, a NoticeEntry, an EventEntry or a SettleEntry.
type Entry interface{ Kind() string }
