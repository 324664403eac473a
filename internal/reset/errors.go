package reset

import (
	"errors"
	"fmt"
	"time"
)

// Code is the number that the API's existing clients know a failure by
// (ErrorModel.code of the contract).
type Code int

// The codes of the contract.
const (
	CodeUnknown       Code = -1
	CodeBadValue      Code = 10
	CodeMissing       Code = 11
	CodeBadHostname   Code = 12
	CodeSuspended     Code = 13
	CodeNotAuthorized Code = 14
	CodeNotFound      Code = 20
	CodeNotSupported  Code = 21
	CodeRestriction   Code = 50
	CodeExpired       Code = 60
	CodeNotAllowed    Code = 70
	CodeDeactivated   Code = 80
	CodeInactive      Code = 81
)

// Kind says what sort of failure an Error is. Adapters translate it at their
// edge: the HTTP adapters to a status, the command line to an exit code.
type Kind int

// The kinds of failure. The zero value is Internal, so that an error nobody
// classified is never shown as anything else.
const (
	Internal     Kind = iota // unforeseen; its detail belongs in the log only
	Invalid                  // the caller's input
	Unauthorized             // no key, a wrong key, or an id that opens nothing
	NotFound                 // no such thing for this caller
	Conflict                 // it is there already
	Throttled                // too often; RetryAfter is set
	Unavailable              // not now; RetryAfter is set
)

// Error is a failure that may be shown: Code and Message are safe for any
// caller, Details too. Cause is for the log and is never shown.
type Error struct {
	Kind    Kind
	Code    Code
	Message string
	// Details says more about this call, for ErrorModel.details. Keys are snake_case.
	Details map[string]any
	// RetryAfter is how long the caller should wait; set for Throttled and Unavailable.
	RetryAfter time.Duration
	// Limit is which limit was reached, if Throttled.
	Limit *Limit
	Cause error
}

// Limit is a limit as a caller may know it.
type Limit struct {
	Name string // what it counts, in a word: "ask", "guess"
	Rate Rate
}

// Error returns the message and the cause. It is for logs; what callers see is Message.
func (e *Error) Error() string {
	if e.Cause != nil {
		return e.Message + ": " + e.Cause.Error()
	}
	return e.Message
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Cause }

// AsError returns err as an *Error. An error of any other type becomes an
// Internal one with a message that tells nothing, and err as its cause.
func AsError(err error) *Error {
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	return &Error{Kind: Internal, Code: CodeUnknown, Message: "something went wrong on our side; please try again", Cause: err}
}

// Sentinel errors that stores and directories answer with. They are matched
// with errors.Is.
var (
	// ErrNoUser says that the directory has no such user.
	ErrNoUser = errors.New("no such user")
	// ErrNoRequest says that there is no such request, or, from Tx.Claim, that
	// it is not open any more: the caller lost the race.
	ErrNoRequest = errors.New("no such request")
	// ErrNoKey says that there is no such key.
	ErrNoKey = errors.New("no such key")
	// ErrNoAccount says that there is no such account.
	ErrNoAccount = errors.New("no such account")
	// ErrNoJob says that there is no such bulk job.
	ErrNoJob = errors.New("no such job")
	// ErrExists says that a user, account or key of that name is there already.
	ErrExists = errors.New("already exists")
)

// Undeliverable is what a Mailer answers when a mail can never arrive: the
// server refused the recipient for good (a 5xx reply to RCPT, RFC 5321 4.2.1).
// Any other error means "not now".
type Undeliverable struct {
	// Reply is the server's reply code, such as 550.
	Reply int
	Cause error
}

// Error tells the reply code alone: the server's text often repeats the address.
func (u *Undeliverable) Error() string {
	return fmt.Sprintf("the mail server refused the recipient for good (%d)", u.Reply)
}

// Unwrap returns the cause.
func (u *Undeliverable) Unwrap() error { return u.Cause }

// Invalidf returns an Invalid error with CodeBadValue.
func Invalidf(format string, args ...any) *Error {
	return &Error{Kind: Invalid, Code: CodeBadValue, Message: fmt.Sprintf(format, args...)}
}

// Busy returns an Unavailable error: the caller may try again after the pause.
func Busy(message string, pause time.Duration, cause error) *Error {
	return &Error{Kind: Unavailable, Code: CodeUnknown, Message: message, RetryAfter: pause, Cause: cause}
}
