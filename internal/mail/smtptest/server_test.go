package smtptest

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"net/smtp"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const note = "Subject: =?utf-8?q?gr=C3=BC=C3=9Fe?=\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n" +
	"open https://reset.example.com/reset/0b9cdd3c-2f6e-4c5e-8f43-4e=\r\n6c2b1f7a90 now\r\n"

// deliver sends a mail with the standard library's client, which knows nothing of this package.
func deliver(s *Server, to string) error {
	return smtp.SendMail(s.Addr, nil, "from@example.com", []string{to}, []byte(note))
}

func TestItKeepsWhatItReceives(t *testing.T) {
	t.Parallel()
	s := Start(t)
	before := time.Now()
	for _, to := range []string{"a@example.com", "b@example.com"} {
		if err := deliver(s, to); err != nil {
			t.Fatal(err)
		}
	}
	mails, err := s.Wait(t.Context(), 2)
	if err != nil || len(mails) != 2 {
		t.Fatalf("%d mails, %v", len(mails), err)
	}
	m := mails[1]
	if m.From != "from@example.com" || len(m.To) != 1 || m.To[0] != "b@example.com" || string(m.Raw) != note || m.At.Before(before) {
		t.Errorf("got %+v", m)
	}
	if got, want := m.Link("https://reset.example.com"), "https://reset.example.com/reset/0b9cdd3c-2f6e-4c5e-8f43-4e6c2b1f7a90"; got != want {
		t.Errorf("the link is %q, want %q", got, want)
	}
	if m.Subject() != "grüße" || m.Link("https://other.example.com") != "" || m.HTML() != "" {
		t.Errorf("subject %q, HTML %q", m.Subject(), m.HTML())
	}
	mails[0].Raw[0], mails[0].To[0] = 'X', "x"
	if got := s.Messages()[0]; got.Raw[0] == 'X' || got.To[0] == "x" {
		t.Error("a caller can change what is kept")
	}
}

func TestWaitEndsWithItsContext(t *testing.T) {
	t.Parallel()
	s := Start(t)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if _, err := s.Wait(ctx, 1); !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "0 of 1") {
		t.Errorf("got %v", err)
	}
}

func TestDiscardCounts(t *testing.T) {
	t.Parallel()
	s, err := New(WithDiscard(), WithSTARTTLS())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(s.CAFile); err != nil {
		t.Error(err)
	}
	c, err := smtp.Dial(s.Addr)
	if err != nil {
		t.Fatal(err)
	}
	// The authority is not what is tested here; the mailer's tests verify it.
	if err := c.StartTLS(&tls.Config{InsecureSkipVerify: true}); err != nil {
		t.Fatal(err)
	}
	w, err := func() (interface {
		Write(p []byte) (int, error)
		Close() error
	}, error,
	) {
		if err := errors.Join(c.Mail("a@example.com"), c.Rcpt("b@example.com")); err != nil {
			return nil, err
		}
		return c.Data()
	}()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write([]byte(note)); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(w.Close(), c.Quit()); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Wait(t.Context(), 1); err != nil || s.Count() != 1 || len(s.Messages()) != 0 {
		t.Errorf("%v, %d counted, %d kept", err, s.Count(), len(s.Messages()))
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(s.CAFile); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the CA file is left behind: %v", err)
	}
}

func TestFaultsAreSetAndTakenBack(t *testing.T) {
	t.Parallel()
	no := Reply{Code: 450, Status: [3]int{4, 2, 0}, Text: "later"}
	for name, set := range map[string]func(s *Server, on bool){
		"all": func(s *Server, on bool) {
			if on {
				s.RefuseAll(no)
			} else {
				s.RefuseAll(Reply{})
			}
		},
		"sender": func(s *Server, on bool) {
			s.OnSender(nil)
			if on {
				s.OnSender(func(string) Reply { return no })
			}
		},
		"recipient": func(s *Server, on bool) {
			s.OnRecipient(nil)
			if on {
				s.OnRecipient(func(to string) Reply {
					if to == "a@example.com" {
						return no
					}
					return Reply{}
				})
			}
		},
		"message": func(s *Server, on bool) {
			s.OnMessage(nil)
			if on {
				s.OnMessage(func(m Message) Reply {
					if bytes.Contains(m.Raw, []byte("reset.example.com")) {
						return no
					}
					return Reply{}
				})
			}
		},
		"dropped": func(s *Server, on bool) {
			if on {
				s.DropAfterData(1, false)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := Start(t)
			set(s, true)
			if err := deliver(s, "a@example.com"); err == nil || s.Count() != 0 {
				t.Errorf("%v, %d mails", err, s.Count())
			}
			set(s, false)
			if err := deliver(s, "a@example.com"); err != nil || s.Count() != 1 {
				t.Errorf("afterwards: %v, %d mails", err, s.Count())
			}
		})
	}
}

func TestHeldMailsWait(t *testing.T) {
	t.Parallel()
	s := Start(t)
	release := s.Hold()
	var sending sync.WaitGroup
	sending.Go(func() {
		if err := deliver(s, "a@example.com"); err != nil {
			t.Error(err)
		}
	})
	if err := s.WaitHolding(t.Context(), 1); err != nil || s.Count() != 0 {
		t.Errorf("%v, %d mails", err, s.Count())
	}
	release()
	release()
	sending.Wait()
	if s.Count() != 1 {
		t.Errorf("%d mails", s.Count())
	}
}

func TestStopAndRestart(t *testing.T) {
	t.Parallel()
	s := Start(t)
	if err := deliver(s, "a@example.com"); err != nil {
		t.Fatal(err)
	}
	if err := s.Restart(); err == nil {
		t.Error("a running server was started again")
	}
	addr := s.Addr
	for range 3 {
		if err := s.Stop(); err != nil {
			t.Fatal(err)
		}
		if err := deliver(s, "a@example.com"); err == nil {
			t.Error("a stopped server took a mail")
		}
		if err := s.Restart(); err != nil {
			t.Fatal(err)
		}
	}
	if err := deliver(s, "b@example.com"); err != nil || s.Addr != addr || len(s.Messages()) != 2 {
		t.Errorf("%v, at %s, %d mails", err, s.Addr, len(s.Messages()))
	}
}

func TestStopDoesNotWaitForHeldMails(t *testing.T) {
	t.Parallel()
	s := Start(t)
	s.Hold()
	var sending sync.WaitGroup
	sending.Go(func() {
		if err := deliver(s, "a@example.com"); err == nil {
			t.Error("no error")
		}
	})
	if err := s.WaitHolding(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
	sending.Wait()
	if s.Count() != 0 {
		t.Error("a mail that was never answered to was kept")
	}
}

func TestTheURLHasEverythingInIt(t *testing.T) {
	t.Parallel()
	s := Start(t, WithTLS(), WithAuth("bot@example.com", "p@ss"))
	u, err := url.Parse(s.URL())
	if err != nil {
		t.Fatal(err)
	}
	password, _ := u.User.Password()
	if u.Scheme != "smtps" || u.Host != s.Addr || u.User.Username() != "bot@example.com" || password != "p@ss" || u.Query().Get("ca") != s.CAFile {
		t.Errorf("got %s", u)
	}
	if got := Start(t).URL(func(u *url.URL) { u.Host = "localhost" }); got != "smtp://localhost" {
		t.Errorf("got %s", got)
	}
}
