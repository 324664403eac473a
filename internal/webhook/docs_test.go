package webhook_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sparekey/sparekey/internal/callout"
	"github.com/sparekey/sparekey/internal/httpapi/contracttest"
	"github.com/sparekey/sparekey/internal/reset"
	"github.com/sparekey/sparekey/internal/webhook"
)

// blocks are the pieces of docs/events.md in a language.
func blocks(t *testing.T, language string) []string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "events.md"))
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, rest := range strings.Split(string(text), "```"+language+"\n")[1:] {
		block, _, closed := strings.Cut(rest, "```")
		if !closed {
			t.Fatalf("a block of %s in docs/events.md has no end", language)
		}
		found = append(found, block)
	}
	return found
}

// TestPayloads: what is sent is what docs/events.md shows and the contract describes.
func TestPayloads(t *testing.T) {
	t.Parallel()
	documented := map[string]any{}
	for _, block := range blocks(t, "json") {
		var body map[string]any
		if err := json.Unmarshal([]byte(block), &body); err != nil {
			t.Fatalf("%v: %s", err, block)
		}
		documented[body["type"].(string)] = body
	}
	r := receive(t, nil).plain()
	s := sender(t, r.URL, webhook.Options{AllowPrivate: loopback})
	types := append([]reset.EventType{reset.EventTest}, reset.EventTypes...)
	for _, typ := range types {
		e := passwordReset(t)
		e.Type = typ
		switch typ {
		case reset.EventRequestCreated:
			e.ExpiresAt = e.At.Add(time.Hour)
		case reset.EventRequestFailed:
			e.Reason = reset.ReasonRefused
		}
		if err := s.SendEvent(t.Context(), r.URL, e); err != nil {
			t.Fatal(err)
		}
	}
	gone := passwordReset(t)
	gone.User = reset.User{ID: gone.User.ID}
	if err := s.SendEvent(t.Context(), r.URL, gone); err != nil {
		t.Fatal(err)
	}
	calls := r.took()
	for i, typ := range types {
		var sent any
		if err := json.Unmarshal(calls[i].body, &sent); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(documented[string(typ)], sent); diff != "" {
			t.Errorf("%s is not what docs/events.md shows:\n%s", typ, diff)
		}
		contracttest.Event(t, calls[i].header, calls[i].body)
	}
	contracttest.Event(t, calls[len(types)].header, calls[len(types)].body)
	if body := string(calls[len(types)].body); strings.Contains(body, "email") || !strings.Contains(body, `"accounts":[]`) {
		t.Errorf("of a user who is gone: %s", body)
	}
	if len(documented) != len(types) {
		t.Errorf("docs/events.md shows %d events, want %d", len(documented), len(types))
	}
}

// TestGoSample: what docs/events.md has for Go is what Example runs.
func TestGoSample(t *testing.T) {
	t.Parallel()
	source, err := os.ReadFile("example_test.go")
	if err != nil {
		t.Fatal(err)
	}
	samples := blocks(t, "go")
	if len(samples) != 1 || !strings.Contains(string(source), strings.Replace(samples[0], "func receive(", "func receiveEvents(", 1)) {
		t.Error("the sample for Go in docs/events.md is not the one in example_test.go")
	}
}

// TestNodeSample runs what docs/events.md has for Node, and tells it of a reset.
// script/setup installs the module that it imports.
func TestNodeSample(t *testing.T) {
	t.Parallel()
	samples := blocks(t, "js")
	if len(samples) != 1 {
		t.Fatalf("docs/events.md has %d samples for Node, want 1", len(samples))
	}
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	_, port, err := net.SplitHostPort(address)
	if err != nil || l.Close() != nil {
		t.Fatal(err)
	}
	var stderr bytes.Buffer
	node := exec.CommandContext(t.Context(), "node", "--input-type=module", "-")
	node.Dir = filepath.Join("testdata", "node")
	node.Env = []string{"PATH=" + os.Getenv("PATH"), "PORT=" + port, "EVENT_SECRET=" + callout.FormatSecret(key)}
	node.Stdin = strings.NewReader(`const endSessions = async (id, email, before) => console.log(id, email, before.toISOString());` + "\n" + samples[0])
	node.Stderr = &stderr
	stdout, err := node.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := node.Start(); err != nil {
		t.Fatalf("%v; script/setup installs node", err)
	}
	t.Cleanup(func() {
		_ = node.Process.Kill()
		_ = node.Wait()
		if t.Failed() {
			t.Logf("node: %s", stderr.String())
		}
	})
	target := "http://" + address + "/hooks"
	waitUntilItListens(t, address)
	s := sender(t, target, webhook.Options{AllowPrivate: loopback, Targets: []webhook.Target{{URL: target, Keys: [][]byte{oldKey, key}}}})
	if status, err := s.Send(t.Context(), target, passwordReset(t)); err != nil || status != http.StatusNoContent {
		t.Fatalf("it answered %d, %v", status, err)
	}
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if want := "3f0c6f0e-6a0e-4b86-9d0b-6c3b0a4f2f55 ada@example.com 2026-11-23T11:00:00.123Z\n"; err != nil || line != want {
		t.Errorf("it printed %q, %v; want %q", line, err, want)
	}
	stranger := sender(t, target, webhook.Options{AllowPrivate: loopback, Targets: []webhook.Target{{URL: target, Keys: [][]byte{oldKey}}}})
	if status, _ := stranger.Send(t.Context(), target, passwordReset(t)); status != http.StatusUnauthorized {
		t.Errorf("an event of a stranger was answered %d, want 401", status)
	}
}

// waitUntilItListens waits until connections are taken.
func waitUntilItListens(t *testing.T, address string) {
	t.Helper()
	deadline := time.NewTimer(30 * time.Second)
	defer deadline.Stop()
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for {
		conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", address)
		if err == nil {
			_ = conn.Close()
			return
		}
		select {
		case <-again.C:
		case <-deadline.C:
			t.Fatalf("nobody listens at %s: %v", address, err)
		}
	}
}
