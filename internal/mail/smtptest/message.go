package smtptest

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net/mail"
	"slices"
	"strings"
	"time"
)

// Message is a mail as it arrived.
type Message struct {
	From string   // envelope
	To   []string // envelope
	Raw  []byte
	At   time.Time // when the end of DATA was there
}

// Messages are the mails so far, in order of arrival.
func (s *Server) Messages() []Message {
	s.mu.Lock()
	defer s.mu.Unlock()
	return copies(s.mails)
}

// Count is how many mails were taken so far, discarded ones included.
func (s *Server) Count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.count
}

// Wait waits until n mails have been taken in all, and returns them and
// whatever came after (nothing with WithDiscard). When ctx ends first it
// returns what there is, and an error.
func (s *Server) Wait(ctx context.Context, n int) ([]Message, error) {
	err := s.until(ctx, func() bool { return s.count >= n })
	list := s.Messages()
	if err != nil {
		return list, fmt.Errorf("smtptest: %d of %d mails arrived: %w", s.Count(), n, err)
	}
	return list, nil
}

func copies(list []Message) []Message {
	out := slices.Clone(list)
	for i := range out {
		out[i].To = slices.Clone(out[i].To)
		out[i].Raw = bytes.Clone(out[i].Raw)
	}
	return out
}

// Header are the headers, undecoded; nil if the mail cannot be parsed.
func (m Message) Header() mail.Header {
	parsed, err := mail.ReadMessage(bytes.NewReader(m.Raw))
	if err != nil {
		return nil
	}
	return parsed.Header
}

// Subject is the subject, decoded.
func (m Message) Subject() string {
	text, err := new(mime.WordDecoder).DecodeHeader(m.Header().Get("Subject"))
	if err != nil {
		return ""
	}
	return text
}

// Text is the text part, decoded, with plain line breaks; empty if there is none.
func (m Message) Text() string { return m.part("text/plain") }

// HTML is the HTML part, decoded, with plain line breaks; empty if there is none.
func (m Message) HTML() string { return m.part("text/html") }

// Link is the first link in the text part that begins with the base URL, up to
// the next space; empty if there is none.
func (m Message) Link(baseURL string) string {
	_, after, found := strings.Cut(m.Text(), baseURL)
	if !found {
		return ""
	}
	if end := strings.IndexAny(after, " \t\r\n"); end >= 0 {
		after = after[:end]
	}
	return baseURL + after
}

// part is the first part of that type.
func (m Message) part(want string) string {
	parsed, err := mail.ReadMessage(bytes.NewReader(m.Raw))
	if err != nil {
		return ""
	}
	kind, params, err := mime.ParseMediaType(parsed.Header.Get("Content-Type"))
	if err != nil {
		return ""
	}
	if kind == want {
		return decode(parsed.Body, parsed.Header.Get("Content-Transfer-Encoding"))
	}
	if !strings.HasPrefix(kind, "multipart/") {
		return ""
	}
	parts := multipart.NewReader(parsed.Body, params["boundary"])
	for {
		p, err := parts.NextRawPart()
		if err != nil {
			return ""
		}
		if kind, _, err := mime.ParseMediaType(p.Header.Get("Content-Type")); err == nil && kind == want {
			return decode(p, p.Header.Get("Content-Transfer-Encoding"))
		}
	}
}

func decode(r io.Reader, encoding string) string {
	if strings.EqualFold(encoding, "quoted-printable") {
		r = quotedprintable.NewReader(r)
	}
	body, err := io.ReadAll(r)
	if err != nil {
		return ""
	}
	return strings.ReplaceAll(string(body), "\r\n", "\n")
}
