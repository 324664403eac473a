package e2e

import (
	"encoding/pem"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/sparekey/sparekey/internal/callout"
	"github.com/sparekey/sparekey/internal/directory/hookdir/hooktest"
)

// followWebhook: the reference application in JavaScript, behind a proxy that speaks TLS.
func followWebhook(t *testing.T, g *guided) {
	folder := t.TempDir()
	programs, err := hooktest.Programs(t.Context(), folder)
	if err != nil {
		t.Fatal(err)
	}
	proxy := httptest.NewUnstartedServer(nil)
	t.Cleanup(proxy.Close)
	r := newReader(t, "app.example.com", proxy.Listener.Addr().String())
	makes, checks, _ := strings.Cut(g.take(t, "sh"), "\n")
	r.sh(t, makes)
	line, err := os.ReadFile(filepath.Join(r.dir, "shop-secrets"))
	if err != nil {
		t.Fatal(err)
	}
	secret, err := callout.ParseSecret(strings.TrimSpace(string(line)))
	if err != nil {
		t.Fatal(err)
	}
	app, err := programs[len(programs)-1].StartWith(folder, secret)
	if err != nil {
		t.Fatal(err)
	}
	ends(t, app.Close)
	if err := app.AddAll(hooktest.User{Email: guidesAda}, hooktest.User{Email: guidesTest}); err != nil {
		t.Fatal(err)
	}
	proxy.Config.Handler = httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: app.Address})
	proxy.StartTLS()
	r.write(t, "authorities.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: proxy.Certificate().Raw})))
	r.env = append(r.env, "SSL_CERT_FILE="+filepath.Join(r.dir, "authorities.pem")) // without ca_file the system's are believed
	r.configure(t, g.take(t, "yaml"))
	if said := r.sh(t, checks); !strings.Contains(said, "found "+guidesAda) {
		t.Errorf("the check says\n%s", said)
	}
	r.walk(t, "shop", func(email, password string) bool {
		ok, err := app.Verify(email, password)
		if err != nil {
			t.Fatal(err)
		}
		return ok
	})
}

// followReferenceApplication: the one in Go, started and logged in to as the guide says.
func followReferenceApplication(t *testing.T, g *guided) {
	listen := freeAddr(t)
	host, port, _ := strings.Cut(listen, ":")
	r := newReader(t, "127.0.0.1:8099", listen, "users.db", filepath.Join(t.TempDir(), "users.db"))
	starts, logsIn := g.take(t, "sh"), g.take(t, "sh")
	again := strings.Replace(logsIn, "\n", "", 1)
	cmd := exec.Command("bash", "-c", r.here.Replace("set -euo pipefail\n"+starts+"echo 'the password of a test' | go run . add "+guidesTest+"\n"+
		"until (exec 3<>/dev/tcp/"+host+"/"+port+") 2>/dev/null; do sleep 0.05; done\n"+
		logsIn+"printf %s \"$SECRET\" > "+filepath.Join(r.dir, "shop-secrets")+"\necho it runs\nwait\n"))
	cmd.Dir = "../examples/directory-go"
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Env = append(os.Environ(), "GOFLAGS=")
	application := startCommand(t, cmd)
	t.Cleanup(func() { _ = syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }) // what it has started, too
	if said := application.waitFor(t, "it runs"); !strings.Contains(said, "204\n") {
		t.Errorf("logging in is answered\n%s", said)
	}
	r.configure(t, g.take(t, "yaml"))
	r.walk(t, "shop", func(email, word string) bool {
		attempt := strings.NewReplacer(guidesAda, email, "the password of today", word).Replace(again)
		switch status := r.sh(t, attempt); status {
		case "204\n":
			return true
		case "401\n":
			return false
		default:
			t.Fatalf("logging in is answered %s", status)
			return false
		}
	})
	if word := "the password of today"; strings.Contains(r.sh(t, again), "204") {
		t.Errorf("%q logs in after the reset", word)
	}
}
