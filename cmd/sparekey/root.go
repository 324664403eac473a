package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sparekey/sparekey/internal/config"
	"github.com/sparekey/sparekey/internal/reset"
)

// console is what a command sees of the world. Tests hand in their own.
type console struct {
	args           []string
	environ        []string
	stdin          io.Reader
	stdout, stderr io.Writer
	now            reset.Clock
}

// Exit codes.
const (
	exitOK     = 0
	exitFailed = 1 // it was tried and did not succeed, or the answer is no
	exitUsage  = 2 // the call or the configuration is wrong; nothing was tried
)

// failure is an error that says what to do next, and with which code to exit.
type failure struct {
	cause error
	hint  string
	code  int
}

func (f *failure) Error() string { return f.cause.Error() }
func (f *failure) Unwrap() error { return f.cause }

// hintf gives an error a hint.
func hintf(err error, format string, args ...any) error {
	return &failure{cause: err, hint: fmt.Sprintf(format, args...), code: exitFailed}
}

// errNo makes the process exit with 1 without a word: the answer was no.
var errNo = errors.New("no")

// run runs one command line and returns the exit code.
func run(ctx context.Context, c console) int {
	root := newRoot(c)
	root.SetArgs(c.args)
	err := root.ExecuteContext(ctx)
	return report(c.stderr, err)
}

// report tells an error and its hint, and returns the exit code.
func report(w io.Writer, err error) int {
	if err == nil {
		return exitOK
	}
	if errors.Is(err, errNo) {
		return exitFailed
	}
	if faults, ok := errors.AsType[*config.Error](err); ok {
		for _, f := range faults.Faults {
			_, _ = fmt.Fprintf(w, "error: %s\n", f)
		}
		hint := "docs/configuration.md has every setting, and sparekey config prints where values come from"
		if faults.Hint != "" {
			hint = faults.Hint
		}
		_, _ = fmt.Fprintf(w, "hint: %s\n", visible(hint))
		return exitUsage
	}
	code, hint := exitFailed, ""
	if f, ok := errors.AsType[*failure](err); ok {
		code, hint = f.code, f.hint
	} else if e, ok := errors.AsType[*reset.Error](err); ok && e.Kind == reset.Invalid {
		code, hint = exitUsage, "see the command's --help"
	}
	_, _ = fmt.Fprintf(w, "error: %s\n", visible(message(err)))
	if hint != "" {
		_, _ = fmt.Fprintf(w, "hint: %s\n", visible(hint))
	}
	return code
}

// message is what an operator is told: the safe message of a domain error with
// its cause, which an operator, unlike a caller, may see. What is not there, or
// there already, has a cause that only says so again.
func message(err error) string {
	if e, ok := errors.AsType[*reset.Error](err); ok && (e.Cause == nil || e.Kind == reset.NotFound || e.Kind == reset.Conflict) {
		return e.Message
	}
	return strings.ReplaceAll(err.Error(), "\n", "; ") // errors that were joined
}

func newRoot(c console) *cobra.Command {
	root := newGroup("sparekey", "A self-hosted password-reset service",
		`Sparekey lets people who forgot a password choose a new one.

It speaks the Quatrix Password Reset API, mails the link, shows the pages and
changes the password. Try it without any set-up:

  sparekey dev`,
		newDev(c), newServe(c),
		newUser(c), newAccount(c), newDirectory(c), newKey(c), newRequest(c), newThrottle(c), newEvent(c), newBlocklist(c), newAudit(c), newMail(c),
		newMigrate(c), newDoctor(c), newHealth(c), newConfig(c), newVersion(c),
	)
	root.SilenceErrors, root.SilenceUsage = true, true
	root.SetIn(c.stdin)
	root.SetOut(c.stdout)
	root.SetErr(c.stderr)
	root.CompletionOptions.HiddenDefaultCmd = true
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		// A mistyped command is the fault, not the flags that it would have taken.
		if unknown := knownCommand(cmd, cmd.Flags().Args()); cmd.HasSubCommands() && unknown != nil {
			err = unknown
		}
		return &failure{cause: err, hint: "see: " + cmd.CommandPath() + " --help", code: exitUsage}
	})
	usageErrors(root)
	return root
}

// usageErrors makes wrong arguments exit like wrong flags, with a hint where to look.
func usageErrors(cmd *cobra.Command) {
	if check := cmd.Args; check != nil {
		cmd.Args = func(cmd *cobra.Command, args []string) error {
			if err := check(cmd, args); err != nil {
				return &failure{cause: err, hint: "see: " + cmd.CommandPath() + " --help", code: exitUsage}
			}
			return nil
		}
	}
	for _, sub := range cmd.Commands() {
		usageErrors(sub)
	}
}

// load reads the configuration for a command.
func load(c console, cmd *cobra.Command, defaults map[string]string) (*config.Config, error) {
	cfg, err := config.Load(config.Source{Flags: cmd.Flags(), Environ: c.environ, Defaults: defaults})
	if err == nil && cmd.Flags().Changed("database") {
		warnOfPassword(c, "--database", cfg.Database)
	}
	return cfg, err
}

// warnOfPassword warns of a password in a flag, which every user of the machine
// can read in the list of processes (OWASP ASVS 13.3).
func warnOfPassword(c console, flag string, d config.Database) {
	if u, err := url.Parse(d.URL.Reveal()); err == nil {
		if _, set := u.User.Password(); set || u.Query().Has("password") {
			_, _ = fmt.Fprintf(c.stderr, "warning: lists of processes show the password in %s; put it into SPAREKEY_DATABASE_PASSWORD or a file that SPAREKEY_DATABASE_PASSWORD_FILE names\n", flag)
		}
	}
}
