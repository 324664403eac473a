package e2e

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sparekey/sparekey/internal/mail/smtptest"
)

// patience is how long a mail may take that fails at first: the first pause is
// five seconds, the second ten.
const patience = 30 * time.Second

// perCall is what differs between two answers that say the same.
var perCall = regexp.MustCompile(`(?m)^(Date|X-Request-Id): [^\r\n]*`)

// post is a request as it goes over the wire. Its Host is among the headers.
func post(target, contentType, body string, headers ...string) string {
	lines := append([]string{
		"POST " + target + " HTTP/1.1",
		"Content-Type: " + contentType,
		fmt.Sprintf("Content-Length: %d", len(body)),
		"Connection: close",
	}, headers...)
	return strings.Join(lines, "\r\n") + "\r\n\r\n" + body
}

func asking(address string) string { return fmt.Sprintf(`{"email":[%q]}`, address) }

// raw sends a request as it is and returns the whole answer, head and body,
// without what differs per call. Ten seconds are enough for any answer on a
// crowded machine, and too few for one that waits for a mail server.
func (w *world) raw(t *testing.T, request string) string {
	t.Helper()
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", w.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(conn, request); err != nil {
		t.Fatal(err)
	}
	answer, err := io.ReadAll(conn)
	if err != nil {
		t.Fatalf("no whole answer: %v: %q", err, answer)
	}
	return perCall.ReplaceAllString(string(answer), "$1: *")
}

// ask asks for a link, demands that it is answered 200, and returns the answer
// with ADDRESS for the address.
func (w *world) ask(t *testing.T, address string) string {
	t.Helper()
	answer := w.raw(t, post(requestPath, "application/json", asking(address), "Host: reset.example.com"))
	answer = strings.ReplaceAll(answer, address, "ADDRESS")
	if !strings.HasPrefix(answer, "HTTP/1.1 200 OK\r\n") || !strings.Contains(answer, "\r\n\r\n"+asking("ADDRESS")) {
		t.Errorf("asking was answered %q", answer)
	}
	return answer
}

// exactly demands that, once there is nothing left to do, n mails have arrived
// since the beginning.
func (w *world) exactly(t *testing.T, n int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if _, err := w.smtp.Wait(ctx, n); err != nil {
		t.Fatal(err)
	}
	w.settled(t)
	if got := w.smtp.Count(); got != n {
		t.Errorf("%d mails arrived, want %d", got, n)
	}
}

// onlyTheNewestOpens demands that of so many links of a person the newest
// resets the password and no other does.
func (w *world) onlyTheNewestOpens(t *testing.T, i, links int) {
	t.Helper()
	ids := w.links(t)[person(i)]
	if len(ids) != links {
		t.Fatalf("%s has %d links, want %d", person(i), len(ids), links)
	}
	for _, old := range ids[:links-1] {
		if status := w.reset(old); status != http.StatusUnauthorized {
			t.Errorf("an older link of %s answered %d, want 401", person(i), status)
		}
	}
	if status := w.reset(ids[links-1]); status != http.StatusOK {
		t.Errorf("the newest link of %s answered %d, want 200", person(i), status)
	}
	if _, code := sparekey(t, w.env, password, "user", "verify", person(i), "--password-stdin"); code != 0 {
		t.Errorf("the password of %s is another", person(i))
	}
}

// stop ends the service as a service manager does, and returns what it printed.
func (w *world) stop(t *testing.T) string {
	t.Helper()
	w.server.end(t, syscall.SIGTERM)
	return w.endedWell(t)
}

// endedWell demands of a process that is gone that it ended in peace and told
// no address, and returns what it printed.
func (w *world) endedWell(t *testing.T) string {
	t.Helper()
	if code := w.server.cmd.ProcessState.ExitCode(); code != 0 {
		t.Errorf("exit code %d, want 0", code)
	}
	printed, _ := w.server.output.look()
	for _, never := range []string{"@example.test", `"event":"panic"`, "goroutine "} {
		if strings.Contains(printed, never) {
			t.Errorf("it printed %q", never)
		}
	}
	return printed
}

func (w *world) stopMailServer(t *testing.T) {
	t.Helper()
	if err := w.smtp.Stop(); err != nil {
		t.Fatal(err)
	}
}

func (w *world) restartMailServer(t *testing.T) {
	t.Helper()
	if err := w.smtp.Restart(); err != nil {
		t.Fatal(err)
	}
}

// TestMailServerDown: nobody who asks can tell that the mail server is down,
// and the mails arrive once it is up again.
func TestMailServerDown(t *testing.T) {
	t.Parallel()
	const askers = 5
	w := newWorld(t, askers)
	w.start(t)
	well := w.ask(t, person(0))
	w.exactly(t, 1)

	w.stopMailServer(t)
	for i := range askers {
		if down := w.ask(t, person(i)); down != well {
			t.Errorf("with the mail server down the answer is\n%q\nwith it up it was\n%q", down, well)
		}
	}
	if unknown := w.ask(t, "nobody000@example.test"); unknown != well {
		t.Errorf("an unknown address is answered\n%q\na known one was\n%q", unknown, well)
	}
	w.server.waitFor(t, `"event":"mail.retry"`)
	w.restartMailServer(t)

	w.exactly(t, 1+askers)
	w.onlyTheNewestOpens(t, 0, 2)
	for i := 1; i < askers; i++ {
		w.onlyTheNewestOpens(t, i, 1)
	}
	w.exactly(t, 1+2*askers) // with the notices
	w.stop(t)
}

// TestMailServerSlow: while every connection to the mail server waits for its
// answer, callers do not.
func TestMailServerSlow(t *testing.T) {
	t.Parallel()
	const (
		askers      = 20
		connections = 8 // the default of mail.connections
	)
	w := newWorld(t, 1+askers)
	w.start(t)
	well := w.ask(t, person(0))
	w.exactly(t, 1)

	release := w.smtp.Hold()
	for i := range askers {
		if slow := w.ask(t, person(1+i)); slow != well {
			t.Errorf("with a slow mail server the answer is\n%q\nbefore it was\n%q", slow, well)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := w.smtp.WaitHolding(ctx, connections); err != nil {
		t.Fatalf("%d mails do not wait for their answer: %v", connections, err)
	}
	w.onlyTheNewestOpens(t, 0, 1)
	if status, _, err := w.call(http.MethodGet, "/readyz", ""); err != nil || status != http.StatusOK {
		t.Errorf("/readyz answered %d, %v", status, err)
	}
	if n := w.smtp.Count(); n != 1 {
		t.Fatalf("%d mails were taken meanwhile; the mail server was not slow", n-1)
	}
	release()

	w.exactly(t, 1+askers+1) // with the notice
	links := w.links(t)
	for i := range askers {
		ids := links[person(1+i)]
		if len(ids) != 1 {
			t.Errorf("%s has %d links, want 1", person(1+i), len(ids))
			continue
		}
		if status, _, err := w.call(http.MethodGet, "/api/1.0/reset-password/metadata/"+ids[0], ""); err != nil || status != http.StatusOK {
			t.Errorf("the link of %s answered %d, %v", person(1+i), status, err)
		}
	}
	w.stop(t)
}

// TestMailServerDropsAfterData: a mail whose acknowledgement is lost is sent
// again with a new link, and only that one opens.
func TestMailServerDropsAfterData(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		keep bool
		each int // mails that each person gets, the one before included
	}{{"the mail is lost", false, 2}, {"the mail was taken", true, 3}} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			const askers = 3
			w := newWorld(t, askers)
			w.start(t)
			for i := range askers {
				w.ask(t, person(i))
			}
			w.exactly(t, askers)

			w.smtp.DropAfterData(askers, c.keep)
			for i := range askers {
				w.ask(t, person(i))
			}
			w.exactly(t, c.each*askers)
			for i := range askers {
				w.onlyTheNewestOpens(t, i, c.each)
			}
			w.settled(t)
			if n := strings.Count(w.stop(t), `"event":"mail.retry"`); n != askers {
				t.Errorf("the log tells of %d tries in vain, want %d", n, askers)
			}
		})
	}
}

// TestMailServerRefusesForGood: of a bulk job, one mail arrives, one is refused
// for good, one address nobody has. The job's key is told how many, nobody else
// is, and the log names nobody.
func TestMailServerRefusesForGood(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 2)
	w.smtp.OnRecipient(func(to string) smtptest.Reply {
		if to == person(1) {
			return smtptest.Reply{Code: 550, Status: [3]int{5, 1, 1}, Text: "no such user here: " + to}
		}
		return smtptest.Reply{}
	})
	admin := must(t, w.env, "", "key", "create", "bulk", "--scope", "admin")
	other := must(t, w.env, "", "key", "create", "other", "--scope", "admin")
	w.start(t)

	list := fmt.Sprintf(`{"email":[%q,%q,%q,%q]}`, person(0), person(1), "nobody@example.test", strings.ToUpper(person(0)))
	status, answer, err := w.callAs(admin, http.MethodPost, requestPath, list)
	var job struct {
		ID      string `json:"job_id"`
		State   string `json:"state"`
		Total   int    `json:"total"`
		Sent    int    `json:"sent"`
		Unknown int    `json:"unknown"`
		Failed  int    `json:"failed"`
	}
	if err != nil || status != http.StatusAccepted || json.Unmarshal([]byte(answer), &job) != nil || job.ID == "" {
		t.Fatalf("the bulk request answered %d %s, %v", status, answer, err)
	}
	want := job
	want.State, want.Total, want.Sent, want.Unknown, want.Failed = "done", 3, 1, 1, 1
	path := "/api/1.0/job/status/" + job.ID
	until(t, "the end of the job", patience, func() bool {
		status, answer, err := w.callAs(admin, http.MethodGet, path, "")
		if err != nil || status != http.StatusOK || json.Unmarshal([]byte(answer), &job) != nil {
			t.Fatalf("the job's status answered %d %s, %v", status, answer, err)
		}
		return job.State == "done"
	})
	if job != want {
		t.Errorf("the job ended as %+v, want %+v", job, want)
	}
	for _, c := range []struct {
		key  string
		want int
	}{{other, http.StatusNotFound}, {w.key, http.StatusUnauthorized}, {"", http.StatusUnauthorized}, {admin + "x", http.StatusUnauthorized}} {
		if status, answer, err := w.callAs(c.key, http.MethodGet, path, ""); err != nil || status != c.want || strings.Contains(answer, "total") {
			t.Errorf("to another caller the job's status answered %d %s, %v; want %d", status, answer, err, c.want)
		}
	}
	w.exactly(t, 1)
	w.onlyTheNewestOpens(t, 0, 1)
	w.settled(t)

	given := 0
	for line := range strings.Lines(w.stop(t)) {
		if strings.Contains(line, `"event":"mail.given_up"`) && strings.Contains(line, `"reply":550`) && strings.Contains(line, `"attempts":1`) {
			given++
		}
	}
	if given != 1 {
		t.Errorf("the log tells %d times of giving up after one attempt and a 550, want once", given)
	}
}

// TestRestartKeepsMails: mails that cannot be sent outlive the process, those
// that were tried in vain and those that may not have been tried yet.
func TestRestartKeepsMails(t *testing.T) {
	t.Parallel()
	const askers = 10
	w := newWorld(t, askers)
	w.start(t)
	w.stopMailServer(t)
	for i := range askers / 2 {
		w.ask(t, person(i))
	}
	w.server.waitFor(t, `"event":"mail.retry"`)
	for i := askers / 2; i < askers; i++ {
		w.ask(t, person(i))
	}
	w.stop(t)

	w.start(t)
	w.restartMailServer(t)
	w.exactly(t, askers)
	for i := range askers {
		if n := len(w.links(t)[person(i)]); n != 1 {
			t.Errorf("%s has %d links, want 1", person(i), n)
		}
	}
	w.onlyTheNewestOpens(t, 0, 1)
	w.onlyTheNewestOpens(t, askers-1, 1)
	w.stop(t)
}

// TestForgedHost: whatever a request says of where it was sent to, even through
// a trusted proxy, the mailed link begins with the configured base URL.
func TestForgedHost(t *testing.T) {
	t.Parallel()
	const form = "application/x-www-form-urlencoded"
	forwarded := []string{
		"X-Forwarded-Host: evil.test", "X-Forwarded-Proto: http", "X-Forwarded-Port: 81", "X-Forwarded-Prefix: /evil.test",
		"X-Forwarded-Server: evil.test", "X-Original-Host: evil.test", "X-Host: evil.test",
		"Forwarded: for=192.0.2.1;host=evil.test;proto=http", "X-Forwarded-For: 192.0.2.1",
	}
	host := func(name string, more ...string) []string { return append([]string{"Host: " + name}, more...) }
	forms := []struct {
		name    string
		target  string
		headers []string
		status  string
	}{
		{"Host", requestPath, host("evil.test"), "200 OK"},
		{"Host with a port", requestPath, host("reset.example.com:81"), "200 OK"},
		{"forwarded", requestPath, host("reset.example.com", forwarded...), "200 OK"},
		{"Host and forwarded", requestPath, host("evil.test", forwarded...), "200 OK"},
		{"absolute-form", "http://evil.test" + requestPath, host("reset.example.com"), "200 OK"},
		{"absolute-form and all the others", "http://evil.test" + requestPath, host("evil.test", forwarded...), "200 OK"},
		{"the page", "/forgot", host("evil.test", forwarded...), "303 See Other"},
		{"the page, absolute-form", "http://evil.test/forgot", host("evil.test", forwarded...), "303 See Other"},
	}
	w := newWorld(t, len(forms))
	w.env = append(w.env, "SPAREKEY_HTTP_TRUSTED_PROXIES=127.0.0.0/8")
	w.start(t)
	for i, c := range forms {
		request := post(c.target, "application/json", asking(person(i)), c.headers...)
		if strings.HasSuffix(c.target, "/forgot") {
			request = post(c.target, form, url.Values{"email": {person(i)}}.Encode(), c.headers...)
		}
		answer := w.raw(t, request)
		if !strings.HasPrefix(answer, "HTTP/1.1 "+c.status+"\r\n") || strings.Contains(answer, "evil") {
			t.Errorf("%s: answered %q, want %s", c.name, answer, c.status)
		}
	}
	w.exactly(t, len(forms))
	link := regexp.MustCompile(`https?://[^\s"'<>]+`)
	mails := map[string]smtptest.Message{}
	for _, m := range w.smtp.Messages() {
		mails[m.To[0]] = m
	}
	for i, c := range forms {
		m := mails[person(i)]
		for part, text := range map[string]string{"text": m.Text(), "HTML": m.HTML()} {
			if !strings.Contains(text, baseURL+"/reset/") {
				t.Errorf("%s: the %s part has no link at the base URL:\n%s", c.name, part, text)
			}
			for _, l := range link.FindAllString(text, -1) {
				if !strings.HasPrefix(l, baseURL+"/") {
					t.Errorf("%s: the %s part leads to %s", c.name, part, l)
				}
			}
			if strings.Contains(text, "evil") {
				t.Errorf("%s: the %s part repeats what was forged:\n%s", c.name, part, text)
			}
		}
		if strings.Contains(string(m.Raw), "evil") {
			t.Errorf("%s: the mail repeats what was forged:\n%s", c.name, m.Raw)
		}
	}
	w.stop(t)
}

// pendingReset is a reset whose handler waits for the password.
type pendingReset struct {
	net.Conn
	reader *bufio.Reader
	body   string
}

// begin calls a reset and returns once its handler asks for the body.
func (w *world) begin(t *testing.T, id string) *pendingReset {
	t.Helper()
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", w.addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	p := &pendingReset{Conn: conn, reader: bufio.NewReader(conn), body: fmt.Sprintf(`{"password":%q}`, password)}
	_, err = fmt.Fprintf(conn, "POST /api/1.0/reset-password/reset/%s HTTP/1.1\r\nHost: reset.example.com\r\nX-Auth-Token: %s\r\n"+
		"Content-Type: application/json\r\nContent-Length: %d\r\nExpect: 100-continue\r\n\r\n", id, w.key, len(p.body))
	if err != nil {
		t.Fatal(err)
	}
	p.wants(t, http.StatusContinue)
	return p
}

// finish sends the password.
func (p *pendingReset) finish(t *testing.T) {
	t.Helper()
	if _, err := io.WriteString(p, p.body); err != nil {
		t.Fatal(err)
	}
}

// wants demands that status comes next.
func (p *pendingReset) wants(t *testing.T, status int) {
	t.Helper()
	res, err := http.ReadResponse(p.reader, nil)
	if err != nil {
		t.Fatalf("no answer: %v", err)
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != status {
		t.Fatalf("answered %d %s, %v; want %d", res.StatusCode, body, err, status)
	}
}

// TestShutdownFinishes: a service that is told to stop while a mail is on its
// way, passwords are hashed and one is still being sent, takes nobody new,
// answers everybody else, and loses no mail.
func TestShutdownFinishes(t *testing.T) {
	t.Parallel()
	const resetting = 5
	w := newWorld(t, resetting+1)
	// One slow hash at a time, so that the signal comes in the midst of them.
	w.env = append(w.env, "SPAREKEY_HASH_CONCURRENCY=1", "SPAREKEY_HASH_TIME=20")
	w.start(t)
	for i := range resetting {
		w.ask(t, person(i))
	}
	w.exactly(t, resetting)
	links := w.links(t)
	release := w.smtp.Hold()
	w.ask(t, person(resetting))
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := w.smtp.WaitHolding(ctx, 1); err != nil {
		t.Fatal(err)
	}
	var pending []*pendingReset
	for i := range resetting {
		pending = append(pending, w.begin(t, links[person(i)][0]))
	}
	hashing, late := pending[:resetting-1], pending[resetting-1]
	for _, p := range hashing {
		p.finish(t)
	}
	hashing[0].wants(t, http.StatusOK)

	if err := w.server.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	until(t, "new connections being refused", patience, func() bool {
		conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", w.addr)
		if err == nil {
			_ = conn.Close()
		}
		return errors.Is(err, syscall.ECONNREFUSED)
	})
	late.finish(t)
	for _, p := range pending[1:] {
		p.wants(t, http.StatusOK)
	}
	w.server.waitFor(t, `"event":"serve.stopping"`)
	if n := w.smtp.Count(); n != resetting {
		t.Errorf("%d mails were taken although the mail server holds them", n-resetting)
	}
	release()
	select {
	case <-w.server.ended:
	case <-ctx.Done():
		t.Fatal("it has not ended although everything under way is finished")
	}
	w.endedWell(t)
	if n := len(w.links(t)[person(resetting)]); n != 1 {
		t.Errorf("%d mails of those under way were finished, want 1", n)
	}

	w.start(t)
	w.exactly(t, resetting+1+resetting) // with the notices
	w.onlyTheNewestOpens(t, resetting, 1)
	for i := range resetting {
		if _, code := sparekey(t, w.env, password, "user", "verify", person(i), "--password-stdin"); code != 0 {
			t.Errorf("the password of %s is another", person(i))
		}
	}
	w.stop(t)
}
