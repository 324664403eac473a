package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/spf13/cobra"

	"github.com/sparekey/sparekey/internal/config"
	"github.com/sparekey/sparekey/internal/reset"
)

// checkTime is how long one check may take.
const checkTime = 20 * time.Second

// finding is what a check found.
type finding struct {
	Name   string `json:"name"`
	OK     bool   `json:"ok"`
	Detail string `json:"detail"`
	Hint   string `json:"hint,omitempty"` // what to do about a failure
}

// check looks at one thing. Its error is a *failure whose hint says what to do.
type check struct {
	name string
	run  func(ctx context.Context) (detail string, err error)
}

func newDoctor(c console) *cobra.Command {
	var (
		sendTo string
		asJSON bool
	)
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Check the set-up, and say what to do about it",
		Long: `Check the database, the audit trail, the clock, the base URL, the sender, the mail
server and, where there are any, what mails are signed with, the certificate, the
targets of events, the directories and what knows leaked passwords, each with a line
of what to do when it fails. The exit code is 1 if any failed.

It sends no mail, except a test mail with --send-to, and no event, and changes
nothing: all that it writes is a probe, to see that the database takes it. It may
run beside sparekey serve; give it the same environment.`,
		Example: `  sparekey doctor
  sparekey doctor --send-to me@example.com`,
		Args: takes(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			var to *reset.Address
			if cmd.Flags().Changed("send-to") {
				a, err := parseAddress(sendTo)
				if err != nil {
					return err
				}
				to = &a
			}
			cfg, err := load(c, cmd, nil)
			if err != nil {
				return err
			}
			return examine(cmd.Context(), c, cfg, to, asJSON)
		},
	}
	cmd.Flags().StringVar(&sendTo, "send-to", "", "send a test mail to `ADDRESS`")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print a JSON array")
	config.AddFlags(cmd.Flags(), "database", "base_url", "tls", "mail", "password", "events")
	return cmd
}

// examine runs all checks and tells what each found as soon as it has.
func examine(ctx context.Context, c console, cfg *config.Config, to *reset.Address, asJSON bool) (err error) {
	d := newDoctorsBag(c, cfg)
	defer func() { err = errors.Join(err, d.close()) }()
	checks := []check{
		{"database", d.database},
		{"audit trail", d.trail},
		{"clock", d.clock},
		{"base URL", d.baseURL},
		{"sender", d.sender},
		{"mail server", d.mailServer},
	}
	if cfg.Mail.DKIM.Key != "" {
		checks = append(checks, check{"signature", d.signature})
	}
	if cfg.TLS.On() {
		checks = append(checks, check{"certificate", d.certificate})
	}
	targets, err := eventChecks(cfg, c.now)
	if err != nil {
		return err
	}
	checks = append(checks, targets...)
	if len(cfg.Directories) > 0 {
		hasher, err := newHasher(cfg, c.now)
		if err != nil {
			return err
		}
		if d.directories, err = newDirectories(cfg, hasher, c.now, slog.New(slog.DiscardHandler)); err != nil {
			return err
		}
		checks = append(checks, d.directories.checks()...)
	}
	if cfg.Password.Blocklist != "" {
		checks = append(checks, check{"blocklist", d.blocklist})
	}
	if cfg.Password.RangeURL != "" {
		checks = append(checks, check{"range look-up", d.rangeLookUp})
	}
	if to != nil {
		checks = append(checks, check{"test mail", func(ctx context.Context) (string, error) { return d.testMail(ctx, *to) }})
	}
	return runChecks(ctx, c.stdout, checks, asJSON)
}

// runChecks runs checks and tells what each found as soon as it has.
func runChecks(ctx context.Context, w io.Writer, checks []check, asJSON bool) error {
	var findings []finding
	healthy := true
	for _, ch := range checks {
		f := ch.look(ctx)
		if err := ctx.Err(); err != nil {
			return err // given up by the user; what a check says about that is beside the point
		}
		healthy = healthy && f.OK
		findings = append(findings, f)
		if asJSON {
			continue
		}
		if err := f.print(w); err != nil {
			return err
		}
	}
	if asJSON {
		if err := printJSON(w, findings); err != nil {
			return err
		}
	}
	if !healthy {
		return errNo // everything was said
	}
	return nil
}

// look runs the check within its time.
func (ch check) look(ctx context.Context) finding {
	ctx, cancel := context.WithTimeout(ctx, checkTime)
	defer cancel()
	detail, err := ch.run(ctx)
	if err == nil {
		return finding{Name: ch.name, OK: true, Detail: detail}
	}
	f := finding{Name: ch.name, Detail: message(err)}
	if advice, ok := errors.AsType[*failure](err); ok {
		f.Hint = advice.hint
	}
	return f
}

func (f finding) print(w io.Writer) error {
	if f.OK {
		_, err := fmt.Fprintf(w, "ok   %s: %s\n", f.Name, visible(f.Detail))
		return err
	}
	_, err := fmt.Fprintf(w, "FAIL %s: %s\n     hint: %s\n", f.Name, visible(f.Detail), visible(f.Hint))
	return err
}
