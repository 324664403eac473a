package main

import (
	"context"
	"net/http"
	"os"
	"os/user"
	"strconv"
	"strings"
	"time"

	"github.com/sparekey/sparekey/internal/httpserver"
	"github.com/sparekey/sparekey/internal/reset"
)

// What the keys of the audit trail are derived for.
const (
	purposeAudit     = "audit"
	purposeAddresses = "audit addresses"
)

// lastEntries is how long the recorder may take for what is left when the process ends.
const lastEntries = 5 * time.Second

// keepTrail has everything that is done from here on told to the audit trail.
// applied are the migrations that were: with the first the trail begins, so
// that an empty one is always a fault.
func (c *core) keepTrail(ctx context.Context, applied []string) error {
	key, err := c.derive(ctx, purposeAudit)
	if err != nil {
		return err
	}
	names, err := c.derive(ctx, purposeAddresses)
	if err != nil {
		return err
	}
	node, err := os.Hostname()
	if err != nil {
		node = "unknown"
	}
	c.store.Seal(reset.NewChain(key, node, c.log))
	c.names = names
	c.recorder = reset.NewRecorder(c.store.behind, c.now, c.log)
	c.audit = reset.NewAudit(c.names, reset.ClientDetail(c.cfg.Audit.Clients), c.recorder, c.now)
	if len(applied) == 0 {
		return nil
	}
	return c.record(ctx, reset.ActMigrated, "versions", strings.Join(applied, " "))
}

// record tells the trail what an operator did, where no transaction of ours did it.
func (c *core) record(ctx context.Context, what string, about ...string) error {
	return c.store.Update(ctx, func(tx reset.Tx) error {
		tx.Record(reset.AdminAct(ctx, c.now(), what, about...))
		return nil
	})
}

// asOperator returns a context whose acts are those of whoever runs this process.
func asOperator(ctx context.Context, c console) context.Context {
	name := "uid " + strconv.Itoa(os.Getuid())
	if u, err := user.Current(); err == nil {
		name = u.Username
	}
	// Who became root by sudo is the one to ask.
	for _, pair := range c.environ {
		if by, ok := strings.CutPrefix(pair, "SUDO_USER="); ok && by != "" && by != name {
			name = by + " as " + name
		}
	}
	return reset.WithOperator(ctx, name)
}

// retention is how long entries of the trail are kept; 0: for ever.
func (c *core) retention() time.Duration {
	return time.Duration(c.cfg.Audit.RetentionDays) * 24 * time.Hour
}

// tellsAddress has a surface's calls know the client's whole address, if the trail is to have it.
func (c *core) tellsAddress(s httpserver.Surface) httpserver.Surface {
	if reset.ClientDetail(c.cfg.Audit.Clients) != reset.ClientsFull {
		return s
	}
	addressOf, inner := httpserver.AddressOf(c.cfg.HTTP.TrustedProxies), s.Handler
	s.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		inner.ServeHTTP(w, r.WithContext(reset.WithClientAddress(r.Context(), addressOf(r))))
	})
	return s
}
