package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sparekey/sparekey/internal/reset"
)

// maxLine is how long a line of a file with heads may be; log lines stand between.
const maxLine = 1 << 20

func newAuditVerify(c console) *cobra.Command {
	var (
		against string
		former  []string
		asJSON  bool
	)
	cmd := &cobra.Command{
		Use:   "verify",
		Short: "Look whether the trail was changed",
		Long: `Look whether the trail was changed: whether any entry was altered, taken out, added
or exchanged, an end cut off, or a stream removed. The exit code is 1 if so. It may
run beside sparekey serve; give it the same environment, the secret above all.

That everything was put back to an earlier state cannot be seen from inside. For
that, --against compares with heads that were kept elsewhere: lines that audit head
printed, or the log of sparekey serve, which has them every ten minutes. - is stdin.

Entries from before SPAREKEY_SECRET was changed need the old one: --former FILE.`,
		Example: `  sparekey audit verify
  sparekey audit verify --against heads.jsonl
  journalctl -u sparekey -o cat | sparekey audit verify --against -`,
		Args: takes(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			known, err := readHeads(cmd.Context(), c, against)
			if err != nil {
				return err
			}
			return withCore(c, cmd, refuseMissing, func(ctx context.Context, core *core) error {
				chains, err := core.chains(ctx, former)
				if err != nil {
					return err
				}
				report, err := reset.Verify(ctx, core.store, chains, known)
				if err != nil {
					return err
				}
				return tellReport(c.stdout, report, asJSON)
			})
		},
	}
	cmd.Flags().StringVar(&against, "against", "", "compare with the heads in `FILE`")
	cmd.Flags().StringArrayVar(&former, "former", nil, "also take the former secret in `FILE`; may be repeated")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print a JSON object")
	dataFlags(cmd)
	return cmd
}

// chains are those of every secret at hand, that in force first.
func (c *core) chains(ctx context.Context, files []string) (chains []*reset.Chain, err error) {
	masters, err := c.masters(ctx)
	if err != nil {
		return nil, err
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, hintf(err, "name a file with a former secret")
		}
		masters = append(masters, []byte(strings.TrimRight(string(text), "\r\n")))
	}
	for _, master := range masters {
		key, err := deriveFrom(master, purposeAudit)
		if err != nil {
			return nil, err
		}
		chains = append(chains, reset.NewChain(key, "", slog.New(slog.DiscardHandler)))
	}
	return chains, nil
}

func tellReport(w io.Writer, r reset.AuditReport, asJSON bool) error {
	var err error
	switch {
	case asJSON:
		if r.Findings == nil {
			r.Findings = []reset.AuditFinding{}
		}
		err = printJSON(w, r)
	case len(r.Findings) == 0:
		since := ""
		if !r.Oldest.IsZero() {
			since = ", the oldest of " + r.Oldest.Format(time.RFC3339)
		}
		_, err = fmt.Fprintf(w, "ok: the %s in %s hold%s\n", entries(r.Records), count(r.Streams, "stream"), since)
	default:
		err = tellFindings(w, r.Findings)
	}
	if err == nil && len(r.Findings) > 0 {
		return errNo
	}
	return err
}

func tellFindings(w io.Writer, findings []reset.AuditFinding) error {
	for _, f := range findings {
		place := "the trail"
		switch {
		case f.Stream != 0 && f.Seq != 0:
			place = fmt.Sprintf("stream %d, entry %d", f.Stream, f.Seq)
		case f.Stream != 0:
			place = fmt.Sprintf("stream %d", f.Stream)
		}
		if _, err := fmt.Fprintf(w, "FAIL %s: %s\n", place, visible(f.Problem)); err != nil {
			return err
		}
	}
	_, err := fmt.Fprint(w, `hint: keep this database as it is, with sparekey audit export --json and a backup.
      Compare with older backups; see who could write to it. If SPAREKEY_SECRET is not the
      one that serve has, set it; if it was changed, name the old one with --former.
`)
	return err
}

// readHeads reads the heads in a file, between other lines; none if there is no file.
func readHeads(ctx context.Context, c console, path string) (heads []reset.AuditHead, err error) {
	if path == "" {
		return nil, nil
	}
	from := c.stdin
	if path != "-" {
		f, err := os.Open(path)
		if err != nil {
			return nil, hintf(err, "name a file with what audit head printed, or with the log of sparekey serve")
		}
		defer func() { err = errors.Join(err, f.Close()) }()
		from = f
	}
	return await(ctx, func() ([]reset.AuditHead, error) { return parseHeads(from) })
}

func parseHeads(from io.Reader) (heads []reset.AuditHead, err error) {
	lines := bufio.NewScanner(from)
	lines.Buffer(nil, maxLine)
	for lines.Scan() {
		var h reset.AuditHead
		if json.Unmarshal(lines.Bytes(), &h) == nil && h.Event == reset.EventHead {
			heads = append(heads, h)
		}
	}
	if err := lines.Err(); err != nil {
		return nil, hintf(err, "see: sparekey audit head --help")
	}
	if len(heads) == 0 {
		return nil, hintf(errors.New("there are no heads to compare with"), "keep what sparekey audit head prints, or the log of sparekey serve as JSON")
	}
	return heads, nil
}

func newAuditHead(c console) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "head",
		Short: "Print how far the trail goes, to be kept elsewhere",
		Long: `Print how far each stream of the trail goes, a JSON object a line. Keep it where
nobody who can write to the database can change it; audit verify --against compares.`,
		Example: `  sparekey audit head > /elsewhere/heads-$(date +%F).jsonl`,
		Args:    takes(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return withCore(c, cmd, refuseMissing, func(ctx context.Context, core *core) error {
				heads, err := reset.Heads(ctx, core.store)
				if err != nil {
					return err
				}
				for _, h := range heads {
					if err := printLine(c.stdout, h); err != nil {
						return err
					}
				}
				return nil
			})
		},
	}
	dataFlags(cmd)
	return cmd
}

func entries(n int64) string {
	if n == 1 {
		return "1 entry"
	}
	return fmt.Sprintf("%d entries", n)
}
