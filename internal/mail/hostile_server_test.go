package mail

import (
	"bufio"
	"errors"
	"net"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestAServerThatIsNoMailServer talks to listeners that say anything but SMTP.
func TestAServerThatIsNoMailServer(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		step Step
		want error // in the fault, if any
		talk func(net.Conn)
	}{
		{"speaks HTTP", StepGreeting, errNotSMTP, func(c net.Conn) { _, _ = c.Write([]byte("HTTP/1.1 400 ada@example.com\r\n\r\n")) }},
		{"hangs up", StepGreeting, nil, func(net.Conn) {}},
		{"talks without end", StepGreeting, errBabble, func(c net.Conn) {
			line := []byte("220-" + strings.Repeat("x", 1000) + "\r\n")
			for {
				if _, err := c.Write(line); err != nil {
					return
				}
			}
		}},
		{"is silent", StepGreeting, nil, func(c net.Conn) { _, _ = bufio.NewReader(c).ReadByte() }},
		{"answers nonsense to RCPT", StepRecipient, errNotSMTP, func(c net.Conn) {
			r := bufio.NewReader(c)
			for _, answer := range []string{"220 hello", "250 hello", "250 fine", "what is ada@example.com?"} {
				_, _ = c.Write([]byte(answer + "\r\n"))
				if _, err := r.ReadString('\n'); err != nil {
					return
				}
			}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			m := newMailer(t, "smtp://"+serve(t, c.talk), func(o *Options) { o.Timeout = 2 * time.Second })
			if c.name == "is silent" {
				m.timeout = 50 * time.Millisecond
			}
			err := m.SendLink(t.Context(), linkMail(t))
			temporary(t, err)
			f := faultOf(t, err)
			if f.Step != c.step || c.want != nil && !errors.Is(f, c.want) {
				t.Errorf("got %v", f)
			}
			if strings.Contains(err.Error(), "ada@") {
				t.Errorf("the error repeats the server: %v", err)
			}
		})
	}
}

// serve answers every connection with talk, until the test ends.
func serve(t *testing.T, talk func(net.Conn)) (address string) {
	t.Helper()
	ln, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var talking sync.WaitGroup
	talking.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			talking.Go(func() {
				talk(c)
				_ = c.Close()
			})
		}
	})
	t.Cleanup(func() {
		_ = ln.Close()
		talking.Wait()
	})
	return ln.Addr().String()
}
