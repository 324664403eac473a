// Package pgtest starts real PostgreSQL clusters for tests, from Debian's
// packages, each with its own port and folder. It never touches a cluster that
// it did not start.
package pgtest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

const (
	superuser = "tester"
	// The clusters listen on loopback alone and hold what tests put there.
	password = "tester's own"
	// patience is how long starting and stopping may take.
	patience = time.Minute
)

// Cluster is a running PostgreSQL server.
type Cluster struct {
	// Port is where it listens on 127.0.0.1.
	Port int
	// Dir is its data folder.
	Dir string

	bin       string // the folder of its programs
	as        *syscall.SysProcAttr
	server    *exec.Cmd
	log       *journal
	ended     chan struct{}
	databases atomic.Int64
}

// Start makes a cluster in a temporary folder and starts it. Settings are lines
// of postgresql.conf. The caller stops it with Close.
func Start(settings ...string) (*Cluster, error) { return StartIn("", settings...) }

// StartIn is Start with the folder in which the temporary one is made; empty: the usual one. Everybody has to be let into it, for
// PostgreSQL does not run as root.
func StartIn(parent string, settings ...string) (c *Cluster, err error) {
	bin, err := programs()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(parent, "sparekey-pg-")
	if err != nil {
		return nil, err
	}
	c = &Cluster{Dir: filepath.Join(dir, "data"), bin: bin}
	defer func() {
		if err != nil {
			err = errors.Join(err, c.Close())
			c = nil
		}
	}()
	if err := c.owner(dir); err != nil {
		return c, err
	}
	if err := c.initialise(dir); err != nil {
		return c, err
	}
	if c.Port, err = freePort(); err != nil {
		return c, err
	}
	conf := append([]string{
		"listen_addresses = '127.0.0.1'", "port = " + strconv.Itoa(c.Port), "unix_socket_directories = ''",
		"shared_buffers = 32MB", "max_connections = 200",
	}, settings...)
	if err := c.configure(conf...); err != nil {
		return c, err
	}
	return c, c.Restart()
}

// configure adds lines to postgresql.conf.
func (c *Cluster) configure(lines ...string) error {
	f, err := os.OpenFile(filepath.Join(c.Dir, "postgresql.conf"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString("\n" + strings.Join(lines, "\n") + "\n")
	return errors.Join(err, f.Close())
}

// programs finds the newest PostgreSQL that is installed.
func programs() (string, error) {
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if err != nil {
		return "", err
	}
	if len(found) == 0 {
		if initdb, err := exec.LookPath("initdb"); err == nil {
			return filepath.Dir(initdb), nil
		}
		return "", errors.New("PostgreSQL's server is not installed, which the tests need; run script/setup, or: apt-get install postgresql")
	}
	major := func(path string) int {
		n, _ := strconv.Atoi(strings.Split(path, "/")[4])
		return n
	}
	newest := slices.MaxFunc(found, func(a, b string) int { return major(a) - major(b) })
	return filepath.Dir(newest), nil
}

// owner gives the folder to somebody who is not root, as whom PostgreSQL refuses to run.
func (c *Cluster) owner(dir string) error {
	if os.Geteuid() != 0 {
		return nil
	}
	var errs []error
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		uid, uidErr := strconv.ParseUint(u.Uid, 10, 32)
		gid, gidErr := strconv.ParseUint(u.Gid, 10, 32)
		if err := errors.Join(uidErr, gidErr); err != nil {
			return err
		}
		c.as = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}
		return os.Chown(dir, int(uid), int(gid))
	}
	return fmt.Errorf("PostgreSQL does not run as root, and there is nobody else: %w", errors.Join(errs...))
}

func (c *Cluster) command(ctx context.Context, program string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, filepath.Join(c.bin, program), args...) //nolint:gosec // PostgreSQL's own programs
	cmd.Dir = "/"
	cmd.Env = []string{"PATH=" + c.bin + ":" + os.Getenv("PATH"), "LC_ALL=C.UTF-8", "TZ=UTC"}
	cmd.SysProcAttr = c.as
	return cmd
}

func (c *Cluster) initialise(dir string) error {
	secret := filepath.Join(dir, "password")
	if err := os.WriteFile(secret, []byte(password), 0o600); err != nil {
		return err
	}
	if c.as != nil {
		if err := os.Chown(secret, int(c.as.Credential.Uid), int(c.as.Credential.Gid)); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	out, err := c.command(ctx, "initdb", "--pgdata", c.Dir, "--username", superuser, "--pwfile", secret,
		"--auth", "scram-sha-256", "--encoding", "UTF8", "--no-sync").CombinedOutput()
	if err != nil {
		return fmt.Errorf("initdb: %w\n%s", err, out)
	}
	return nil
}

func freePort() (int, error) {
	l, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		return 0, errors.Join(err, l.Close())
	}
	n, err := strconv.Atoi(port)
	return n, errors.Join(err, l.Close())
}

// Restart starts the server, after it has stopped it if it runs, and waits until it takes connections.
func (c *Cluster) Restart() error {
	if err := c.Stop(syscall.SIGINT); err != nil {
		return err
	}
	c.server = c.command(context.Background(), "postgres", "-D", c.Dir)
	c.log, c.ended = &journal{}, make(chan struct{})
	c.server.Stdout, c.server.Stderr = c.log, c.log
	if err := c.launch(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	retry := time.NewTicker(20 * time.Millisecond)
	defer retry.Stop()
	for {
		conn, err := pgx.Connect(ctx, c.URL("postgres"))
		if err == nil {
			return conn.Close(ctx)
		}
		select {
		case <-retry.C:
		case <-c.ended:
			return fmt.Errorf("PostgreSQL ended at once:\n%s", c.Log())
		case <-ctx.Done():
			return fmt.Errorf("PostgreSQL does not take connections: %w", err)
		}
	}
}

// launch starts the server so that it ends with this process, however that
// ends. The kernel goes by the thread that started it, so one is kept for it.
func (c *Cluster) launch() error {
	attr := syscall.SysProcAttr{}
	if c.as != nil {
		attr = *c.as
	}
	attr.Pdeathsig = syscall.SIGINT
	c.server.SysProcAttr = &attr
	started := make(chan error, 1)
	go func() {
		defer close(c.ended)
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := c.server.Start()
		started <- err
		if err == nil {
			_ = c.server.Wait()
		}
	}()
	return <-started
}

// Stop ends the server: SIGINT ends its connections first (a fast shutdown), SIGQUIT is a crash.
func (c *Cluster) Stop(sig syscall.Signal) error {
	if c.server == nil || c.server.Process == nil {
		return nil
	}
	select {
	case <-c.ended:
		return nil
	default:
	}
	if err := c.server.Process.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	select {
	case <-c.ended:
		return nil
	case <-time.After(patience):
		return errors.New("PostgreSQL does not stop")
	}
}

// Close stops the server and removes its folder.
func (c *Cluster) Close() error {
	return errors.Join(c.Stop(syscall.SIGINT), os.RemoveAll(filepath.Dir(c.Dir)))
}

// URL is the address of one of its databases, for its superuser.
func (c *Cluster) URL(database string) string {
	u := url.URL{
		Scheme: "postgres", User: url.UserPassword(superuser, password), Path: "/" + database,
		Host: net.JoinHostPort("127.0.0.1", strconv.Itoa(c.Port)), RawQuery: "sslmode=disable",
	}
	return u.String()
}

// Database makes an empty database, which is dropped when the test ends, and returns its address.
func (c *Cluster) Database(t testing.TB) string {
	t.Helper()
	name := fmt.Sprintf("test%d", c.databases.Add(1))
	c.Exec(t, "postgres", "CREATE DATABASE "+name)
	t.Cleanup(func() { c.Exec(t, "postgres", "DROP DATABASE "+name+" WITH (FORCE)") })
	return c.URL(name)
}

// Exec runs statements in a database, as an operator could.
func (c *Cluster) Exec(t testing.TB, database, statements string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), patience)
	defer cancel()
	conn, err := pgx.Connect(ctx, c.URL(database))
	if err != nil {
		t.Fatal(err)
	}
	_, err = conn.Exec(ctx, statements)
	if err = errors.Join(err, conn.Close(ctx)); err != nil {
		t.Fatal(err)
	}
}

// Log is what the server has logged since it was started last.
func (c *Cluster) Log() string { return c.log.String() }

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
