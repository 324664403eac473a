package main

import (
	"bufio"
	"cmp"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sparekey/sparekey/internal/reset"
)

const (
	// auditPage is how many entries are read at once.
	auditPage = 1000
	// mostTailed is the most entries that tail shows, for they are held until all are found.
	mostTailed = 100_000
	// followPause is how often tail --follow looks for more.
	followPause = 300 * time.Millisecond
)

func newAudit(c console) *cobra.Command {
	return newGroup("audit", "Read and verify the audit trail",
		`Read and verify the audit trail: who asked, looked, reset, was refused and what was
done on the command line. It holds no address and no secret: a person is a user's
id, or a keyed hash of the address, by which --address finds them.`,
		newAuditTail(c), newAuditExport(c), newAuditVerify(c), newAuditHead(c))
}

// auditRow is an entry as it is shown.
type auditRow struct {
	At        string          `json:"at"`
	Stream    int64           `json:"stream"`
	Seq       int64           `json:"seq"`
	What      string          `json:"what"`
	Who       string          `json:"who"`
	From      string          `json:"from"`
	Key       string          `json:"key"`
	Outcome   string          `json:"outcome"`
	RequestID string          `json:"request_id"`
	Times     int             `json:"times"`
	Node      string          `json:"node"`
	Details   json.RawMessage `json:"details"`
	Seal      string          `json:"seal"`
}

func rowOfRecord(r reset.AuditRecord) auditRow {
	details := json.RawMessage(r.Details)
	if !json.Valid(details) { // none, or changed by somebody
		details = json.RawMessage("{}")
	}
	return auditRow{
		At: r.At.UTC().Format("2006-01-02T15:04:05.000Z"), Stream: r.Stream, Seq: r.Seq, What: r.What, Who: r.Who, From: r.From,
		Key: r.Key, Outcome: r.Outcome, RequestID: r.RequestID, Times: r.Times, Node: r.Node,
		Details: details, Seal: hex.EncodeToString(r.Seal),
	}
}

// auditPrinter prints entries, a line each.
type auditPrinter struct {
	w      io.Writer
	asJSON bool
}

func (p auditPrinter) print(r reset.AuditRecord) error {
	row := rowOfRecord(r)
	if p.asJSON {
		return printLine(p.w, row)
	}
	var line strings.Builder
	fmt.Fprintf(&line, "%s  %-24s  %-10s  %s", row.At, row.What, row.Outcome, cmp.Or(row.Who, "-"))
	for _, pair := range [][2]string{{"from", row.From}, {"key", row.Key}, {"request", row.RequestID}, {"details", r.Details}} {
		if pair[1] != "" {
			fmt.Fprintf(&line, "  %s=%s", pair[0], pair[1])
		}
	}
	if row.Times > 1 {
		fmt.Fprintf(&line, "  times=%d", row.Times)
	}
	_, err := fmt.Fprintln(p.w, visible(line.String()))
	return err
}

func newAuditTail(c console) *cobra.Command {
	var (
		n              int
		follow, asJSON bool
		address        string
	)
	cmd := &cobra.Command{
		Use:   "tail",
		Short: "Show the newest entries",
		Long: `Show the newest entries, oldest first. What like acts were counted together says
how often under times. --address finds the entries about a person: those about the
address, and, if a user has it now, those about the user.`,
		Example: `  sparekey audit tail -n 20
  sparekey audit tail --follow
  sparekey audit tail --address ada@example.com --json`,
		Args: takes(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if n < 0 || n > mostTailed {
				return usagef(fmt.Sprintf("write -n with a number from 0 to %d", mostTailed), "the number is out of range")
			}
			if address != "" {
				if _, err := parseAddress(address); err != nil {
					return err
				}
			}
			return withCore(c, cmd, refuseMissing, func(ctx context.Context, core *core) error {
				about, err := core.about(ctx, address)
				if err != nil {
					return err
				}
				return tail(ctx, core, auditPrinter{c.stdout, asJSON}, n, follow, about)
			})
		},
	}
	cmd.Flags().IntVarP(&n, "number", "n", 50, "show the last `N`")
	cmd.Flags().BoolVarP(&follow, "follow", "f", false, "go on and show new ones as they come, until Ctrl-C")
	cmd.Flags().StringVar(&address, "address", "", "show those about whoever has `ADDRESS`")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print a JSON object a line")
	dataFlags(cmd)
	return cmd
}

// about answers what tells whether an entry is about an address; nil, which stands for all, if that is empty.
func (c *core) about(ctx context.Context, address string) (func(reset.AuditRecord) bool, error) {
	if address == "" {
		return nil, nil //nolint:nilnil // nil means everything
	}
	a, err := reset.ParseAddress(address)
	if err != nil {
		return nil, err
	}
	masters, err := c.masters(ctx)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, master := range masters {
		key, err := deriveFrom(master, purposeAddresses)
		if err != nil {
			return nil, err
		}
		names = append(names, reset.AddressNames(key).Name(a))
	}
	var ids []string
	u, err := c.people.UserByAddress(ctx, a)
	if err == nil {
		names = append(names, "user:"+u.ID)
		ids = reset.UserIDs(u.ID) // what an operator has done was done to one of them
	} else if !errors.Is(err, reset.ErrNoUser) {
		return nil, err
	}
	return func(r reset.AuditRecord) bool {
		return slices.ContainsFunc(names, func(name string) bool { return r.Who == name || strings.Contains(r.Details, `"`+name+`"`) }) ||
			slices.ContainsFunc(ids, func(id string) bool { return strings.Contains(r.Details, `"user":"`+id+`"`) })
	}, nil
}

func tail(ctx context.Context, core *core, p auditPrinter, n int, follow bool, about func(reset.AuditRecord) bool) error {
	// Where the streams are comes first, so that nothing that is recorded meanwhile is missed.
	heads, err := core.store.AuditStreams(ctx)
	if err != nil {
		return err
	}
	last, err := newestAbout(ctx, core.store, n, about)
	if err != nil {
		return err
	}
	shown := make(map[int64]int64)
	for _, h := range heads {
		shown[h.Stream] = h.Seq
	}
	for _, r := range last {
		shown[r.Stream] = max(shown[r.Stream], r.Seq)
		if err := p.print(r); err != nil {
			return err
		}
	}
	pause := time.NewTicker(followPause)
	defer pause.Stop()
	for follow {
		select {
		case <-pause.C:
		case <-ctx.Done():
			return nil // Ctrl-C is how it ends
		}
		if err := showNew(ctx, core.store, p, shown, about); err != nil {
			return err
		}
	}
	return nil
}

// newestAbout returns the newest n entries that are about somebody, oldest first.
func newestAbout(ctx context.Context, t reset.AuditTrail, n int, about func(reset.AuditRecord) bool) (last []reset.AuditRecord, err error) {
	if n == 0 || about == nil {
		return t.AuditNewest(ctx, n)
	}
	found := 0
	err = each(ctx, t, time.Time{}, func(r reset.AuditRecord) (bool, error) {
		switch {
		case !about(r):
			return true, nil
		case found < n:
			last = append(last, r)
		default: // in a ring
			last[found%n] = r
		}
		found++
		return true, nil
	})
	if found > n {
		last = slices.Concat(last[found%n:], last[:found%n])
	}
	return last, err
}

// each calls fn with all entries since a time, in their order, until it answers false.
func each(ctx context.Context, t reset.AuditTrail, since time.Time, fn func(reset.AuditRecord) (bool, error)) error {
	place := reset.AuditPlace{At: since.Add(-time.Millisecond)}
	for {
		page, err := t.AuditSince(ctx, place, auditPage)
		if err != nil {
			return err
		}
		for _, r := range page {
			more, err := fn(r)
			if err != nil || !more {
				return err
			}
		}
		if len(page) < auditPage {
			return nil
		}
		place = page[len(page)-1].Place()
	}
}

// showNew shows what streams have got since they were shown.
func showNew(ctx context.Context, t reset.AuditTrail, p auditPrinter, shown map[int64]int64, about func(reset.AuditRecord) bool) error {
	heads, err := t.AuditStreams(ctx)
	if err != nil {
		return unlessStopped(ctx, err)
	}
	var fresh []reset.AuditRecord
	for _, h := range heads {
		for shown[h.Stream] < h.Seq {
			page, err := t.AuditRecords(ctx, h.Stream, shown[h.Stream], auditPage)
			if err != nil {
				return unlessStopped(ctx, err)
			}
			if len(page) == 0 {
				break
			}
			fresh = append(fresh, page...)
			shown[h.Stream] = page[len(page)-1].Seq
		}
	}
	slices.SortStableFunc(fresh, func(a, b reset.AuditRecord) int { return a.At.Compare(b.At) })
	for _, r := range fresh {
		if about == nil || about(r) {
			if err := p.print(r); err != nil {
				return err
			}
		}
	}
	return nil
}

func newAuditExport(c console) *cobra.Command {
	var (
		asJSON       bool
		since, until string
	)
	cmd := &cobra.Command{
		Use:   "export",
		Short: "Print the whole trail, oldest first",
		Long: `Print the whole trail, oldest first, a line for each entry, however many there are.
It may run beside sparekey serve.`,
		Example: `  sparekey audit export --json > trail.jsonl
  sparekey audit export --json --since 2026-01-01 --until 2026-02-01 | jq -r .what | sort | uniq -c`,
		Args: takes(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			from, err := parseMoment("--since", since)
			if err != nil {
				return err
			}
			to, err := parseMoment("--until", until)
			if err != nil {
				return err
			}
			return withCore(c, cmd, refuseMissing, func(ctx context.Context, core *core) error {
				out := bufio.NewWriter(c.stdout)
				p := auditPrinter{out, asJSON}
				err := each(ctx, core.store, from, func(r reset.AuditRecord) (bool, error) {
					if !to.IsZero() && !r.At.Before(to) {
						return false, nil
					}
					return true, p.print(r)
				})
				return errors.Join(err, out.Flush())
			})
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print a JSON object a line")
	cmd.Flags().StringVar(&since, "since", "", "begin at `TIME`, such as 2026-01-31 or 2026-01-31T12:00:00Z")
	cmd.Flags().StringVar(&until, "until", "", "end before `TIME`")
	dataFlags(cmd)
	return cmd
}

// parseMoment reads a day, in UTC, or a time; nothing is the zero time.
func parseMoment(flag, s string) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	for _, form := range []string{time.DateOnly, time.RFC3339} {
		if at, err := time.Parse(form, s); err == nil {
			return at, nil
		}
	}
	return time.Time{}, usagef("write a day or a time, such as 2026-01-31 or 2026-01-31T12:00:00Z", "%s is no time", flag)
}
