package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// process is a program of ours, stopped by its own handle.
type process struct {
	cmd  *exec.Cmd
	addr string
}

func (p *process) stop() {
	if p == nil || p.cmd.Process == nil {
		return
	}
	_ = p.cmd.Process.Signal(os.Interrupt)
	done := make(chan struct{})
	go func() { defer close(done); _ = p.cmd.Wait() }()
	select {
	case <-done:
	case <-time.After(20 * time.Second):
		_ = p.cmd.Process.Kill()
		<-done
	}
}

// startBare starts the bare handler.
func startBare(ctx context.Context) (*process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, self, bareArg)
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		return nil, errors.Join(err, cmd.Process.Kill())
	}
	return &process{cmd: cmd, addr: strings.TrimSpace(line)}, nil
}

// startService starts the service and waits for /readyz; it answers how long that took.
func (b *bench) startService(ctx context.Context) (p *process, took time.Duration, err error) {
	addr, err := freeAddr(ctx)
	if err != nil {
		return nil, 0, err
	}
	log, err := os.Create(filepath.Join(b.dir, "serve.log"))
	if err != nil {
		return nil, 0, err
	}
	defer func() { _ = log.Close() }()
	cmd := exec.CommandContext(ctx, b.binary, "serve")
	cmd.Env = append(b.environ(), "SPAREKEY_LISTEN="+addr)
	cmd.Stdout, cmd.Stderr = log, log
	start := time.Now()
	if err := cmd.Start(); err != nil {
		return nil, 0, err
	}
	p = &process{cmd: cmd, addr: addr}
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+addr+"/readyz", nil)
		if err != nil {
			return nil, 0, err
		}
		res, err := http.DefaultClient.Do(req)
		if err == nil {
			_ = res.Body.Close()
			if res.StatusCode == http.StatusOK {
				return p, time.Since(start), nil
			}
		}
		if time.Since(start) > 15*time.Second {
			p.stop()
			text, _ := os.ReadFile(log.Name())
			return nil, 0, fmt.Errorf("the service did not become ready:\n%s", text)
		}
		pause(ctx, time.Millisecond)
	}
}

func (b *bench) environ() []string {
	// What an operator may set for the garbage collector holds here too.
	var env []string
	for _, name := range []string{"GOGC", "GOMEMLIMIT"} {
		if value, set := os.LookupEnv(name); set {
			env = append(env, name+"="+value)
		}
	}
	if b.settings != "" {
		env = append(env, "SPAREKEY_CONFIG="+b.settings)
	}
	return append(env,
		"PATH="+os.Getenv("PATH"), "HOME="+os.Getenv("HOME"),
		"SPAREKEY_DATABASE="+b.database,
		"SPAREKEY_BASE_URL=http://127.0.0.1",
		"SPAREKEY_MAIL_SMTP="+b.smtp.url(),
		"SPAREKEY_MAIL_FROM=Bench <noreply@example.com>",
		"SPAREKEY_THROTTLE_ENABLED="+strconv.FormatBool(b.throttled),
		"SPAREKEY_THROTTLE_CLIENT=1000000", "SPAREKEY_THROTTLE_ACCOUNT=10000000", "SPAREKEY_THROTTLE_SERVICE=10000000",
	)
}

// pause waits, or until ctx ends.
func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

func freeAddr(ctx context.Context) (string, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

// rss is a process's resident memory, in MiB.
func rss(pid int) (float64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		if kb, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			n, err := strconv.Atoi(strings.Fields(kb)[0])
			return float64(n) / 1024, err
		}
	}
	return 0, errors.New("no VmRSS; this needs Linux")
}
