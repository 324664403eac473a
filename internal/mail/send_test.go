package mail

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sparekey/sparekey/internal/mail/smtptest"
	"github.com/sparekey/sparekey/internal/reset"
)

// faultOf is the fault in an error, which must have one.
func faultOf(t *testing.T, err error) *Fault {
	t.Helper()
	f, ok := errors.AsType[*Fault](err)
	if !ok {
		t.Fatalf("%v has no fault in it", err)
	}
	return f
}

// temporary fails the test unless the error means "not now".
func temporary(t *testing.T, err error) {
	t.Helper()
	if err == nil {
		t.Fatal("no error")
	}
	if _, ok := errors.AsType[*reset.Undeliverable](err); ok {
		t.Fatalf("%v is for good, want for now", err)
	}
	if e := reset.AsError(err); e.Kind != reset.Unavailable || e.RetryAfter <= 0 {
		t.Fatalf("%v is not an Unavailable error with a pause", err)
	}
}

func TestAMailReachesItsOneRecipientOverEverySecurity(t *testing.T) {
	t.Parallel()
	for name, options := range map[string][]smtptest.Option{
		"clear to loopback": nil,
		"STARTTLS":          {smtptest.WithSTARTTLS()},
		"implicit TLS":      {smtptest.WithTLS()},
		"STARTTLS and AUTH": {smtptest.WithSTARTTLS(), smtptest.WithAuth("bot@example.com", "p@ss:w/ord%")},
		"AUTH LOGIN":        {smtptest.WithTLS(), smtptest.WithAuth("bot", "secret", "LOGIN")},
		"AUTH to loopback":  {smtptest.WithAuth("bot", "secret")},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := smtptest.Start(t, options...)
			m := newMailer(t, server.URL())
			if err := m.SendLink(t.Context(), linkMail(t)); err != nil {
				t.Fatal(err)
			}
			mails := server.Messages()
			if len(mails) != 1 {
				t.Fatalf("%d mails arrived, want 1", len(mails))
			}
			if got := mails[0]; got.From != "no-reply@example.com" || !slices.Equal(got.To, []string{"ada@example.com"}) {
				t.Errorf("the envelope is from %s to %v", got.From, got.To)
			}
			if got := mails[0].Link("https://reset.example.com"); got != linkMail(t).Link {
				t.Errorf("the link is %q", got)
			}
		})
	}
}

func TestTLSIsVerified(t *testing.T) {
	t.Parallel()
	withoutCA := func(u *url.URL) { u.RawQuery = "" }
	for _, c := range []struct {
		name    string
		options []smtptest.Option
		change  func(*url.URL)
	}{
		{"unknown authority, STARTTLS", []smtptest.Option{smtptest.WithSTARTTLS()}, withoutCA},
		{"unknown authority, implicit", []smtptest.Option{smtptest.WithTLS()}, withoutCA},
		{"wrong name, STARTTLS", []smtptest.Option{smtptest.WithSTARTTLS(), smtptest.WithCertificateFor("mail.example.com")}, func(*url.URL) {}},
		{"wrong name, implicit", []smtptest.Option{smtptest.WithTLS(), smtptest.WithCertificateFor("mail.example.com")}, func(*url.URL) {}},
		{"no TLS where it is implicit", nil, func(u *url.URL) { u.Scheme = "smtps" }},
		{"TLS 1.1, STARTTLS", []smtptest.Option{smtptest.WithSTARTTLS(), smtptest.WithOldTLS()}, func(*url.URL) {}},
		{"TLS 1.1, implicit", []smtptest.Option{smtptest.WithTLS(), smtptest.WithOldTLS()}, func(*url.URL) {}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			server := smtptest.Start(t, append(c.options, smtptest.WithAuth("bot", "hunter2secret"), smtptest.WithWire())...)
			m := newMailer(t, server.URL(c.change), func(o *Options) {
				if o.Server.security == tlsOffered {
					o.Server.security = tlsDemanded // as it is of a stranger
				}
			})
			err := m.SendLink(t.Context(), linkMail(t))
			temporary(t, err)
			if f := faultOf(t, err); f.Step != StepTLS || f.Hint() == "" {
				t.Errorf("%v is at %q, want TLS, with a hint", f, f.Step)
			}
			if server.Count() != 0 || len(server.Logins()) != 0 {
				t.Error("something was sent all the same")
			}
		})
	}
}

// TestLoopbackMayHaveACertificateOfItsOwn: the mail server beside us commonly
// has one that it made itself. What goes there is encrypted all the same; with
// ?ca=, or to a name that leads elsewhere, it is verified.
func TestLoopbackMayHaveACertificateOfItsOwn(t *testing.T) {
	t.Parallel()
	options := []smtptest.Option{smtptest.WithSTARTTLS(), smtptest.WithCertificateFor("mail.example.com"), smtptest.WithAuth("bot", "hunter2secret"), smtptest.WithWire()}
	withoutCA := func(u *url.URL) { u.RawQuery = "" }
	server := smtptest.Start(t, options...)
	if err := newMailer(t, server.URL(withoutCA)).SendLink(t.Context(), linkMail(t)); err != nil {
		t.Fatal(err)
	}
	if wire := string(server.Wire()); strings.Contains(wire, "AUTH") || strings.Contains(wire, "MAIL") || server.Count() != 1 {
		t.Errorf("%d mails arrived, in the clear: %q", server.Count(), wire)
	}
	if err := newMailer(t, server.URL()).SendLink(t.Context(), linkMail(t)); err == nil || faultOf(t, err).Step != StepTLS {
		t.Errorf("with ?ca=: %v, want a fault of TLS", err)
	}
}

func TestSTARTTLSIsDemandedButToLoopback(t *testing.T) {
	t.Parallel()
	server := smtptest.Start(t, smtptest.WithAuth("bot", "hunter2secret"), smtptest.WithWire())
	// Tests talk to loopback alone, so this server is told to be a stranger.
	m := newMailer(t, server.URL(), func(o *Options) { o.Server.security = tlsDemanded })
	err := m.SendLink(t.Context(), linkMail(t))
	temporary(t, err)
	if f := faultOf(t, err); f.Step != StepTLS || !errors.Is(f, errNoTLS) {
		t.Errorf("got %v", f)
	}
	if wire := string(server.Wire()); strings.Contains(wire, "AUTH") || strings.Contains(wire, "MAIL") {
		t.Errorf("the client said too much: %q", wire)
	}
}

func TestThePasswordNeverTravelsInTheClear(t *testing.T) {
	t.Parallel()
	t.Run("refused to anything but loopback", func(t *testing.T) {
		t.Parallel()
		server := smtptest.Start(t, smtptest.WithAuth("bot", "hunter2secret"), smtptest.WithWire())
		m := newMailer(t, server.URL(), func(o *Options) {
			// 0.0.0.0 leads to this machine, but its name does not say so.
			o.Server.host = "0.0.0.0"
		})
		err := m.SendLink(t.Context(), linkMail(t))
		temporary(t, err)
		if f := faultOf(t, err); f.Step != StepAuth || !errors.Is(f, errClearAuth) {
			t.Errorf("got %v", f)
		}
		if wire := string(server.Wire()); !strings.Contains(wire, "EHLO") || strings.Contains(wire, "AUTH") {
			t.Errorf("on the wire was %q", wire)
		}
	})
	for name, option := range map[string]smtptest.Option{"STARTTLS": smtptest.WithSTARTTLS(), "implicit TLS": smtptest.WithTLS()} {
		t.Run("encrypted by "+name, func(t *testing.T) {
			t.Parallel()
			server := smtptest.Start(t, option, smtptest.WithAuth("bot", "hunter2secret"), smtptest.WithWire())
			m := newMailer(t, server.URL())
			if err := m.SendLink(t.Context(), linkMail(t)); err != nil {
				t.Fatal(err)
			}
			if logins := server.Logins(); len(logins) != 1 || !logins[0].TLS || !logins[0].OK {
				t.Errorf("the logins are %+v", logins)
			}
			wire := server.Wire()
			for _, word := range []string{"AUTH", "MAIL FROM", "ada@example.com"} {
				if bytes.Contains(wire, []byte(word)) {
					t.Errorf("%q was on the wire in the clear", word)
				}
			}
		})
	}
}

func TestAWrongPasswordIsTemporary(t *testing.T) {
	t.Parallel()
	server := smtptest.Start(t, smtptest.WithSTARTTLS(), smtptest.WithAuth("bot", "right"))
	m := newMailer(t, server.URL(func(u *url.URL) { u.User = url.UserPassword("bot", "hunter2wrong") }))
	err := m.SendLink(t.Context(), linkMail(t))
	temporary(t, err)
	if f := faultOf(t, err); f.Step != StepAuth || f.Reply != 535 || f.Status != "5.7.8" {
		t.Errorf("got %v", f)
	}
	if strings.Contains(err.Error(), "hunter2wrong") {
		t.Error("the error tells the password")
	}
}

func TestAServerWithoutTheMechanismIsTemporary(t *testing.T) {
	t.Parallel()
	server := smtptest.Start(t, smtptest.WithSTARTTLS(), smtptest.WithAuth("bot", "right", "XOAUTH2"))
	err := newMailer(t, server.URL()).SendLink(t.Context(), linkMail(t))
	temporary(t, err)
	if !errors.Is(err, errNoMechanism) {
		t.Errorf("got %v", err)
	}
}

// The table of RFC 5321's replies against reset.Mailer's promise. Every text
// repeats the address, as servers do.
func TestRepliesAreClassified(t *testing.T) {
	t.Parallel()
	const sender, recipient, data = "MAIL FROM", "RCPT TO", "DATA"
	for _, c := range []struct {
		at     string
		code   int
		status [3]int
		final  bool
	}{
		{sender, 421, [3]int{4, 3, 2}, false},
		{sender, 451, [3]int{}, false},
		{sender, 530, [3]int{5, 7, 0}, false},
		{sender, 550, [3]int{5, 7, 1}, false},
		{sender, 553, [3]int{5, 7, 1}, false},
		{recipient, 421, [3]int{}, false},
		{recipient, 450, [3]int{4, 2, 0}, false},
		{recipient, 451, [3]int{4, 7, 1}, false},
		{recipient, 452, [3]int{4, 2, 2}, false},
		{recipient, 501, [3]int{5, 1, 3}, true},
		{recipient, 503, [3]int{5, 5, 1}, false},
		{recipient, 521, [3]int{5, 3, 2}, false},
		{recipient, 530, [3]int{5, 7, 0}, false},
		{recipient, 550, [3]int{5, 1, 1}, true},
		{recipient, 551, [3]int{5, 1, 6}, true},
		{recipient, 552, [3]int{5, 2, 2}, true},
		{recipient, 553, [3]int{5, 1, 3}, true},
		{recipient, 554, [3]int{5, 7, 1}, true},
		{recipient, 556, [3]int{5, 1, 10}, true},
		{data, 421, [3]int{}, false},
		{data, 451, [3]int{4, 3, 0}, false},
		{data, 452, [3]int{4, 3, 1}, false},
		{data, 550, [3]int{5, 7, 1}, true},
		{data, 552, [3]int{5, 3, 4}, true},
		{data, 554, [3]int{5, 6, 0}, true},
	} {
		t.Run(fmt.Sprintf("%s %d", c.at, c.code), func(t *testing.T) {
			t.Parallel()
			server := smtptest.Start(t)
			m := newMailer(t, server.URL())
			reply := smtptest.Reply{Code: c.code, Status: c.status, Text: "<ada@example.com> not now"}
			switch c.at {
			case sender:
				server.OnSender(func(string) smtptest.Reply { return reply })
			case recipient:
				server.OnRecipient(func(string) smtptest.Reply { return reply })
			case data:
				server.OnMessage(func(smtptest.Message) smtptest.Reply { return reply })
			}
			err := m.SendLink(t.Context(), linkMail(t))
			u, final := errors.AsType[*reset.Undeliverable](err)
			if final != c.final {
				t.Fatalf("got %v; final %v, want %v", err, final, c.final)
			}
			if final && u.Reply != c.code {
				t.Errorf("the reply is %d, want %d", u.Reply, c.code)
			}
			if !final {
				temporary(t, err)
			}
			f := faultOf(t, err)
			if string(f.Step) != c.at || f.Reply != c.code {
				t.Errorf("got %v, want %s and %d", f, c.at, c.code)
			}
			if c.status != [3]int{} && f.Status != fmt.Sprintf("%d.%d.%d", c.status[0], c.status[1], c.status[2]) {
				t.Errorf("the status is %q, want %v", f.Status, c.status)
			}
			for e := err; e != nil; e = errors.Unwrap(e) {
				if text := fmt.Sprintf("%v %+v", e, e); strings.Contains(text, "ada") {
					t.Errorf("the error tells the address: %s", text)
				}
			}

			// Whatever it was, the next mail must not suffer from it.
			server.OnSender(nil)
			server.OnRecipient(nil)
			server.OnMessage(nil)
			if err := m.SendLink(t.Context(), linkMail(t)); err != nil {
				t.Errorf("the next mail: %v", err)
			}
		})
	}
}

func TestAServerThatIsDownIsTemporary(t *testing.T) {
	t.Parallel()
	server := smtptest.Start(t)
	if err := server.Stop(); err != nil {
		t.Fatal(err)
	}
	m := newMailer(t, server.URL())
	err := m.SendLink(t.Context(), linkMail(t))
	temporary(t, err)
	if f := faultOf(t, err); f.Step != StepConnect {
		t.Errorf("got %v", f)
	}
	if err := server.Restart(); err != nil {
		t.Fatal(err)
	}
	if err := m.SendLink(t.Context(), linkMail(t)); err != nil {
		t.Errorf("after the restart: %v", err)
	}
}

func TestAServerThatRefusesEverybodyIsTemporary(t *testing.T) {
	t.Parallel()
	server := smtptest.Start(t)
	server.RefuseAll(smtptest.Reply{Code: 554, Status: [3]int{5, 3, 2}, Text: "no service here"})
	err := newMailer(t, server.URL()).SendLink(t.Context(), linkMail(t))
	temporary(t, err)
	if f := faultOf(t, err); f.Step != StepGreeting {
		t.Errorf("got %v", f)
	}
}

func TestALineDroppedAfterDataIsTemporaryAndNotRepeatedAtOnce(t *testing.T) {
	t.Parallel()
	for name, first := range map[string]bool{"fresh connection": false, "kept connection": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := smtptest.Start(t)
			m := newMailer(t, server.URL())
			want := 1
			if first {
				want++
				if err := m.SendLink(t.Context(), linkMail(t)); err != nil {
					t.Fatal(err)
				}
			}
			server.DropAfterData(1, true)
			err := m.SendLink(t.Context(), linkMail(t))
			temporary(t, err)
			if f := faultOf(t, err); f.Step != StepData {
				t.Errorf("got %v", f)
			}
			// The server has the mail: sending it again right away would double it.
			if server.Count() != want {
				t.Errorf("%d mails arrived, want %d", server.Count(), want)
			}
		})
	}
}

func TestASlowServerIsTemporaryAndCutOffInTime(t *testing.T) {
	t.Parallel()
	t.Run("after the time for a mail", func(t *testing.T) {
		t.Parallel()
		server := smtptest.Start(t)
		defer server.Hold()()
		m := newMailer(t, server.URL(), func(o *Options) { o.Timeout = 50 * time.Millisecond })
		err := m.SendLink(t.Context(), linkMail(t))
		temporary(t, err)
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("when the caller gives up", func(t *testing.T) {
		t.Parallel()
		server := smtptest.Start(t)
		defer server.Hold()()
		m := newMailer(t, server.URL())
		ctx, cancel := context.WithCancel(t.Context())
		var sending sync.WaitGroup
		var err error
		sending.Go(func() { err = m.SendLink(ctx, linkMail(t)) })
		if err := server.WaitHolding(t.Context(), 1); err != nil {
			t.Fatal(err)
		}
		cancel()
		sending.Wait()
		temporary(t, err)
		if !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("while waiting for a connection", func(t *testing.T) {
		t.Parallel()
		server := smtptest.Start(t)
		release := server.Hold()
		m := newMailer(t, server.URL(), func(o *Options) { o.Connections = 1 })
		var sending sync.WaitGroup
		sending.Go(func() {
			if err := m.SendLink(t.Context(), linkMail(t)); err != nil {
				t.Error(err)
			}
		})
		if err := server.WaitHolding(t.Context(), 1); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		defer cancel()
		temporary(t, m.SendLink(ctx, linkMail(t)))
		release()
		sending.Wait()
	})
}

func TestAnAddressBeyondASCIINeedsSMTPUTF8(t *testing.T) {
	t.Parallel()
	l := linkMail(t)
	l.User.Email = address(t, "jörg@bücher.example.com")
	t.Run("offered", func(t *testing.T) {
		t.Parallel()
		server := smtptest.Start(t)
		if err := newMailer(t, server.URL()).SendLink(t.Context(), l); err != nil {
			t.Fatal(err)
		}
		got := server.Messages()[0]
		if !slices.Equal(got.To, []string{"jörg@xn--bcher-kva.example.com"}) {
			t.Errorf("the envelope is to %v", got.To)
		}
		if to := got.Header().Get("To"); to != "<jörg@xn--bcher-kva.example.com>" {
			t.Errorf("To is %q", to)
		}
	})
	t.Run("not offered", func(t *testing.T) {
		t.Parallel()
		server := smtptest.Start(t, smtptest.WithoutUTF8())
		m := newMailer(t, server.URL())
		err := m.SendLink(t.Context(), l)
		if u, ok := errors.AsType[*reset.Undeliverable](err); !ok || u.Reply != 553 {
			t.Errorf("got %v, want Undeliverable", err)
		}
		if err := m.SendLink(t.Context(), linkMail(t)); err != nil || server.Connections() != 1 {
			t.Errorf("the next mail: %v, over %d connections", err, server.Connections())
		}
	})
	t.Run("not needed for a domain alone", func(t *testing.T) {
		t.Parallel()
		server := smtptest.Start(t, smtptest.WithoutUTF8())
		l := linkMail(t)
		l.User.Email = address(t, "joerg@bücher.example.com")
		if err := newMailer(t, server.URL()).SendLink(t.Context(), l); err != nil {
			t.Fatal(err)
		}
		if got := server.Messages()[0].To; !slices.Equal(got, []string{"joerg@xn--bcher-kva.example.com"}) {
			t.Errorf("the envelope is to %v", got)
		}
	})
}

func TestTheNoticeHasNoSecretInIt(t *testing.T) {
	t.Parallel()
	server := smtptest.Start(t)
	if err := newMailer(t, server.URL()).SendNotice(t.Context(), noticeMail(t)); err != nil {
		t.Fatal(err)
	}
	got := server.Messages()[0]
	if !slices.Equal(got.To, []string{"ada@example.com"}) || got.Link("https://reset.example.com") != "https://reset.example.com/forgot" {
		t.Errorf("to %v: %s", got.To, got.Raw)
	}
}

func TestWeIntroduceOurselvesAsRFC5321Asks(t *testing.T) {
	t.Parallel()
	full := regexp.MustCompile(`^[\w-]+(\.[\w-]+)+$`) // this machine may have a full name
	for address, want := range map[string]string{"192.0.2.1": "[192.0.2.1]", "2001:db8::1": "[IPv6:2001:db8::1]", "::ffff:192.0.2.1": "[192.0.2.1]"} {
		if got := helloName(&net.TCPAddr{IP: net.ParseIP(address)}); got != want && !full.MatchString(got) {
			t.Errorf("from %s we are %s, want %s", address, got, want)
		}
	}
}

func TestSendTestSendsPlainText(t *testing.T) {
	t.Parallel()
	server := smtptest.Start(t)
	if err := newMailer(t, server.URL()).SendTest(t.Context(), address(t, "ops@example.com")); err != nil {
		t.Fatal(err)
	}
	got := server.Messages()[0]
	if !slices.Equal(got.To, []string{"ops@example.com"}) || got.HTML() != "" || !strings.Contains(got.Text(), "test mail from Example") {
		t.Errorf("to %v: %s", got.To, got.Raw)
	}
}

func TestCheckNamesTheStepThatFailed(t *testing.T) {
	t.Parallel()
	server := smtptest.Start(t, smtptest.WithSTARTTLS(), smtptest.WithAuth("bot", "right"))
	if err := newMailer(t, server.URL()).Check(t.Context()); err != nil {
		t.Errorf("a server that is well: %v", err)
	}
	for step, change := range map[Step]func(*url.URL){
		StepConnect: func(u *url.URL) { u.Host = "127.0.0.1:1" },
		StepTLS:     func(u *url.URL) { u.Scheme = "smtps" },
		StepAuth:    func(u *url.URL) { u.User = url.UserPassword("bot", "wrong") },
	} {
		err := newMailer(t, server.URL(change)).Check(t.Context())
		if err == nil {
			t.Errorf("%s: no error", step)
			continue
		}
		if f := faultOf(t, err); f.Step != step || f.Hint() == "" {
			t.Errorf("got %v, want %s and a hint", f, step)
		}
	}
	if server.Count() != 0 {
		t.Error("checking sent a mail")
	}
}

func TestSettingsAreChecked(t *testing.T) {
	t.Parallel()
	server, err := ParseServer("smtps://mail.example.com")
	if err != nil {
		t.Fatal(err)
	}
	good := Options{Server: server, From: "Example <no-reply@example.com>", Now: time.Now}
	for name, change := range map[string]func(*Options){
		"no server":            func(o *Options) { o.Server = Server{} },
		"no sender":            func(o *Options) { o.From = "" },
		"sender without @":     func(o *Options) { o.From = "Example" },
		"two senders":          func(o *Options) { o.From = "a@example.com, b@example.com" },
		"local sender":         func(o *Options) { o.From = "root@localhost" },
		"sender beyond ASCII":  func(o *Options) { o.From = "jörg@example.com" },
		"nobody asks":          func(o *Options) { o.From = "no-reply@example.com" },
		"no clock":             func(o *Options) { o.Now = nil },
		"negative connections": func(o *Options) { o.Connections = -1 },
	} {
		o := good
		change(&o)
		if _, err := New(o); reset.AsError(err).Kind != reset.Invalid {
			t.Errorf("%s: got %v, want an Invalid error", name, err)
		}
	}
}

func TestMailsInTheClearAreWarnedOf(t *testing.T) {
	t.Parallel()
	for url, want := range map[string]bool{"smtp://mail.example.com?tls=none": true, "smtp://127.0.0.1?tls=none": false, "smtps://mail.example.com": false} {
		var log bytes.Buffer
		newMailer(t, url, func(o *Options) { o.Log = slog.New(slog.NewTextHandler(&log, nil)) })
		if got := strings.Contains(log.String(), "mail.unencrypted"); got != want {
			t.Errorf("%s: warned %v, want %v", url, got, want)
		}
	}
}
