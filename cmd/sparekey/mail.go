package main

import (
	"context"
	"errors"
	"fmt"
	"html/template"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sparekey/sparekey/internal/config"
	"github.com/sparekey/sparekey/internal/i18n"
	"github.com/sparekey/sparekey/internal/logs"
	"github.com/sparekey/sparekey/internal/mail"
	"github.com/sparekey/sparekey/internal/reset"
)

func newMail(c console) *cobra.Command {
	return newGroup("mail", "Look at the mails before anybody gets one",
		`What the mails look like in each language and brand. docs/mails.md says how they are
made, and how to lay templates of your own over them.`,
		newMailPreview(c))
}

func newMailPreview(c console) *cobra.Command {
	var dir string
	cmd := &cobra.Command{
		Use:   "preview",
		Short: "Write every mail in every language, to look at",
		Long: `Write every mail in every language as it would be sent, but for the signature: as
.eml, for mail programs, and its HTML as .html, for browsers; index.html leads to all of
them. With a database, those of each account with a brand of its own too, in a folder
each. The people and the links in them are made up; nothing is sent, and nothing else
changed.

It needs no setting; those of mail and brand, and mail.templates, have their effect.
Files that are there are overwritten.`,
		Example: `  sparekey mail preview --to-dir mails
  sparekey mail preview --to-dir mails --mail-templates /etc/sparekey/mails`,
		Args: takes(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if dir == "" {
				return usagef("write --to-dir DIR, a folder that may be new", "--to-dir is missing")
			}
			cfg, err := load(c, cmd, map[string]string{"mail.from": previewFrom, "base_url": previewBase})
			if err != nil {
				return err
			}
			return preview(cmd.Context(), c, cfg, dir)
		},
	}
	cmd.Flags().StringVar(&dir, "to-dir", "", "write into `DIR`")
	config.AddFlags(cmd.Flags(), "database", "base_url", "language", "mail", "brand")
	return cmd
}

// The sender and the base of links where none are set: translators have no service.
const (
	previewFrom = "Sparekey <noreply@example.com>"
	previewBase = "https://reset.example.com"
)

// worn is a brand to write mails in.
type worn struct {
	folder string // below the one that was named; empty: that one itself
	title  string
	brand  reset.Brand
}

// previewed is a mail that was written, for the index.
type previewed struct{ Brand, Lang, Subject, File string }

// preview writes all mails into a folder.
func preview(ctx context.Context, c console, cfg *config.Config, dir string) error {
	cfg.Mail.DKIM = config.DKIM{} // who looks at mails need not have the key
	composer, err := newComposer(cfg, c.now)
	if err != nil {
		return err
	}
	brands, err := brandsToShow(ctx, c, cfg)
	if err != nil {
		return err
	}
	var all []previewed
	for _, w := range brands {
		written, err := previewBrand(composer, dir, w)
		if err != nil {
			return err
		}
		all = append(all, written...)
	}
	var page strings.Builder
	if err := previewIndex.Execute(&page, all); err != nil {
		return err
	}
	if err := writeNew(filepath.Join(dir, "index.html"), []byte(page.String())); err != nil {
		return err
	}
	_, err = fmt.Fprintf(c.stdout, "%s in %s; begin with %s\n", count(len(all), "mail"), dir, filepath.Join(dir, "index.html"))
	return err
}

// previewBrand writes the mails of one brand.
func previewBrand(composer *mail.Composer, dir string, w worn) (all []previewed, err error) {
	for _, l := range i18n.Languages() {
		samples, err := composer.Samples(l.Tag, w.brand)
		if err != nil {
			return nil, err
		}
		for _, s := range samples {
			name := filepath.Join(w.folder, s.Name+"."+l.Tag)
			if err := errors.Join(writeNew(filepath.Join(dir, name+".eml"), s.Raw), writeNew(filepath.Join(dir, name+".html"), []byte(s.Page()))); err != nil {
				return nil, err
			}
			all = append(all, previewed{Brand: w.title, Lang: l.Tag, Subject: s.Subject, File: filepath.ToSlash(name)})
		}
	}
	return all, nil
}

// brandsToShow are the default brand and, if there is a database, those of accounts.
func brandsToShow(ctx context.Context, c console, cfg *config.Config) (list []worn, err error) {
	base, err := defaultBrand(cfg)
	if err != nil {
		return nil, err
	}
	list = []worn{{title: base.Name, brand: base}}
	if isMissing(cfg.Database) {
		return list, nil
	}
	core, err := openCore(asOperator(ctx, c), cfg, c.now, logs.New(c.stderr, "text", slog.LevelWarn), false)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, core.close()) }()
	if err := core.openBrands(ctx); err != nil {
		return nil, err
	}
	set, err := core.store.Brandings(ctx)
	if err != nil {
		return nil, err
	}
	for _, a := range set {
		brand, err := core.brands.Whole(ctx, a.Brand(a.Account, base))
		if err != nil {
			return nil, err
		}
		list = append(list, worn{folder: fmt.Sprintf("account-%d", a.Account.ID), title: brand.Name, brand: brand})
	}
	return list, nil
}

// writeNew writes a file, and makes the folder that it is in.
func writeNew(path string, contents []byte) error {
	err := os.MkdirAll(filepath.Dir(path), 0o755) //nolint:gosec // there are no secrets in it: people and links are made up
	if err == nil {
		err = os.WriteFile(path, contents, 0o644) //nolint:gosec // likewise
	}
	if err != nil {
		return hintf(err, "name a folder that this user may write to with --to-dir")
	}
	return nil
}

var previewIndex = template.Must(template.New("index").Parse(`<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>Mails</title>
<style>body { max-width: 60em; margin: 1em auto; padding: 0 1em; font: 16px/1.5 sans-serif } td, th { padding: .2em 1em .2em 0; text-align: start }</style>
<h1>Mails</h1>
<table>
<tr><th scope="col">Brand<th scope="col">Language<th scope="col">Mail<th scope="col">For mail programs
{{range .}}<tr><td>{{.Brand}}<td>{{.Lang}}<td lang="{{.Lang}}"><a href="{{.File}}.html"><bdi>{{.Subject}}</bdi></a><td><a href="{{.File}}.eml">{{.File}}.eml</a>
{{end}}</table>
`))
