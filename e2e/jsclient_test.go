package e2e

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

const jsClient = "../clients/js"

// devKey starts `sparekey dev` and makes an admin's key for it.
func devKey(t *testing.T, flags ...string) (base, key string) {
	t.Helper()
	base, data := startDev(t, flags...)
	return base, must(t, devEnv(data), "", "key", "create", "js", "--scope", "admin")
}

// TestJSClient runs the tests of the JavaScript client, the documented examples
// among them, in Node against real servers.
func TestJSClient(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"node", "npm"} {
		if _, err := exec.LookPath(name); err != nil {
			t.Fatalf("there is no %s; run script/setup, which installs it", name)
		}
	}
	if _, err := os.Stat(filepath.Join(jsClient, "node_modules")); err != nil {
		t.Fatal("what the JavaScript client's tests need is not installed; run script/setup")
	}
	tests, err := filepath.Glob(jsClient + "/test/*.test.mjs")
	if err != nil || len(tests) == 0 {
		t.Fatalf("the JavaScript client has no tests: %v", err)
	}
	base, key := devKey(t)
	open, _ := startDev(t, "--api-require-key=false")

	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, "node", "--test")
	for _, file := range tests {
		cmd.Args = append(cmd.Args, filepath.Join("test", filepath.Base(file)))
	}
	cmd.Dir = jsClient
	cmd.Env = append(os.Environ(), "SPAREKEY_URL="+base, "SPAREKEY_KEY="+key, "SPAREKEY_OPEN_URL="+open)
	cmd.WaitDelay = time.Second
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("node --test: %v\n%s", err, out)
	}
	// Of a run in which nothing was found to test Node says that it passed.
	if strings.Contains(string(out), "\n# pass 0\n") || !strings.Contains(string(out), "\n# skipped 0\n") {
		t.Errorf("node --test passed nothing or skipped something:\n%s", out)
	}
}

// The page of an application on another origin: it imports the client as it is.
const jsPage = `<!doctype html><title>an application</title><script type="module">
import { ApiClient, PasswordResetApi } from '/src/index.js';
const told = (error) => error.kind + ': ' + error.message;
window.connect = (basePath, key) => {
  const client = new ApiClient();
  client.basePath = basePath;
  client.authentications.api_key.apiKey = key;
  window.api = new PasswordResetApi(client);
};
window.ask = () => api.resetPasswordRequestPost({ email: ['ada@example.test'] }).then(({ email }) => email[0], told);
window.reset = async (id) => {
  const short = await api.resetPasswordResetIdPost(id, { password: 'short' }).catch((error) => error);
  const seen = await api.resetPasswordMetadataIdGet(id);
  const done = await new Promise((resolve, reject) => {
    api.resetPasswordResetIdPost(id, { password: 'a rather long sentence' }, (error, data) => error ? reject(error) : resolve(data));
  });
  return [short.status, short.code, seen.id === id, done.id === id].join(' ');
};
</script>`

// otherOrigin serves the application: its page, and the client's modules.
func otherOrigin(t *testing.T) *httptest.Server {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = w.Write([]byte(jsPage))
	})
	mux.Handle("GET /src/", http.FileServer(http.Dir(jsClient)))
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server
}

// TestJSClientInBrowser: the same client in Chromium, in a page of another
// origin (CORS), with and without a key, and from an origin that is not listed.
func TestJSClientInBrowser(t *testing.T) {
	t.Parallel()
	listed, unlisted := otherOrigin(t), otherOrigin(t)
	const refused = "network: resetPasswordRequestPost: there was no answer, or the server does not let pages of this origin call it"
	for _, c := range []struct {
		name  string
		from  *httptest.Server
		key   bool
		asked string
	}{
		{"with a key", listed, true, "ada@example.test"},
		{"without a key", listed, false, "ada@example.test"},
		{"from an origin that is not listed", unlisted, true, refused},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			flags := []string{"--api-cors-origins", listed.URL, fmt.Sprintf("--api-require-key=%t", c.key)}
			base, key := devKey(t, flags...)
			if !c.key {
				key = ""
			}
			ctx, _ := browser(t)
			evaluate := func(expression string) string {
				t.Helper()
				got, err := chromedp.Run(ctx, chromedp.Evaluate[string](expression, chromedp.EvalAwaitPromise))
				if err != nil {
					t.Fatalf("%s: %v", expression, err)
				}
				return got
			}
			if err := chromedp.Do(ctx, chromedp.Navigate(c.from.URL+"/")); err != nil {
				t.Fatal(err)
			}
			evaluate(fmt.Sprintf("connect('%s/api/1.0', '%s'), ''", base, key))
			if got := evaluate("ask()"); got != c.asked {
				t.Errorf("a request: %q, want %q", got, c.asked)
			}
			if c.from == unlisted {
				return
			}
			if got, want := evaluate(fmt.Sprintf("reset('%s')", nextID(t, base))), "400 10 true true"; got != want {
				t.Errorf("the calls of a reset: %q, want %q", got, want)
			}
		})
	}
}
