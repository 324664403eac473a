package main

import (
	"github.com/spf13/cobra"

	"github.com/sparekey/sparekey/internal/config"
)

// valueRow is a setting as it is listed.
type valueRow struct {
	Setting string `json:"setting"`
	Value   string `json:"value"`
	Source  string `json:"source"`
}

func newConfig(c console) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "config",
		Short: "Print what is in force and where each value comes from",
		Long: `Print every setting, the value in force and where it comes from. A flag wins over
the environment, that over the file (sparekey.yaml, or what --config or
SPAREKEY_CONFIG names), and the file over the defaults. Secrets show as [hidden].

It takes the flags of serve, so that a command line can be tried out here.`,
		Example: `  sparekey config
  sparekey config --json | jq -r '.[] | select(.source != "default") | .setting'`,
		Args: takes(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := load(c, cmd, nil)
			if err != nil {
				return err
			}
			var rows []valueRow
			for _, v := range cfg.Values() {
				rows = append(rows, valueRow{Setting: v.Path, Value: v.Value, Source: v.Source})
			}
			return printList(c.stdout, asJSON, rows, []string{"SETTING", "VALUE", "SOURCE"}, func(r valueRow) []string {
				return []string{r.Setting, r.Value, r.Source}
			})
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print a JSON array")
	config.AddFlags(cmd.Flags())
	return cmd
}
