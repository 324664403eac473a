package mail

import (
	"context"
	"log/slog"
	"time"

	"github.com/sparekey/sparekey/internal/reset"
)

// The defaults of Options.
const (
	DefaultConnections = 8
	DefaultTimeout     = 30 * time.Second
)

// keepIdle is how long a connection may lie idle. Servers close theirs after
// minutes (RFC 5321, 4.5.3.2.7 asks for five); half a minute bridges a lull
// without holding on to what a server could give to somebody else.
const keepIdle = 30 * time.Second

// Options say how a Mailer works.
type Options struct {
	Server Server
	// From is the sender: an address, with a display name if wanted, such as
	// "Sparekey <no-reply@example.com>" (RFC 5322, 3.4). It is both the From
	// header and the envelope's sender, where bounces go.
	From string
	// ServiceName is who asks, in subjects and texts. Default: the display name
	// of From, else the host of BaseURL.
	ServiceName string
	// BaseURL is where the pages are. It only serves as ServiceName's last default.
	BaseURL string
	// Brand, Language, Templates and DKIM are as in Sender.
	Brand     reset.Brand
	Language  string
	Templates *Templates
	DKIM      *DKIM
	// Connections is how many connections are open at once at most, and so how
	// many mails are under way; further ones wait. Default 8.
	Connections int
	// Timeout is how long one mail may take in all, waiting included. Default 30 seconds.
	Timeout time.Duration
	Now     reset.Clock
	Log     *slog.Logger

	keepIdle time.Duration // for tests
}

// Sender is what of the options concerns composing.
func (o Options) Sender() Sender {
	return Sender{
		From: o.From, ServiceName: o.ServiceName, BaseURL: o.BaseURL,
		Brand: o.Brand, Language: o.Language, Templates: o.Templates, DKIM: o.DKIM,
	}
}

// Mailer sends mails over SMTP. It is safe for concurrent use and must be closed.
type Mailer struct {
	composer *Composer
	pool     *pool
	timeout  time.Duration
}

var _ reset.Mailer = (*Mailer)(nil)

// New returns a Mailer. It opens no connection yet; Check does. The error is a
// *reset.Error of kind Invalid that says which setting is wrong.
func New(o Options) (*Mailer, error) {
	if o.Server.host == "" {
		return nil, reset.Invalidf("there is no mail server; write one such as smtp://user:password@mail.example.com")
	}
	if o.Connections < 0 || o.Timeout < 0 {
		return nil, reset.Invalidf("the number of mail connections and the time for a mail must not be negative")
	}
	composer, err := NewComposer(o.Sender(), o.Now)
	if err != nil {
		return nil, err
	}
	if o.Connections == 0 {
		o.Connections = DefaultConnections
	}
	if o.Timeout == 0 {
		o.Timeout = DefaultTimeout
	}
	if o.keepIdle == 0 {
		o.keepIdle = keepIdle
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Server.security == tlsNone && !isLoopback(o.Server.host) {
		o.Log.Warn("mails, and the links in them, travel to the mail server unencrypted", "event", "mail.unencrypted", "server", o.Server)
	}
	d := &dialer{server: o.Server, tls: o.Server.tlsConfig()}
	return &Mailer{composer: composer, pool: newPool(d, o.Connections, o.keepIdle, o.Log), timeout: o.Timeout}, nil
}

// SendLink sends the mail with the link, as reset.Mailer promises.
func (m *Mailer) SendLink(ctx context.Context, l reset.LinkMail) error {
	msg, err := m.composer.Link(l)
	if err != nil {
		return err
	}
	return m.send(ctx, msg)
}

// SendNotice sends the notice after a reset, as reset.Mailer promises.
func (m *Mailer) SendNotice(ctx context.Context, n reset.NoticeMail) error {
	msg, err := m.composer.Notice(n)
	if err != nil {
		return err
	}
	return m.send(ctx, msg)
}

// SendUnknown sends the mail to an address that nobody has, as reset.Mailer promises.
func (m *Mailer) SendUnknown(ctx context.Context, u reset.UnknownMail) error {
	msg, err := m.composer.Unknown(u)
	if err != nil {
		return err
	}
	return m.send(ctx, msg)
}

// SendTest sends a plain test mail. Errors are as with SendLink; errors.As finds the *Fault in them.
func (m *Mailer) SendTest(ctx context.Context, to reset.Address) error {
	msg, err := m.composer.Test(to)
	if err != nil {
		return err
	}
	return m.send(ctx, msg)
}

// Check connects, starts TLS, logs in and sends NOOP, on a connection of its
// own. The error is a *Fault that names the step that failed.
func (m *Mailer) Check(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, m.timeout)
	defer cancel()
	c, f := m.pool.dialer.dial(ctx)
	if f != nil {
		return f
	}
	defer c.part()
	if f := c.noop(ctx); f != nil {
		return f
	}
	return nil
}

// Close takes no more mails, waits for those under way until ctx ends, and
// closes all connections. Mails that were cut off fail for now; their entries
// are still in the outbox.
func (m *Mailer) Close(ctx context.Context) error { return m.pool.close(ctx) }

func (m *Mailer) send(ctx context.Context, msg *Message) error {
	ctx, cancel := context.WithTimeout(ctx, m.timeout)
	defer cancel()
	if f := m.pool.send(ctx, msg.From.Mailbox(), msg); f != nil {
		return f.verdict()
	}
	return nil
}
