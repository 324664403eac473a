package reset

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/netip"
	"strings"
)

// ClientDetail says how exactly the audit trail tells where calls came from.
type ClientDetail string

// How exactly.
const (
	ClientsTruncated ClientDetail = "truncated" // the /24 of an IPv4 address, the /48 of an IPv6 address
	ClientsFull      ClientDetail = "full"
	ClientsNone      ClientDetail = "none"
)

// Audit tells acts to the audit trail: who, from where, with which key. A nil
// *Audit tells nothing.
type Audit struct {
	names    AddressNames
	clients  ClientDetail
	recorder *Recorder
	now      Clock
}

// NewAudit makes an Audit. What changes nothing goes by way of the recorder.
func NewAudit(names AddressNames, clients ClientDetail, recorder *Recorder, now Clock) *Audit {
	return &Audit{names: names, clients: clients, recorder: recorder, now: now}
}

// AddressNames names addresses in the audit trail, with a key: who has the
// trail and a guess at an address, but not the key, cannot see whether it is in it.
type AddressNames []byte

// Name is what the trail calls an address.
func (k AddressNames) Name(a Address) string {
	m := hmac.New(sha256.New, k)
	_, _ = m.Write([]byte(a.Key())) // never fails
	return "addr:" + hex.EncodeToString(m.Sum(nil)[:16])
}

// ofUser is what the trail calls a user.
func ofUser(id string) string {
	if id == "" {
		return ""
	}
	return "user:" + id
}

// ofAddress is what the trail calls an address.
func (a *Audit) ofAddress(address Address) string {
	if a == nil {
		return ""
	}
	return a.names.Name(address)
}

// entry makes the entry of something that a caller did.
func (a *Audit) entry(ctx context.Context, c Caller, what, who, outcome string) AuditEntry {
	if a == nil {
		return AuditEntry{}
	}
	e := AuditEntry{
		At: a.now(), What: what, Who: who, Outcome: outcome,
		From: a.from(ctx, c.Client), RequestID: contextText(ctx, requestIDContext{}),
	}
	if c.Key != nil {
		e.Key = c.Key.Name
	}
	return e
}

// note records what changed nothing. It takes a microsecond and never waits.
func (a *Audit) note(e AuditEntry) {
	if a != nil {
		a.recorder.note(e, false)
	}
}

// noteLike is note for what a caller may repeat without end: like acts that
// follow within ten seconds are counted together.
func (a *Audit) noteLike(e AuditEntry) {
	if a != nil {
		a.recorder.note(e, true)
	}
}

// mail makes the entry of something that the courier did.
func (a *Audit) mail(ctx context.Context, what, who, outcome, about string) AuditEntry {
	e := a.entry(ctx, Caller{}, what, who, outcome)
	e.Details = about
	return e
}

// mailed notes how sending a mail went. One that can never arrive is told of when it is given up.
func (a *Audit) mailed(ctx context.Context, who, about string, err error) {
	if _, never := errors.AsType[*Undeliverable](err); never {
		return
	}
	if err != nil {
		a.note(a.mail(ctx, ActMailFailed, who, EndLater, about))
		return
	}
	a.note(a.mail(ctx, ActMailSent, who, EndOK, about))
}

// from is where a call came from, as exact as it may be told.
func (a *Audit) from(ctx context.Context, client string) string {
	if client == "" {
		return ""
	}
	switch a.clients {
	case ClientsNone:
		return ""
	case ClientsFull:
		if whole := contextText(ctx, addressContext{}); whole != "" {
			return whole
		}
		return client
	}
	return truncate(client)
}

// truncate cuts the name of a client, as Caller.Client has it, to its /24 or /48.
// What is no address is not told at all.
func truncate(client string) string {
	host, _, _ := strings.Cut(client, "/")
	ip, err := netip.ParseAddr(host)
	if err != nil {
		return ""
	}
	bits := 48
	if ip.Is4() {
		bits = 24
	}
	p, err := ip.WithZone("").Prefix(bits)
	if err != nil {
		return ""
	}
	return p.String()
}

// endOf is what the trail calls the way an error ended an act.
func endOf(err error) string {
	if err == nil {
		return EndOK
	}
	switch {
	case errors.Is(err, errUnknownID):
		return EndUnknown
	case errors.Is(err, errExpired):
		return EndExpired
	case errors.Is(err, errInactive):
		return EndInactive
	}
	switch e := AsError(err); e.Kind {
	case Invalid:
		if e.Details["password"] != nil {
			return EndPolicy
		}
		return EndInvalid
	case Throttled:
		return EndThrottled
	case Unavailable:
		return EndBusy
	case Unauthorized:
		return EndScope
	case NotFound:
		return EndUnknown
	}
	return EndError
}

// EndOfSet is what the trail calls the way a Distant's Set ended.
func EndOfSet(err error) string {
	if err == nil {
		return EndOK
	}
	u, ok := errors.AsType[*Unchanged](err)
	switch {
	case !ok:
		return EndUnsure
	case errors.Is(u, ErrNoUser):
		return EndUnknown
	}
	return endOf(u.Cause)
}
