package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
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
	defer release() // else a failed test waits for what is held
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
