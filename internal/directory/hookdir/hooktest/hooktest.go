// Package hooktest starts the reference applications of examples/ as processes
// of their own, for tests and benchmarks of the directory behind a webhook.
package hooktest

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/sparekey/sparekey/internal/callout"
	"github.com/sparekey/sparekey/internal/daemontest"
)

// patience is how long an application may take to add somebody, and to log somebody in.
const patience = time.Minute

// Program is a reference application that can be started.
type Program struct {
	Name string
	// Folder is where its source is, and its README.
	Folder string
	path   string
	args   []string
	users  string // the name of its file
	open   func(file string) store
}

// Programs makes both ready: the one in Go is built into a folder.
func Programs(ctx context.Context, folder string) ([]Program, error) {
	out, err := exec.CommandContext(ctx, "go", "env", "GOMOD").Output()
	if err != nil {
		return nil, fmt.Errorf("go env GOMOD: %w", err)
	}
	examples := filepath.Join(filepath.Dir(strings.TrimSpace(string(out))), "examples")
	source, binary := filepath.Join(examples, "directory-go"), filepath.Join(folder, "directory-go")
	build := exec.CommandContext(ctx, "go", "build", "-o", binary, ".")
	build.Dir, build.Env = source, append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("building %s: %w: %s", source, err, out)
	}
	interpreter, err := daemontest.Program("node", "nodejs")
	if err != nil {
		return nil, err
	}
	node := filepath.Join(examples, "directory-node")
	return []Program{
		{"directory-go", source, binary, nil, "users.db", openTable},
		{"directory-node", node, interpreter, []string{filepath.Join(node, "directory.mjs")}, "users.json", openFile},
	}, nil
}

// App is an application that runs.
type App struct {
	// Address is where it listens, HOST:PORT.
	Address string
	// Key is what it verifies calls with.
	Key []byte

	program Program
	folder  string
	users   store
	daemon  daemontest.Daemon
}

// Start starts a program whose users are in a folder. Whoever starts it ends it with Close.
func (p Program) Start(folder string) (*App, error) {
	key := make([]byte, 32)
	_, _ = rand.Read(key) // never fails
	return p.StartWith(folder, key)
}

// StartWith is Start with the secret that calls are verified with.
func (p Program) StartWith(folder string, key []byte) (*App, error) {
	a := &App{program: p, folder: folder, Key: key}
	a.daemon.Path, a.daemon.Args, a.daemon.Dir, a.daemon.Ready = p.path, p.args, folder, a.listening
	if err := a.Restart(); err != nil {
		return nil, errors.Join(err, a.daemon.Stop(syscall.SIGKILL))
	}
	a.users = p.open(filepath.Join(folder, p.users))
	return a, nil
}

// environment is how it is configured.
func (a *App) environment() []string {
	return []string{"USERS=" + filepath.Join(a.folder, a.program.users), "LISTEN=127.0.0.1:0", "SECRET=" + callout.FormatSecret(a.Key)}
}

// listening reads where it listens, as soon as it has said so.
func (a *App) listening(context.Context) error {
	for line := range strings.Lines(a.daemon.Log()) {
		address, said := strings.CutPrefix(line, "listening at ")
		if address, whole := strings.CutSuffix(address, "\n"); said && whole {
			a.Address = address
			return nil
		}
	}
	return errors.New("it has not said where it listens")
}

// Kill ends the process at once, in whatever it does.
func (a *App) Kill() { _ = a.daemon.Stop(syscall.SIGKILL) }

// Restart starts it again after Kill, at another address, with the key that it has now.
func (a *App) Restart() error {
	a.daemon.Env = a.environment()
	return a.daemon.Start()
}

// Close ends it.
func (a *App) Close() error { return errors.Join(a.daemon.Stop(syscall.SIGKILL), a.users.close()) }

// URL is what a directory is configured with.
func (a *App) URL() string { return "http://" + a.Address + "/sparekey" }

// Log is what it has written to its log.
func (a *App) Log() string { return a.daemon.Journal.String() }

// Add adds a user in the way of the application's README.
func (a *App) Add(email, password string) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	cmd := daemontest.Command(ctx, nil, a.program.path, append(slices.Clone(a.program.args), "add", email)...)
	cmd.Dir, cmd.Env = a.folder, append(cmd.Env, a.environment()...)
	cmd.Stdin, cmd.Stderr = strings.NewReader(password+"\n"), &a.daemon.Journal
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%w: %s", err, a.Log())
	}
	return nil
}

// Verify reports whether the application logs the user in.
func (a *App) Verify(email, password string) (bool, error) {
	body, err := json.Marshal(map[string]string{"email": email, "password": password})
	if err != nil {
		return false, err
	}
	client := &http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}}
	res, err := client.Post("http://"+a.Address+"/login", "application/json", bytes.NewReader(body))
	if err != nil {
		return false, err
	}
	if err := res.Body.Close(); err != nil {
		return false, err
	}
	switch res.StatusCode {
	case http.StatusNoContent:
		return true, nil
	case http.StatusUnauthorized:
		return false, nil
	}
	return false, fmt.Errorf("the log-in answered %d", res.StatusCode)
}

var errNobody = errors.New("there is no such user to change")
