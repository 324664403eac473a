package main

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/sparekey/sparekey/internal/config"
	"github.com/sparekey/sparekey/internal/reset"
)

// walk visits every command.
func walk(cmd *cobra.Command, visit func(*cobra.Command)) {
	visit(cmd)
	for _, sub := range cmd.Commands() {
		walk(sub, visit)
	}
}

// TestPasswordsInFlagsAreWarnedOf: an address of PostgreSQL may have one, in both places.
func TestPasswordsInFlagsAreWarnedOf(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]bool{
		"postgres://ann:c4nary@127.0.0.1:1/x": true, "postgres://ann@127.0.0.1:1/x?password=c4nary": true,
		"postgres://ann@127.0.0.1:1/x": false, "sqlite:x.db": false,
	} {
		for flag, args := range map[string][]string{
			"--database": {"config", "--database", address},
			"--to":       {"migrate", "--from", "sqlite:" + t.TempDir() + "/nowhere.db", "--to", address},
		} {
			_, stderr, _ := sparekey(t, console{args: args, environ: environ()})
			if strings.Contains(stderr, "warning: lists of processes show the password in "+flag+";") != want || strings.Contains(stderr, "c4nary") {
				t.Errorf("%s %s: %s", flag, address, stderr)
			}
		}
	}
	_, stderr, _ := sparekey(t, console{args: []string{"config"}, environ: environ("SPAREKEY_DATABASE=postgres://ann:c4nary@127.0.0.1:1/x")})
	if stderr != "" {
		t.Errorf("in the environment: %s", stderr)
	}
}

// TestNoSecretInFlags: every user of a machine sees what programs were started
// with (/proc/PID/cmdline), so no flag takes a secret (OWASP ASVS 13.3).
func TestNoSecretInFlags(t *testing.T) {
	t.Parallel()
	secret := map[string]bool{}
	for _, s := range config.Settings() {
		if s.Secret {
			secret[s.Flag()] = true
		}
	}
	if len(secret) == 0 {
		t.Fatal("no setting is secret, so this test proves nothing")
	}
	flags := 0
	walk(newRoot(console{}), func(cmd *cobra.Command) {
		cmd.LocalFlags().VisitAll(func(f *pflag.Flag) {
			flags++
			about := fmt.Sprintf("%s --%s", cmd.CommandPath(), f.Name)
			if secret[f.Name] {
				t.Errorf("%s takes a secret", about)
			}
			name := strings.TrimPrefix(f.Name, "password-") // that section is about passwords and has none
			for _, word := range []string{"password", "secret", "token", "smtp"} {
				if strings.Contains(name, word) && f.Value.Type() != "bool" && f.Value.Type() != string(config.Number) {
					t.Errorf("%s sounds as if it took a secret", about)
				}
			}
		})
	})
	if flags < 50 {
		t.Errorf("only %d flags were seen", flags)
	}
}

// TestHelp: every command says what it does in one line that is no sentence.
func TestHelp(t *testing.T) {
	t.Parallel()
	walk(newRoot(console{}), func(cmd *cobra.Command) {
		if cmd.Short == "" || strings.HasSuffix(cmd.Short, ".") {
			t.Errorf("%s: the short help is %q", cmd.CommandPath(), cmd.Short)
		}
		for line := range strings.Lines(cmd.Long) {
			if len([]rune(line)) > 90 {
				t.Errorf("%s: a line of the help has %d characters: %s", cmd.CommandPath(), len([]rune(line)), line)
			}
		}
		if cmd.Args == nil {
			t.Errorf("%s takes any argument without a word", cmd.CommandPath())
		}
	})
}

func TestReport(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		err  error
		code int
		want string
	}{
		{"nothing", nil, exitOK, ""},
		{"no", errNo, exitFailed, ""},
		{"plain", errors.New("it broke"), exitFailed, "error: it broke\n"},
		{"with a hint", hintf(errors.New("it broke"), "mend %s", "it"), exitFailed, "error: it broke\nhint: mend it\n"},
		{"usage", usagef("write it so", "not so"), exitUsage, "error: not so\nhint: write it so\n"},
		{"invalid", reset.Invalidf("no address"), exitUsage, "error: no address\nhint: see the command's --help\n"},
		{"a sentinel says nothing new", &reset.Error{Kind: reset.NotFound, Message: "no user has it", Cause: reset.ErrNoUser}, exitFailed, "error: no user has it\n"},
		{"a cause that operators may see", reset.Busy("not now", time.Second, errors.New("disk full")), exitFailed, "error: not now: disk full\n"},
		{"joined", errors.Join(errors.New("one"), errors.New("two")), exitFailed, "error: one; two\n"},
		{"control characters", errors.New("a\x1b[2Jb"), exitFailed, `error: a\x1b[2Jb` + "\n"},
		{
			"configuration", &config.Error{Faults: []config.Fault{{Path: "a", Problem: "is bad", Fix: "mend it"}, {Path: "b", Problem: "is worse", Fix: "mend that"}}},
			exitUsage, "error: a is bad; mend it\nerror: b is worse; mend that\nhint: docs/configuration.md has every setting, and sparekey config prints where values come from\n",
		},
		{
			"another file", &config.Error{Faults: []config.Fault{{Path: "a", Problem: "is bad", Fix: "mend it"}}, Hint: "see about it"},
			exitUsage, "error: a is bad; mend it\nhint: see about it\n",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var out strings.Builder
			if code := report(&out, tt.err); code != tt.code || out.String() != tt.want {
				t.Errorf("exit code %d and %q; want %d and %q", code, out.String(), tt.code, tt.want)
			}
		})
	}
}
