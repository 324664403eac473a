package e2e

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	sparekeyclient "github.com/sparekey/sparekey/client"
	"github.com/sparekey/sparekey/internal/httpapi/contracttest"
)

// call is a call of the API as every client can make it. Its names in JSON are
// those that the JavaScript driver takes.
type call struct {
	Op       string   `json:"op"` // request, bulk, metadata, reset or job
	Key      string   `json:"key,omitempty"`
	Prefix   string   `json:"prefix,omitempty"`
	ID       string   `json:"id,omitempty"`
	Email    []string `json:"email,omitempty"`
	Password string   `json:"password,omitempty"`
}

// outcome is what a client says about a call. Of a success the Go client does
// not tell the status.
type outcome struct {
	OK     bool           `json:"ok"`
	Data   map[string]any `json:"data"`
	Status int            `json:"status"`
	Code   int            `json:"code"`
	Msg    string         `json:"msg"`
}

// driver makes calls in its own way.
type driver interface {
	do(t *testing.T, base string, c call) outcome
}

// rawDriver writes the HTTP itself, and holds every exchange against the document.
type rawDriver struct{}

// http makes any exchange at all, and holds it against the document.
func (rawDriver) http(t *testing.T, method, url, body string, headers map[string]string) (status int, answer []byte) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range headers {
		req.Header.Set(name, value)
	}
	res, err := (&http.Client{Transport: contracttest.Transport(t, client.Transport), Timeout: patience}).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	answer, err = io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, answer
}

func (d rawDriver) do(t *testing.T, base string, c call) outcome {
	t.Helper()
	headers := map[string]string{}
	if c.Key != "" {
		headers["X-Auth-Token"] = strings.TrimSpace(c.Prefix + " " + c.Key)
	}
	method, path, body := http.MethodGet, "", ""
	switch c.Op {
	case "request", "bulk":
		method, path, body = http.MethodPost, "/reset-password/request", encode(t, map[string]any{"email": c.Email})
	case "metadata":
		path = "/reset-password/metadata/" + c.ID
	case "reset":
		method, path, body = http.MethodPost, "/reset-password/reset/"+c.ID, encode(t, map[string]any{"password": c.Password})
	case "job":
		path = "/job/status/" + c.ID
	}
	if body != "" {
		headers["Content-Type"] = "application/json"
	}
	status, answer := d.http(t, method, base+"/api/1.0"+path, body, headers)
	o := outcome{OK: status < 300, Status: status}
	if o.OK {
		decode(t, answer, &o.Data)
	} else {
		decode(t, answer, &o)
	}
	return o
}

// goDriver is the Go client.
type goDriver struct{}

func (goDriver) do(t *testing.T, base string, c call) outcome {
	t.Helper()
	options := []sparekeyclient.Option{sparekeyclient.WithRetries(0), sparekeyclient.WithHTTPClient(client)}
	if c.Key != "" {
		options = append(options, sparekeyclient.WithKey(c.Key))
	}
	if c.Prefix != "" {
		options = append(options, sparekeyclient.WithKeyPrefix(c.Prefix))
	}
	api, err := sparekeyclient.New(base, options...)
	if err != nil {
		t.Fatal(err)
	}
	var data any
	switch c.Op {
	case "request":
		var email []string
		email, err = api.Request(t.Context(), c.Email...)
		data = map[string]any{"email": email}
	case "bulk":
		var id string
		id, err = api.RequestBulk(t.Context(), c.Email...)
		data = map[string]any{"job_id": id}
	case "metadata":
		var m sparekeyclient.Metadata
		m, err = api.Metadata(t.Context(), c.ID)
		data = map[string]any{"id": m.ID, "multiple_accounts": m.MultipleAccounts}
	case "reset":
		var id string
		id, err = api.Reset(t.Context(), c.ID, c.Password)
		data = map[string]any{"id": id}
	case "job":
		data, err = api.Job(t.Context(), c.ID)
	}
	if refusal, ok := errors.AsType[*sparekeyclient.Error](err); ok {
		return outcome{Status: refusal.Status, Code: int(refusal.Code), Msg: refusal.Msg}
	}
	if err != nil {
		t.Fatalf("%s: %v", c.Op, err)
	}
	o := outcome{OK: true}
	decode(t, []byte(encode(t, data)), &o.Data)
	return o
}

// jsDriver is the JavaScript client in a Node process that takes a command a line.
type jsDriver struct {
	mu  sync.Mutex
	in  io.Writer
	out *bufio.Reader
}

func startJS(t *testing.T) *jsDriver {
	t.Helper()
	// It lives as long as the test; a deadline ends one that hangs.
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	cmd := exec.CommandContext(ctx, "node", "test/driver.mjs")
	cmd.Dir = jsClient
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var complaints bytes.Buffer
	cmd.Stderr = &complaints
	if err := cmd.Start(); err != nil {
		t.Fatalf("%v; run script/setup, which installs Node", err)
	}
	t.Cleanup(func() {
		_ = in.Close()
		if err := cmd.Wait(); err != nil && ctx.Err() == nil {
			t.Errorf("node: %v\n%s", err, complaints.String())
		}
		cancel()
	})
	return &jsDriver{in: in, out: bufio.NewReader(out)}
}

func (d *jsDriver) do(t *testing.T, base string, c call) outcome {
	t.Helper()
	d.mu.Lock()
	defer d.mu.Unlock()
	command := struct {
		call
		Base string `json:"base"`
	}{c, base}
	if _, err := fmt.Fprintln(d.in, encode(t, command)); err != nil {
		t.Fatal(err)
	}
	line, err := d.out.ReadBytes('\n')
	if err != nil {
		t.Fatal(err)
	}
	var o outcome
	decode(t, line, &o)
	return o
}

func encode(t *testing.T, v any) string {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func decode(t *testing.T, text []byte, v any) {
	t.Helper()
	if err := json.Unmarshal(text, v); err != nil {
		t.Fatalf("%v: %q", err, text)
	}
}
