// Package e2e tests the built binary from outside: real processes, a real mail
// server, a real browser, and kill -9.
package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/sparekey/sparekey/internal/certs/acmetest"
	"github.com/sparekey/sparekey/internal/store/postgres/pgtest"
)

// binary is what is tested, built once.
var binary string

func TestMain(m *testing.M) {
	if spec := os.Getenv(jailEnv); spec != "" {
		fmt.Fprintln(os.Stderr, "the jail:", enterJail(spec))
		os.Exit(125)
	}
	dir, err := os.MkdirTemp("", "sparekey-e2e-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	binary = filepath.Join(dir, "sparekey")
	build := exec.Command("go", "build", "-o", binary, "../cmd/sparekey")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build: %v\n%s", err, out)
		os.Exit(1)
	}
	if cluster, err = pgtest.Start(); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
	code := m.Run()
	for _, end := range []func() error{cluster.Close, leaks, func() error { return os.RemoveAll(dir) }} {
		if err := end(); err != nil {
			_, _ = fmt.Fprintln(os.Stdout, "FAIL: after the tests:", err)
			code = 1
		}
	}
	os.Exit(code)
}

// stalled is where toxiproxy waits.
const stalled = "github.com/Shopify/toxiproxy/v2/toxics.(*ToxicStub).Run"

// leaks answers an error if any goroutine goes on that a test has begun, but those
// in which toxiproxy holds data of a connection that was closed while it stalled: it never lets them go.
// On a busy machine the last may take their time to end.
func leaks() (err error) {
	http.DefaultClient.CloseIdleConnections()
	client.CloseIdleConnections()
	for deadline := time.Now().Add(patience); ; {
		if err = goleak.Find(goleak.IgnoreTopFunction(acmetest.Unending), goleak.IgnoreAnyFunction(stalled)); err == nil || time.Now().After(deadline) {
			return err
		}
	}
}

// sparekey runs one command line and returns what it printed and its exit code.
func sparekey(t *testing.T, env []string, stdin string, args ...string) (stdout string, code int) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), binary, args...)
	cmd.Env = env
	cmd.Stdin = strings.NewReader(stdin)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		t.Logf("sparekey %s: exit %d: %s", args, exit.ExitCode(), stderr.String())
		return string(out), exit.ExitCode()
	}
	if err != nil {
		t.Fatalf("sparekey %s: %v", args, err)
	}
	return string(out), 0
}

// must is sparekey that succeeds.
func must(t *testing.T, env []string, stdin string, args ...string) string {
	t.Helper()
	out, code := sparekey(t, env, stdin, args...)
	if code != 0 {
		t.Fatalf("sparekey %s: exit code %d", args, code)
	}
	return strings.TrimSpace(out)
}

// server is a serving process.
type server struct {
	cmd    *exec.Cmd
	output *output
	ended  chan struct{}
}

// output collects what a process prints and lets tests wait for a text in it.
type output struct {
	mu      sync.Mutex
	text    bytes.Buffer
	changed chan struct{}
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	close(o.changed)
	o.changed = make(chan struct{})
	return o.text.Write(p)
}

func (o *output) look() (string, <-chan struct{}) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String(), o.changed
}

// waitFor waits until the process has printed the text, and returns all it has printed.
func (s *server) waitFor(t *testing.T, text string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for {
		printed, changed := s.output.look()
		if strings.Contains(printed, text) {
			return printed
		}
		select {
		case <-changed:
		case <-s.ended:
			t.Fatalf("it ended without printing %q:\n%s", text, printed)
		case <-ctx.Done():
			t.Fatalf("it did not print %q:\n%s", text, printed)
		}
	}
}

// start starts the service, which ends with the test at the latest.
func start(t *testing.T, env []string, args ...string) *server {
	t.Helper()
	return startProgram(t, binary, env, args...)
}

// startProgram starts a build of the service.
func startProgram(t *testing.T, program string, env []string, args ...string) *server {
	t.Helper()
	cmd := exec.Command(program, args...)
	cmd.Env = env
	return startCommand(t, cmd)
}

// startCommand starts the service in a way of the caller's.
func startCommand(t *testing.T, cmd *exec.Cmd) *server {
	t.Helper()
	s := &server{cmd: cmd, output: &output{changed: make(chan struct{})}, ended: make(chan struct{})}
	s.cmd.Stdout, s.cmd.Stderr = s.output, s.output
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(s.ended)
		_ = s.cmd.Wait()
	}()
	t.Cleanup(func() {
		s.end(t, syscall.SIGTERM)
		if t.Failed() {
			text, _ := s.output.look()
			t.Logf("%s printed:\n%s", cmd, last(text, 8000))
		}
	})
	return s
}

func last(s string, n int) string { return s[max(0, len(s)-n):] }

// end sends a signal and waits for the process to be gone.
func (s *server) end(t *testing.T, sig syscall.Signal) {
	t.Helper()
	_ = s.cmd.Process.Signal(sig)
	select {
	case <-s.ended:
	case <-time.After(40 * time.Second):
		_ = s.cmd.Process.Kill()
		<-s.ended
		t.Errorf("it did not end on %v", sig)
	}
}

// freeAddr is an address on loopback where nobody listens.
func freeAddr(t *testing.T) string {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

// until asks again and again, with a pause, until the answer is yes.
func until(t *testing.T, what string, patience time.Duration, yes func() bool) {
	t.Helper()
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for !yes() {
		select {
		case <-again.C:
		case <-deadline.C:
			t.Fatalf("waited %v for %s", patience, what)
		}
	}
}
