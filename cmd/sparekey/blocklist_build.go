package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"

	"github.com/sparekey/sparekey/internal/password/blocklist"
)

func newBlocklistBuild(c console) *cobra.Command {
	var (
		o        blocklist.BuildOptions
		progress bool
	)
	cmd := &cobra.Command{
		Use:   "build FILE --out LIST",
		Short: "Build a list of leaked passwords from published hashes",
		Long: `Build a list of leaked passwords from a file of hashes, or from stdin if FILE is
"-": lines of a SHA-1 in 40 hexadecimal digits, a colon and how often it was seen,
in any order, as they are published. LIST is replaced once the new one is complete;
sparekey serve takes it after a restart.

A billion lines take some minutes, 150 MB of memory, 8 GB for a temporary file
beside LIST, and 2.3 GB for LIST. Of passwords that are not in FILE, LIST takes
one in 65,536 for one that is.`,
		Example: `  sparekey blocklist build pwned-passwords-sha1.txt --out /var/lib/sparekey/leaked.list
  unzip -p hashes.zip | sparekey blocklist build - --out leaked.list --min-count 10`,
		Args: takes("FILE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if o.Out == "" {
				return usagef("name the list that is made: --out LIST", "--out is missing")
			}
			return buildBlocklist(cmd.Context(), c, args[0], o, progress)
		},
	}
	cmd.Flags().StringVar(&o.Out, "out", "", "write the list to `LIST`")
	cmd.Flags().Uint64Var(&o.MinCount, "min-count", 1, "leave out what was seen less than `N` times")
	cmd.Flags().BoolVar(&progress, "progress", false, "show the progress bar even if stderr is no terminal")
	return cmd
}

func buildBlocklist(ctx context.Context, c console, path string, o blocklist.BuildOptions, progress bool) (err error) {
	in, size := c.stdin, int64(-1)
	o.Name = "stdin"
	if path != "-" {
		file, err := os.Open(path)
		if err != nil {
			return hintf(err, "name a file of hashes that can be read, or - for stdin")
		}
		defer func() { err = errors.Join(err, file.Close()) }()
		if size, err = sizeOf(file, o.Out); err != nil {
			return err
		}
		in, o.Name = file, path
	}
	show := progress || isTerminal(c.stderr)
	if show {
		in, o.Shard = watch(c.stderr, in, size)
	}
	built, err := await(ctx, func() (blocklist.Built, error) { return blocklist.Build(ctx, in, o) })
	if show {
		_, lineErr := fmt.Fprintln(c.stderr)
		err = errors.Join(err, lineErr)
	}
	if err != nil {
		return blameBuild(err)
	}
	_, err = fmt.Fprintf(c.stdout, "built %s: %d passwords of %d lines, %d bytes\n", visible(o.Out), built.Passwords, built.Lines, built.Bytes)
	return err
}

// blameBuild says what to do about a list that could not be built.
func blameBuild(err error) error {
	if _, ok := errors.AsType[*blocklist.ParseError](err); ok {
		return &failure{cause: err, hint: "nothing was changed; mend the line, or take the list of SHA-1 hashes as it is published", code: exitUsage}
	}
	if errors.Is(err, context.Canceled) {
		return err
	}
	return hintf(err, "nothing was changed; is there room beside LIST for eight bytes a line and the list, and may this user write there?")
}

// sizeOf is how much there is to read, -1 if that is not known. It refuses to write over what is read.
func sizeOf(file *os.File, out string) (int64, error) {
	info, err := file.Stat()
	if err != nil {
		return 0, err
	}
	if there, err := os.Stat(out); err == nil && os.SameFile(info, there) {
		return 0, usagef("name another file with --out", "--out is the file of hashes itself")
	}
	if !info.Mode().IsRegular() {
		return -1, nil
	}
	return info.Size(), nil
}

// watch draws how far reading and building are.
func watch(w io.Writer, in io.Reader, size int64) (watched io.Reader, shard func(done, all int)) {
	reading := newBar(w, size, "reading", progressbar.OptionShowBytes(true))
	var building *progressbar.ProgressBar
	return &watchedReader{in, reading}, func(done, all int) {
		if building == nil {
			_, _ = fmt.Fprintln(w)
			building = newBar(w, int64(all), "building")
		}
		_ = building.Set(done) // a bar that cannot be drawn is no reason to stop
	}
}

type watchedReader struct {
	from io.Reader
	bar  *progressbar.ProgressBar
}

func (r *watchedReader) Read(b []byte) (int, error) {
	n, err := r.from.Read(b)
	_ = r.bar.Add(n) // as above
	return n, err
}

func newBar(w io.Writer, most int64, what string, more ...progressbar.Option) *progressbar.ProgressBar {
	return progressbar.NewOptions64(most, append([]progressbar.Option{
		progressbar.OptionSetWriter(w),
		progressbar.OptionSetDescription(what),
		progressbar.OptionSetWidth(40),
		progressbar.OptionThrottle(100 * time.Millisecond),
		progressbar.OptionSetSpinnerChangeInterval(0), // else a goroutine turns it that nobody ends
	}, more...)...)
}

// either lists names as a sentence does: "a, b or c".
func either(names []string) string {
	last := len(names) - 1
	if last == 0 {
		return names[0]
	}
	return strings.Join(names[:last], ", ") + " or " + names[last]
}
