package main

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"github.com/sparekey/sparekey/internal/callout"
	"github.com/sparekey/sparekey/internal/config"
	"github.com/sparekey/sparekey/internal/reset"
)

func newEvent(c console) *cobra.Command {
	return newGroup("event", "Show the secrets of events' targets, and try the targets",
		`Applications are told of events by signed webhooks: the targets in events.targets.
docs/events.md says what they get and how they verify it.`,
		newEventSecrets(c), newEventTest(c))
}

// secretRow is a target's secret as it is listed.
type secretRow struct {
	Target string `json:"target"`
	Secret string `json:"secret"`
}

func newEventSecrets(c console) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "secrets",
		Short: "Print the secret of each target, for its application",
		Long: `Print the secret of each target, for its application to verify with: URL=SECRET, a
line each, as events.secrets takes them too. Each target has its own; it follows from
the setting secret, events.secret_version and the target's URL.

To change them, add one to events.secret_version, restart, and hand out what this
prints then. The secrets of the version before go on signing besides the new ones, so
that no event is lost meanwhile.`,
		Example: `  sparekey event secrets
  sparekey event secrets --json | jq -r '.[0].secret'`,
		Args: takes(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return withCore(c, cmd, refuseMissing, func(ctx context.Context, core *core) error {
				if err := needTargets(core.cfg); err != nil {
					return err
				}
				var rows []secretRow
				for _, target := range core.cfg.Events.Targets {
					key, err := core.eventKey(ctx, target, core.cfg.Events.SecretVersion)
					if err != nil {
						return err
					}
					rows = append(rows, secretRow{target, callout.FormatSecret(key)})
				}
				if asJSON {
					return printJSON(c.stdout, rows)
				}
				for _, r := range rows {
					if _, err := fmt.Fprintf(c.stdout, "%s=%s\n", r.Target, r.Secret); err != nil {
						return err
					}
				}
				return nil
			})
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print a JSON array")
	config.AddFlags(cmd.Flags(), "database", "events")
	return cmd
}

func newEventTest(c console) *cobra.Command {
	var (
		only   string
		asJSON bool
	)
	cmd := &cobra.Command{
		Use:   "test",
		Short: "Send a test event to each target now, and say what comes back",
		Long: `Send an event of the type test to each target, once, now and past the outbox, and
say what comes back, with a line of what to do when it fails. The exit code is 1 if
any failed. It goes the way that events go: the same checks of the address and the
certificate, the same signatures.`,
		Example: `  sparekey event test
  sparekey event test --target https://app.example.com/hooks/sparekey`,
		Args: takes(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return withCore(c, cmd, refuseMissing, func(ctx context.Context, core *core) error {
				if err := needTargets(core.cfg); err != nil {
					return err
				}
				targets := core.cfg.Events.Targets
				if cmd.Flags().Changed("target") {
					if !slices.Contains(targets, only) {
						return usagef("write --target with one of the URLs that sparekey event secrets lists", "events.targets has no such URL")
					}
					targets = []string{only}
				}
				return tryTargets(ctx, c, core, targets, asJSON)
			})
		},
	}
	cmd.Flags().StringVar(&only, "target", "", "try `URL` alone")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print a JSON array")
	config.AddFlags(cmd.Flags(), "database", "events")
	return cmd
}

func needTargets(cfg *config.Config) error {
	if len(cfg.Events.Targets) == 0 {
		return hintf(errors.New("no targets are configured"), "set SPAREKEY_EVENTS_TARGETS, such as https://app.example.com/hooks/sparekey; see docs/events.md")
	}
	return nil
}

// tryTargets sends each a test event and tells what came back.
func tryTargets(ctx context.Context, c console, core *core, targets []string, asJSON bool) error {
	sender, err := core.eventSender(ctx)
	if err != nil {
		return err
	}
	checks := make([]check, len(targets))
	for i, target := range targets {
		checks[i] = check{shown(target), func(ctx context.Context) (string, error) {
			status, err := sender.Send(ctx, target, reset.Event{ID: reset.NewEventID(), Type: reset.EventTest, At: core.now()})
			if err != nil {
				return "", adviseTarget(err)
			}
			return fmt.Sprintf("it took a test event and answered %d", status), nil
		}}
	}
	return runChecks(ctx, c.stdout, checks, asJSON)
}
