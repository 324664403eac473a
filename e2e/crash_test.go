package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/sparekey/sparekey/internal/mail/smtptest"
)

const (
	people      = 200
	baseURL     = "https://reset.example.com"
	password    = "correct horse battery staple"
	requestPath = "/api/1.0/reset-password/request"
)

// world is a service under test, with what surrounds it.
type world struct {
	env    []string
	addr   string
	db     database
	smtp   *smtptest.Server
	key    string
	server *server
	// patience is how long the outbox may take to be empty, if that is more than five minutes.
	patience time.Duration
}

func (w *world) url(path string) string { return "http://" + w.addr + path }

func person(i int) string { return fmt.Sprintf("person%03d@example.test", i) }

// newWorld imports n people into a new database and makes ready what the
// service needs: a mail server over STARTTLS with a login.
func newWorld(t *testing.T, n int) *world {
	t.Helper()
	return newWorldOn(t, databases["SQLite"](t), n)
}

// newWorldOn is newWorld with a database of its choice.
func newWorldOn(t *testing.T, db database, n int) *world {
	t.Helper()
	t.Cleanup(client.CloseIdleConnections)
	dir := t.TempDir()
	w := &world{
		addr: freeAddr(t), db: db,
		smtp: smtptest.Start(t, smtptest.WithSTARTTLS(), smtptest.WithAuth("mailer", "opensesame")),
	}
	w.env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + dir,
		"SPAREKEY_DATABASE=" + db.setting(),
		"SPAREKEY_LISTEN=" + w.addr,
		"SPAREKEY_BASE_URL=" + baseURL,
		"SPAREKEY_MAIL_SMTP=" + w.smtp.URL(),
		"SPAREKEY_MAIL_FROM=Example <noreply@example.com>",
		"SPAREKEY_THROTTLE_ENABLED=false",
		"SPAREKEY_HASH_QUEUE=1000",
		"SPAREKEY_HTTP_MAX_IN_FLIGHT=1000",
	}
	var csv strings.Builder
	csv.WriteString("email,name,accounts\n")
	for i := range n {
		fmt.Fprintf(&csv, "%s,Person %d,Acme\n", person(i), i)
	}
	must(t, w.env, csv.String(), "user", "import", "-")
	w.key = must(t, w.env, "", "key", "create", "e2e")
	return w
}

func (w *world) start(t *testing.T) {
	t.Helper()
	w.server = start(t, w.env, "serve")
	w.becomesReady(t)
}

// startWithin starts the service with a limit of memory for data, in MiB, that the system holds it to.
func (w *world) startWithin(t *testing.T, mib int) {
	t.Helper()
	w.server = startProgram(t, "/bin/sh", w.env, "-c", `ulimit -d "$1" && exec "$2" serve`, "sh", strconv.Itoa(mib<<10), binary)
	w.becomesReady(t)
}

func (w *world) becomesReady(t *testing.T) {
	t.Helper()
	until(t, "/readyz", 30*time.Second, func() bool {
		status, _, err := w.call(http.MethodGet, "/readyz", "")
		return err == nil && status == http.StatusOK
	})
}

// kill ends the service as a power cut would.
func (w *world) kill(t *testing.T) { w.server.end(t, syscall.SIGKILL) }

var client = &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: people}}

// call calls as the clients do: with the key, but for asking.
func (w *world) call(method, path, body string) (status int, answer string, err error) {
	key := w.key
	if path == requestPath {
		key = ""
	}
	return w.callAs(key, method, path, body)
}

// callAs calls with the key, or without any when it is empty.
func (w *world) callAs(key, method, path, body string) (status int, answer string, err error) {
	req, err := http.NewRequest(method, w.url(path), strings.NewReader(body))
	if err != nil {
		return 0, "", err
	}
	req.Header.Set("Content-Type", "application/json")
	if key != "" {
		req.Header.Set("X-Auth-Token", key)
	}
	res, err := client.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(res.Body)
	return res.StatusCode, string(text), err
}

// reset tries an id once: 0 when the answer was lost.
func (w *world) reset(id string) (status int) {
	status, _, err := w.call(http.MethodPost, "/api/1.0/reset-password/reset/"+id, fmt.Sprintf(`{"password":%q}`, password))
	if err != nil {
		return 0
	}
	return status
}

// settled waits until the outbox has nothing left to do.
func (w *world) settled(t *testing.T) {
	t.Helper()
	until(t, "an empty outbox", max(5*time.Minute, w.patience), func() bool {
		n, err := w.db.unfinished(t)
		return err == nil && n == 0
	})
}

// links are the ids in the mails to each person, oldest first.
func (w *world) links(t *testing.T) map[string][]string {
	t.Helper()
	ids := map[string][]string{}
	for _, m := range w.smtp.Messages() {
		if link := m.Link(baseURL + "/reset/"); link != "" {
			ids[m.To[0]] = append(ids[m.To[0]], link[strings.LastIndexByte(link, '/')+1:])
		}
	}
	return ids
}

// TestKillInTheMiddle: two hundred people reset at once, and the service is
// killed in the middle of the asking, of the mailing and of the resetting.
// Every accepted request ends in a mail, and the link of the newest mail works
// exactly once.
func TestKillInTheMiddle(t *testing.T) {
	t.Parallel()
	for name, open := range databases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			killInTheMiddle(t, newWorldOn(t, open(t), people))
		})
	}
}

func killInTheMiddle(t *testing.T, w *world) {
	t.Helper()
	w.start(t)
	w.askAll(t)
	w.settled(t)
	newest := map[string]string{}
	all := w.links(t)
	for i := range people {
		mails := all[person(i)]
		if len(mails) == 0 {
			t.Fatalf("%s was accepted and got no mail", person(i))
		}
		newest[person(i)] = mails[len(mails)-1]
		for _, old := range mails[:len(mails)-1] {
			if status := w.reset(old); status != http.StatusUnauthorized {
				t.Errorf("an older link of %s answered %d, want 401", person(i), status)
			}
		}
	}
	w.resetAll(t, newest)
	w.settled(t)
	w.noticed(t)
	w.secretsAreNotAtRest(t, all)
}

// askAll asks for everybody at once and kills the service after a third of
// the mails, then again after two thirds; whoever got no answer asks again.
func (w *world) askAll(t *testing.T) {
	t.Helper()
	var accepted [people]atomic.Bool
	ask := func() {
		var wg sync.WaitGroup
		for i := range people {
			if accepted[i].Load() {
				continue
			}
			wg.Go(func() {
				status, answer, err := w.call(http.MethodPost, requestPath, fmt.Sprintf(`{"email":[%q]}`, person(i)))
				if err == nil && status == http.StatusOK {
					accepted[i].Store(true)
				} else if err == nil {
					t.Errorf("asking answered %d %s", status, answer)
				}
			})
		}
		wg.Wait()
	}
	for _, third := range []int{1, 2} {
		killed := make(chan struct{})
		go func() {
			defer close(killed)
			until(t, "some mails", 60*time.Second, func() bool { return w.smtp.Count() >= third*people/3 })
			w.kill(t)
		}()
		ask()
		<-killed
		w.start(t)
	}
	ask()
	for i := range people {
		if !accepted[i].Load() {
			t.Fatalf("%s was never accepted", person(i))
		}
	}
}

// resetAll resets with everybody's newest link, three callers each, kills the
// service in the middle, and demands that each link worked exactly once.
func (w *world) resetAll(t *testing.T, newest map[string]string) {
	t.Helper()
	type tally struct{ won, refused, lost atomic.Int64 }
	var (
		tallies [people]tally
		done    atomic.Int64
	)
	round := func(callers int, only func(*tally) bool) {
		var wg sync.WaitGroup
		for i := range people {
			one := &tallies[i]
			if !only(one) {
				continue
			}
			for range callers {
				wg.Go(func() {
					switch status := w.reset(newest[person(i)]); status {
					case http.StatusOK:
						one.won.Add(1)
						done.Add(1)
					case http.StatusUnauthorized:
						one.refused.Add(1)
					case 0:
						one.lost.Add(1)
					default:
						t.Errorf("a reset answered %d", status)
					}
				})
			}
		}
		wg.Wait()
	}
	killed := make(chan struct{})
	go func() {
		defer close(killed)
		until(t, "some resets", 60*time.Second, func() bool { return done.Load() >= people/3 })
		w.kill(t)
	}()
	round(3, func(*tally) bool { return true })
	<-killed
	w.start(t)
	// Whoever has no definite answer yet tries again.
	round(2, func(one *tally) bool { return one.won.Load() == 0 })

	ambiguous := 0
	for i := range people {
		one := &tallies[i]
		switch won := one.won.Load(); {
		case won > 1:
			t.Errorf("the link of %s worked %d times", person(i), won)
		case won == 0 && one.lost.Load() == 0:
			t.Errorf("the link of %s never worked", person(i))
		case won == 0:
			// It worked for a caller whose answer was lost with the process.
			ambiguous++
			if _, code := sparekey(t, w.env, password, "user", "verify", person(i), "--password-stdin"); code != 0 {
				t.Errorf("%s has a used link and another password", person(i))
			}
		}
	}
	t.Logf("%d people's answers were lost with the process; their passwords were changed all the same", ambiguous)
}

// noticed demands a notice for everybody.
func (w *world) noticed(t *testing.T) {
	t.Helper()
	told := map[string]bool{}
	for _, m := range w.smtp.Messages() {
		if m.Link(baseURL+"/reset/") == "" {
			told[m.To[0]] = true
		}
		if bytes.Contains(m.Raw, []byte(password)) {
			t.Errorf("a mail to %s holds the password", m.To[0])
		}
	}
	for i := range people {
		if !told[person(i)] {
			t.Errorf("%s was not told that the password was changed", person(i))
		}
	}
}

// secretsAreNotAtRest looks for every id, the password and the key in the
// database's files and in the log.
func (w *world) secretsAreNotAtRest(t *testing.T, ids map[string][]string) {
	t.Helper()
	var rest bytes.Buffer
	rest.Write(w.db.atRest(t))
	log, _ := w.server.output.look()
	for _, line := range strings.Split(strings.TrimSpace(log), "\n") {
		if !json.Valid([]byte(line)) {
			t.Errorf("a log line is no JSON: %s", line)
		}
	}
	rest.WriteString(log)
	secrets := []string{password, w.key}
	for _, list := range ids {
		secrets = append(secrets, list...)
	}
	for _, secret := range secrets {
		if bytes.Contains(rest.Bytes(), []byte(secret)) {
			t.Errorf("a secret is at rest in the clear: %.12s…", secret)
		}
	}
	if strings.Contains(log, "@example.test") {
		t.Error("the log holds an address")
	}
}
