package hookdir_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/sparekey/sparekey/internal/callout"
	"github.com/sparekey/sparekey/internal/daemontest"
	"github.com/sparekey/sparekey/internal/directory/hookdir"
	"github.com/sparekey/sparekey/internal/directory/hookdir/hooktest"
	"github.com/sparekey/sparekey/internal/reset"
)

// call calls an application by hand, and answers its status and body.
func call(t *testing.T, app *hooktest.App, path string, header http.Header, body string) (int, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, app.URL()+path, strings.NewReader(body))
	must(t, err)
	r.Header = header
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	res, err := client.Do(r)
	must(t, err)
	answered, err := io.ReadAll(res.Body)
	must(t, errors.Join(err, res.Body.Close()))
	return res.StatusCode, string(answered)
}

// signed are the headers of a call.
func signed(t *testing.T, key []byte, id, body string, at time.Time) http.Header {
	t.Helper()
	s, err := callout.NewSigner(key)
	must(t, err)
	h := http.Header{"Content-Type": {"application/json"}}
	must(t, s.Sign(h, id, at, []byte(body)))
	return h
}

// TestTheReferenceApplicationsRefuse what Sparekey has not signed, not now, not this, and not for this call.
func TestTheReferenceApplicationsRefuse(t *testing.T) {
	t.Parallel()
	for _, p := range programs {
		t.Run(p.Name, func(t *testing.T) {
			t.Parallel()
			app := start(t, p)
			must(t, app.AddAll(hooktest.User{Email: ada, Password: oldPassword}))
			u, err := open(t, hookdir.Config{URL: app.URL(), Keys: [][]byte{app.Key}}).UserByAddress(t.Context(), address(t, ada))
			must(t, err)
			setting := fmt.Sprintf(`{"type":"set","id":%q,"password":%q}`, u.ID, newPassword)
			good := func() http.Header { return signed(t, app.Key, uuid.NewString(), setting, time.Now()) }
			without := func(name string) http.Header { h := good(); h.Del(name); return h }
			with := func(name, value string) http.Header { h := good(); h.Set(name, value); return h }
			for name, c := range map[string]struct {
				path   string
				header http.Header
				body   string
				status int
			}{
				"nothing signed":       {"/set", http.Header{"Content-Type": {"application/json"}}, setting, 401},
				"no signature":         {"/set", without("webhook-signature"), setting, 401},
				"no time":              {"/set", without("webhook-timestamp"), setting, 401},
				"no id":                {"/set", without("webhook-id"), setting, 401},
				"another secret":       {"/set", signed(t, key, uuid.NewString(), setting, time.Now()), setting, 401},
				"another id":           {"/set", with("webhook-id", uuid.NewString()), setting, 401},
				"another time":         {"/set", with("webhook-timestamp", fmt.Sprint(time.Now().Unix()-1)), setting, 401},
				"a time that is none":  {"/set", with("webhook-timestamp", "now"), setting, 401},
				"an empty signature":   {"/set", with("webhook-signature", "v1,"), setting, 401},
				"another version":      {"/set", with("webhook-signature", strings.Replace(good().Get("webhook-signature"), "v1,", "v2,", 1)), setting, 401},
				"a byte more":          {"/set", good(), setting + " ", 401},
				"too old":              {"/set", signed(t, app.Key, uuid.NewString(), setting, time.Now().Add(-6*time.Minute)), setting, 401},
				"too new":              {"/set", signed(t, app.Key, uuid.NewString(), setting, time.Now().Add(6*time.Minute)), setting, 401},
				"for another call":     {"/find", good(), setting, 400},
				"find sent to set":     {"/set", signed(t, app.Key, "x", `{"type":"find","id":"`+u.ID+`","password":"0123456789"}`, time.Now()), `{"type":"find","id":"` + u.ID + `","password":"0123456789"}`, 400},
				"no JSON":              {"/set", signed(t, app.Key, "x", `{`, time.Now()), `{`, 400},
				"not UTF-8":            {"/set", signed(t, app.Key, "x", strings.Replace(setting, "quiet", "\xff", 1), time.Now()), strings.Replace(setting, "quiet", "\xff", 1), 400},
				"nobody":               {"/set", signed(t, app.Key, "x", strings.Replace(setting, u.ID, "1000000", 1), time.Now()), strings.Replace(setting, u.ID, "1000000", 1), 404},
				"more than a megabyte": {"/set", good(), strings.Repeat(" ", 2<<20), 413},
			} {
				if status, body := call(t, app, c.path, c.header, c.body); status != c.status {
					t.Errorf("%s: answered %d %s, want %d", name, status, body, c.status)
				}
			}
			short := strings.Replace(setting, newPassword, "seven77", 1)
			status, body := call(t, app, "/set", signed(t, app.Key, "y", short, time.Now()), short)
			if status != 422 || !strings.Contains(body, `"length":7`) || !strings.Contains(body, `"min":8`) {
				t.Errorf("a short password: answered %d %s", status, body)
			}
			old, err := app.Verify(ada, oldPassword)
			must(t, err)
			if !old {
				t.Error("the password was changed")
			}
		})
	}
}

// TestTheReferenceApplicationsRepeatNothing: the same call again is answered alike, and changes nothing more,
// whether it comes later, after a restart or at the same time.
func TestTheReferenceApplicationsRepeatNothing(t *testing.T) {
	t.Parallel()
	for _, p := range programs {
		t.Run(p.Name, func(t *testing.T) {
			t.Parallel()
			app := start(t, p)
			must(t, app.AddAll(hooktest.User{Email: ada, Password: oldPassword}))
			d := open(t, hookdir.Config{URL: app.URL(), Keys: [][]byte{app.Key}})
			u, err := d.UserByAddress(t.Context(), address(t, ada))
			must(t, err)
			body := fmt.Sprintf(`{"type":"set","id":%q,"password":%q}`, u.ID, newPassword)
			header := signed(t, app.Key, uuid.NewString(), body, time.Now())
			var wg sync.WaitGroup
			for range 3 {
				wg.Go(func() {
					if status, said := call(t, app, "/set", header, body); status != 204 {
						t.Errorf("answered %d %s", status, said)
					}
				})
			}
			wg.Wait()
			must(t, set(t.Context(), d, u.ID, "and then another one"))
			if status, said := call(t, app, "/set", header, body); status != 204 {
				t.Errorf("the first again: answered %d %s", status, said)
			}
			app.Kill()
			must(t, app.Restart())
			if status, said := call(t, app, "/set", header, body); status != 204 {
				t.Errorf("after a restart: answered %d %s", status, said)
			}
			for password, want := range map[string]bool{"and then another one": true, newPassword: false, oldPassword: false} {
				if ok, err := app.Verify(ada, password); err != nil || ok != want {
					t.Errorf("%q logs in: %t, %v", password, ok, err)
				}
			}
			if log := app.Log(); strings.Contains(log, newPassword) || strings.Contains(log, "another one") {
				t.Errorf("a password is in the application's log: %s", log)
			}
		})
	}
}

// TestAllOfAUser: names, locale, accounts and whether they are disabled come from the application.
func TestAllOfAUser(t *testing.T) {
	t.Parallel()
	for _, p := range programs {
		app := start(t, p)
		must(t, app.AddAll(hooktest.User{Email: ada, Name: "Ada", Locale: "pt-BR", Accounts: []string{"Globex", "Acme"}, Disabled: true}))
		d := held(t, open(t, hookdir.Config{URL: app.URL(), Keys: [][]byte{app.Key}}))
		u, err := d.UserByAddress(t.Context(), address(t, ada))
		must(t, err)
		if len(u.Accounts) != 2 || u.Accounts[0].Name != "Acme" || u.Accounts[1].Name != "Globex" || u.Name != "Ada" || u.Locale != "pt-BR" || !u.Disabled {
			t.Errorf("%s: %+v", p.Name, u)
		}
	}
}

// TestRestartsInTheMiddle: applications are killed while passwords are changed. What was said to be changed is,
// what was said not to be is not, and no password is anything but the old or the new one.
func TestRestartsInTheMiddle(t *testing.T) {
	t.Parallel()
	for _, p := range programs {
		t.Run(p.Name, func(t *testing.T) {
			t.Parallel()
			const users = 4
			app := start(t, p)
			email := func(i int) string { return fmt.Sprintf("user%d@example.test", i) }
			for i := range users {
				must(t, app.AddAll(hooktest.User{Email: email(i), Password: oldPassword}))
			}
			d, proxy := through(t, app)
			ctx, stop := context.WithCancel(t.Context())
			defer stop()
			var wg sync.WaitGroup
			var may [users][]string
			var said daemontest.Journal
			for i := range users {
				u, err := d.UserByAddress(ctx, address(t, email(i)))
				must(t, err)
				may[i] = []string{oldPassword}
				wg.Go(func() {
					for n := 0; ctx.Err() == nil; n++ {
						next := fmt.Sprintf("password %d of user %d", n, i)
						switch err := set(context.WithoutCancel(ctx), d, u.ID, next); {
						case err == nil:
							may[i] = []string{next}
							_, _ = said.Write([]byte("c"))
						case isUnchanged(err):
							_, _ = said.Write([]byte("-"))
						default:
							may[i] = append(may[i], next)
							_, _ = said.Write([]byte("?"))
						}
					}
				})
			}
			for range 4 {
				changed(t, &said, 4)
				app.Kill()
				again(t, app, proxy)
			}
			changed(t, &said, 4)
			stop()
			wg.Wait()
			for i := range users {
				holding := 0
				for _, password := range may[i] {
					ok, err := app.Verify(email(i), password)
					must(t, err)
					if ok {
						holding++
					}
				}
				if holding != 1 {
					t.Errorf("%s: %d of %q hold, want one", email(i), holding, may[i])
				}
			}
			t.Logf("changed c, unchanged -, unsure ?: %s", said.String())
		})
	}
}

func isUnchanged(err error) bool {
	_, ok := errors.AsType[*reset.Unchanged](err)
	return ok
}

// changed waits until so many more passwords were changed.
func changed(t *testing.T, said *daemontest.Journal, more int) {
	t.Helper()
	want := strings.Count(said.String(), "c") + more
	deadline := time.NewTimer(time.Minute)
	defer deadline.Stop()
	again := time.NewTicker(5 * time.Millisecond)
	defer again.Stop()
	for strings.Count(said.String(), "c") < want {
		select {
		case <-again.C:
		case <-deadline.C:
			t.Fatalf("no more passwords are changed: %s", said)
		}
	}
}

// TestReadmes runs what the READMEs of the reference applications show, listening elsewhere, and resets a password there.
func TestReadmes(t *testing.T) {
	t.Parallel()
	for _, p := range programs {
		t.Run(p.Name, func(t *testing.T) {
			t.Parallel()
			readme, err := os.ReadFile(filepath.Join(p.Folder, "README.md"))
			must(t, err)
			blocks := strings.Split(string(readme), "```sh\n")[1:]
			if len(blocks) != 2 {
				t.Fatalf("the README has %d blocks, want one that runs it and one that logs in", len(blocks))
			}
			for i, block := range blocks {
				blocks[i], _, _ = strings.Cut(block, "```")
			}
			listen := freeAddress(t)
			host, port, _ := strings.Cut(listen, ":")
			script := "set -euo pipefail\n" + blocks[0] +
				"until (exec 3<>/dev/tcp/" + host + "/" + port + ") 2>/dev/null; do sleep 0.05; done\n" +
				blocks[1] + "echo $SECRET\nwait\n"
			for _, usual := range []string{"127.0.0.1:8099", "127.0.0.1:8098"} {
				script = strings.ReplaceAll(script, usual, listen)
			}
			script = strings.Replace(script, "USERS=", "USERS="+t.TempDir()+"/", 1)
			secret := logIn(t, p.Folder, script)
			d := open(t, hookdir.Config{URL: "http://" + listen + "/sparekey", Keys: [][]byte{secret}})
			u, err := d.UserByAddress(t.Context(), address(t, "ADA@example.com"))
			must(t, err)
			must(t, set(t.Context(), d, u.ID, newPassword))
		})
	}
}

// logIn runs a script until it has logged somebody in and has said the secret, and ends all that it has started when t ends.
func logIn(t *testing.T, folder, script string) []byte {
	t.Helper()
	cmd := exec.Command("bash", "-c", script)
	cmd.Env = slices.DeleteFunc(os.Environ(), func(s string) bool { return strings.Contains(strings.ToLower(s), "_proxy=") }) // see TestMain
	cmd.Dir, cmd.SysProcAttr = folder, &syscall.SysProcAttr{Setpgid: true}
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	late := time.AfterFunc(time.Minute, func() { _ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) })
	t.Cleanup(func() {
		late.Stop()
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		_ = cmd.Wait()
	})
	var said strings.Builder
	for lines := bufio.NewScanner(out); lines.Scan(); {
		said.WriteString(lines.Text() + "\n")
		if secret, err := callout.ParseSecret(lines.Text()); err == nil {
			if !strings.Contains(said.String(), "204\n") {
				t.Errorf("nobody was logged in: %s", &said)
			}
			return secret
		}
	}
	t.Fatalf("it ended too early: %s %s", &said, &stderr)
	return nil
}

// freeAddress is where nobody listens.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	must(t, err)
	must(t, l.Close())
	return l.Addr().String()
}
