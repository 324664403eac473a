package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sparekey/sparekey/internal/config"
)

func newMigrate(c console) *cobra.Command {
	var from, to string
	cmd := &cobra.Command{
		Use:   "migrate",
		Short: "Make the database, or bring its tables up to date, or move to PostgreSQL",
		Long: `Make the database, or bring its tables up to date. Every command that needs the
database does this by itself; migrate is for those who want it done beforehand.

With --from and --to, move everything in a SQLite file into an empty PostgreSQL
database: users, accounts, keys, requests, jobs, limits, the audit trail and the
mails and events that wait. All of it arrives or nothing; the file stays as it is.
Stop the service first. The password may be in SPAREKEY_DATABASE_PASSWORD, or in a
file that SPAREKEY_DATABASE_PASSWORD_FILE names; SPAREKEY_SECRET is the one that
serve has.`,
		Example: `  sparekey migrate
  sparekey migrate --from sqlite:/var/lib/sparekey/sparekey.db \
    --to 'postgres://sparekey_owner@db.example.com/sparekey?sslmode=verify-full'`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			cfg, err := load(c, cmd, nil)
			if err != nil {
				return err
			}
			if from != "" || to != "" {
				return moveBetween(asOperator(cmd.Context(), c), c, cfg, from, to)
			}
			log := slog.New(slog.DiscardHandler)
			store, err := openDatabase(cmd.Context(), cfg, log)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, store.Close()) }()
			applied, err := store.Migrate(cmd.Context())
			if err != nil {
				return err
			}
			core := &core{cfg: cfg, now: c.now, log: log, store: store}
			if err := core.keepTrail(asOperator(cmd.Context(), c), applied); err != nil {
				return err
			}
			if len(applied) == 0 {
				_, err = fmt.Fprintf(c.stdout, "%s is up to date\n", cfg.Database)
				return err
			}
			_, err = fmt.Fprintf(c.stdout, "%s: applied %s\n", cfg.Database, strings.Join(applied, ", "))
			return err
		},
	}
	config.AddFlags(cmd.Flags(), "database")
	cmd.Flags().StringVar(&from, "from", "", "move from `DATABASE`, sqlite:PATH, which nobody serves from")
	cmd.Flags().StringVar(&to, "to", "", "move to `DATABASE`, postgres://USER@HOST:PORT/NAME, which is empty")
	return cmd
}

// moveBetween reads the two addresses and moves.
func moveBetween(ctx context.Context, c console, cfg *config.Config, from, to string) error {
	usage := func(problem string) error {
		return &failure{cause: errors.New(problem), hint: "see: sparekey migrate --help", code: exitUsage}
	}
	source, err := config.ParseDatabase(from)
	if err != nil || source.Path == "" {
		return usage("--from must name a SQLite file, such as sqlite:/var/lib/sparekey/sparekey.db")
	}
	target, err := config.ParseDatabase(to)
	if err != nil || target.URL == "" {
		return usage("--to must be the address of a PostgreSQL database, such as postgres://sparekey_owner@db.example.com/sparekey")
	}
	warnOfPassword(c, "--to", target)
	return move(ctx, c, cfg, source, target)
}
