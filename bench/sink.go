package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// sink is a local SMTP server (RFC 5321) that takes every mail, counts it and
// forgets it. It does as little as the protocol allows, because it shares the
// cores with what is measured.
type sink struct {
	l     net.Listener
	count atomic.Int64
	delay atomic.Int64 // how long each mail takes, in nanoseconds
	// arrived, if set, is told whose mail has arrived.
	arrived atomic.Pointer[func(to string)]
	// linked, if set, is told whose mail had which link's id.
	linked atomic.Pointer[func(to, id string)]
	wg     sync.WaitGroup
	mu     sync.Mutex
	conns  map[net.Conn]bool
}

func startSink(ctx context.Context) (*sink, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &sink{l: l, conns: make(map[net.Conn]bool)}
	s.wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			s.keep(c, true)
			s.wg.Go(func() {
				defer s.keep(c, false)
				_ = s.converse(c)
			})
		}
	})
	return s, nil
}

func (s *sink) keep(c net.Conn, open bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if open {
		s.conns[c] = true
		return
	}
	delete(s.conns, c)
	_ = c.Close()
}

func (s *sink) url() string { return "smtp://" + s.l.Addr().String() }

// close ends the server and waits for its conversations.
func (s *sink) close() {
	_ = s.l.Close()
	s.mu.Lock()
	for c := range s.conns {
		_ = c.Close()
	}
	s.mu.Unlock()
	s.wg.Wait()
}

var endOfData = []byte(".\r\n")

// data reads a mail to its end, and keeps it only if somebody wants it.
func data(in *bufio.Reader, keep bool) (text []byte, err error) {
	for {
		line, err := in.ReadSlice('\n')
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			return nil, err
		}
		if bytes.Equal(line, endOfData) {
			return text, nil
		}
		if keep {
			text = append(text, line...)
		}
	}
}

// linkID finds the id of the link in a mail; quoted-printable may have broken it (RFC 2045, 6.7).
func linkID(mail []byte) string {
	_, after, found := bytes.Cut(bytes.ReplaceAll(mail, []byte("=\r\n"), nil), []byte("/reset/"))
	if !found || len(after) < 36 {
		return ""
	}
	return string(after[:36])
}

func (s *sink) converse(c net.Conn) error {
	in := bufio.NewReaderSize(c, 16<<10)
	say := func(reply string) error {
		_, err := io.WriteString(c, reply)
		return err
	}
	if err := say("220 sink.example.com ESMTP\r\n"); err != nil {
		return err
	}
	to := ""
	for {
		line, err := in.ReadSlice('\n')
		if err != nil {
			return err
		}
		reply := "250 ok\r\n"
		switch verb := string(bytes.ToUpper(line[:min(4, len(line))])); verb {
		case "EHLO":
			reply = "250-sink.example.com\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250 PIPELINING\r\n"
		case "RCPT":
			_, after, _ := bytes.Cut(line, []byte("<"))
			address, _, _ := bytes.Cut(after, []byte(">"))
			to = string(address)
		case "DATA":
			if err := say("354 go on\r\n"); err != nil {
				return err
			}
			tell := s.linked.Load()
			text, err := data(in, tell != nil)
			if err != nil {
				return err
			}
			if id := linkID(text); id != "" {
				(*tell)(to, id)
			}
			if d := s.delay.Load(); d > 0 {
				pause(context.Background(), time.Duration(d))
			}
			s.count.Add(1)
			if tell := s.arrived.Load(); tell != nil {
				(*tell)(to)
			}
		case "QUIT":
			return say("221 bye\r\n")
		}
		if err := say(reply); err != nil {
			return err
		}
	}
}
