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
	"os/exec"
	"os/user"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"
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

	dir, program string
	as           *syscall.SysProcAttr
	settings     []string
	process      *exec.Cmd
	log          *journal
	ended        chan struct{}
	databases    atomic.Int64
}

// Start makes a server in a temporary folder and starts it. Settings are options of
// mariadbd. The caller stops it with Close.
func Start(settings ...string) (*Server, error) { return StartIn("", settings...) }

// StartIn is Start with the folder in which the temporary one is made; empty: the usual one. Everybody has to be let into it, for
// MariaDB does not run as root.
func StartIn(parent string, settings ...string) (s *Server, err error) {
	program, err := find()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(parent, "sparekey-maria-")
	if err != nil {
		return nil, err
	}
	s = &Server{dir: dir, program: program, settings: settings, Socket: filepath.Join(dir, "socket")}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Close())
			s = nil
		}
	}()
	if err := os.Mkdir(s.data(), 0o700); err != nil {
		return s, err
	}
	if err := s.owner(); err != nil {
		return s, err
	}
	if err := s.initialise(); err != nil {
		return s, err
	}
	if s.Port, err = freePort(); err != nil {
		return s, err
	}
	return s, s.Restart()
}

func (s *Server) data() string { return filepath.Join(s.dir, "data") }

func find() (string, error) {
	for _, program := range []string{"mariadbd", "/usr/sbin/mariadbd", "/usr/libexec/mariadbd"} {
		if found, err := exec.LookPath(program); err == nil {
			return found, nil
		}
	}
	return "", errors.New("MariaDB's server is not installed, which the tests need; run script/setup, or: apt-get install mariadb-server-core")
}

// owner gives the folder to somebody who is not root, as whom MariaDB refuses to run.
func (s *Server) owner() error {
	if os.Geteuid() != 0 {
		return nil
	}
	u, err := user.Lookup("nobody")
	if err != nil {
		return err
	}
	uid, uidErr := strconv.ParseUint(u.Uid, 10, 32)
	gid, gidErr := strconv.ParseUint(u.Gid, 10, 32)
	if err := errors.Join(uidErr, gidErr); err != nil {
		return err
	}
	s.as = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}
	return errors.Join(os.Chown(s.dir, int(uid), int(gid)), os.Chown(s.data(), int(uid), int(gid)))
}

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
	cmd := s.command(ctx, s.options("--bootstrap", "--innodb-flush-log-at-trx-commit=0", "--innodb-doublewrite=0")...)
	cmd.Stdin = strings.NewReader(script)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("mariadbd --bootstrap: %w\n%s", err, out)
	}
	return nil
}

func (s *Server) command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, s.program, args...) //nolint:gosec // MariaDB's own program
	cmd.Dir = "/"
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C.UTF-8", "TZ=UTC"}
	cmd.SysProcAttr = s.as
	return cmd
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
func (s *Server) Restart() error {
	if err := s.Stop(syscall.SIGTERM); err != nil {
		return err
	}
	s.process = s.command(context.Background(), s.options(append([]string{
		"--bind-address=127.0.0.1", "--port=" + strconv.Itoa(s.Port), "--socket=" + s.Socket, "--pid-file=" + filepath.Join(s.dir, "pid"),
		"--skip-name-resolve", "--max-connections=200",
	}, s.settings...)...)...)
	s.log, s.ended = &journal{}, make(chan struct{})
	s.process.Stdout, s.process.Stderr = s.log, s.log
	if err := s.launch(); err != nil {
		return err
	}
	db, err := sql.Open("mysql", s.DSN(""))
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	retry := time.NewTicker(20 * time.Millisecond)
	defer retry.Stop()
	for {
		if err = db.PingContext(ctx); err == nil {
			return nil
		}
		select {
		case <-retry.C:
		case <-s.ended:
			return fmt.Errorf("MariaDB ended at once:\n%s", s.log)
		case <-ctx.Done():
			return fmt.Errorf("MariaDB does not take connections: %w", err)
		}
	}
}

// launch starts the server so that it ends with this process, however that
// ends. The kernel goes by the thread that started it, so one is kept for it.
func (s *Server) launch() error {
	attr := syscall.SysProcAttr{}
	if s.as != nil {
		attr = *s.as
	}
	attr.Pdeathsig = syscall.SIGTERM
	s.process.SysProcAttr = &attr
	started := make(chan error, 1)
	go func() {
		defer close(s.ended)
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := s.process.Start()
		started <- err
		if err == nil {
			_ = s.process.Wait()
		}
	}()
	return <-started
}

// Stop ends the server: SIGTERM in order, SIGKILL as a crash does.
func (s *Server) Stop(sig syscall.Signal) error {
	if s.process == nil || s.process.Process == nil {
		return nil
	}
	select {
	case <-s.ended:
		return nil
	default:
	}
	if err := s.process.Process.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	select {
	case <-s.ended:
		return nil
	case <-time.After(patience):
		return errors.New("MariaDB does not stop")
	}
}

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
