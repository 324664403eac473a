// Package mariadbtest starts real MariaDB servers for tests, from Debian's
// package, each with its own port and folder. It never touches a server that it
// did not start.
package mariadbtest

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"

	"github.com/sparekey/sparekey/internal/daemontest"
)

const (
	superuser = "tester"
	// The servers listen on loopback alone and hold what tests put there.
	password = "tester's own"
	// patience is how long starting and stopping may take.
	patience = time.Minute
)

// Server is a running MariaDB server.
type Server struct {
	// Port is where it listens on 127.0.0.1, Socket where it does in the file system.
	Port   int
	Socket string

	dir       string
	daemon    daemontest.Daemon
	databases atomic.Int64
}

// Start makes a server in a temporary folder and starts it. Settings are options of
// mariadbd. The caller stops it with Close.
func Start(settings ...string) (*Server, error) { return StartIn("", settings...) }

// StartIn is Start with the folder in which the temporary one is made; empty: the usual one. Everybody has to be let into it, for
// MariaDB does not run as root.
func StartIn(parent string, settings ...string) (s *Server, err error) {
	program, err := daemontest.Program("mariadbd", "mariadb-server-core")
	if err != nil {
		return nil, err
	}
	owner, err := daemontest.NotRoot("nobody")
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(parent, "sparekey-maria-")
	if err != nil {
		return nil, err
	}
	s = &Server{dir: dir, Socket: filepath.Join(dir, "socket")}
	s.daemon.Path, s.daemon.Owner, s.daemon.Ready, s.daemon.Orphaned = program, owner, s.ping, syscall.SIGTERM
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Close())
			s = nil
		}
	}()
	if err := os.Mkdir(s.data(), 0o700); err != nil {
		return s, err
	}
	if err := owner.Give(dir, s.data()); err != nil {
		return s, err
	}
	if err := s.initialise(); err != nil {
		return s, err
	}
	if s.Port, err = daemontest.FreePort(); err != nil {
		return s, err
	}
	s.daemon.Args = s.options(append([]string{
		"--bind-address=127.0.0.1", "--port=" + strconv.Itoa(s.Port), "--socket=" + s.Socket, "--pid-file=" + filepath.Join(dir, "pid"),
		"--skip-name-resolve", "--max-connections=200",
	}, settings...)...)
	return s, s.Restart()
}

func (s *Server) data() string { return filepath.Join(s.dir, "data") }

// options are those of whatever is run. Tests need little room, and no hurry when they start.
func (s *Server) options(more ...string) []string {
	return append([]string{
		"--no-defaults", "--datadir=" + s.data(), "--innodb-log-file-size=8M", "--innodb-buffer-pool-size=16M", "--innodb-use-native-aio=0",
		"--silent-startup", "--log-warnings=0",
	}, more...)
}

// initialise makes the system's own tables, as mariadb-install-db does, and one user.
func (s *Server) initialise() error {
	tables, err := os.ReadFile("/usr/share/mysql/mysql_system_tables.sql")
	if err != nil {
		return err
	}
	quoted := strings.ReplaceAll(password, "'", "''")
	script := "CREATE DATABASE mysql;\nUSE mysql;\n" + string(tables) + "\n" +
		"INSERT INTO global_priv VALUES ('%', '" + superuser + "', JSON_OBJECT('access', 18446744073709551615, " +
		"'plugin', 'mysql_native_password', 'authentication_string', PASSWORD('" + quoted + "')));\n"
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	cmd := daemontest.Command(ctx, s.daemon.Owner, s.daemon.Path, s.options("--bootstrap", "--innodb-flush-log-at-trx-commit=0", "--innodb-doublewrite=0")...)
	cmd.Stdin = strings.NewReader(script)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("mariadbd --bootstrap: %w\n%s", err, out)
	}
	return nil
}

// Restart starts the server, after it has stopped it if it runs, and waits until it takes connections.
func (s *Server) Restart() error { return s.daemon.Restart(syscall.SIGTERM) }

// ping tells whether it takes connections.
func (s *Server) ping(ctx context.Context) error {
	db, err := sql.Open("mysql", s.DSN(""))
	if err != nil {
		return err
	}
	return errors.Join(db.PingContext(ctx), db.Close())
}

// Stop ends the server: SIGTERM in order, SIGKILL as a crash does.
func (s *Server) Stop(sig syscall.Signal) error { return s.daemon.Stop(sig) }

// Close stops the server and removes its folder.
func (s *Server) Close() error { return errors.Join(s.Stop(syscall.SIGTERM), os.RemoveAll(s.dir)) }

// DSN is how the driver reaches one of its databases, as its superuser; several statements at once are allowed.
func (s *Server) DSN(database string) string {
	c := mysql.NewConfig()
	c.User, c.Passwd, c.Net, c.Addr = superuser, password, "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(s.Port))
	c.DBName, c.MultiStatements, c.Logger = database, true, &mysql.NopLogger{}
	return c.FormatDSN()
}

// URL is the address of one of its databases, for its superuser.
func (s *Server) URL(database string) string {
	u := url.URL{
		Scheme: "mysql", User: url.UserPassword(superuser, password), Path: "/" + database,
		Host: net.JoinHostPort("127.0.0.1", strconv.Itoa(s.Port)),
	}
	return u.String()
}

// Database makes an empty database, which is dropped when the test ends, and returns its name.
func (s *Server) Database(t testing.TB) string {
	t.Helper()
	name := fmt.Sprintf("test%d", s.databases.Add(1))
	s.Exec(t, "", "CREATE DATABASE "+name+" CHARACTER SET utf8mb4")
	t.Cleanup(func() { s.Exec(t, "", "DROP DATABASE "+name) })
	return name
}

// Exec runs statements in a database, as an operator could.
func (s *Server) Exec(t testing.TB, database, statements string) {
	t.Helper()
	db, err := sql.Open("mysql", s.DSN(database))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), patience)
	defer cancel()
	_, err = db.ExecContext(ctx, statements)
	if err = errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
}
