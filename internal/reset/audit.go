package reset

import (
	"context"
	"encoding/json"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// AuditEntry is one act as the audit trail tells of it. It holds no secret and
// no address: who it is about is an id or a keyed hash (see Audit).
type AuditEntry struct {
	// At is when it happened, to the millisecond. Of acts that were counted together, the first.
	At time.Time
	// What happened: one of the names below. They are stable, for programs.
	What string
	// Who it is about, or for admin acts who did it: "user:ID", "addr:HASH",
	// "key:NAME" or "operator:NAME". Empty if nobody knows.
	Who string
	// From is where the call came from, as exact as the settings allow; may be empty.
	From string
	// Key is the name of the API key that was used; may be empty.
	Key string
	// Outcome is one of the words below.
	Outcome string
	// RequestID is the HTTP request's, by which its log lines are found; may be empty.
	RequestID string
	// Times is how often it happened, where like acts were counted together; 0 means once.
	Times int
	// Details are a JSON object of texts, as Details makes it, or empty.
	Details string
}

// What happened.
const (
	ActAsked         = "request.asked"  // for a link, for one address
	ActBulkAsked     = "request.bulk"   // for links, for many addresses
	ActOpened        = "request.opened" // a link was minted, and is about to be mailed
	ActClosed        = "request.closed" // a link was taken back before it was mailed
	ActLooked        = "link.looked"
	ActReset         = "password.reset"
	ActResetRefused  = "reset.refused"
	ActJobLooked     = "job.looked"
	ActKeyRefused    = "key.refused"
	ActMailSent      = "mail.sent"
	ActMailSkipped   = "mail.skipped" // nobody to mail it to, or over the limit of the address
	ActMailFailed    = "mail.failed"  // it is tried again
	ActMailGivenUp   = "mail.given_up"
	ActUserAdded     = "admin.user.added"
	ActUsersImported = "admin.users.imported"
	ActUserDisabled  = "admin.user.disabled"
	ActUserEnabled   = "admin.user.enabled"
	ActUserRemoved   = "admin.user.removed"
	ActUserMoved     = "admin.user.address_changed"
	ActAccountAdded  = "admin.account.added"
	ActSuspended     = "admin.account.suspended"
	ActResumed       = "admin.account.resumed"
	ActBranded       = "admin.account.branded"
	ActKeyCreated    = "admin.key.created"
	ActKeyRevoked    = "admin.key.revoked"
	ActRevoked       = "admin.request.revoked"
	ActLimitsFreed   = "admin.limits.freed"
	ActMigrated      = "admin.database.migrated"
	ActMoved         = "admin.database.moved"
	ActPasswordSet   = "admin.directory.password_set" // a test user's, to see a directory change

	// What the trail tells of itself.
	ActBegun   = "audit.begun"   // a stream was begun
	ActBroken  = "audit.broken"  // whoever was about to go on found that something had been changed
	ActDropped = "audit.dropped" // there were too many entries at once to keep them all
	ActRemoved = "audit.removed" // all that was sealed with a former secret was older than what is kept
)

// How it ended.
const (
	EndOK        = "ok"
	EndInvalid   = "invalid"   // what was sent has no such shape
	EndMissing   = "missing"   // no key was sent, and one is needed
	EndUnknown   = "unknown"   // no such id, key or user
	EndRevoked   = "revoked"   // the key was
	EndExpired   = "expired"   // the link or the key is
	EndInactive  = "inactive"  // the link was used or replaced, or its user may not reset
	EndForeign   = "foreign"   // the link is right, but of no user of the key's account
	EndScope     = "scope"     // the key may not do this
	EndPolicy    = "policy"    // the password was refused
	EndThrottled = "throttled" // too often
	EndBusy      = "busy"      // not now
	EndError     = "error"     // unforeseen; the log has the reason
	EndLater     = "later"     // it is tried again
	EndRefused   = "refused"   // by the mail server, for good
	EndLate      = "late"      // it was tried for as long as it is worth
	EndUnsure    = "unsure"    // nobody knows whether the directory changed the password; the link is used
	EndPartly    = "partly"    // in some of the user's directories; the details say in which
	EndAmbiguous = "ambiguous" // several users of a directory have the address
	EndBegun     = "begun"     // it was about to be done; another entry says how it ended, unless nobody knows
)

// Bounds of an entry, in bytes, so that nobody can fill the trail with one.
const (
	maxAuditText    = 200
	maxAuditDetails = 2000
)

// Details makes the details of an entry of names and values in turn. Empty
// values are left out; long ones are cut to what fits.
func Details(pairs ...string) string {
	var b strings.Builder
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] == "" {
			continue
		}
		name, nameErr := json.Marshal(clean(pairs[i]))
		value, valueErr := json.Marshal(clean(pairs[i+1]))
		if nameErr != nil || valueErr != nil || b.Len()+len(name)+len(value)+4 > maxAuditDetails {
			break
		}
		if b.Len() > 0 {
			b.WriteByte(',')
		}
		b.Write(name)
		b.WriteByte(':')
		b.Write(value)
	}
	if b.Len() == 0 {
		return ""
	}
	return "{" + b.String() + "}"
}

// cleaned returns the entry as it may be kept: bounded, in UTF-8, in one line
// each, to the millisecond.
func (e AuditEntry) cleaned() AuditEntry {
	for _, s := range []*string{&e.What, &e.Who, &e.From, &e.Key, &e.Outcome, &e.RequestID} {
		*s = clean(*s)
	}
	if len(e.Details) > maxAuditDetails || !plain(e.Details) {
		e.Details = Details("details", e.Details)
	}
	e.At = e.At.UTC().Truncate(time.Millisecond)
	e.Times = max(e.Times, 1)
	return e
}

// clean cuts a text and writes out what could begin a line or steer a terminal (OWASP ASVS 16.4.1).
func clean(s string) string {
	if len(s) <= maxAuditText && plain(s) {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		shown := string(r)
		if !graphic(r) || r == utf8.RuneError {
			quoted := strconv.QuoteRuneToASCII(r)
			shown = quoted[1 : len(quoted)-1]
		}
		if b.Len()+len(shown) > maxAuditText {
			break
		}
		b.WriteString(shown)
	}
	return b.String()
}

func plain(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool { return !graphic(r) })
}

// graphic reports whether a character shows and does nothing else.
func graphic(r rune) bool { return unicode.IsGraphic(r) || r == '\u200c' || r == '\u200d' }

type (
	requestIDContext struct{}
	addressContext   struct{}
	operatorContext  struct{}
)

// WithRequestID returns a context whose audit entries carry the HTTP request's id.
func WithRequestID(ctx context.Context, id string) context.Context {
	return context.WithValue(ctx, requestIDContext{}, id)
}

// WithClientAddress returns a context that knows the client's whole network
// address, for trails that are to have it; Caller.Client may be cut.
func WithClientAddress(ctx context.Context, address string) context.Context {
	return context.WithValue(ctx, addressContext{}, address)
}

// WithOperator returns a context whose admin acts are those of that person.
func WithOperator(ctx context.Context, name string) context.Context {
	return context.WithValue(ctx, operatorContext{}, "operator:"+name)
}

func contextText(ctx context.Context, key any) string {
	s, _ := ctx.Value(key).(string)
	return s
}

// AdminAct is the entry of what an operator has done; about are names and values
// in turn, as for Details. It belongs into the transaction that does it:
//
//	tx.Record(reset.AdminAct(ctx, now, reset.ActUserDisabled, "user", u.ID))
func AdminAct(ctx context.Context, at time.Time, what string, about ...string) AuditEntry {
	return AuditEntry{At: at, What: what, Who: contextText(ctx, operatorContext{}), Outcome: EndOK, Details: Details(about...)}
}
