package web_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	code := m.Run()
	chromium.close()
	if err := goleak.Find(); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, "FAIL: after the tests:", err)
		code = 1
	}
	os.Exit(code)
}

// patience is how long a browser may take on a machine that has much to do.
const patience = time.Minute

// chromium is one browser for all tests of this package; each opens a profile of its own in it.
var chromium browser

type browser struct {
	once   sync.Once
	ctx    context.Context // the browser's life, as chromedp has it
	err    error
	cancel func()
	folder string
}

func (b *browser) start() {
	path := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if p, err := exec.LookPath(name); err == nil {
			path = p
			break
		}
	}
	if path == "" {
		b.err = errors.New("there is no Chromium; run script/setup, which installs it")
		return
	}
	if b.folder, b.err = os.MkdirTemp("", "sparekey-chromium-"); b.err != nil {
		return
	}
	alloc, cancelAlloc := chromedp.NewExecAllocator(context.Background(),
		chromedp.ExecPath(path), chromedp.Headless, chromedp.NoSandbox, chromedp.NoFirstRun, chromedp.NoDefaultBrowserCheck,
		chromedp.UserDataDir(b.folder), chromedp.Flag("ignore-certificate-errors", true),
		chromedp.Flag("disable-gpu", true), chromedp.Flag("disable-quic", true), chromedp.Flag("disable-sync", true),
		chromedp.Flag("disable-background-networking", true), chromedp.Flag("disable-component-update", true),
		chromedp.Flag("disable-dev-shm-usage", true), chromedp.Flag("hide-scrollbars", true),
	)
	ctx, cancel := chromedp.NewContext(alloc)
	b.cancel = func() { _ = chromedp.Cancel(ctx); cancel(); cancelAlloc() }
	b.ctx, b.err = ctx, chromedp.Do(ctx)
}

func (b *browser) close() {
	if b.cancel != nil {
		b.cancel()
	}
	if b.folder != "" {
		_ = os.RemoveAll(b.folder)
	}
}

// device is what somebody holds in their hands.
type device struct {
	width, height int64
	phone, dark   bool
	languages     string // as the browser prefers them
	withoutScript bool
}

var (
	phone   = device{width: 390, height: 844, phone: true}
	desktop = device{width: 1280, height: 900}
)

// tab is a page in a browser with a profile of its own.
type tab struct {
	t    *testing.T
	ctx  context.Context // the tab's life, as chromedp has it
	base string

	mu      sync.Mutex
	asked   []*network.EventRequestWillBeSent
	objects []string // what the browser says against the page: policies broken, errors in scripts
}

// open opens a browser of somebody who is at base.
func open(t *testing.T, base string, d device) *tab {
	t.Helper()
	chromium.once.Do(chromium.start)
	if chromium.err != nil {
		t.Fatal(chromium.err)
	}
	ctx, cancel := chromedp.NewContext(chromium.ctx, chromedp.WithNewBrowserContext())
	ctx, cancelDeadline := context.WithTimeout(ctx, 5*time.Minute)
	t.Cleanup(func() { cancelDeadline(); cancel() })
	b := &tab{t: t, ctx: ctx, base: base}
	err := chromedp.Listen(ctx, func(event any) {
		b.mu.Lock()
		defer b.mu.Unlock()
		switch e := event.(type) {
		case *network.EventRequestWillBeSent:
			b.asked = append(b.asked, e)
		case *log.EventEntryAdded:
			if e.Entry.Source != log.EntrySourceNetwork { // of which some are answers of 400
				b.objects = append(b.objects, string(e.Entry.Source)+": "+e.Entry.Text)
			}
		}
	})
	if err != nil {
		t.Fatalf("open a tab: %v", err)
	}
	b.hold(d)
	// Each is used as if nobody else had a window open.
	call(b, emulation.SetFocusEmulationEnabled, emulation.SetFocusEmulationEnabledParams{Enabled: true})
	call(b, network.SetExtraHTTPHeaders, network.SetExtraHTTPHeadersParams{Headers: network.Headers{"Accept-Language": d.languages}})
	if d.withoutScript {
		call(b, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
	}
	t.Cleanup(b.wantDecent)
	return b
}

// hold changes the size and the colours of what is shown.
func (b *tab) hold(d device) {
	b.t.Helper()
	call(b, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{
		Width: d.width, Height: d.height, DeviceScaleFactor: 1, Mobile: d.phone,
	})
	scheme := "light"
	if d.dark {
		scheme = "dark"
	}
	call(b, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}})
}

// wantDecent fails if any page asked another origin, told anybody where it is, or broke its own policy.
func (b *tab) wantDecent() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, e := range b.asked {
		if u := e.Request.URL; !strings.HasPrefix(u, b.base+"/") && !strings.HasPrefix(u, "about:") {
			b.t.Errorf("the browser asked somebody else: %s", u)
		}
		for name, value := range e.Request.Headers {
			if strings.EqualFold(name, "Referer") && value != "" {
				b.t.Errorf("the browser told %s where it was: %v", e.Request.URL, value)
			}
		}
	}
	for _, o := range b.objects {
		b.t.Errorf("the browser objects: %s", o)
	}
}

// requests are the addresses asked for since mark.
func (b *tab) requests(mark int) (urls []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, e := range b.asked[mark:] {
		urls = append(urls, e.Request.URL)
	}
	return urls
}

func (b *tab) do(what string, actions ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	if err := chromedp.Do(b.ctx, actions...); err != nil {
		b.t.Fatalf("%s: %v", what, err)
	}
}

func (b *tab) goTo(path string) {
	b.t.Helper()
	b.do("go to "+path, chromedp.Navigate(b.base+path))
}

// eval evaluates an expression, and waits for it if it is a promise.
func eval[T any](b *tab, expression string) T {
	b.t.Helper()
	got, err := chromedp.Run(b.ctx, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
	if err != nil {
		b.t.Fatalf("%.200s: %v", expression, err)
	}
	return got
}

// until waits until an expression is true.
func (b *tab) until(expression string) {
	b.t.Helper()
	deadline := time.Now().Add(patience)
	for {
		got, err := chromedp.Run(b.ctx, chromedp.Evaluate[bool]("!!("+expression+")"))
		if err == nil && got {
			return
		}
		if b.ctx.Err() != nil || time.Now().After(deadline) {
			where, _ := chromedp.Run(b.ctx, chromedp.Evaluate[string](`location.href + "\n" + document.body.innerText`))
			focus, _ := chromedp.Run(b.ctx, chromedp.Evaluate[string](`document.activeElement.outerHTML.slice(0, 200) + JSON.stringify([...document.querySelectorAll("input")].map(e => e.value))`))
			b.t.Fatalf("never: %s (%v), with the focus on %s, at %s", expression, err, focus, where)
		}
	}
}

// at waits for a page.
func (b *tab) at(path string) {
	b.t.Helper()
	b.until(fmt.Sprintf(`location.href === %q && document.readyState === "complete"`, b.base+path))
}

func call[P, R any](b *tab, command cdp.Command[P, R], params P) R {
	b.t.Helper()
	got, err := chromedp.Call(b.ctx, command, params)
	if err != nil {
		b.t.Fatalf("%s: %v", command.Method, err)
	}
	return got
}

var axe = sync.OnceValues(func() (string, error) {
	text, err := os.ReadFile("testdata/npm/node_modules/axe-core/axe.min.js")
	if err != nil {
		return "", fmt.Errorf("%w; run script/setup", err)
	}
	return string(text), nil
})

// wantAccessible has axe look at the page as it stands; only names rules, or none for all of them.
func (b *tab) wantAccessible(what string, only ...string) {
	b.t.Helper()
	script, err := axe()
	if err != nil {
		b.t.Fatal(err)
	}
	options, err := json.Marshal(map[string]any{"resultTypes": []string{"violations"}})
	if len(only) > 0 {
		options, err = json.Marshal(map[string]any{"resultTypes": []string{"violations"}, "runOnly": only})
	}
	if err != nil {
		b.t.Fatal(err)
	}
	if !eval[bool](b, `typeof axe === "object"`) {
		b.do("bring axe", chromedp.Evaluate[chromedp.Void](script))
	}
	found := eval[[]string](b, `axe.run(document, `+string(options)+`).then(r => r.violations.flatMap(v => v.nodes.map(n => v.id + ": " + n.html + "\n" + n.failureSummary)))`)
	for _, f := range found {
		b.t.Errorf("%s: axe finds %s", what, f)
	}
}

// overflowing are the elements that reach out of the window, or hide a part of their text.
const overflowing = `(() => {
	const wide = document.documentElement.clientWidth, found = [];
	if (document.documentElement.scrollWidth > wide) { found.push("the page is " + document.documentElement.scrollWidth + " wide"); }
	for (const e of document.querySelectorAll("body *")) {
		const box = e.getBoundingClientRect(), style = getComputedStyle(e);
		if (box.width === 0 || style.visibility === "hidden" || e.closest("svg")) { continue; }
		if (box.left < -1 || box.right > wide + 1) { found.push(e.outerHTML.slice(0, 120) + " from " + box.left + " to " + box.right); }
		if (e.scrollWidth > e.clientWidth + 1 && e.clientWidth > 0 && style.display !== "inline" && e.tagName !== "INPUT") { found.push(e.outerHTML.slice(0, 120) + " holds " + e.scrollWidth + " in " + e.clientWidth); }
	}
	return found;
})()`

func (b *tab) wantFits(what string) {
	b.t.Helper()
	for _, f := range eval[[]string](b, overflowing) {
		b.t.Errorf("%s: %s", what, f)
	}
}

// small are the targets that are less than 24 px high or wide, but for links within a text (WCAG 2.2, 2.5.8).
const small = `[...document.querySelectorAll("a, button, input:not([type=hidden]):not([hidden]), summary")].filter(e => {
	const box = e.getBoundingClientRect();
	return box.width > 0 && (box.width < 24 || box.height < 24);
}).map(e => e.outerHTML + " " + JSON.stringify(e.getBoundingClientRect()))`

func (b *tab) wantTargets(what string) {
	b.t.Helper()
	for _, f := range eval[[]string](b, small) {
		b.t.Errorf("%s: too small: %s", what, f)
	}
}

// cookies are what the browser keeps.
func (b *tab) cookies() []*network.Cookie {
	b.t.Helper()
	got := call(b, network.GetCookies, network.GetCookiesParams{URLs: []string{b.base + "/", b.base + "/reset"}})
	return slices.Clone(got.Cookies)
}
