package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"os"
	"strings"
	"text/tabwriter"
	"unicode/utf8"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"

	"github.com/sparekey/sparekey/internal/config"
	"github.com/sparekey/sparekey/internal/reset"
	"github.com/sparekey/sparekey/internal/store/postgres"
	"github.com/sparekey/sparekey/internal/store/sqlite"
)

// move moves everything in a SQLite file into an empty PostgreSQL database:
// all of it or nothing, and the file stays as it is.
func move(ctx context.Context, c console, cfg *config.Config, from, to config.Database) (err error) {
	source, err := sqlite.OpenExport(ctx, from.Path)
	if errors.Is(err, sqlite.ErrServed) {
		return hintf(err, "what it would write meanwhile would be lost; stop it, and start it on the new database afterwards")
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, source.Close()) }()
	address, err := postgresAddress(to, cfg.DatabasePassword)
	if err != nil {
		return err
	}
	target, err := postgres.Open(ctx, postgres.Options{URL: address, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, target.Close()) }()
	if _, err := target.Migrate(ctx); err != nil {
		return hintf(err, "--to must be the address of a role that owns the database, with its password in SPAREKEY_DATABASE_PASSWORD")
	}
	fill, err := target.Import(ctx)
	if err != nil {
		return err
	}
	defer fill.Close()
	tables, err := source.Tables(ctx)
	if err != nil {
		return err
	}
	for _, t := range tables {
		if err := moveTable(ctx, c, source, fill, t); err != nil {
			return err
		}
	}
	if err := fill.Commit(ctx); err != nil {
		return err
	}
	moved := &core{cfg: cfg, now: c.now, log: slog.New(slog.DiscardHandler), store: &database{store: target}}
	if err := moved.keepTrail(ctx, nil); err != nil {
		return err
	}
	if err := moved.record(ctx, reset.ActMoved, "from", "sqlite", "to", "postgres"); err != nil {
		return err
	}
	return reportMove(c.stdout, from, to, tables)
}

// moveTable moves one table and demands that what arrived is what there was.
func moveTable(ctx context.Context, c console, source *sqlite.Export, fill *postgres.Import, t sqlite.Exported) error {
	progress := newProgress(c.stderr, t)
	rows := fitting(t, source.Rows(ctx, t.Name), progress)
	n, err := fill.Fill(ctx, t.Name, t.Columns, rows)
	progress.end()
	if err != nil {
		return err
	}
	if n != t.Rows {
		return fmt.Errorf("%s has %d rows and %d arrived; nothing was moved", t.Name, t.Rows, n)
	}
	return nil
}

// fitting passes rows on and ends at one that PostgreSQL could not hold as it is.
func fitting(t sqlite.Exported, rows iter.Seq2[[]any, error], progress *progress) iter.Seq2[[]any, error] {
	return func(yield func([]any, error) bool) {
		for row, err := range rows {
			for i, value := range row {
				text, ok := value.(string)
				if ok && (strings.ContainsRune(text, 0) || !utf8.ValidString(text)) {
					err = hintf(fmt.Errorf("the row of %s with %s %v has a %s that is no text in UTF-8 without NUL", t.Name, t.Columns[0], row[0], t.Columns[i]),
						"change that row, and try again; nothing was moved")
				}
			}
			progress.add()
			if !yield(row, err) || err != nil {
				return
			}
		}
	}
}

func reportMove(w io.Writer, from, to config.Database, tables []sqlite.Exported) error {
	out := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	_, err := fmt.Fprintf(out, "moved from %s to %s; the counts agree\n", from, to)
	for _, t := range tables {
		_, e := fmt.Fprintf(out, "%s\t%d\n", contents[t.Name], t.Rows)
		err = errors.Join(err, e)
	}
	return errors.Join(err, out.Flush())
}

// contents are people's words for the tables.
var contents = map[string]string{
	"accounts": "accounts", "brands": "brands", "brand_hosts": "host names of brands", "brand_version": "states of brands", "users": "users", "memberships": "memberships", "requests": "requests", "request_users": "users of several directories behind them", "keys": "keys",
	"limits": "limits", "secrets": "secrets that were made", "jobs": "bulk jobs", "job_entries": "entries of bulk jobs",
	"audit_families": "secrets of the audit trail", "audit_streams": "streams of the audit trail", "audit_entries": "entries of the audit trail",
	"river_job": "mails and events that wait",
}

// progress shows how far a table is: a bar on a terminal, nothing elsewhere.
type progress struct{ bar *progressbar.ProgressBar }

func newProgress(w io.Writer, t sqlite.Exported) *progress {
	file, ok := w.(*os.File)
	if !ok || !term.IsTerminal(int(file.Fd())) || t.Rows == 0 {
		return &progress{}
	}
	return &progress{bar: progressbar.NewOptions64(t.Rows, progressbar.OptionSetWriter(w),
		progressbar.OptionSetDescription(contents[t.Name]), progressbar.OptionShowCount(), progressbar.OptionClearOnFinish())}
}

func (p *progress) add() {
	if p.bar != nil {
		_ = p.bar.Add(1)
	}
}

func (p *progress) end() {
	if p.bar != nil {
		_ = p.bar.Finish()
	}
}
