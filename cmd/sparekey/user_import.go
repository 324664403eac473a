package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"

	"github.com/sparekey/sparekey/internal/directory/builtin"
	"github.com/sparekey/sparekey/internal/password"
)

// maxShownFaults is how many bad lines are shown; a file in the wrong format would fill the screen.
const maxShownFaults = 50

func newUserImport(c console) *cobra.Command {
	var progress bool
	cmd := &cobra.Command{
		Use:   "import FILE.csv",
		Short: "Add many users from a CSV file",
		Long: `Add many users from a CSV file, or from stdin if FILE is "-": all of them, or, if
any line is bad, none; then every bad line is reported with its number.

The file begins with a header. The first column is email; these may follow, in
any order:

  name           how to address the person
  accounts       names with ';' between; those that are not there yet are made
  locale         the person's language, a tag such as de or pt-BR
  password_hash  argon2, bcrypt, scrypt, PBKDF2 or SHA-crypt, as $…$…; without
                 one the user has no password until the first reset`,
		Example: `  sparekey user import users.csv
  sparekey user import - < users.csv`,
		Args: takes("FILE.csv"),
		RunE: func(cmd *cobra.Command, args []string) error {
			users, err := readImport(cmd.Context(), c, args[0])
			if err != nil {
				return tellFaults(c.stderr, err)
			}
			return withCore(c, cmd, createMissing, func(ctx context.Context, core *core) error {
				if err := importUsers(ctx, c, core.users, users, progress); err != nil {
					return tellFaults(c.stderr, err)
				}
				_, err := fmt.Fprintf(c.stdout, "imported %s\n", count(len(users), "user"))
				return err
			})
		},
	}
	cmd.Flags().BoolVar(&progress, "progress", false, "show the progress bar even if stderr is no terminal")
	dataFlags(cmd)
	return cmd
}

// readImport reads the file, or stdin for "-".
func readImport(ctx context.Context, c console, path string) (users []builtin.ImportUser, err error) {
	from := c.stdin
	if path != "-" {
		f, err := os.Open(path)
		if err != nil {
			return nil, hintf(err, "name a CSV file that can be read, or - for stdin")
		}
		defer func() { err = errors.Join(err, f.Close()) }()
		from = f
	}
	return await(ctx, func() ([]builtin.ImportUser, error) { return builtin.ReadImport(from, password.CheckEncoded) })
}

// importUsers adds the users while a bar grows on stderr, if somebody watches.
func importUsers(ctx context.Context, c console, d *builtin.Directory, users []builtin.ImportUser, progress bool) error {
	if len(users) == 0 || !progress && !isTerminal(c.stderr) {
		return d.Import(ctx, users, nil)
	}
	bar := progressbar.NewOptions(len(users),
		progressbar.OptionSetWriter(c.stderr),
		progressbar.OptionSetDescription("importing"),
		progressbar.OptionSetWidth(40),
		progressbar.OptionShowCount(),
		progressbar.OptionThrottle(100*time.Millisecond),
		progressbar.OptionSetRenderBlankState(true),
	)
	err := d.Import(ctx, users, func() { _ = bar.Add(1) }) // a bar that cannot be drawn is no reason to stop
	_, lineErr := fmt.Fprintln(c.stderr)
	return errors.Join(err, lineErr)
}

// tellFaults writes the bad lines of an import file to w and returns what to
// say in the end. Other errors it leaves as they are.
func tellFaults(w io.Writer, err error) error {
	faults, ok := errors.AsType[builtin.ImportErrors](err)
	if !ok {
		return err
	}
	for _, f := range faults[:min(len(faults), maxShownFaults)] {
		if _, err := fmt.Fprintf(w, "line %d: %s\n", f.Line, visible(f.Message)); err != nil {
			return err
		}
	}
	if more := len(faults) - maxShownFaults; more > 0 {
		if _, err := fmt.Fprintf(w, "and %d more\n", more); err != nil {
			return err
		}
	}
	return hintf(fmt.Errorf("nothing was imported: %s bad", are(len(faults), "line")),
		"mend them and import the whole file again; for its format see: sparekey user import --help")
}

// count is a number of things: 1 user, 2 users.
func count(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}

// are is count with its verb: 1 line is, 2 lines are.
func are(n int, thing string) string {
	if n == 1 {
		return count(n, thing) + " is"
	}
	return count(n, thing) + " are"
}
