package e2e

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sparekey/sparekey/internal/mail/smtptest"
)

// badMailServer has the mail server be down, slow, drop lines after DATA,
// refuse for now, and refuse some people for good.
func badMailServer(t *testing.T, db string) balance {
	n := size(100, 400)
	f := newFleet(t, databases[db](t), replicasOn(db), n)
	for i := 0; i < n; i += 50 {
		f.ledger.hopeless[person(i)] = true
	}
	var forNow, slow atomic.Bool
	f.smtp.OnRecipient(func(to string) smtptest.Reply {
		switch {
		case f.ledger.hopeless[to]:
			return smtptest.Reply{Code: 550, Text: "no such person here"}
		case forNow.Load():
			return smtptest.Reply{Code: 450, Text: "come back later"}
		}
		return smtptest.Reply{}
	})
	f.smtp.OnMessage(func(smtptest.Message) smtptest.Reply {
		if slow.Load() {
			within(t.Context(), 2*time.Second)
		}
		return smtptest.Reply{}
	})
	minute := time.Duration(size(3, 60)) * time.Second
	f.patience = 15 * time.Minute // the pauses between tries grow with the outage
	f.live(t, n, func(ctx context.Context) {
		if err := f.smtp.Stop(); err != nil {
			t.Error(err)
		}
		within(ctx, minute)
		if err := f.smtp.Restart(); err != nil {
			t.Error(err)
		}
		slow.Store(true)
		within(ctx, minute/4)
		slow.Store(false)
		f.smtp.DropAfterData(size(5, 50), true)
		within(ctx, minute/4)
		f.smtp.DropAfterData(size(5, 50), false)
		forNow.Store(true)
		within(ctx, minute/4)
		forNow.Store(false)
	})
	return f.balance(t)
}
