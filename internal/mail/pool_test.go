package mail

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/sparekey/sparekey/internal/mail/smtptest"
	"github.com/sparekey/sparekey/internal/reset"
)

func TestConnectionsAreUsedAgain(t *testing.T) {
	t.Parallel()
	server := smtptest.Start(t, smtptest.WithSTARTTLS(), smtptest.WithAuth("bot", "secret"))
	m := newMailer(t, server.URL())
	for range 20 {
		if err := m.SendLink(t.Context(), linkMail(t)); err != nil {
			t.Fatal(err)
		}
	}
	if server.Count() != 20 || server.Connections() != 1 || len(server.Logins()) != 1 {
		t.Errorf("%d mails over %d connections with %d logins, want 20 over 1 with 1", server.Count(), server.Connections(), len(server.Logins()))
	}
}

func TestARefusedRecipientDoesNotCostTheConnection(t *testing.T) {
	t.Parallel()
	server := smtptest.Start(t)
	server.OnRecipient(func(string) smtptest.Reply { return smtptest.Reply{Code: 550, Text: "nobody here"} })
	m := newMailer(t, server.URL())
	for range 10 {
		if err := m.SendLink(t.Context(), linkMail(t)); err == nil {
			t.Fatal("no error")
		}
	}
	if server.Connections() != 1 {
		t.Errorf("%d connections, want 1", server.Connections())
	}
}

func TestFiftyAtOnceShareTheConnections(t *testing.T) {
	t.Parallel()
	server := smtptest.Start(t, smtptest.WithSTARTTLS())
	m := newMailer(t, server.URL(), func(o *Options) { o.Connections = 4 })
	var sending sync.WaitGroup
	for range 50 {
		sending.Go(func() {
			for range 4 {
				if err := m.SendLink(t.Context(), linkMail(t)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	sending.Wait()
	if server.Count() != 200 {
		t.Errorf("%d mails arrived, want 200", server.Count())
	}
	if n := server.Connections(); n > 4 {
		t.Errorf("%d connections, want at most 4", n)
	}
	ids := map[string]bool{}
	for _, got := range server.Messages() {
		ids[got.Header().Get("Message-Id")] = true
	}
	if len(ids) != 200 {
		t.Errorf("%d different Message-IDs in 200 mails", len(ids))
	}
}

func TestADeadKeptConnectionIsReplaced(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		kill func(t *testing.T, s *smtptest.Server)
	}{
		{"cut", func(t *testing.T, s *smtptest.Server) {
			if n := s.DropIdle(); n != 1 {
				t.Errorf("%d connections were cut, want 1", n)
			}
		}},
		{"dismissed with 421", func(t *testing.T, s *smtptest.Server) {
			if n := s.DismissIdle(); n != 1 {
				t.Errorf("%d connections were dismissed, want 1", n)
			}
		}},
		{"restarted", func(t *testing.T, s *smtptest.Server) {
			if err := errors.Join(s.Stop(), s.Restart()); err != nil {
				t.Fatal(err)
			}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			server := smtptest.Start(t)
			m := newMailer(t, server.URL())
			for n := range 3 {
				if err := m.SendLink(t.Context(), linkMail(t)); err != nil {
					t.Fatalf("mail %d: %v", n+1, err)
				}
				c.kill(t, server)
			}
			if server.Count() != 3 || server.Connections() != 3 {
				t.Errorf("%d mails over %d connections, want 3 over 3", server.Count(), server.Connections())
			}
		})
	}
}

func TestAMailIsResentOnceOnly(t *testing.T) {
	t.Parallel()
	server := smtptest.Start(t)
	m := newMailer(t, server.URL())
	if err := m.SendLink(t.Context(), linkMail(t)); err != nil {
		t.Fatal(err)
	}
	server.OnSender(func(string) smtptest.Reply { return smtptest.Reply{Code: 421, Text: "going down"} })
	temporary(t, m.SendLink(t.Context(), linkMail(t)))
	if n := server.Connections(); n != 2 {
		t.Errorf("%d connections, want the kept one and one fresh", n)
	}
}

func TestIdleConnectionsAreClosed(t *testing.T) {
	t.Parallel()
	server := smtptest.Start(t)
	m := newMailer(t, server.URL(), func(o *Options) { o.keepIdle = 20 * time.Millisecond })
	if err := m.SendLink(t.Context(), linkMail(t)); err != nil {
		t.Fatal(err)
	}
	if err := server.WaitOpen(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	if err := m.SendLink(t.Context(), linkMail(t)); err != nil {
		t.Errorf("after the idle connection was closed: %v", err)
	}
}

func TestCloseWaitsForMailsUnderWay(t *testing.T) {
	t.Parallel()
	server := smtptest.Start(t)
	release := server.Hold()
	m := newMailer(t, server.URL())
	var running sync.WaitGroup
	running.Go(func() {
		if err := m.SendLink(t.Context(), linkMail(t)); err != nil {
			t.Errorf("the mail under way: %v", err)
		}
	})
	if err := server.WaitHolding(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	for range 2 { // closing twice is fine
		running.Go(func() {
			if err := m.Close(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	release()
	running.Wait()
	if server.Count() != 1 {
		t.Error("the mail under way is lost")
	}
	if err := server.WaitOpen(t.Context(), 0); err != nil {
		t.Error("connections are left open")
	}
	err := m.SendLink(t.Context(), linkMail(t))
	temporary(t, err)
	if !errors.Is(err, errClosedMailer) {
		t.Errorf("after closing: %v", err)
	}
}

func TestCloseCutsOffWhatTakesTooLong(t *testing.T) {
	t.Parallel()
	server := smtptest.Start(t)
	defer server.Hold()()
	m := newMailer(t, server.URL(), func(o *Options) { o.Connections = 2 })
	var sending sync.WaitGroup
	for range 5 { // two under way, three waiting for a connection
		sending.Go(func() {
			err := m.SendLink(t.Context(), linkMail(t))
			if e := reset.AsError(err); err == nil || e.Kind != reset.Unavailable {
				t.Errorf("got %v, want Unavailable", err)
			}
		})
	}
	if err := server.WaitHolding(t.Context(), 2); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := m.Close(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	sending.Wait()
}
