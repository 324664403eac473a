package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/sparekey/sparekey/internal/httpserver"
	"github.com/sparekey/sparekey/internal/reset"
	"github.com/sparekey/sparekey/internal/throttle"
)

func newThrottle(c console) *cobra.Command {
	return newGroup("throttle", "See and clear limits",
		`See and clear limits: who has used up how much of what they may ask for. The table
of limits holds digests of addresses and clients, so name the one you mean.`,
		newThrottleShow(c), newThrottleClear(c))
}

// subject is who a command is about, as its flags say.
type subject struct {
	address, client, key, account string
	service                       bool
}

func (s *subject) flags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&s.address, "address", "", "the mail `ADDRESS`")
	cmd.Flags().StringVar(&s.client, "client", "", "the client with the network address `IP`")
	cmd.Flags().StringVar(&s.key, "key", "", "the key called `NAME`")
	cmd.Flags().StringVar(&s.account, "account", "", "the account called `NAME`")
	cmd.Flags().BoolVar(&s.service, "service", false, "all callers together")
	cmd.MarkFlagsMutuallyExclusive("address", "client", "key", "account", "service")
	dataFlags(cmd)
}

// given reports whether any flag names somebody.
func (s *subject) given() bool { return *s != subject{} }

// told is how the audit trail tells of whom it is: of an address by its keyed hash.
func (s *subject) told(core *core) string {
	switch {
	case s.address != "":
		a, err := reset.ParseAddress(s.address)
		if err != nil {
			return ""
		}
		return core.names.Name(a)
	case s.client != "":
		return "client"
	case s.key != "":
		return "key:" + s.key
	case s.account != "":
		return "account:" + s.account
	case s.service:
		return "service"
	}
	return "all"
}

// find turns the flags into a subject of limits.
func (s *subject) find(ctx context.Context, core *core) (none throttle.Subject, err error) {
	switch {
	case s.address != "":
		a, err := reset.ParseAddress(s.address)
		if err != nil {
			return none, err
		}
		return throttle.OfAddress(a), nil
	case s.client != "":
		ip, err := netip.ParseAddr(s.client)
		if err != nil {
			return none, hintf(errors.New("the client is no network address"), "write --client with an address such as 192.0.2.7 or 2001:db8::7")
		}
		return throttle.OfClient(httpserver.Subscriber(ip)), nil
	case s.key != "":
		keys, err := core.store.Keys(ctx)
		if err != nil {
			return none, err
		}
		i := slices.IndexFunc(keys, func(k reset.Key) bool { return k.Name == s.key })
		if i < 0 {
			return none, hintf(errors.New("there is no such key"), seeKeys)
		}
		return throttle.OfKey(keys[i].ID), nil
	case s.account != "":
		a, err := core.users.Account(ctx, s.account)
		return throttle.OfAccount(a.ID), advise(err, reset.NotFound, seeAccounts)
	}
	return throttle.OfService(), nil
}

// limitRow is a limit as it is shown.
type limitRow struct {
	Counts string     `json:"counts"`
	Used   int        `json:"used"`
	Of     int        `json:"of"`
	Per    string     `json:"per"`
	FreeAt *time.Time `json:"free_at"`
}

// kindRow is how many limits of a kind are in use.
type kindRow struct {
	Kind  string `json:"kind"`
	InUse int    `json:"in_use"`
}

func newThrottleShow(c console) *cobra.Command {
	var (
		who    subject
		asJSON bool
	)
	cmd := &cobra.Command{
		Use:   "show",
		Short: "Show how much of their limits somebody has used up",
		Long: `Show how much of their limits somebody has used up, and when all of it is free
again. Without a flag that names somebody: how many limits of each kind are in use.`,
		Example: `  sparekey throttle show
  sparekey throttle show --address ada@example.com
  sparekey throttle show --client 192.0.2.7 --json`,
		Args: takes(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return withCore(c, cmd, refuseMissing, func(ctx context.Context, core *core) error {
				if !who.given() {
					return showKinds(ctx, c, core, asJSON)
				}
				of, err := who.find(ctx, core)
				if err != nil {
					return err
				}
				states, err := throttle.Inspect(ctx, core.store, limitsOf(core.cfg.Throttle), of, core.now())
				if err != nil {
					return err
				}
				return printList(c.stdout, asJSON, limitRows(states), []string{"COUNTS", "USED", "OF", "PER", "ALL FREE"}, func(r limitRow) []string {
					return []string{r.Counts, strconv.Itoa(r.Used), strconv.Itoa(r.Of), r.Per, stamp(r.FreeAt, "now")}
				})
			})
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print a JSON array")
	who.flags(cmd)
	return cmd
}

func limitRows(states []throttle.State) []limitRow {
	rows := make([]limitRow, len(states))
	for i, s := range states {
		rows[i] = limitRow{Counts: s.About, Used: s.Used, Of: s.Rate.Count, Per: per(s.Rate.Per), FreeAt: instant(s.Free)}
	}
	return rows
}

func per(d time.Duration) string {
	switch d {
	case time.Minute:
		return "minute"
	case time.Hour:
		return "hour"
	}
	return d.String()
}

func showKinds(ctx context.Context, c console, core *core, asJSON bool) error {
	kinds, err := core.store.LimitKinds(ctx, core.now())
	if err != nil {
		return err
	}
	var rows []kindRow
	for _, kind := range slices.Sorted(maps.Keys(kinds)) {
		rows = append(rows, kindRow{kind, kinds[kind]})
	}
	return printList(c.stdout, asJSON, rows, []string{"KIND", "IN USE"}, func(r kindRow) []string {
		return []string{r.Kind, strconv.Itoa(r.InUse)}
	})
}

func newThrottleClear(c console) *cobra.Command {
	var (
		who      subject
		all, yes bool
	)
	cmd := &cobra.Command{
		Use:   "clear",
		Short: "Free somebody's limits",
		Long: `Free somebody's limits, so that they may ask again at once. A running service
that has refused a client lately goes on until the client's next call was to be
free: seconds for asking, half a minute for wrong ids.

With --all it asks first, since somebody who is flooding is freed too; a script
has to say --yes.`,
		Example: `  sparekey throttle clear --address ada@example.com
  sparekey throttle clear --all --yes`,
		Args: takes(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if all == who.given() {
				return usagef("write one of --address, --client, --key, --account, --service and --all", "whose limits is not clear")
			}
			if all {
				if err := confirm(cmd.Context(), c, yes, refuseUnasked, "Free everybody's limits, also those of whoever floods?"); err != nil {
					return err
				}
			}
			return withCore(c, cmd, refuseMissing, func(ctx context.Context, core *core) error {
				forget := func(ctx context.Context, tx reset.Tx) (int, error) { return tx.ForgetLimits(ctx, nil) }
				if !all {
					of, err := who.find(ctx, core)
					if err != nil {
						return err
					}
					forget = func(ctx context.Context, tx reset.Tx) (int, error) { return throttle.Forget(ctx, tx, of) }
				}
				var n int
				err := core.store.Update(ctx, func(tx reset.Tx) (err error) {
					if n, err = forget(ctx, tx); err == nil {
						tx.Record(reset.AdminAct(ctx, core.now(), reset.ActLimitsFreed, "of", who.told(core), "freed", strconv.Itoa(n)))
					}
					return err
				})
				if err != nil {
					return err
				}
				_, err = fmt.Fprintf(c.stdout, "freed %d\n", n)
				return err
			})
		},
	}
	cmd.Flags().BoolVar(&all, "all", false, "everybody's")
	yesFlag(cmd, &yes)
	who.flags(cmd)
	return cmd
}
