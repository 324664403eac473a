package mail

import (
	"testing"
	"time"

	"github.com/sparekey/sparekey/internal/mail/smtptest"
	"github.com/sparekey/sparekey/internal/reset"
)

// Whatever a user and an account are called: the mail has the headers, the one
// recipient, the two parts and the one link that it was meant to have.
func FuzzNamesInMails(f *testing.F) {
	for i, name := range hostile {
		f.Add(name, hostile[len(hostile)-1-i])
	}
	composer, err := NewComposer(Sender{From: "Example <no-reply@example.com>"}, func() time.Time { return testNow })
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, name, account string) {
		l := linkMail(t)
		l.User.Name = name
		l.User.Accounts = []reset.Account{{ID: 1, Name: account}, {ID: 2, Name: name + account}}
		m, err := composer.Link(l)
		if err != nil {
			t.Fatal(err)
		}
		intact(t, smtptest.Message{From: "no-reply@example.com", To: []string{m.To.Mailbox()}, Raw: m.Raw}, l)
	})
}
