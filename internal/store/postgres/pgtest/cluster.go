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
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/sparekey/sparekey/internal/daemontest"
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
	owner     *daemontest.Owner
	daemon    daemontest.Daemon
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
	if c, err = newCluster(parent, bin); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, c.Close())
			c = nil
		}
	}()
	if err := c.initialise(); err != nil {
		return c, err
	}
	if c.Port, err = daemontest.FreePort(); err != nil {
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

// newCluster makes the folder of a cluster whose data are still to come.
func newCluster(parent, bin string) (*Cluster, error) {
	owner, err := daemontest.NotRoot("postgres", "nobody")
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(parent, "sparekey-pg-")
	if err != nil {
		return nil, err
	}
	c := &Cluster{Dir: filepath.Join(dir, "data"), bin: bin, owner: owner}
	c.daemon.Path, c.daemon.Args, c.daemon.Owner = filepath.Join(bin, "postgres"), []string{"-D", c.Dir}, owner
	c.daemon.Ready, c.daemon.Orphaned = func(ctx context.Context) error { return c.say(ctx, "postgres") }, syscall.SIGINT
	if err := owner.Give(dir); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
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

func (c *Cluster) initialise() error {
	secret := filepath.Join(filepath.Dir(c.Dir), "password")
	if err := errors.Join(os.WriteFile(secret, []byte(password), 0o600), c.owner.Give(secret)); err != nil {
		return err
	}
	return c.run("initdb", "--pgdata", c.Dir, "--username", superuser, "--pwfile", secret,
		"--auth", "scram-sha-256", "--encoding", "UTF8", "--no-sync")
}

// run runs one of PostgreSQL's own programs.
func (c *Cluster) run(program string, args ...string) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if out, err := daemontest.Command(ctx, c.owner, filepath.Join(c.bin, program), args...).CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", program, err, out)
	}
	return nil
}

// Restart starts the server, after it has stopped it if it runs, and waits until it takes connections.
func (c *Cluster) Restart() error { return c.daemon.Restart(syscall.SIGINT) }

// Stop ends the server: SIGINT ends its connections first (a fast shutdown), SIGQUIT is a crash.
func (c *Cluster) Stop(sig syscall.Signal) error { return c.daemon.Stop(sig) }

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
	if err := c.say(ctx, database, statements); err != nil {
		t.Fatal(err)
	}
}

// say connects as the superuser and has statements run, one by one.
func (c *Cluster) say(ctx context.Context, database string, statements ...string) error {
	conn, err := pgx.Connect(ctx, c.URL(database))
	if err != nil {
		return err
	}
	for _, statement := range statements {
		if _, err = conn.Exec(ctx, statement); err != nil {
			break
		}
	}
	return errors.Join(err, conn.Close(ctx))
}

// Log is what the server has logged since it was started last.
func (c *Cluster) Log() string { return c.daemon.Log() }
