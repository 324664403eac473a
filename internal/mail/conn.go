package mail

import (
	"context"
	"crypto/tls"
	"net"
	"os"
	"strings"
	"time"

	"github.com/wneessen/go-mail/smtp"
)

const (
	// partingTime is how long a server is given to answer QUIT: nothing depends on it.
	partingTime = time.Second
	// replyLimit is how many bytes a server may send for one mail, certificates
	// included. Replies are a few hundred; go-mail would read on without end.
	replyLimit = 256 << 10
)

// conn is one connection to the mail server, ready to take mails. One
// goroutine at a time uses it.
type conn struct {
	raw       *boundedConn
	client    *smtp.Client
	idleSince time.Time
}

// dialer opens connections to one server.
type dialer struct {
	server Server
	tls    *tls.Config
}

// dial opens a connection and takes it as far as MAIL FROM. It ends when ctx does.
func (d *dialer) dial(ctx context.Context) (*conn, *Fault) {
	var nd net.Dialer
	raw, err := nd.DialContext(ctx, "tcp", d.server.address())
	if err != nil {
		return nil, fault(StepConnect, err)
	}
	c := &conn{raw: &boundedConn{Conn: raw}}
	release := c.guard(ctx)
	f := d.introduce(ctx, c)
	if !release() && f == nil {
		f = &Fault{Step: StepGreeting}
	}
	if f != nil {
		f.blame(ctx)
		_ = raw.Close() // the fault is what matters
		return nil, f
	}
	return c, nil
}

// introduce does everything between the connection and the first mail.
func (d *dialer) introduce(ctx context.Context, c *conn) *Fault {
	var line net.Conn = c.raw
	if d.server.security == tlsImplicit {
		secure := tls.Client(c.raw, d.tls)
		if err := secure.HandshakeContext(ctx); err != nil {
			return fault(StepTLS, err)
		}
		line = secure
	}
	client, err := smtp.NewClient(line, d.server.host)
	if err != nil {
		return fault(StepGreeting, err)
	}
	c.client = client
	if err := client.Hello(helloName(c.raw.LocalAddr())); err != nil {
		return fault(StepGreeting, err)
	}
	if d.server.security == tlsDemanded || d.server.security == tlsOffered {
		offered, _ := client.Extension("STARTTLS")
		if !offered && d.server.security == tlsDemanded {
			return fault(StepTLS, errNoTLS)
		}
		if offered {
			if err := client.StartTLS(d.startTLS(c)); err != nil {
				return fault(StepTLS, err)
			}
		}
	}
	return d.authenticate(c)
}

// startTLS is what STARTTLS verifies. Where the server's TLS is merely taken as
// offered, to this very machine and without a word on whose certificates to
// trust, it verifies nothing: sending in the clear would be allowed there, and
// the mail server beside us commonly has a certificate that it made itself.
func (d *dialer) startTLS(c *conn) *tls.Config {
	if d.server.security != tlsOffered || d.server.roots != nil || !c.toLoopback() {
		return d.tls
	}
	unverified := d.tls.Clone()
	unverified.InsecureSkipVerify = true
	return unverified
}

// toLoopback reports whether the other end is this machine. The host name does
// not tell: a name such as localhost can be made to lead elsewhere.
func (c *conn) toLoopback() bool {
	peer, ok := c.raw.RemoteAddr().(*net.TCPAddr)
	return ok && peer.IP.IsLoopback()
}

// authenticate logs in if the server's URL says so, over TLS or to loopback only.
func (d *dialer) authenticate(c *conn) *Fault {
	if !d.server.auth {
		return nil
	}
	if _, encrypted := c.client.TLSConnectionState(); !encrypted {
		if !isLoopback(d.server.host) || !c.toLoopback() {
			return fault(StepAuth, errClearAuth)
		}
	}
	_, mechanisms := c.client.Extension("AUTH")
	var auth smtp.Auth
	for _, m := range strings.Fields(strings.ToUpper(mechanisms)) {
		switch {
		case m == "PLAIN":
			auth = smtp.PlainAuth("", d.server.user, d.server.password, d.server.host, true)
		case m == "LOGIN" && auth == nil:
			auth = smtp.LoginAuth(d.server.user, d.server.password, d.server.host, true)
		}
	}
	if auth == nil {
		return fault(StepAuth, errNoMechanism)
	}
	if err := c.client.Auth(auth); err != nil {
		return fault(StepAuth, err)
	}
	return nil
}

// helloName is how we introduce ourselves: this machine's name if it has a
// full one, else its address (RFC 5321, 4.1.4).
func helloName(local net.Addr) string {
	if name, err := os.Hostname(); err == nil && strings.Contains(name, ".") && !strings.ContainsAny(name, " \t\r\n") {
		return name
	}
	tcp, ok := local.(*net.TCPAddr)
	switch {
	case !ok:
		return "localhost"
	case tcp.IP.To4() != nil:
		return "[" + tcp.IP.String() + "]"
	default:
		return "[IPv6:" + tcp.IP.String() + "]"
	}
}

// guard makes reads and writes end when ctx does, until release is called.
// release answers false if that has happened: then the connection is spoilt.
// The deadline is left to ctx, so that an end by it always tells itself as one.
func (c *conn) guard(ctx context.Context) (release func() bool) {
	c.raw.left = replyLimit
	return context.AfterFunc(ctx, func() { _ = c.raw.SetDeadline(time.Unix(1, 0)) })
}

// send hands in one mail. usable says whether the connection can take another.
func (c *conn) send(ctx context.Context, from string, m *Message) (usable bool, f *Fault) {
	to := m.To.Mailbox()
	international := !isASCII(to)
	if supported, _ := c.client.Extension("SMTPUTF8"); international && !supported {
		// No later attempt helps (RFC 6531, 3.2).
		return true, &Fault{Step: StepRecipient, Status: "5.6.7", Cause: errNoUTF8, permanent: true}
	}
	// Only mails that need the extension ask for it: the next hop may not have it.
	c.client.SkipSMTPUTF8(!international)
	release := c.guard(ctx)
	f = c.converse(from, to, m.Raw)
	usable = f == nil
	if f != nil && f.Reply != 0 && f.Reply != 421 {
		// The server refused and is still there. After the end of DATA the
		// transaction is over; before, it has to be taken back.
		usable = f.uncertain || c.client.Reset() == nil
	}
	if f != nil {
		f.blame(ctx)
	}
	return release() && usable, f
}

// converse is the transaction itself (RFC 5321, 3.3).
func (c *conn) converse(from, to string, raw []byte) *Fault {
	if err := c.client.Mail("<" + from + ">"); err != nil {
		return fault(StepSender, err)
	}
	if err := c.client.Rcpt("<" + to + ">"); err != nil {
		return fault(StepRecipient, err)
	}
	w, err := c.client.Data()
	if err != nil {
		return fault(StepData, err)
	}
	if _, err := w.Write(raw); err != nil {
		return fault(StepData, err)
	}
	if err := w.Close(); err != nil {
		f := fault(StepData, err)
		f.uncertain = true
		return f
	}
	return nil
}

// noop asks whether the server is well.
func (c *conn) noop(ctx context.Context) *Fault {
	release := c.guard(ctx)
	defer release()
	if err := c.client.Noop(); err != nil {
		return fault(StepNoop, err)
	}
	return nil
}

// part takes leave and closes the connection.
func (c *conn) part() {
	_ = c.raw.SetDeadline(time.Now().Add(partingTime))
	c.raw.left = replyLimit
	_ = c.client.Quit() // a server that is gone already is no loss
	_ = c.raw.Close()
}

// drop closes the connection without a word: nobody is there to hear it.
func (c *conn) drop() { _ = c.raw.Close() }

// boundedConn refuses to read more than left bytes.
type boundedConn struct {
	net.Conn
	left int
}

func (b *boundedConn) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, errBabble
	}
	n, err := b.Conn.Read(p[:min(len(p), b.left)])
	b.left -= n
	return n, err
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}
