package e2e

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestPlantedSecrets goes the whole way by the API and by the pages, with all
// that goes wrong on it, and then looks for every id, password and key: in the
// answers, in the log at its most talkative, in every row and file of the
// database, and in the memory of the process once it is idle.
//
// Go does not overwrite memory that it frees. With GODEBUG=clobberfree=1, which
// docs/operate.md has in the service's environment, it does, and then nothing is
// left; without it nothing can be promised of memory.
func TestPlantedSecrets(t *testing.T) {
	t.Parallel()
	for name, open := range databases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorldOn(t, open(t), 3)
			w.env = append(w.env, "GODEBUG=clobberfree=1", "SPAREKEY_LOG_LEVEL=debug", "SPAREKEY_OUTBOX_WORKERS=2")
			w.start(t)
			p := &planter{world: w, client: &http.Client{Transport: &http.Transport{}, Timeout: patience}}
			p.byAPI(t, person(0))
			p.byPages(t, person(1))
			p.wrong(t, person(2))
			w.settled(t)
			p.client.CloseIdleConnections()
			client.CloseIdleConnections()
			if len(p.secrets) < 9 {
				t.Fatalf("only %d secrets were planted", len(p.secrets))
			}
			log, _ := w.server.output.look()
			p.absent(t, "the log", []byte(log))
			cmdline, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", w.server.cmd.Process.Pid))
			if err != nil || !bytes.Contains(cmdline, []byte("serve")) || bytes.Contains(cmdline, []byte("opensesame")) {
				t.Errorf("the list of processes has %q, %v", cmdline, err)
			}
			p.absent(t, "the list of processes", cmdline)
			p.absent(t, "the rows of the database", w.db.atRest(t))
			w.db.files(t, func(name string, content []byte) { p.absent(t, name, content) })
			p.absentFromMemory(t)
		})
	}
}

// planter goes the ways on which secrets are sent, and remembers them.
type planter struct {
	*world
	client  *http.Client
	secrets map[string]string // what it is, by the secret
}

func (p *planter) plant(what, secret string) string {
	if p.secrets == nil {
		p.secrets = make(map[string]string)
	}
	p.secrets[secret] = what
	return secret
}

// id asks for a link and answers the id that was mailed.
func (p *planter) id(t *testing.T, email string) string {
	t.Helper()
	p.ask(t, email)
	p.settled(t)
	ids := p.links(t)[email]
	return p.plant("an id", ids[len(ids)-1])
}

// call sends a request and answers the status. Of the secrets, allowed alone may be in the answer.
func (p *planter) call(t *testing.T, method, path, body, contentType string, allowed string, headers ...string) int {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, p.url(path), strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", contentType)
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	res, err := p.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	var answer bytes.Buffer
	_ = res.Header.Write(&answer)
	if _, err := answer.ReadFrom(res.Body); err != nil {
		t.Fatal(err)
	}
	for secret, what := range p.secrets {
		if secret != allowed && bytes.Contains(answer.Bytes(), []byte(secret)) {
			t.Errorf("%s %s answers with %s", method, strings.ReplaceAll(path, secret, "ID"), what)
		}
	}
	return res.StatusCode
}

const (
	lookPath  = "/api/1.0/reset-password/metadata/"
	resetPath = "/api/1.0/reset-password/reset/"
	inJSON    = "application/json"
	inForm    = "application/x-www-form-urlencoded"
)

func (p *planter) byAPI(t *testing.T, email string) {
	t.Helper()
	key := p.plant("a key", p.key)
	id := p.id(t, email)
	password := p.plant("a password sent to the API", "planted-zq7 for the api")
	body := fmt.Sprintf(`{"password":%q}`, password)
	for _, step := range []struct {
		method, path, body string
		want               int
	}{
		{http.MethodGet, lookPath + id, "", 200},
		{http.MethodPost, resetPath + id, fmt.Sprintf(`{"password":%q}`, p.plant("a short password", "zq7-planted")), 400},
		{http.MethodPost, resetPath + id, body[:len(body)-1], 400},
		{http.MethodPost, resetPath + id, body, 200},
		{http.MethodPost, resetPath + id, body, 401},
	} {
		if status := p.call(t, step.method, step.path, step.body, inJSON, id, "X-Auth-Token", "Token "+key); status != step.want {
			t.Errorf("%s answered %d, want %d", step.method, status, step.want)
		}
	}
}

func (p *planter) byPages(t *testing.T, email string) {
	t.Helper()
	id := p.id(t, email)
	p.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	cookie := []string{"Cookie", "sparekey_link=" + id}
	password := p.plant("a password sent to a page", "planted-zq7 for a page")
	form := url.Values{"password": {password}}.Encode()
	for _, step := range []struct {
		method, path, body string
		want               int
	}{
		{http.MethodGet, "/reset/" + id, "", 303},
		{http.MethodGet, "/reset", "", 200},
		{http.MethodPost, "/reset", url.Values{"password": {p.plant("a short password sent to a page", "zq7-form")}}.Encode(), 400},
		{http.MethodPost, "/reset", form, 303},
		{http.MethodPost, "/reset", form, 410},
	} {
		if status := p.call(t, step.method, step.path, step.body, inForm, id, cookie...); status != step.want {
			t.Errorf("%s %s answered %d, want %d", step.method, strings.ReplaceAll(step.path, id, "ID"), status, step.want)
		}
	}
}

// wrong sends what is refused: a key and an id that are none, and secrets where they do not belong.
func (p *planter) wrong(t *testing.T, email string) {
	t.Helper()
	id := p.id(t, email)
	stray := p.plant("a key that is none", "spk_zq7plantedandunknown000000000000000000000")
	p.call(t, http.MethodGet, lookPath+id, "", inJSON, "", "X-Auth-Token", stray)
	p.call(t, http.MethodGet, lookPath+strings.ToUpper(id), "", inJSON, "", "X-Auth-Token", p.key)
	p.call(t, http.MethodGet, "/nowhere/"+id+"?password="+url.QueryEscape(p.plant("a password in a query", "planted-zq7-in-the-query")), "", inJSON, "",
		"User-Agent", "agent "+p.plant("a password in a header", "planted-zq7-in-a-header"), "X-Auth-Token", p.key)
}

// absent looks for every secret, in the forms that it may have.
func (p *planter) absent(t *testing.T, where string, content []byte) {
	t.Helper()
	for _, what := range p.found(content) {
		t.Errorf("%s has %s", where, what)
	}
}

func (p *planter) found(content []byte) (list []string) {
	for secret, what := range p.secrets {
		for _, form := range []string{secret, url.QueryEscape(secret), strings.ReplaceAll(secret, "-", "")} {
			if bytes.Contains(content, []byte(form)) {
				list = append(list, what)
			}
		}
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// absentFromMemory waits until no secret is in the memory of the process, which
// takes two turns of its collecting.
func (p *planter) absentFromMemory(t *testing.T) {
	t.Helper()
	pid := p.server.cmd.Process.Pid
	if memory := memoryOf(t, pid); !bytes.Contains(memory, []byte(baseURL)) {
		t.Fatalf("%d bytes of memory were read, and what must be in it is not", len(memory))
	}
	var left []string
	deadline := time.NewTimer(2 * time.Minute)
	defer deadline.Stop()
	again := time.NewTicker(5 * time.Second)
	defer again.Stop()
	for {
		if left = p.found(memoryOf(t, pid)); len(left) == 0 {
			return
		}
		select {
		case <-again.C:
		case <-deadline.C:
			memory := memoryOf(t, pid)
			for secret := range p.secrets {
				if at := bytes.Index(memory, []byte(secret)); at >= 0 {
					t.Logf("in its memory: %q", memory[max(0, at-100):min(len(memory), at+len(secret)+100)])
				}
			}
			t.Fatalf("after two minutes its memory still has %v", left)
		}
	}
}

// memoryOf reads all memory of a process that it may write to.
func memoryOf(t *testing.T, pid int) []byte {
	t.Helper()
	maps, err := os.ReadFile(fmt.Sprintf("/proc/%d/maps", pid))
	if err != nil {
		t.Fatal(err)
	}
	mem, err := os.Open(fmt.Sprintf("/proc/%d/mem", pid))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = mem.Close() }()
	var all bytes.Buffer
	for line := range strings.Lines(string(maps)) {
		var from, to int64
		var mode string
		if _, err := fmt.Sscanf(line, "%x-%x %s", &from, &to, &mode); err != nil || !strings.HasPrefix(mode, "rw") {
			continue
		}
		// What the process has given back since is not there to be read.
		_, _ = io.Copy(&all, io.NewSectionReader(mem, from, to-from))
	}
	return all.Bytes()
}
