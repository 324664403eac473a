package e2e

import (
	"net/http"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

// TestDevMailboxUpdatesByItself: who has it open sees mails come, with
// JavaScript and without, and a mail in both schemes.
func TestDevMailboxUpdatesByItself(t *testing.T) {
	t.Parallel()
	for _, scripts := range []bool{true, false} {
		name := "without JavaScript"
		if scripts {
			name = "with JavaScript"
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			base, _ := startDev(t)
			ctx, _ := browser(t)
			if !scripts {
				if _, err := chromedp.Call(ctx, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true}); err != nil {
					t.Fatal(err)
				}
			}
			do := func(what string, actions ...chromedp.Action[chromedp.Void]) {
				t.Helper()
				if err := chromedp.Do(ctx, actions...); err != nil {
					t.Fatalf("%s: %v", what, err)
				}
			}
			do("open the mailbox", chromedp.Navigate(base+"/dev/mail"), chromedp.WaitVisible(`a[href="/forgot"]`))
			askFor(t, base, "ada@example.test")
			do("see the mail come", chromedp.WaitVisible(`a[href="/dev/mail/1"]`))
			do("open it", chromedp.Click(`a[href="/dev/mail/1"]`), chromedp.WaitVisible(`iframe[title*="dark"]`), chromedp.WaitVisible(`pre a[href*="/reset/"]`))
			if !scripts {
				return
			}
			askFor(t, base, "bob@example.test")
			do("be told of another", chromedp.WaitVisible(`[role=status] a[href="/dev/mail/2"]`))
		})
	}
}

// askFor asks for a link over the API.
func askFor(t *testing.T, base, address string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, base+"/api/1.0/reset-password/request", strings.NewReader(asking(address)))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	if err := response.Body.Close(); err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("asking answered %d (%v)", response.StatusCode, err)
	}
}
