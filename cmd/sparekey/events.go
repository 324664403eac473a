package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"strings"

	"github.com/sparekey/sparekey/internal/callout"
	"github.com/sparekey/sparekey/internal/config"
	"github.com/sparekey/sparekey/internal/reset"
	"github.com/sparekey/sparekey/internal/webhook"
)

// announce has the configured targets told of what the two do.
func (c *core) announce(ctx context.Context, s *reset.Service, courier *reset.Courier) error {
	if len(c.cfg.Events.Targets) == 0 {
		return nil
	}
	sender, err := c.eventSender(ctx)
	if err != nil {
		return err
	}
	events := reset.Events{Targets: c.cfg.Events.Targets, Types: c.cfg.Events.Types}
	s.Announce(events)
	courier.Announce(events, sender)
	return nil
}

// eventSender makes what tells the targets.
func (c *core) eventSender(ctx context.Context) (*webhook.Sender, error) {
	o := webhook.Options{AllowPrivate: c.cfg.Events.AllowPrivate, Now: c.now}
	for _, target := range c.cfg.Events.Targets {
		keys, err := c.eventKeys(ctx, target)
		if err != nil {
			return nil, err
		}
		o.Targets = append(o.Targets, webhook.Target{URL: target, Keys: keys})
	}
	return webhook.New(o)
}

// eventKeys are the keys that sign what a target is told: the derived one, the one
// before, and those that the operator has set. A receiver needs to know one of them;
// that an old one signs as well lets nobody forge anything at a receiver who knows it no more.
func (c *core) eventKeys(ctx context.Context, target string) (keys [][]byte, err error) {
	for version := c.cfg.Events.SecretVersion; version > 0 && len(keys) < 2; version-- {
		key, err := c.eventKey(ctx, target, version)
		if err != nil {
			return nil, err
		}
		keys = append(keys, key)
	}
	for _, own := range c.cfg.Events.Secrets {
		if own.Target != target {
			continue
		}
		key, err := callout.ParseSecret(own.Secret.Reveal())
		if err != nil {
			return nil, fmt.Errorf("events.secrets has a secret that %w", err)
		}
		keys = append(keys, key)
	}
	return keys, nil
}

// eventKey is the key of a target: no other target can derive it from its own.
func (c *core) eventKey(ctx context.Context, target string, version int) ([]byte, error) {
	return c.derive(ctx, fmt.Sprintf("event %d %s", version, target))
}

// shown is a target as terminals and logs show it, without what may be a secret in its query.
func shown(target string) string {
	u, err := url.Parse(target)
	if err != nil {
		return "?"
	}
	if u.RawQuery != "" {
		u.RawQuery = "…"
	}
	return u.Scheme + "://" + u.Host + u.Path
}

// adviseTarget turns what telling a target failed on into what an operator is told.
func adviseTarget(err error) error {
	if f, ok := errors.AsType[*webhook.Fault](err); ok {
		return hintf(f, "%s", f.Hint())
	}
	return hintf(err, "see the application's log")
}

// eventChecks are the doctor's checks of the targets.
func eventChecks(cfg *config.Config, now reset.Clock) ([]check, error) {
	sender, err := webhook.New(webhook.Options{AllowPrivate: cfg.Events.AllowPrivate, Now: now})
	if err != nil {
		return nil, err
	}
	var checks []check
	for _, target := range cfg.Events.Targets {
		checks = append(checks, check{"events to " + shown(target), func(ctx context.Context) (string, error) {
			found, err := sender.Check(ctx, target)
			if err != nil {
				return "", adviseTarget(err)
			}
			detail := "its name leads to " + list(found) + ", which may be called; sparekey event test calls it"
			if cfg.Secret == "" {
				detail += " (note: its secret is derived from one in the database; whoever reads that can forge events unless SPAREKEY_SECRET is set)"
			}
			return detail, nil
		}})
	}
	return checks, nil
}

func list(addrs []netip.Addr) string {
	texts := make([]string, len(addrs))
	for i, a := range addrs {
		texts[i] = a.String()
	}
	return strings.Join(texts, ", ")
}
