package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sparekey/sparekey/internal/config"
	"github.com/sparekey/sparekey/internal/reset"
)

func newAccountShow(c console) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "show NAME",
		Short: "Show what an account's pages and mails look like",
		Long: `Show what an account's pages and mails look like, and where each part comes from:
set for the account, or the default brand's. The page is where its users ask for
a link; applications may link to it.`,
		Example: `  sparekey account show 'Acme Ltd'
  sparekey account show 'Acme Ltd' --json | jq -r .page`,
		Args: takes("NAME"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return withCore(c, cmd, refuseMissing, func(ctx context.Context, core *core) error {
				base, err := defaultBrand(core.cfg)
				if err != nil {
					return err
				}
				found, err := core.users.Branding(ctx, args[0])
				if err != nil {
					return advise(err, reset.NotFound, seeAccounts)
				}
				shown := showBrand(found, base)
				if asJSON {
					return printJSON(c.stdout, shown)
				}
				return printTable(c.stdout, []string{"WHAT", "VALUE", "FROM"}, shown.rows())
			})
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print a JSON object")
	config.AddFlags(cmd.Flags(), "database", "base_url", "brand", "mail.from", "mail.service_name")
	return cmd
}

// brandShown is an account's brand as it is listed.
type brandShown struct {
	ID    int64  `json:"id"`
	Name  string `json:"name"`
	State string `json:"state"`
	// Page is where the account's users ask for a link; empty if base_url is not set.
	Page  string      `json:"page"`
	Brand []brandPart `json:"brand"`
}

// brandPart is a part of a brand.
type brandPart struct {
	What  string `json:"what"`
	Value string `json:"value"`
	// From is "account" or "default".
	From string `json:"from"`
}

func showBrand(found reset.AccountBranding, base reset.Brand) brandShown {
	// Of nothing set the default brand is worn, its name included.
	brand := base
	if !found.IsZero() {
		brand = found.Brand(found.Account, base)
	}
	shown := brandShown{ID: found.Account.ID, Name: found.Account.Name, State: "active"}
	if found.Account.Suspended {
		shown.State = "suspended"
	}
	if brand.BaseURL != "" {
		shown.Page = brand.URL("/forgot")
	}
	light, dark := brand.Light(), brand.Dark()
	texts := textsOf(&found.Branding)
	for _, name := range config.BrandNames() {
		part := brandPart{What: name, From: "default"}
		set, isText := texts[name]
		switch {
		case isText && set.get() != "", name == config.BrandLogo && !found.Logo.IsZero(), name == config.BrandHosts && len(found.Hosts) > 0,
			name == config.BrandName && brand.Account != 0, name == config.BrandLinkBase && brand.BaseURL != base.BaseURL:
			part.From = "account"
		}
		switch name {
		case config.BrandName:
			part.Value = brand.Name
		case config.BrandLogo:
			part.Value = logoText(brand.Logo)
		case config.BrandAccent:
			part.Value = fmt.Sprintf("%s, in the dark %s", light.Accent, dark.Accent)
		case config.BrandBackground:
			part.Value = string(light.Ground)
		case config.BrandSender:
			part.Value = senderText(brand)
		case config.BrandReplyTo:
			part.Value = brand.ReplyTo.Raw()
		case config.BrandSupport:
			part.Value = brand.Support
		case config.BrandLinkBase:
			part.Value = brand.BaseURL
		case config.BrandHosts:
			part.Value = strings.Join(found.Hosts, ", ")
		}
		shown.Brand = append(shown.Brand, part)
	}
	return shown
}

func logoText(l reset.Logo) string {
	if l.IsZero() {
		return ""
	}
	return fmt.Sprintf("%s, %d × %d pixels, %d bytes", l.Type, l.Width, l.Height, len(l.Data))
}

func senderText(b reset.Brand) string {
	if b.Sender.Raw() == "" {
		return ""
	}
	return b.SenderName + " <" + b.Sender.Raw() + ">"
}

func (s brandShown) rows() [][]string {
	rows := [][]string{{"account", fmt.Sprintf("%s (%d)", s.Name, s.ID), s.State}, {"page", s.Page, ""}}
	for _, part := range s.Brand {
		rows = append(rows, []string{part.What, part.Value, part.From})
	}
	return rows
}
