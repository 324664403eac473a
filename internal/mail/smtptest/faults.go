package smtptest

import (
	"context"
	"sync"

	"github.com/emersion/go-smtp"
)

// Reply is what the server says instead of yes. The zero value is yes.
type Reply struct {
	Code int
	// Status is the enhanced status code, such as {5, 1, 1}; zero: x.0.0.
	Status [3]int
	Text   string
}

func (r Reply) err() error {
	if r.Code == 0 {
		return nil
	}
	return &smtp.SMTPError{Code: r.Code, EnhancedCode: smtp.EnhancedCode(r.Status), Message: r.Text}
}

// faults are the ways to misbehave. All can be set while the server runs.
type faults struct {
	mu          sync.Mutex
	onSession   Reply
	onSender    func(from string) Reply
	onRecipient func(to string) Reply
	onMessage   func(m Message) Reply
	drops       int
	keepDropped bool
	held        chan struct{} // mails wait until it is closed; nil: no waiting
}

// RefuseAll answers every EHLO with the reply; the zero Reply ends that.
func (s *Server) RefuseAll(r Reply) {
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	s.faults.onSession = r
}

// OnSender decides on every MAIL FROM; nil takes all again.
func (s *Server) OnSender(decide func(from string) Reply) {
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	s.faults.onSender = decide
}

// OnRecipient decides on every RCPT TO; nil takes all again.
func (s *Server) OnRecipient(decide func(to string) Reply) {
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	s.faults.onRecipient = decide
}

// OnMessage decides on every mail at the end of DATA; nil takes all again.
func (s *Server) OnMessage(decide func(m Message) Reply) {
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	s.faults.onMessage = decide
}

// DropAfterData cuts the connection instead of answering to the end of DATA,
// for the next n mails. With keep the mails were taken all the same, and only
// the reply is lost.
func (s *Server) DropAfterData(n int, keep bool) {
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	s.faults.drops, s.faults.keepDropped = n, keep
}

// Hold lets every mail wait for its reply to the end of DATA until release is
// called or the server stops.
func (s *Server) Hold() (release func()) {
	f := &s.faults
	f.release()
	held := make(chan struct{})
	f.mu.Lock()
	f.held = held
	f.mu.Unlock()
	return func() {
		f.mu.Lock()
		mine := f.held == held
		f.mu.Unlock()
		if mine {
			f.release()
		}
	}
}

// WaitHolding waits until n mails wait because of Hold.
func (s *Server) WaitHolding(ctx context.Context, n int) error {
	return s.until(ctx, func() bool { return s.holding == n })
}

// pause waits as long as Hold says.
func (s *Server) pause() {
	s.faults.mu.Lock()
	held := s.faults.held
	s.faults.mu.Unlock()
	if held == nil {
		return
	}
	count := func(by int) {
		s.mu.Lock()
		s.holding += by
		s.signal()
		s.mu.Unlock()
	}
	count(1)
	<-held
	count(-1)
}

func (f *faults) release() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.held != nil {
		close(f.held)
		f.held = nil
	}
}

func (f *faults) session() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.onSession.err()
}

func (f *faults) sender(from string) error {
	f.mu.Lock()
	decide := f.onSender
	f.mu.Unlock()
	if decide == nil {
		return nil
	}
	return decide(from).err()
}

func (f *faults) recipient(to string) error {
	f.mu.Lock()
	decide := f.onRecipient
	f.mu.Unlock()
	if decide == nil {
		return nil
	}
	return decide(to).err()
}

func (f *faults) message(m Message) error {
	f.mu.Lock()
	decide := f.onMessage
	f.mu.Unlock()
	if decide == nil {
		return nil
	}
	return decide(m).err()
}

func (f *faults) drop() (drop, keep bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.drops == 0 {
		return false, false
	}
	f.drops--
	return true, f.keepDropped
}
