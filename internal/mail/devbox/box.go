// Package devbox is the development mailbox: a reset.Mailer that keeps mails in
// memory and shows them in a browser. It composes them exactly as the real
// mailer does. Whoever can open it can read every link, so it is for
// `sparekey dev` on loopback alone.
package devbox

import (
	"context"
	"net/url"
	"path"
	"sync"
	"time"

	"github.com/sparekey/sparekey/internal/mail"
	"github.com/sparekey/sparekey/internal/reset"
)

// Capacity is how many mails a Box holds; older ones are forgotten.
const Capacity = 200

// Box keeps the newest mails. It is safe for concurrent use.
type Box struct {
	composer *mail.Composer
	now      reset.Clock
	streams  chan struct{} // one entry per stream of events

	mu      sync.Mutex
	changed chan struct{} // closed and replaced when a mail arrives
	mails   []letter      // oldest first
	last    int           // number of the newest mail; they count from 1
}

var _ reset.Mailer = (*Box)(nil)

// letter is one mail in the box. Its message is never changed.
type letter struct {
	number  int
	at      time.Time
	message *mail.Message
	id      string // of the request behind its link; empty for mails without
	handed  bool   // given out by next, or older than one that was
}

// New returns an empty Box.
func New(composer *mail.Composer, now reset.Clock) *Box {
	return &Box{composer: composer, now: now, streams: make(chan struct{}, maxStreams), changed: make(chan struct{})}
}

// SendLink puts the mail with the link into the box.
func (b *Box) SendLink(_ context.Context, m reset.LinkMail) error {
	msg, err := b.composer.Link(m)
	if err != nil {
		return err
	}
	link, err := url.Parse(m.Link)
	if err != nil {
		return reset.AsError(err)
	}
	b.put(msg, path.Base(link.Path))
	return nil
}

// SendNotice puts the notice after a reset into the box.
func (b *Box) SendNotice(_ context.Context, m reset.NoticeMail) error {
	msg, err := b.composer.Notice(m)
	if err != nil {
		return err
	}
	b.put(msg, "")
	return nil
}

// SendUnknown puts the mail to an address that nobody has into the box.
func (b *Box) SendUnknown(_ context.Context, m reset.UnknownMail) error {
	msg, err := b.composer.Unknown(m)
	if err != nil {
		return err
	}
	b.put(msg, "")
	return nil
}

func (b *Box) put(msg *mail.Message, id string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.last++
	if len(b.mails) == Capacity {
		copy(b.mails, b.mails[1:])
		b.mails = b.mails[:Capacity-1]
	}
	b.mails = append(b.mails, letter{number: b.last, at: b.now(), message: msg, id: id})
	close(b.changed)
	b.changed = make(chan struct{})
}

// newestFirst returns the mails, the newest first.
func (b *Box) newestFirst() []letter {
	b.mu.Lock()
	defer b.mu.Unlock()
	list := make([]letter, 0, len(b.mails))
	for i := len(b.mails) - 1; i >= 0; i-- {
		list = append(list, b.mails[i])
	}
	return list
}

// find returns the mail of that number, if it is still there.
func (b *Box) find(number int) (letter, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, l := range b.mails {
		if l.number == number {
			return l, true
		}
	}
	return letter{}, false
}

// next waits for a mail with a link to the address that was not handed out yet,
// and answers the request's id. Of several the newest counts, since its link is
// the one that works; it and the older ones are handed out then.
func (b *Box) next(ctx context.Context, to reset.Address) (id string, ok bool) {
	for {
		id, changed := b.take(to)
		if id != "" {
			return id, true
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return "", false
		}
	}
}

// latest is the id in the newest link to the address, empty if there is none.
func (b *Box) latest(to reset.Address) string {
	b.mu.Lock()
	defer b.mu.Unlock()
	for i := len(b.mails) - 1; i >= 0; i-- {
		if l := b.mails[i]; l.id != "" && l.message.To.Key() == to.Key() {
			return l.id
		}
	}
	return ""
}

func (b *Box) take(to reset.Address) (id string, changed <-chan struct{}) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for i := len(b.mails) - 1; i >= 0; i-- {
		l := &b.mails[i]
		if l.id == "" || l.handed || l.message.To.Key() != to.Key() {
			continue
		}
		if id == "" {
			id = l.id
		}
		l.handed = true
	}
	return id, b.changed
}
