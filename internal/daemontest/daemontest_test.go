package daemontest_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/sparekey/sparekey/internal/daemontest"
)

// orphans is a variable of the environment by which this program is a test's process that ends before its server does.
const orphans = "DAEMONTEST_ORPHANS"

func TestMain(m *testing.M) {
	if fifo := os.Getenv(orphans); fifo != "" {
		leaveBehind(fifo)
		return
	}
	goleak.VerifyTestMain(m)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// shell is a daemon that works as soon as it has said "ready".
func shell(t *testing.T, script string) *daemontest.Daemon {
	t.Helper()
	path, err := daemontest.Program("sh", "dash")
	must(t, err)
	d := &daemontest.Daemon{Path: path, Args: []string{"-c", script}}
	d.Ready = func(context.Context) error {
		if !strings.Contains(d.Log(), "ready") {
			return errors.New("it is not ready")
		}
		return nil
	}
	t.Cleanup(func() { must(t, d.Stop(syscall.SIGKILL)) })
	return d
}

// TestRestart: it is ready when Start is over, and again after each Restart; of what it prints nothing is lost.
func TestRestart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	d := shell(t, `trap 'echo in order; exit' TERM; pwd; echo "$WORD"; exec 3<>fifo; echo ready; while :; do read -r line <&3; done`)
	must(t, syscall.Mkfifo(filepath.Join(dir, "fifo"), 0o600))
	d.Dir, d.Env = dir, []string{"WORD=first"}
	must(t, d.Start())
	first := d.Log()
	if first != dir+"\nfirst\nready\n" {
		t.Errorf("it said %q", first)
	}
	d.Env = []string{"WORD=second"}
	must(t, d.Restart(syscall.SIGTERM))
	second := d.Log()
	if second != dir+"\nsecond\nready\n" {
		t.Errorf("then it said %q", second)
	}
	must(t, d.Stop(syscall.SIGTERM))
	must(t, d.Stop(syscall.SIGTERM)) // it has ended already
	if all := d.Journal.String(); all != first+"in order\n"+second+"in order\n" {
		t.Errorf("in all it said %q", all)
	}
}

// TestEndsAtOnce: whoever starts it is told why there is no server.
func TestEndsAtOnce(t *testing.T) {
	t.Parallel()
	err := shell(t, "echo no such setting >&2; exit 3").Start()
	if err == nil || !strings.Contains(err.Error(), "exit status 3") || !strings.Contains(err.Error(), "no such setting") {
		t.Errorf("got %v", err)
	}
	if err := (&daemontest.Daemon{Path: "/no/such/program"}).Start(); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no program: %v", err)
	}
	if _, err := daemontest.Program("no-such-program", "a-package"); err == nil || !strings.Contains(err.Error(), "apt-get install a-package") {
		t.Errorf("no program: %v", err)
	}
}

// TestOwner: what refuses to run as root runs as somebody else, whose the folder is.
func TestOwner(t *testing.T) {
	t.Parallel()
	owner, err := daemontest.NotRoot("nobody-of-that-name", "nobody")
	must(t, err)
	dir := t.TempDir()
	must(t, owner.Give(dir))
	out, err := daemontest.Command(t.Context(), owner, "id", "-u").Output()
	must(t, err)
	uid, err := strconv.ParseUint(strings.TrimSpace(string(out)), 10, 32)
	must(t, err)
	info, err := os.Stat(dir)
	must(t, err)
	if uid == 0 || info.Sys().(*syscall.Stat_t).Uid != uint32(uid) {
		t.Errorf("it runs as %d, and the folder is %d's", uid, info.Sys().(*syscall.Stat_t).Uid)
	}
}

// leaveBehind starts a server that holds a pipe open as long as it lives, and waits to be killed.
func leaveBehind(fifo string) {
	d := &daemontest.Daemon{Path: "/bin/sh", Args: []string{"-c", "exec sleep 3600 >" + fifo}, Ready: func(context.Context) error { return nil }}
	if err := d.Start(); err != nil {
		panic(err)
	}
	_, _ = os.Stdout.WriteString("started\n")
	_, _ = io.Copy(io.Discard, os.Stdin)
}

// TestOrphaned: a server ends with the process that started it, however that ends.
func TestOrphaned(t *testing.T) {
	t.Parallel()
	fifo := filepath.Join(t.TempDir(), "fifo")
	must(t, syscall.Mkfifo(fifo, 0o600))
	parent := exec.Command(os.Args[0])
	parent.Env = append(os.Environ(), orphans+"="+fifo)
	stdin, err := parent.StdinPipe()
	must(t, err)
	stdout, err := parent.StdoutPipe()
	must(t, err)
	must(t, parent.Start())
	held, err := os.Open(fifo) // as soon as the server has it
	must(t, err)
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil || line != "started\n" {
		t.Errorf("the process said %q, %v", line, err)
	}
	raw, err := held.SyscallConn()
	must(t, err)
	must(t, raw.Read(func(fd uintptr) bool {
		if n, err := syscall.Read(int(fd), make([]byte, 1)); !errors.Is(err, syscall.EAGAIN) {
			t.Errorf("nobody holds the pipe open, so the server does not run: %d, %v", n, err)
		}
		return true
	}))
	must(t, parent.Process.Kill())
	_ = parent.Wait() // it was killed
	must(t, held.SetReadDeadline(time.Now().Add(10*time.Second)))
	if _, err := held.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("the server still runs: %v", err)
	}
	must(t, held.Close())
	_ = stdin.Close()
}
