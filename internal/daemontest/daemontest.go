// Package daemontest runs real servers in the background of a test: in folders of their own, with ports of their own, and no
// longer than the test's process. It never touches a server that it did not start.
package daemontest

import (
	"context"
	"errors"
	"fmt"
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

// Waiting and Listening are the functions of goroutines that a daemon has as long as it runs, for those who look for leaks meanwhile.
const (
	Waiting   = "github.com/sparekey/sparekey/internal/daemontest.(*Daemon).launch.func1"
	Listening = "os/exec.(*Cmd).writerDescriptor.func1"
)

// Daemon is a program that can be started and stopped again and again. What is exported is set while it does not run.
type Daemon struct {
	// Path is the program; see Program.
	Path string
	Args []string
	// Env is what its environment has besides; see Command.
	Env []string
	// Dir is where it runs. Default: the root, so that it is in nobody's way.
	Dir string
	// Owner is as whom it runs. Default: as this process.
	Owner *Owner
	// Ready answers nil as soon as it works.
	Ready func(ctx context.Context) error
	// Orphaned is the signal that it gets when this process ends without having stopped it. Default: SIGKILL.
	Orphaned syscall.Signal

	// Journal has what it has printed, ever.
	Journal Journal

	turns sync.Mutex // of Restart
	cmd   *exec.Cmd
	ended chan struct{}
}

// Start starts it and waits until it is ready.
func (d *Daemon) Start() error {
	d.Journal.mark()
	d.ended = make(chan struct{})
	d.cmd = Command(context.Background(), d.Owner, d.Path, d.Args...)
	d.cmd.Env = append(d.cmd.Env, d.Env...)
	if d.Dir != "" {
		d.cmd.Dir = d.Dir
	}
	d.cmd.Stdout, d.cmd.Stderr = &d.Journal, &d.Journal
	if err := d.launch(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	retry := time.NewTicker(10 * time.Millisecond)
	defer retry.Stop()
	for {
		err := d.Ready(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-retry.C:
		case <-d.ended:
			return fmt.Errorf("%s ended at once: %s\n%s", d.Path, d.cmd.ProcessState, d.Log())
		case <-ctx.Done():
			return errors.Join(fmt.Errorf("%s does not answer: %w\n%s", d.Path, err, d.Log()), d.Stop(syscall.SIGKILL))
		}
	}
}

// launch starts the program so that it ends with this process, however that ends. The kernel goes by the thread that
// started it, so one is kept for it.
func (d *Daemon) launch() error {
	if d.cmd.SysProcAttr == nil {
		d.cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	if d.cmd.SysProcAttr.Pdeathsig = d.Orphaned; d.Orphaned == 0 {
		d.cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL
	}
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
		return fmt.Errorf("%s does not stop", d.Path)
	}
}

// Restart stops it by a signal, if it runs, and starts it. It may be called from any goroutine.
func (d *Daemon) Restart(sig syscall.Signal) error {
	d.turns.Lock()
	defer d.turns.Unlock()
	if err := d.Stop(sig); err != nil {
		return err
	}
	return d.Start()
}

// Await waits until a Restart is over.
func (d *Daemon) Await() {
	d.turns.Lock()
	defer d.turns.Unlock()
}

// Log is what it has printed since it was started last.
func (d *Daemon) Log() string { return d.Journal.latest() }

// Journal collects what is written, by whomever.
type Journal struct {
	mu   sync.Mutex
	text strings.Builder
	last int // where it was marked last
}

func (j *Journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.Write(p)
}

func (j *Journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.String()
}

func (j *Journal) mark() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.last = j.text.Len()
}

func (j *Journal) latest() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.String()[j.last:]
}
