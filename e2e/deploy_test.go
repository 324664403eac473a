package e2e

import (
	"bytes"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/sparekey/sparekey/internal/certs/certtest"
)

const unitFile = "../deploy/sparekey.service"

// families are the names of those that deploy/sparekey.service knows.
var families = map[string]uint32{"AF_UNIX": unix.AF_UNIX, "AF_INET": unix.AF_INET, "AF_INET6": unix.AF_INET6}

// TestDeployed: as deploy/sparekey.service and deploy/Dockerfile have it, in an
// empty root that cannot be written, as a user without rights, and with the
// system calls and sockets of the unit alone (here any other kills), the service
// migrates, serves over TLS, mails, resets, has its certificate read again, is
// asked for its health, and stops. Secrets come from files; neither the list of
// processes nor the environment shows them.
func TestDeployed(t *testing.T) {
	t.Parallel()
	for name, open := range databases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorldOn(t, open(t), 0)
			j := newJail(t)
			j.Calls = allowedCalls(t, unitFile)
			for _, family := range strings.Fields(directives(t, unitFile, "RestrictAddressFamilies")[0]) {
				j.Families = append(j.Families, families[family])
			}
			secrets := deployed(t, w, j)
			must := func(stdin string, args ...string) string {
				t.Helper()
				cmd := j.command(t, w.env, args...)
				cmd.Stdin = strings.NewReader(stdin)
				var stderr bytes.Buffer
				cmd.Stderr = &stderr
				out, err := cmd.Output()
				if err != nil {
					t.Fatalf("%s: %v: %s%s", args, err, out, stderr.String())
				}
				return strings.TrimSpace(string(out))
			}
			must("", "migrate")
			must("email\n"+person(0)+"\n", "user", "import", "-")
			w.key = must("", "key", "create", "app")
			w.server = startCommand(t, j.command(t, w.env, "serve"))
			w.becomesReady(t)
			if out := must("", "health"); out != "ready" {
				t.Errorf("health says %q", out)
			}
			if status, answer, err := w.call(http.MethodPost, requestPath, asking(person(0))); status != http.StatusOK {
				t.Fatalf("asking: %d %s %v", status, answer, err)
			}
			w.exactly(t, 1)
			id := w.links(t)[person(0)][0]
			if status := w.reset(id); status != http.StatusOK {
				t.Errorf("resetting answered %d", status)
			}
			must(password, "user", "verify", person(0), "--password-stdin")
			w.server.waitFor(t, `"event":"password.reset"`)
			w.secretsAreNotShown(t, append(secrets, w.key, id, password), must("", "config"))
			w.endsWell(t)
			w.overTLS(t, j)
		})
	}
}

func (w *world) endsWell(t *testing.T) {
	t.Helper()
	w.server.end(t, syscall.SIGTERM)
	if !w.server.cmd.ProcessState.Success() {
		t.Errorf("it ended with %v", w.server.cmd.ProcessState)
	}
}

// overTLS starts the service in the jail once more, with a certificate, and has that read again.
func (w *world) overTLS(t *testing.T, j *jail) {
	t.Helper()
	authority := certtest.New(t)
	replace := func() {
		t.Helper()
		certificate, key := authority.Good(t, "reset.example.com").Write(t, j.Secrets)
		for _, path := range []string{certificate, key} {
			if err := os.Chmod(path, 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	replace()
	env := append(slices.Clone(w.env), "SPAREKEY_TLS_CERTIFICATE=/secrets/cert.pem", "SPAREKEY_TLS_KEY=/secrets/key.pem")
	w.server = startCommand(t, j.command(t, env, "serve"))
	w.server.waitFor(t, `"event":"serve.started"`)
	first, err := shown(t, w.addr, "reset.example.com", authority.Pool())
	if err != nil {
		t.Fatal(err)
	}
	if out, err := j.command(t, env, "health").Output(); err != nil || string(out) != "ready\n" {
		t.Errorf("health over TLS says %q, %v", out, err)
	}
	replace()
	if err := w.server.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	w.server.waitFor(t, `"event":"tls.loaded"`)
	if second, err := shown(t, w.addr, "reset.example.com", authority.Pool()); err != nil || second.SerialNumber.Cmp(first.SerialNumber) == 0 {
		t.Errorf("after SIGHUP the old certificate is shown, or %v", err)
	}
	w.endsWell(t)
}

// deployed sets the environment as it would be in the jail, with secrets in files, which it returns.
func deployed(t *testing.T, w *world, j *jail) (secrets []string) {
	t.Helper()
	settings := map[string]string{}
	for _, entry := range w.env {
		name, value, _ := strings.Cut(entry, "=")
		settings[name] = value
	}
	keep := func(name, secret string) {
		path := filepath.Join(j.Secrets, strings.ToLower(name))
		if err := os.WriteFile(path, []byte(secret+"\n"), 0o444); err != nil {
			t.Fatal(err)
		}
		delete(settings, name)
		settings[name+"_FILE"] = "/secrets/" + strings.ToLower(name)
	}
	smtp, err := url.Parse(w.smtp.URL())
	if err != nil {
		t.Fatal(err)
	}
	if smtp.User == nil {
		smtp.User = url.UserPassword("mailer", "opensesame")
	}
	query := smtp.Query()
	authority, err := os.ReadFile(query.Get("ca"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(j.Secrets, "ca.pem"), authority, 0o444); err != nil {
		t.Fatal(err)
	}
	query.Set("ca", "/secrets/ca.pem")
	smtp.RawQuery = query.Encode()
	keep("SPAREKEY_MAIL_SMTP", smtp.String())
	secrets = append(secrets, "opensesame")
	if address, err := url.Parse(w.db.setting()); err == nil && address.Scheme != "sqlite" {
		word, _ := address.User.Password()
		address.User = url.User(address.User.Username())
		settings["SPAREKEY_DATABASE"] = address.String()
		keep("SPAREKEY_DATABASE_PASSWORD", word)
		secrets = append(secrets, word)
	} else {
		settings["SPAREKEY_DATABASE"] = "sqlite:/data/sparekey.db"
		w.db = file{filepath.Join(j.Data, "sparekey.db"), &sync.RWMutex{}}
	}
	settings["SPAREKEY_SHUTDOWN_DELAY"] = "0s" // there is nobody to turn to
	delete(settings, "HOME")
	w.env = nil
	for name, value := range settings {
		w.env = append(w.env, name+"="+value)
	}
	return secrets
}

// secretsAreNotShown looks where every user of a machine looks, and where an operator does.
func (w *world) secretsAreNotShown(t *testing.T, secrets []string, config string) {
	t.Helper()
	places := map[string]string{"config": config}
	places["the log"], _ = w.server.output.look()
	for _, name := range []string{"cmdline", "environ"} {
		content, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", w.server.cmd.Process.Pid, name))
		if err != nil {
			t.Fatal(err)
		}
		if len(content) == 0 {
			t.Errorf("/proc/PID/%s is empty", name)
		}
		places["/proc/PID/"+name] = string(content)
	}
	if !strings.HasPrefix(places["/proc/PID/cmdline"], "/sparekey\x00serve\x00") {
		t.Errorf("the process is %q", places["/proc/PID/cmdline"])
	}
	for place, content := range places {
		for _, secret := range secrets {
			if strings.Contains(content, secret) {
				t.Errorf("%s shows a secret, %.4s…", place, secret)
			}
		}
	}
}

// TestJailHolds: what TestDeployed shows would be nothing if the jail let everything through.
func TestJailHolds(t *testing.T) {
	t.Parallel()
	all := allowedCalls(t, unitFile)
	without := func(call uint32) []uint32 {
		return slices.DeleteFunc(slices.Clone(all), func(n uint32) bool { return n == call })
	}
	inet := []uint32{unix.AF_INET, unix.AF_INET6, unix.AF_UNIX}
	listen := []string{"SPAREKEY_DATABASE=sqlite:/data/sparekey.db", "SPAREKEY_LISTEN=127.0.0.1:1"}
	for _, tt := range []struct {
		name     string
		calls    []uint32
		families []uint32
		env      []string
		args     []string
		want     string // of how it ends
	}{
		{"all is allowed", all, inet, listen, []string{"migrate"}, "exit status 0"},
		{"a call of SQLite's is missing", without(unix.SYS_FCNTL), inet, listen, []string{"migrate"}, "signal: bad system call"},
		{"a call of the network's is missing", without(unix.SYS_CONNECT), inet, listen, []string{"health"}, "signal: bad system call"},
		{"a family is missing", all, []uint32{unix.AF_UNIX}, listen, []string{"health"}, "signal: bad system call"},
		{"the root cannot be written", all, inet, []string{"SPAREKEY_DATABASE=sqlite:/sparekey.db"}, []string{"migrate"}, "exit status 1"},
		{"a secret's folder cannot be written", all, inet, []string{"SPAREKEY_DATABASE=sqlite:/secrets/sparekey.db"}, []string{"migrate"}, "exit status 1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			j := newJail(t)
			j.Calls, j.Families = tt.calls, tt.families
			cmd := j.command(t, tt.env, tt.args...)
			out, _ := cmd.CombinedOutput()
			if got := cmd.ProcessState.String(); !strings.HasPrefix(got, tt.want) {
				t.Errorf("it ended with %s, want %s:\n%s", got, tt.want, out)
			}
		})
	}
}
