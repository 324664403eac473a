package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sparekey/sparekey/internal/config"
	"github.com/sparekey/sparekey/internal/reset"
)

// brandFlags are the settings that an account's brand is checked against.
func brandFlags(cmd *cobra.Command) {
	config.AddFlags(cmd.Flags(), "database", "base_url", "brand.hosts")
}

// optionOf is the option that sets a part of a brand: --reply-to for reply_to, --host for hosts.
func optionOf(name string) string {
	if name == config.BrandHosts {
		return "host"
	}
	return strings.ReplaceAll(name, "_", "-")
}

func newAccountSet(c console) *cobra.Command {
	var (
		from  string
		unset []string
	)
	cmd := &cobra.Command{
		Use:   "set NAME",
		Short: "Give an account its own look, sender and host names",
		Long: `Give an account its own look, sender and host names on pages and in mails. What
is not set is that of the settings: mail.from, mail.service_name, base_url and
brand. A running service wears it within a second or two.

--host may be given more than once; together they replace those of before. With
--from the file says all of it, in YAML with these names, of which none is needed:
` + "  " + strings.Join(config.BrandNames(), ", ") + `.
What it does not name is taken back. A logo's path is taken from the file's folder.

docs/branding.md takes you through it.`,
		Example: `  sparekey account set 'Acme Ltd' --display-name 'Acme' --logo acme.png \
    --accent '#663399' --sender 'Acme <noreply@acme.example.com>' --support help@acme.example.com
  sparekey account set 'Acme Ltd' --host reset.acme.example.com
  sparekey account set 'Acme Ltd' --unset logo,accent
  sparekey account set 'Acme Ltd' --from acme.yaml`,
		Args: takes("NAME"),
		RunE: func(cmd *cobra.Command, args []string) error {
			change, err := changeOf(cmd, from, unset)
			if err != nil {
				return err
			}
			return setBrand(c, cmd, args[0], change)
		},
	}
	flags := cmd.Flags()
	flags.String(optionOf(config.BrandName), "", "whose pages and mails they are, for people (default the account's name)")
	flags.String(optionOf(config.BrandLogo), "", "a picture in `FILE`: PNG, JPEG or WebP, up to 64 KiB")
	flags.String(optionOf(config.BrandAccent), "", "the `COLOUR` of buttons and links, such as '#663399'")
	flags.String(optionOf(config.BrandBackground), "", "the `COLOUR` of the ground, such as '#f4f4f1'")
	flags.String(optionOf(config.BrandSender), "", "whom mails are from: an `ADDRESS`, with a name if wanted")
	flags.String(optionOf(config.BrandReplyTo), "", "the `ADDRESS` where answers to mails go")
	flags.String(optionOf(config.BrandSupport), "", "whom to ask for help: an `ADDRESS` or an https URL")
	flags.String(optionOf(config.BrandLinkBase), "", "the `URL` that links begin with (default https:// and the first host)")
	flags.StringArray(optionOf(config.BrandHosts), nil, "a host `NAME` that is the account's own")
	flags.StringSliceVar(&unset, "unset", nil, "take back what was set: `NAMES` of options with commas between, or all")
	flags.StringVar(&from, "from", "", "take all of it from a YAML `FILE`")
	brandFlags(cmd)
	return cmd
}

// brandChange changes what is set of a brand.
type brandChange func(reset.Branding) (reset.Branding, error)

// changeOf reads what shall be changed, before anything is opened.
func changeOf(cmd *cobra.Command, from string, unset []string) (brandChange, error) {
	const hint = "see: sparekey account set --help"
	given := map[string]string{}
	for _, name := range config.BrandNames() {
		f := cmd.Flags().Lookup(optionOf(name))
		if !f.Changed {
			continue
		}
		given[name] = f.Value.String()
		if name == config.BrandHosts {
			hosts, err := cmd.Flags().GetStringArray(f.Name)
			if err != nil {
				return nil, err
			}
			given[name] = strings.Join(hosts, ",")
		}
		if strings.TrimSpace(given[name]) == "" {
			return nil, usagef("take it back with: --unset "+f.Name, "--%s is empty", f.Name)
		}
	}
	var back []string
	for _, option := range unset {
		switch name := nameOf(strings.TrimSpace(option)); {
		case option == "all":
			back = config.BrandNames()
		case name == "":
			return nil, usagef(hint, "--unset takes names of options without dashes, or all, and %q is none", visible(option))
		case given[name] != "":
			return nil, usagef("do one of the two", "--%s is set and taken back", optionOf(name))
		default:
			back = append(back, name)
		}
	}
	switch {
	case from != "" && len(given)+len(back) > 0:
		return nil, usagef("put all of it into the file", "--from says all of a brand, so no other option goes with it")
	case from != "":
		return fromFile(from)
	case len(given)+len(back) == 0:
		return nil, usagef(hint, "nothing is to be set")
	}
	return changing(given, back, "")
}

// nameOf is the part of a brand that an option sets, or empty.
func nameOf(option string) string {
	names := config.BrandNames()
	if i := slices.IndexFunc(names, func(name string) bool { return optionOf(name) == option || name == option }); i >= 0 {
		return names[i]
	}
	return ""
}

// fromFile takes all of a brand from a file.
func fromFile(path string) (brandChange, error) {
	contents, err := os.ReadFile(path)
	if err != nil {
		return nil, hintf(err, "write --from and the path of a YAML file")
	}
	given, err := config.ReadBrand(contents, path)
	if err != nil {
		return nil, err
	}
	return changing(given, config.BrandNames(), filepath.Dir(path))
}

// changing makes a change of texts: back are taken back, and then given are set. A
// logo's path is taken from a folder; empty: the working directory.
func changing(given map[string]string, back []string, folder string) (brandChange, error) {
	var logo reset.Logo
	if path := given[config.BrandLogo]; path != "" {
		if folder != "" && !filepath.IsAbs(path) {
			path = filepath.Join(folder, path)
		}
		var err error
		if logo, err = readLogo(path); err != nil {
			return nil, advise(err, reset.Invalid, "docs/branding.md says what a logo has to be")
		}
	}
	return func(b reset.Branding) (reset.Branding, error) {
		texts := textsOf(&b)
		for _, name := range back {
			switch name {
			case config.BrandLogo:
				b.Logo = reset.Logo{}
			case config.BrandHosts:
				b.Hosts = nil
			default:
				texts[name].set("")
			}
		}
		for name, text := range given {
			switch name {
			case config.BrandLogo:
				b.Logo = logo
			case config.BrandHosts:
				b.Hosts = strings.Split(text, ",")
			default:
				texts[name].set(text)
			}
		}
		return b, nil
	}, nil
}

// brandText is a text of a branding.
type brandText struct {
	get func() string
	set func(string)
}

// textsOf are the texts of a branding, by name.
func textsOf(b *reset.Branding) map[string]brandText {
	return map[string]brandText{
		config.BrandName:       textAt(&b.Name),
		config.BrandAccent:     textAt(&b.Accent),
		config.BrandBackground: textAt(&b.Background),
		config.BrandSender:     textAt(&b.Sender),
		config.BrandReplyTo:    textAt(&b.ReplyTo),
		config.BrandSupport:    textAt(&b.Support),
		config.BrandLinkBase:   textAt(&b.LinkBase),
	}
}

func textAt[T ~string](p *T) brandText {
	return brandText{get: func() string { return string(*p) }, set: func(s string) { *p = T(s) }}
}

var errNoBase = errors.New("base_url is not set, and host names and a link base are held against it")

func setBrand(c console, cmd *cobra.Command, account string, change brandChange) error {
	return withCore(c, cmd, refuseMissing, func(ctx context.Context, core *core) error {
		base, err := ofDefault(plainBranding(core.cfg))
		if err != nil {
			return err
		}
		var before reset.Branding
		set, err := core.users.SetBranding(ctx, account, base, func(b reset.Branding) (reset.Branding, error) {
			before = b
			after, err := change(b)
			if err == nil && base.BaseURL == "" && (len(after.Hosts) > 0 || after.LinkBase != "") {
				err = hintf(errNoBase, "set SPAREKEY_BASE_URL, or --base-url, to what serve has")
			}
			return after, err
		})
		if err != nil {
			return advise(advise(err, reset.NotFound, seeAccounts), reset.Invalid, "docs/branding.md says what each may be")
		}
		changed := set.Changes(before)
		if len(changed) == 0 {
			_, err := fmt.Fprintf(c.stdout, "%s stays as it is\n", visible(set.Account.Name))
			return err
		}
		if _, err := fmt.Fprintf(c.stdout, "changed %s: %s\n", visible(set.Account.Name), strings.Join(changed, ", ")); err != nil {
			return err
		}
		return adviseHosts(c.stdout, changed, set, core.cfg)
	})
}

// adviseHosts says what a host name needs beside Sparekey.
func adviseHosts(w io.Writer, changed []string, set reset.AccountBranding, cfg *config.Config) error {
	if !slices.Contains(changed, config.BrandHosts) || len(set.Hosts) == 0 {
		return nil
	}
	certificate := "the certificate must name them"
	if len(cfg.TLS.Autocert) > 0 {
		certificate = "serve fetches their certificates by itself"
	}
	_, err := fmt.Fprintf(w, "see that DNS leads %s here, and that a proxy in front passes on the Host header; %s\n", strings.Join(set.Hosts, ", "), certificate)
	return err
}
