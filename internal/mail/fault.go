package mail

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/textproto"
	"regexp"

	"github.com/sparekey/sparekey/internal/reset"
)

// Step is a part of the conversation with a mail server.
type Step string

// The steps, in their order.
const (
	StepConnect   Step = "connect"
	StepGreeting  Step = "greeting" // its first words and EHLO
	StepTLS       Step = "TLS"      // STARTTLS, the handshake, the certificate
	StepAuth      Step = "AUTH"
	StepNoop      Step = "NOOP"
	StepSender    Step = "MAIL FROM"
	StepRecipient Step = "RCPT TO"
	StepData      Step = "DATA"
)

// hints say what an operator can do about a step that failed.
var hints = map[Step]string{
	StepConnect:   "is the host and port of the mail server right, is the server up, and does a firewall let this machine reach it?",
	StepGreeting:  "it answered, but not as a mail server does: is the port right (587 for smtp://, 465 for smtps://)?",
	StepTLS:       "the certificate must be valid for the host as the URL names it; for a private authority add ?ca=FILE, for a server without TLS ?tls=none",
	StepAuth:      "is the user and password in the mail server's URL right, with special characters percent-encoded?",
	StepNoop:      "the server took the connection but does not work; its own log should say why",
	StepSender:    "does the mail server let this user send from the configured sender address?",
	StepRecipient: "does the mail server deliver to this address for this user; its own log should say why not",
	StepData:      "the server did not take the mail; its own log should say why",
}

// Fault is a conversation with the mail server that failed. Its text has the
// reply's codes but not the server's words, which often repeat an address.
type Fault struct {
	Step Step
	// Reply is the server's reply code (RFC 5321, 4.2), or 0 if it gave none.
	Reply int
	// Status is the enhanced status code (RFC 3463) such as "5.1.1", or empty.
	Status string
	// Cause says what happened when the server gave no reply.
	Cause error

	permanent bool // no later attempt can succeed for this recipient
	// uncertain says that the whole mail was on its way: the server may have
	// taken it although no reply said so.
	uncertain bool
}

// Error names the step and the codes.
func (f *Fault) Error() string {
	text := "mail server, " + string(f.Step) + ":"
	if f.Reply != 0 {
		text += fmt.Sprintf(" answered %d", f.Reply)
	}
	if f.Status != "" {
		text += " " + f.Status
	}
	if f.Cause != nil {
		text += " " + f.Cause.Error()
	}
	return text
}

// Unwrap returns the cause.
func (f *Fault) Unwrap() error { return f.Cause }

// Hint says what an operator can do about it.
func (f *Fault) Hint() string { return hints[f.Step] }

// Causes of faults that the server did not reply.
var (
	errNoTLS        = errors.New("the server offers no STARTTLS, which is demanded")
	errNoMechanism  = errors.New("the server offers neither AUTH PLAIN nor AUTH LOGIN")
	errClearAuth    = errors.New("the connection is not encrypted, so the password is not sent")
	errNoUTF8       = errors.New("the server does not take addresses beyond ASCII (SMTPUTF8)")
	errBabble       = errors.New("the server says far more than a mail server does")
	errNotSMTP      = errors.New("the server's answer is not SMTP")
	errClosedMailer = errors.New("the mailer is closed")
)

// enhanced is an enhanced status code at the beginning of a reply (RFC 2034, 4).
var enhanced = regexp.MustCompile(`^[245]\.\d{1,3}\.\d{1,3}\b`)

// fault classifies an error at a step. Of errors that may quote the server
// only the codes survive.
func fault(step Step, err error) *Fault {
	f := &Fault{Step: step}
	if reply, ok := errors.AsType[*textproto.Error](err); ok {
		f.Reply = reply.Code
		f.Status = enhanced.FindString(reply.Msg)
		f.permanent = permanent(step, reply.Code)
		return f
	}
	_, network := errors.AsType[net.Error](err)
	_, certificate := errors.AsType[*tls.CertificateVerificationError](err)
	_, record := errors.AsType[tls.RecordHeaderError](err)
	_, alert := errors.AsType[tls.AlertError](err)
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		f.Cause = fmt.Errorf("the server closed the connection: %w", err)
	case network, certificate, record, alert, errors.Is(err, net.ErrClosed),
		errors.Is(err, errNoTLS), errors.Is(err, errNoMechanism), errors.Is(err, errClearAuth), errors.Is(err, errBabble),
		errors.Is(err, errClosedMailer), errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		f.Cause = err
	default:
		f.Cause = errNotSMTP
	}
	return f
}

// blame names the end of ctx as the cause, where that is what cut a conversation off.
func (f *Fault) blame(ctx context.Context) {
	if f.Reply == 0 && ctx.Err() != nil {
		f.Cause = context.Cause(ctx)
	}
}

// permanent reports whether a reply means that the mail can never arrive. Up
// to MAIL FROM a refusal is about us (server down for maintenance, wrong
// password, sender not allowed): the operator mends that, and the mail is still
// wanted then. From RCPT TO on a 5xx is about the recipient or the mail
// (RFC 5321, 4.2.1), but for the codes that speak of the session all the same:
// 500, 502, 503 and 504 of the order of commands, 521 of the whole host
// (RFC 7504), 530, 534, 535 and 538 of AUTH (RFC 4954, 6).
func permanent(step Step, code int) bool {
	if step != StepRecipient && step != StepData {
		return false
	}
	switch code {
	case 500, 502, 503, 504, 521, 530, 534, 535, 538:
		return false
	}
	return code >= 500
}

// mayResend reports whether a mail that failed on a connection used before may
// go out again on a fresh one: the connection turned out to be dead, or the
// server took leave of it (421: RFC 5321, 3.8), and the server cannot have
// taken the mail, since it never saw the end of it.
func (f *Fault) mayResend() bool {
	if f.uncertain || f.permanent {
		return false
	}
	if f.Reply != 0 {
		return f.Reply == 421
	}
	n, network := errors.AsType[net.Error](f.Cause)
	return errors.Is(f.Cause, io.EOF) || errors.Is(f.Cause, io.ErrUnexpectedEOF) || network && !n.Timeout()
}

// verdict turns a fault into what reset.Mailer promises.
func (f *Fault) verdict() error {
	if f.permanent {
		// Without a reply it was us who saw that the address needs SMTPUTF8; a
		// server says 553 to that (RFC 6531, 3.5).
		return &reset.Undeliverable{Reply: cmp.Or(f.Reply, 553), Cause: f}
	}
	return reset.Busy("the mail server does not take the mail for now", reset.RetryPause(1), f)
}
