package e2e

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// visitor is a person at the page /forgot of a server that demands puzzles.
type visitor struct {
	t     *testing.T
	ctx   context.Context
	base  string
	asked func() []string
	// objections are what the browser says against the page: policies broken, errors in scripts.
	objections func() []string
}

// newVisitor opens a browser. Before any page of ours, before runs in it.
func newVisitor(t *testing.T, before string, flags ...string) *visitor {
	t.Helper()
	base, _ := startDev(t, append(flags, "--puzzle-enabled")...)
	v := &visitor{t: t, base: base}
	v.ctx, v.asked = browser(t)
	var (
		mu      sync.Mutex
		entries []string
	)
	v.objections = func() []string {
		mu.Lock()
		defer mu.Unlock()
		return slices.Clone(entries)
	}
	err := chromedp.Listen(v.ctx, func(event any) {
		e, ok := event.(*log.EventEntryAdded)
		if !ok || e.Entry.Source == log.EntrySourceNetwork { // of which some are answers of 400
			return
		}
		mu.Lock()
		defer mu.Unlock()
		entries = append(entries, string(e.Entry.Source)+": "+e.Entry.Text)
	})
	if err == nil {
		_, err = chromedp.Call(v.ctx, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{Source: before})
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for _, u := range v.asked() {
			if !strings.HasPrefix(u, base+"/") && !strings.HasPrefix(u, "about:") {
				t.Errorf("the browser asked somebody else: %s", u)
			}
		}
		for _, o := range v.objections() {
			t.Errorf("the browser objects: %s", o)
		}
	})
	return v
}

func (v *visitor) do(what string, actions ...chromedp.Action[chromedp.Void]) {
	v.t.Helper()
	if err := chromedp.Do(v.ctx, actions...); err != nil {
		v.t.Fatalf("%s: %v", what, err)
	}
}

// ask fills the form in with the keyboard alone, and sends it.
func (v *visitor) ask() {
	v.t.Helper()
	v.do("type and send", chromedp.WaitReady(`#email`), chromedp.KeyEvent(kb.Tab), chromedp.KeyEvent("ada@example.test"+kb.Enter))
}

// reads evaluates an expression of text.
func (v *visitor) reads(expression string) string {
	v.t.Helper()
	got, err := chromedp.Run(v.ctx, chromedp.Evaluate[string](expression))
	if err != nil {
		v.t.Fatalf("%s: %v", expression, err)
	}
	return got
}

// TestPuzzleInBrowser: the browser solves the puzzle by itself while the address is typed, and again
// when somebody comes back to the page; its mail arrives.
func TestPuzzleInBrowser(t *testing.T) {
	t.Parallel()
	// The development server limits nobody, but a browser that solves nothing gets nowhere here.
	v := newVisitor(t, "", "--puzzle-difficulty=500", "--puzzle-without-script=0")
	v.do("open", chromedp.Navigate(v.base+"/forgot"))
	v.ask()
	waitLocation(v.ctx, t, v.base+"/sent")
	nextID(t, v.base)
	v.reads(`(history.back(), "")`)
	waitLocation(v.ctx, t, v.base+"/forgot")
	// A page that is shown as it was left makes no events that chromedp would wait for.
	v.reads(`(document.querySelector("button").focus(), "")`)
	v.do("send it again", chromedp.KeyEvent(kb.Enter))
	waitLocation(v.ctx, t, v.base+"/sent")
	nextID(t, v.base)
}

// Holds the workers back until go is called, counts how often the form goes out, and
// presses its button once more when it just has.
const heldBack = `
const held = [];
window.Worker = class extends window.Worker {
  postMessage(message) { held.push(() => super.postMessage(message)); }
};
const submit = HTMLFormElement.prototype.submit;
HTMLFormElement.prototype.submit = function () {
  sessionStorage.sent = Number(sessionStorage.sent || 0) + 1;
  submit.call(this);
  if (sessionStorage.sent < 3) { this.requestSubmit(); }
};
window.go = () => held.splice(0).forEach((start) => start());
`

// TestPuzzleIsWaitedFor: who sends the form before the puzzle is solved is told
// so, where a screen reader says it too, keeps the focus, and need not send it again; who does, does no harm.
func TestPuzzleIsWaitedFor(t *testing.T) {
	t.Parallel()
	v := newVisitor(t, heldBack, "--puzzle-difficulty=50", "--puzzle-without-script=0")
	v.do("open", chromedp.Navigate(v.base+"/forgot"))
	v.ask()
	v.do("wait", chromedp.WaitVisible(`#wait:not(:empty)`))
	v.ask() // people are impatient
	for expression, want := range map[string]string{
		`document.querySelector("#wait").role`:                            "status",
		`document.querySelector("button").ariaDisabled`:                   "true",
		`String(document.querySelector("button").disabled)`:               "false",
		`String(document.getAnimations().length)`:                         "0",
		`document.querySelector("#wait").textContent.split(":")[0]`:       "One moment",
		`getComputedStyle(document.querySelector("#wait")).display`:       "block",
		`location.href.slice(location.origin.length) + history.length`:    "/forgot2",
		`document.activeElement.tagName`:                                  "BUTTON",
		`document.querySelector("input[name=altcha]").value.slice(0, 10)`: "",
	} {
		if got := v.reads(expression); got != want {
			t.Errorf("%s is %q, want %q", expression, got, want)
		}
	}
	v.reads(`String(go())`)
	waitLocation(v.ctx, t, v.base+"/sent")
	nextID(t, v.base)
	if got := v.reads(`sessionStorage.sent`); got != "1" {
		t.Errorf("the form went out %s times", got)
	}
}

// TestPuzzleOfAnOldPage: who comes back to a page that was open for longer than
// a puzzle is good has another one solved and notices nothing.
func TestPuzzleOfAnOldPage(t *testing.T) {
	t.Parallel()
	v := newVisitor(t, "", "--puzzle-difficulty=50", "--puzzle-without-script=0")
	v.do("open", chromedp.Navigate(v.base+"/forgot"), chromedp.WaitReady(`#email`))
	v.reads(`(() => { const now = Date.now; Date.now = () => now() + 11 * 60000; return ""; })()`)
	v.ask()
	waitLocation(v.ctx, t, v.base+"/sent")
	nextID(t, v.base)
	if !slices.Contains(v.asked(), v.base+"/forgot/challenge") {
		t.Errorf("no other puzzle was asked for: %q", v.asked())
	}
}

// TestNoPuzzleInBrowser: without JavaScript, and where what solves puzzles fails,
// the page works as long as few do that, and then says what else there is.
func TestNoPuzzleInBrowser(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, before string
		scripts      bool
	}{
		{"without JavaScript", "", false},
		{"with a browser that has no workers", "delete window.Worker;", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			v := newVisitor(t, c.before, "--puzzle-without-script=1")
			if _, err := chromedp.Call(v.ctx, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: !c.scripts}); err != nil {
				t.Fatal(err)
			}
			v.do("open", chromedp.Navigate(v.base+"/forgot"))
			if !c.scripts {
				v.do("read", chromedp.WaitVisible(`noscript .hint`))
			}
			v.ask()
			waitLocation(v.ctx, t, v.base+"/sent")
			nextID(t, v.base)
			v.do("open again", chromedp.Navigate(v.base+"/forgot"))
			v.ask()
			v.do("be told", chromedp.WaitVisible(`[role=alert]`))
		})
	}
}
