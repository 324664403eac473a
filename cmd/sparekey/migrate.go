package main

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sparekey/sparekey/internal/config"
)

func newMigrate(c console) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "migrate",
		Short: "Make the database, or bring its tables up to date",
		Long: `Make the database, or bring its tables up to date. Every command that needs the
database does this by itself; migrate is for those who want it done beforehand.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			cfg, err := load(c, cmd, nil)
			if err != nil {
				return err
			}
			store, err := openDatabase(cmd.Context(), cfg, slog.New(slog.DiscardHandler))
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, store.Close()) }()
			applied, err := store.Migrate(cmd.Context())
			if err != nil {
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
	return cmd
}
