// Package hooktest starts the reference applications of examples/ as processes
// of their own, for tests and benchmarks of the directory behind a webhook.
package hooktest

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/sparekey/sparekey/internal/callout"
)

// patience is how long an application may take to start, and to log somebody in.
const patience = time.Minute

// Program is a reference application that can be started.
type Program struct {
	Name string
	// Folder is where its source is, and its README.
	Folder  string
	command []string
	users   string // the name of its file
	open    func(file string) store
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
	node := filepath.Join(examples, "directory-node")
	return []Program{
		{"directory-go", source, []string{binary}, "users.db", openTable},
		{"directory-node", node, []string{"node", filepath.Join(node, "directory.mjs")}, "users.json", openFile},
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
	process *exec.Cmd
	ended   chan struct{}
	log     *journal
}

// Start starts a program whose users are in a folder. Whoever starts it ends it with Close.
func (p Program) Start(folder string) (*App, error) {
	key := make([]byte, 32)
	_, _ = rand.Read(key) // never fails
	return p.StartWith(folder, key)
}

// StartWith is Start with the secret that calls are verified with.
func (p Program) StartWith(folder string, key []byte) (*App, error) {
	a := &App{program: p, folder: folder, Key: key, log: &journal{}}
	if err := a.start(); err != nil {
		return nil, err
	}
	a.users = p.open(filepath.Join(folder, p.users))
	return a, nil
}

func (a *App) command(args ...string) *exec.Cmd {
	cmd := exec.Command(a.program.command[0], append(append([]string{}, a.program.command[1:]...), args...)...)
	cmd.Dir = a.folder
	cmd.Env = []string{
		"PATH=" + os.Getenv("PATH"), "USERS=" + filepath.Join(a.folder, a.program.users), "LISTEN=127.0.0.1:0",
		"SECRET=" + callout.FormatSecret(a.Key),
	}
	cmd.Stderr = a.log
	return cmd
}

// start starts the process and waits until it says where it listens.
func (a *App) start() error {
	cmd := a.command()
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("%s: %w; script/setup installs what it needs", a.program.Name, err)
	}
	late := time.AfterFunc(patience, func() { _ = cmd.Process.Kill() })
	defer late.Stop()
	lines := bufio.NewReader(out)
	line, err := lines.ReadString('\n')
	address, listens := strings.CutPrefix(strings.TrimSpace(line), "listening at ")
	if err != nil || !listens {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		return fmt.Errorf("%s does not start: %q: %s", a.program.Name, line, a.log)
	}
	a.Address, a.process, a.ended = address, cmd, make(chan struct{})
	go func() {
		defer close(a.ended)
		_, _ = io.Copy(a.log, lines)
		_ = cmd.Wait()
	}()
	return nil
}

// Kill ends the process at once, in whatever it does.
func (a *App) Kill() {
	_ = a.process.Process.Kill()
	<-a.ended
}

// Restart starts it again after Kill, at another address.
func (a *App) Restart() error { return a.start() }

// Close ends it.
func (a *App) Close() error {
	a.Kill()
	return a.users.close()
}

// URL is what a directory is configured with.
func (a *App) URL() string { return "http://" + a.Address + "/sparekey" }

// Log is what it has written to its log.
func (a *App) Log() string { return a.log.String() }

// Add adds a user in the way of the application's README.
func (a *App) Add(email, password string) error {
	cmd := a.command("add", email)
	cmd.Stdin = strings.NewReader(password + "\n")
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%w: %s", err, a.log)
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

// journal is what a process writes.
type journal struct {
	mu   sync.Mutex
	text bytes.Buffer
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

var errNobody = errors.New("there is no such user to change")
