package mail

import (
	"context"
	"testing"
	"time"

	"github.com/sparekey/sparekey/internal/mail/smtptest"
	"github.com/sparekey/sparekey/internal/reset"
)

func address(tb testing.TB, s string) reset.Address {
	tb.Helper()
	a, err := reset.ParseAddress(s)
	if err != nil {
		tb.Fatal(err)
	}
	return a
}

// newMailer is a Mailer for the server that is closed when the test ends.
func newMailer(tb testing.TB, url string, changes ...func(*Options)) *Mailer {
	tb.Helper()
	server, err := ParseServer(url)
	if err != nil {
		tb.Fatal(err)
	}
	o := Options{
		Server: server, From: "Example <no-reply@example.com>", BaseURL: "https://reset.example.com",
		Timeout: 10 * time.Second, Now: func() time.Time { return testNow },
	}
	for _, change := range changes {
		change(&o)
	}
	m, err := New(o)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		_ = m.Close(ctx)
	})
	return m
}

var testNow = time.Date(2026, 11, 23, 13, 5, 0, 0, time.UTC)

func ada(tb testing.TB) reset.User {
	return reset.User{
		ID: "1", Email: address(tb, "ada@example.com"), Name: "Ada Lovelace",
		Standing: reset.Standing{Accounts: []reset.Account{{ID: 1, Name: "Analytical Engines"}, {ID: 2, Name: "Notes"}, {ID: 3, Name: "Closed", Suspended: true}}},
	}
}

func linkMail(tb testing.TB) reset.LinkMail {
	return reset.LinkMail{
		User: ada(tb), Link: "https://reset.example.com/reset/0b9cdd3c-2f6e-4c5e-8f43-4e6c2b1f7a90", ExpiresAt: testNow.Add(time.Hour),
	}
}

// BenchmarkSendLink measures composing and sending to a server that discards,
// with eight mails under way at once.
func BenchmarkSendLink(b *testing.B) {
	for name, options := range map[string][]smtptest.Option{
		"clear":    {smtptest.WithDiscard()},
		"STARTTLS": {smtptest.WithDiscard(), smtptest.WithSTARTTLS()},
	} {
		b.Run(name, func(b *testing.B) {
			server := smtptest.Start(b, options...)
			m := newMailer(b, server.URL())
			l := linkMail(b)
			b.SetParallelism(4) // times GOMAXPROCS
			b.ReportAllocs()
			b.ResetTimer()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if err := m.SendLink(b.Context(), l); err != nil {
						b.Error(err)
						return
					}
				}
			})
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "mails/s")
		})
	}
}

// BenchmarkCompose measures composing alone.
func BenchmarkCompose(b *testing.B) {
	c, err := NewComposer(Sender{From: "Example <no-reply@example.com>"}, time.Now)
	if err != nil {
		b.Fatal(err)
	}
	l := linkMail(b)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.Link(l); err != nil {
			b.Fatal(err)
		}
	}
}
