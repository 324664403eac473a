package sparekeytest

import (
	"context"
	"path"
	"sync"

	"github.com/sparekey/sparekey/internal/mail"
	"github.com/sparekey/sparekey/internal/reset"
)

// Mail is a mail as the server sends it.
type Mail struct {
	To      string
	Subject string
	Text    string
	HTML    string
	// Link is the page where a new password is chosen. Empty in the notice that
	// tells of a changed password.
	Link string
	// ID is the secret at the end of Link: what Client.Metadata and Client.Reset take.
	ID string
}

// mailbox is a reset.Mailer that keeps mails, composed as the real one does.
type mailbox struct {
	composer *mail.Composer

	mu      sync.Mutex
	changed chan struct{} // closed and replaced when a mail arrives
	mails   []Mail        // oldest first
	read    map[int]bool
}

func newMailbox(composer *mail.Composer) *mailbox {
	return &mailbox{composer: composer, changed: make(chan struct{}), read: make(map[int]bool)}
}

// SendLink implements reset.Mailer.
func (b *mailbox) SendLink(_ context.Context, m reset.LinkMail) error {
	msg, err := b.composer.Link(m)
	if err != nil {
		return err
	}
	b.put(msg, m.Link)
	return nil
}

// SendNotice implements reset.Mailer.
func (b *mailbox) SendNotice(_ context.Context, m reset.NoticeMail) error {
	msg, err := b.composer.Notice(m)
	if err != nil {
		return err
	}
	b.put(msg, "")
	return nil
}

// SendUnknown implements reset.Mailer.
func (b *mailbox) SendUnknown(_ context.Context, m reset.UnknownMail) error {
	msg, err := b.composer.Unknown(m)
	if err != nil {
		return err
	}
	b.put(msg, "")
	return nil
}

func (b *mailbox) put(msg *mail.Message, link string) {
	m := Mail{To: msg.To.Raw(), Subject: msg.Subject, Text: msg.Text, HTML: msg.HTML, Link: link}
	if link != "" {
		m.ID = path.Base(link)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.mails = append(b.mails, m)
	close(b.changed)
	b.changed = make(chan struct{})
}

// next takes the oldest mail to an address that was not taken yet.
func (b *mailbox) next(key string) (m Mail, ok bool, changed <-chan struct{}) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for i, m := range b.mails {
		to, err := reset.ParseAddress(m.To)
		if err == nil && to.Key() == key && !b.read[i] {
			b.read[i] = true
			return m, true, nil
		}
	}
	return Mail{}, false, b.changed
}

// Mail waits for the next mail to the address and returns it, each one once and
// the oldest first: a link, then the notice after a reset. If none comes for
// half a minute, the test ends.
func (s *Server) Mail(address string) Mail {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	to, err := reset.ParseAddress(address)
	s.must(err)
	for {
		m, ok, changed := s.box.next(to.Key())
		if ok {
			return m
		}
		select {
		case <-changed:
		case <-ctx.Done():
			s.t.Fatalf("sparekeytest: no mail came for %s; has it a user who is not disabled?", address)
		}
	}
}

// Mails returns all mails that were sent, the oldest first, also those that Mail has returned.
func (s *Server) Mails() []Mail {
	s.box.mu.Lock()
	defer s.box.mu.Unlock()
	return append([]Mail(nil), s.box.mails...)
}
