package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"go.uber.org/goleak"

	"github.com/sparekey/sparekey/internal/mail/smtptest"
)

// TestMain makes this test binary serve as sparekey too, so that scripts, and
// the shell in TestDevThreeCurlLines, find that command.
func TestMain(m *testing.M) {
	testscript.Main(leakless{m}, map[string]func(){"sparekey": main})
}

// leakless fails the tests if they leave a goroutine behind.
type leakless struct{ m *testing.M }

func (l leakless) Run() int {
	code := l.m.Run()
	http.DefaultClient.CloseIdleConnections()
	if err := goleak.Find(); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return code
}

// TestScripts runs the command lines in testdata. Besides testscript's own commands they use
//
//	exits CODE COMMAND…    run the command, which must exit with that code
//	smtpserver OPTION…     start a mail server, its URL in $SMTP; options: starttls, auth
//	mailed ADDRESS TEXT    the mail server must have taken a mail to the address with that text
func TestScripts(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata",
		RequireExplicitExec: true,
		Setup: func(env *testscript.Env) error {
			env.Vars = append(env.Vars, raceInHaste)
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits": scriptExits, "smtpserver": scriptSMTPServer, "mailed": scriptMailed,
		},
	})
}

func scriptExits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE COMMAND ARGUMENT…")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		exit, ok := errors.AsType[*exec.ExitError](err)
		if !ok {
			ts.Fatalf("%s: %v", args[1], err)
		}
		got = exit.ExitCode()
	}
	if got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}

// raceInHaste keeps the race detector from waiting a second before a process
// that succeeded may end. (The reports that it waits for are those of other
// goroutines in their very last moment.)
const raceInHaste = "GORACE=atexit_sleep_ms=0"

// mailServers are the running mail servers of scripts.
var mailServers sync.Map // *testscript.TestScript to *smtptest.Server

func scriptSMTPServer(ts *testscript.TestScript, _ bool, args []string) {
	var options []smtptest.Option
	for _, arg := range args {
		switch arg {
		case "starttls":
			options = append(options, smtptest.WithSTARTTLS())
		case "auth":
			options = append(options, smtptest.WithAuth("mailer", "opensesame"))
		default:
			ts.Fatalf("smtpserver has no option %s", arg)
		}
	}
	s, err := smtptest.New(options...)
	ts.Check(err)
	mailServers.Store(ts, s)
	ts.Setenv("SMTP", s.URL())
	ts.Defer(func() {
		mailServers.Delete(ts)
		ts.Check(s.Close())
	})
}

func scriptMailed(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: [!] mailed ADDRESS TEXT")
	}
	s, ok := mailServers.Load(ts)
	if !ok {
		ts.Fatalf("there is no mail server yet: smtpserver starts one")
	}
	found := false
	for _, m := range s.(*smtptest.Server).Messages() {
		found = found || m.To[0] == args[0] && strings.Contains(m.Text(), args[1])
	}
	if found == neg {
		ts.Fatalf("a mail to %s with %q was taken: %t", args[0], args[1], found)
	}
}

// environ is an environment with nothing of this machine's but the PATH.
func environ(settings ...string) []string {
	return append([]string{"PATH=" + os.Getenv("PATH")}, settings...)
}

// sparekey runs one command line in this process.
func sparekey(t *testing.T, c console) (stdout, stderr string, code int) {
	t.Helper()
	var out, errs bytes.Buffer
	c.stdout, c.stderr = &out, &errs
	if c.stdin == nil {
		c.stdin = strings.NewReader("")
	}
	if c.now == nil {
		c.now = time.Now
	}
	code = run(t.Context(), c)
	return out.String(), errs.String(), code
}

// process is a command line that runs in this process until it is stopped.
type process struct {
	stdout, stderr output
	stop           context.CancelFunc
	ended          chan struct{}
	code           int // once ended is closed
}

// start starts a command line, which ends with the test at the latest.
func start(t *testing.T, environ []string, args ...string) *process {
	t.Helper()
	return startReading(t, strings.NewReader(""), environ, args...)
}

// startReading is start with something to read from stdin.
func startReading(t *testing.T, stdin io.Reader, environ []string, args ...string) *process {
	t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	p := &process{stop: cancel, ended: make(chan struct{})}
	p.stdout.changed, p.stderr.changed = make(chan struct{}), make(chan struct{})
	c := console{args: args, environ: environ, stdin: stdin, stdout: &p.stdout, stderr: &p.stderr, now: time.Now}
	go func() {
		defer close(p.ended)
		p.code = run(ctx, c)
	}()
	t.Cleanup(func() {
		p.end(t)
		if t.Failed() {
			t.Logf("%s printed:\n%s%s", args[0], p.stdout.String(), p.stderr.String())
		}
	})
	return p
}

// end stops it as SIGTERM would, waits, and returns its exit code.
func (p *process) end(t *testing.T) int {
	t.Helper()
	p.stop()
	select {
	case <-p.ended:
		return p.code
	case <-time.After(45 * time.Second):
		t.Error("it does not end")
		return -1
	}
}

// waitFor waits until it has printed the text to o, one of its outputs, and returns all that it printed there.
func (p *process) waitFor(t *testing.T, o *output, text string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for {
		printed, changed := o.look()
		if strings.Contains(printed, text) {
			return printed
		}
		select {
		case <-changed:
		case <-p.ended:
			t.Fatalf("it ended with %d and did not print %q:\n%s%s", p.code, text, p.stdout.String(), p.stderr.String())
		case <-ctx.Done():
			t.Fatalf("it did not print %q:\n%s%s", text, p.stdout.String(), p.stderr.String())
		}
	}
}

// output collects what is printed and lets tests wait for more.
type output struct {
	mu      sync.Mutex
	text    bytes.Buffer
	changed chan struct{} // closed and replaced by every Write
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

func (o *output) String() string {
	text, _ := o.look()
	return text
}

// freshDatabase is a setting that names a new file.
func freshDatabase(t *testing.T) string {
	t.Helper()
	return "SPAREKEY_DATABASE=sqlite:" + filepath.Join(t.TempDir(), "sparekey.db")
}
