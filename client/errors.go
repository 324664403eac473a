package client

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Code is what the API calls an error, for programs.
type Code int

// The codes of the API.
const (
	CodeUnknown          Code = -1
	CodeBadParameter     Code = 10
	CodeMissingParameter Code = 11
	CodeBadHostname      Code = 12
	CodeSuspended        Code = 13
	CodeNotAuthorized    Code = 14
	CodeNotFound         Code = 20
	CodeNotSupported     Code = 21
	CodeRestriction      Code = 50
	CodeExpired          Code = 60
	CodeNotAllowed       Code = 70
	CodeDeactivated      Code = 80
	CodeInactive         Code = 81
)

// The errors of the API by their codes, for errors.Is.
var (
	ErrBadParameter     error = codeError{CodeBadParameter, "a parameter is not acceptable"}
	ErrMissingParameter error = codeError{CodeMissingParameter, "a parameter is missing"}
	ErrBadHostname      error = codeError{CodeBadHostname, "this host name is not served"}
	ErrSuspended        error = codeError{CodeSuspended, "the account is suspended"}
	ErrNotAuthorized    error = codeError{CodeNotAuthorized, "not authorized: the key or the id opens nothing"}
	ErrNotFound         error = codeError{CodeNotFound, "not found"}
	ErrNotSupported     error = codeError{CodeNotSupported, "not supported"}
	ErrRestriction      error = codeError{CodeRestriction, "over a limit"}
	ErrExpired          error = codeError{CodeExpired, "expired"}
	ErrNotAllowed       error = codeError{CodeNotAllowed, "the key may not do this"}
	ErrDeactivated      error = codeError{CodeDeactivated, "deactivated"}
	ErrInactive         error = codeError{CodeInactive, "used, or replaced by a newer link"}
)

// codeError stands for all errors with a code.
type codeError struct {
	code Code
	text string
}

func (e codeError) Error() string { return "sparekey: " + e.text }

// Error is a refusal in the API's own words (its ErrorModel).
type Error struct {
	// Status is that of HTTP.
	Status int
	// Code is for programs. Err… values stand for codes in errors.Is.
	Code Code
	// Msg is for people; the server promises that it may be shown to anybody.
	Msg string
	// Details is more about this call; may be nil. See PasswordReasons.
	Details map[string]json.RawMessage
	// RetryAfter is how long the server asks to wait before trying again; 0 if it does not say.
	RetryAfter time.Duration
	// RequestID names the call in the server's log; quote it when you report a problem.
	RequestID string
}

// maxMsg bounds what Error repeats of a server's words.
const maxMsg = 300

// Error tells status, code and message, on one line.
func (e *Error) Error() string {
	msg := strings.ToValidUTF8(e.Msg, "�")
	if len(msg) > maxMsg {
		msg = strings.ToValidUTF8(msg[:maxMsg], "") + "…"
	}
	msg = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, msg)
	return fmt.Sprintf("sparekey: %s (status %d, code %d)", msg, e.Status, e.Code)
}

// Is reports whether target stands for this error's code.
func (e *Error) Is(target error) bool {
	c, ok := target.(codeError)
	return ok && c.code == e.Code
}

// Reason is why a password was refused.
type Reason struct {
	// Code is stable, such as "too_short".
	Code string `json:"code"`
	// Message is for people.
	Message string `json:"message"`
}

// PasswordReasons tells why a password was refused; nil for any other error.
func (e *Error) PasswordReasons() []Reason {
	var reasons []Reason
	if json.Unmarshal(e.Details["password"], &reasons) != nil {
		return nil
	}
	return reasons
}

// ErrBadAnswer says that what answered is not this API, or not well: a page
// instead of JSON, a redirect, a status or a body that the API does not have.
var ErrBadAnswer = errors.New("sparekey: bad answer")

func badAnswer(name string, status int, why string) error {
	return fmt.Errorf("%w to %s (status %d): %s; is the base URL that of the API?", ErrBadAnswer, name, status, why)
}
