// Package daemontest runs programs of Debian's packages in the background of a test: in folders of their own, and no longer
// than the test's process.
package daemontest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"
)

// patience is how long starting and stopping may take.
const patience = time.Minute

// Daemon is a program that can be started and stopped again and again.
type Daemon struct {
	path string
	args []string
	// ready answers nil as soon as it works.
	ready func(ctx context.Context) error

	cmd   *exec.Cmd
	log   *journal
	ended chan struct{}
}

// New looks for a program. packages are Debian's that bring it.
func New(name, packages string, ready func(ctx context.Context) error, args ...string) (*Daemon, error) {
	path, err := Program(name, packages)
	return &Daemon{path: path, args: args, ready: ready}, err
}

// Program finds a program, also where servers are that root alone starts.
func Program(name, packages string) (string, error) {
	path, err := exec.LookPath(name)
	if err == nil {
		return path, nil
	}
	path = "/usr/sbin/" + name
	if _, err := os.Stat(path); err != nil {
		return "", fmt.Errorf("%s is not installed, which the tests need; run script/setup, or: apt-get install %s", name, packages)
	}
	return path, nil
}

// Start starts it and waits until it is ready.
func (d *Daemon) Start() error {
	d.log, d.ended = &journal{}, make(chan struct{})
	d.cmd = exec.Command(d.path, d.args...) //nolint:gosec,noctx // a program of Debian's; Stop ends it
	d.cmd.Dir = "/"
	d.cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C.UTF-8", "TZ=UTC", "PYTHONDONTWRITEBYTECODE=1"}
	d.cmd.Stdout, d.cmd.Stderr = d.log, d.log
	if err := d.launch(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	retry := time.NewTicker(10 * time.Millisecond)
	defer retry.Stop()
	for {
		err := d.ready(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-retry.C:
		case <-d.ended:
			return fmt.Errorf("%s ended at once:\n%s", d.path, d.Log())
		case <-ctx.Done():
			return errors.Join(fmt.Errorf("%s does not answer: %w\n%s", d.path, err, d.Log()), d.Stop(syscall.SIGKILL))
		}
	}
}

// launch starts the program so that it ends with this process, however that ends. The kernel goes by the thread that
// started it, so one is kept for it.
func (d *Daemon) launch() error {
	d.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	started := make(chan error, 1)
	go func() {
		defer close(d.ended)
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := d.cmd.Start()
		started <- err
		if err == nil {
			_ = d.cmd.Wait()
		}
	}()
	return <-started
}

// Stop ends it by a signal, and waits until it has ended. It does nothing if it does not run.
func (d *Daemon) Stop(sig syscall.Signal) error {
	if d.cmd == nil || d.cmd.Process == nil {
		return nil
	}
	select {
	case <-d.ended:
		return nil
	default:
	}
	if err := d.cmd.Process.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-d.ended:
		return nil
	case <-timer.C:
		return fmt.Errorf("%s does not stop", d.path)
	}
}

// Log is what it has printed since it was started last.
func (d *Daemon) Log() string { return d.log.String() }

// Listening is a ready function: it takes connections.
func Listening(address string) func(context.Context) error {
	return func(ctx context.Context) error {
		conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
		if err != nil {
			return err
		}
		return conn.Close()
	}
}

// FreePort is a port of 127.0.0.1 that nobody listens on.
func FreePort() (int, error) {
	l, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	address, ok := l.Addr().(*net.TCPAddr)
	if !ok {
		return 0, errors.Join(errors.New("no TCP address"), l.Close())
	}
	return address.Port, l.Close()
}

// journal collects what a process prints.
type journal struct {
	mu   sync.Mutex
	text strings.Builder
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.Write(p)
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.String()
}
