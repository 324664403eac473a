package e2e

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
)

// browser opens a headless Chromium that ends with the test, and collects the
// addresses it asks for.
func browser(t *testing.T) (ctx context.Context, asked func() []string) {
	t.Helper()
	path := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if p, err := exec.LookPath(name); err == nil {
			path = p
			break
		}
	}
	if path == "" {
		t.Fatal("there is no Chromium; run script/setup, which installs it")
	}
	alloc, cancelAlloc := chromedp.NewExecAllocator(t.Context(),
		chromedp.ExecPath(path), chromedp.Headless, chromedp.NoSandbox, chromedp.NoFirstRun, chromedp.NoDefaultBrowserCheck,
		chromedp.UserDataDir(t.TempDir()), chromedp.WindowSize(390, 844),
		chromedp.Flag("disable-gpu", true), chromedp.Flag("disable-quic", true), chromedp.Flag("disable-sync", true),
		chromedp.Flag("disable-background-networking", true), chromedp.Flag("disable-component-update", true),
		chromedp.Flag("disable-dev-shm-usage", true),
	)
	ctx, cancel := chromedp.NewContext(alloc)
	deadline, cancelDeadline := context.WithTimeout(ctx, 2*time.Minute)
	t.Cleanup(func() { cancelDeadline(); cancel(); cancelAlloc() })
	var (
		mu   sync.Mutex
		urls []string
	)
	err := chromedp.Listen(deadline, func(event any) {
		if e, ok := event.(*network.EventRequestWillBeSent); ok {
			mu.Lock()
			defer mu.Unlock()
			urls = append(urls, e.Request.URL)
		}
	})
	if err != nil {
		t.Fatalf("start Chromium: %v", err)
	}
	return deadline, func() []string {
		mu.Lock()
		defer mu.Unlock()
		return append([]string(nil), urls...)
	}
}

var devURL = regexp.MustCompile(`http://127\.0\.0\.1:\d+`)

// startDev starts `sparekey dev` with its own folder and returns its address.
func startDev(t *testing.T, flags ...string) (base, data string) {
	t.Helper()
	data = t.TempDir()
	s := start(t, devEnv(data), append([]string{"dev", "--data", data, "--listen", "127.0.0.1:0"}, flags...)...)
	return devURL.FindString(s.waitFor(t, "Ctrl-C stops it.")), data
}

// devEnv is the environment in which commands find what startDev keeps in its folder.
func devEnv(data string) []string {
	return []string{"PATH=" + os.Getenv("PATH"), "HOME=" + data, "SPAREKEY_DATABASE=sqlite:" + data + "/sparekey.db"}
}

// TestBrowser: a person at a phone resets a password through the pages, with
// JavaScript and without.
func TestBrowser(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		scripts bool
	}{{"with JavaScript", true}, {"without JavaScript", false}} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			base, data := startDev(t)
			ctx, asked := browser(t)
			do := func(what string, actions ...chromedp.Action[chromedp.Void]) {
				t.Helper()
				if err := chromedp.Do(ctx, actions...); err != nil {
					t.Fatalf("%s: %v", what, err)
				}
			}
			if !c.scripts {
				if _, err := chromedp.Call(ctx, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true}); err != nil {
					t.Fatal(err)
				}
			}
			do("ask", chromedp.Navigate(base+"/forgot"),
				chromedp.SendKeys(`input[type=email]`, "ada@example.test"), chromedp.Submit(`form`))
			waitLocation(ctx, t, base+"/sent")

			id := nextID(t, base)
			do("open the link", chromedp.Navigate(base+"/reset/"+id))
			waitLocation(ctx, t, base+"/reset") // the id has left the address bar

			do("type a short one", chromedp.SendKeys(`input[type=password]`, "too short"), chromedp.Submit(`form`),
				chromedp.WaitVisible(`[aria-invalid=true]`))
			do("type a good one", chromedp.SendKeys(`input[type=password]`, password), chromedp.Submit(`form`))
			waitLocation(ctx, t, base+"/done")

			do("open the used link", chromedp.Navigate(base+"/reset/"+id), chromedp.WaitVisible(`a[href$="/forgot"]`))

			if _, code := sparekey(t, devEnv(data), password, "user", "verify", "ada@example.test", "--password-stdin"); code != 0 {
				t.Errorf("sparekey user verify: exit code %d, want 0", code)
			}
			for _, u := range asked() {
				if !strings.HasPrefix(u, base+"/") && !strings.HasPrefix(u, "about:") && !strings.HasPrefix(u, "data:") {
					t.Errorf("the browser asked somebody else: %s", u)
				}
			}
		})
	}
}

// waitLocation waits until the address bar shows the address.
func waitLocation(ctx context.Context, t *testing.T, want string) {
	t.Helper()
	var got string
	until(t, "the page "+want, 30*time.Second, func() bool {
		var err error
		if got, err = chromedp.Run(ctx, chromedp.Location()); err != nil && !errors.Is(err, context.Canceled) {
			t.Fatalf("at %s: %v", got, err)
		}
		return got == want
	})
}

// nextID waits for the mail in the development mailbox and returns the id in its link.
func nextID(t *testing.T, base string) string {
	t.Helper()
	w := &world{addr: strings.TrimPrefix(base, "http://")}
	status, answer, err := w.call("GET", "/dev/mail/next?to=ada@example.test", "")
	if err != nil || status != 200 {
		t.Fatalf("the development mailbox: %d %s %v", status, answer, err)
	}
	return strings.TrimSpace(answer)
}
