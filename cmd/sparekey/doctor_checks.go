package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"os"
	"runtime/debug"
	"time"

	"github.com/sparekey/sparekey/internal/config"
	"github.com/sparekey/sparekey/internal/mail"
	"github.com/sparekey/sparekey/internal/reset"
)

const (
	// lookupTime is how long the name server is given: a host that it does not know is only a note.
	lookupTime = 3 * time.Second
	// slack is by how much the clock may be behind what it said before: time servers set clocks back by moments.
	slack = time.Minute
)

// doctorsBag is what the checks work with, and hand on to later ones.
type doctorsBag struct {
	cfg    *config.Config
	now    reset.Clock
	lookup func(ctx context.Context, host string) error
	// lookupTXT is of the DNS.
	lookupTXT func(ctx context.Context, name string) ([]string, error)
	built     time.Time // when this build's source was committed; zero if unknown

	store  *database    // set once the database is well
	mailer *mail.Mailer // set once the mail server is well

	directories *directories // nil if none are configured
}

func newDoctorsBag(c console, cfg *config.Config) *doctorsBag {
	return &doctorsBag{
		cfg: cfg, now: c.now, built: builtAt(),
		lookup: func(ctx context.Context, host string) error {
			_, err := net.DefaultResolver.LookupHost(ctx, host)
			return err
		},
		lookupTXT: net.DefaultResolver.LookupTXT,
	}
}

func (d *doctorsBag) close() error {
	var errs []error
	if d.store != nil {
		errs = append(errs, d.store.Close())
	}
	if d.mailer != nil {
		ctx, cancel := context.WithTimeout(context.Background(), checkTime)
		defer cancel()
		errs = append(errs, d.mailer.Close(ctx))
	}
	if d.directories != nil {
		errs = append(errs, d.directories.close())
	}
	return errors.Join(errs...)
}

// database opens it, and commits to it. It never makes or migrates one.
func (d *doctorsBag) database(ctx context.Context) (string, error) {
	if d.cfg.Database.Path != "" {
		if err := d.file(); err != nil {
			return "", err
		}
	}
	store, err := openDatabase(ctx, d.cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		return "", hintf(err, "set SPAREKEY_DATABASE to the right file, or put back the last good copy of this one")
	}
	took, err := commit(ctx, store, d.now)
	if err != nil {
		return "", errors.Join(err, store.Close())
	}
	d.store = store
	return fmt.Sprintf("%s opens, is up to date and can be written; a commit took %v", d.cfg.Database, took.Round(100*time.Microsecond)), nil
}

// trail looks at the heads of the audit trail, and where its key is.
func (d *doctorsBag) trail(ctx context.Context) (string, error) {
	if d.store == nil {
		return "", hintf(errors.New("it cannot be read"), "mend the database first")
	}
	chains, err := (&core{cfg: d.cfg, store: d.store}).chains(ctx, nil)
	if err != nil {
		return "", hintf(err, "mend the database first")
	}
	if len(chains) == 0 {
		return "nothing was recorded yet", nil
	}
	report, err := reset.VerifyHeads(ctx, d.store, chains)
	if err != nil {
		return "", hintf(err, "mend the database first")
	}
	if len(report.Findings) > 0 {
		return "", hintf(errors.New(report.Findings[0].Problem), "see: sparekey audit verify")
	}
	text := entries(report.Records) + " that audit verify can check"
	if d.cfg.Secret == "" {
		text += " (note: its key is in the database, so whoever can write there could forge it; set SPAREKEY_SECRET)"
	}
	return text, nil
}

// file looks at the SQLite file before it is opened.
func (d *doctorsBag) file() error {
	info, err := os.Stat(d.cfg.Database.Path)
	if errors.Is(err, os.ErrNotExist) {
		return hintf(fmt.Errorf("there is none at %s", d.cfg.Database.Path),
			"make it with: sparekey migrate; if there should be one, set SPAREKEY_DATABASE to sqlite:PATH")
	}
	if err != nil {
		return hintf(err, "this user must be able to read and write the file and its folder")
	}
	if mode := info.Mode().Perm(); mode&0o007 != 0 {
		return hintf(fmt.Errorf("%s has mode %04o, so every user of this machine can open it", d.cfg.Database.Path, mode),
			"take that away with: chmod o= FILE")
	}
	return nil
}

// commit commits something that leaves no trace worth mentioning: a limit that
// nothing asks for, and the next purge removes.
func commit(ctx context.Context, store store, now reset.Clock) (time.Duration, error) {
	pending, err := store.Pending(ctx)
	if err != nil {
		return 0, hintf(err, "the file may be damaged or not Sparekey's; put back the last good copy")
	}
	if pending {
		return 0, hintf(errors.New("its tables are older than this build"), "bring them up to date with: sparekey migrate")
	}
	start := time.Now() // a span, for which an injected clock would not do
	err = store.Update(ctx, func(tx reset.Tx) error {
		_, err := tx.Take(ctx, "doctor", 1, reset.Rate{Count: 1, Per: time.Second}, now())
		return err
	})
	if err != nil {
		return 0, hintf(err, "is the disk full, may this user write the file and its folder, or does another program hold it locked?")
	}
	return time.Since(start), nil
}

// clock compares the clock with what is certain to be past. That a clock is
// ahead cannot be seen from here.
func (d *doctorsBag) clock(ctx context.Context) (string, error) {
	now := d.now()
	past, what := d.built, "this build"
	if d.store != nil {
		newest, err := newestRow(ctx, d.store)
		if err != nil {
			return "", hintf(err, "mend the database first")
		}
		if newest.After(past) {
			past, what = newest, "what is in the database"
		}
	}
	at := now.UTC().Format(time.RFC3339)
	if past.Sub(now) > slack {
		return "", hintf(fmt.Errorf("it says %s, which is before %s (%s)", at, what, past.UTC().Format(time.RFC3339)),
			"set the clock and keep it right, for example with: timedatectl set-ntp true; links expire by it")
	}
	if past.IsZero() {
		return at + " (nothing here to compare it with)", nil
	}
	return at + ", not before " + what + " (whether it is ahead cannot be seen from here)", nil
}

// newestRow is the latest time that is written in the database; zero if there is none.
func newestRow(ctx context.Context, store store) (newest time.Time, err error) {
	later := func(t time.Time) {
		if t.After(newest) {
			newest = t
		}
	}
	requests, err := store.Requests(ctx, 1)
	if err != nil {
		return newest, err
	}
	for _, r := range requests {
		later(r.CreatedAt)
		later(r.EndedAt)
	}
	keys, err := store.Keys(ctx)
	if err != nil {
		return newest, err
	}
	for _, k := range keys {
		later(k.CreatedAt)
		later(k.LastUsedAt)
		later(k.RevokedAt)
	}
	return newest, nil
}

// builtAt is when the source of this build was committed, which the Go toolchain records.
func builtAt() time.Time {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return time.Time{}
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.time" {
			at, _ := time.Parse(time.RFC3339, s.Value) // the zero time, unknown, if it is not one
			return at
		}
	}
	return time.Time{}
}

// baseURL looks at the address that links begin with. It does not call there:
// the proxy in front may not be up yet, or not be reachable from inside.
func (d *doctorsBag) baseURL(ctx context.Context) (string, error) {
	if err := needs(d.cfg, "base_url"); err != nil {
		return "", err
	}
	base, err := url.Parse(d.cfg.BaseURL)
	if err != nil {
		return "", hintf(errors.New("it is not a URL"), "set SPAREKEY_BASE_URL, such as https://reset.example.com")
	}
	text := "links begin with " + d.cfg.BaseURL
	host := base.Hostname()
	ip, err := netip.ParseAddr(host)
	switch {
	case host == "localhost" || err == nil && ip.Unmap().IsLoopback():
		return text + " (note: links to it work on this machine alone)", nil
	case err == nil:
		return text, nil // nothing to look up
	}
	ctx, cancel := context.WithTimeout(ctx, lookupTime)
	defer cancel()
	if err := d.lookup(ctx, host); err != nil {
		return text + " (note: this machine does not find that host; make sure that your users' machines do)", nil
	}
	return text, nil
}

// sender looks at the address and name that mails come from.
func (d *doctorsBag) sender(context.Context) (string, error) {
	if err := needs(d.cfg, "mail.from"); err != nil {
		return "", err
	}
	o, err := mailOptions(d.cfg, d.now)
	if err != nil {
		return "", err
	}
	if _, err := mail.NewComposer(o.Sender(), d.now); err != nil {
		return "", hintf(err, "set SPAREKEY_MAIL_FROM, such as 'Example <noreply@example.com>'")
	}
	return fmt.Sprintf("mails come from %s, in the name of %s", d.cfg.Mail.From, d.cfg.Mail.ServiceName), nil
}

// mailServer connects, starts TLS and logs in.
func (d *doctorsBag) mailServer(ctx context.Context) (string, error) {
	if err := needs(d.cfg, "mail.smtp"); err != nil {
		return "", err
	}
	server, err := mail.ParseServer(d.cfg.Mail.SMTP.Reveal())
	if err != nil {
		return "", hintf(err, "set SPAREKEY_MAIL_SMTP, such as smtp://user:password@mail.example.com")
	}
	o, err := mailOptions(d.cfg, d.now)
	if err != nil {
		return "", err
	}
	o.Server = server
	if o.From == "" {
		o.From = "doctor@example.com" // no mail is sent from it: the check ends before that
	}
	mailer, err := mail.New(o)
	if err != nil {
		return "", hintf(err, "see the check of the sender")
	}
	if err := mailer.Check(ctx); err != nil {
		return "", errors.Join(blameServer(err), mailer.Close(ctx))
	}
	d.mailer = mailer
	return fmt.Sprintf("%v takes the connection and, where it is asked for, TLS and the login", server), nil
}

// testMail sends a mail.
func (d *doctorsBag) testMail(ctx context.Context, to reset.Address) (string, error) {
	if d.mailer == nil || d.cfg.Mail.From == "" {
		return "", hintf(errors.New("it was not sent"), "mend the sender and the mail server first")
	}
	if err := d.mailer.SendTest(ctx, to); err != nil {
		return "", blameServer(err)
	}
	return "the mail server took a mail to " + to.Raw() + "; see that it arrives, and not as spam", nil
}

// blameServer turns what a conversation with the mail server failed on into what an operator is told.
func blameServer(err error) error {
	if f, ok := errors.AsType[*mail.Fault](err); ok {
		return hintf(f, "%s", f.Hint())
	}
	return hintf(err, "see the mail server's own log")
}

// needs answers how to set a setting that is not set.
func needs(cfg *config.Config, path string) error {
	if missing, ok := errors.AsType[*config.Error](config.Require(cfg, path)); ok {
		f := missing.Faults[0]
		return hintf(fmt.Errorf("%s %s", f.Path, f.Problem), "%s", f.Fix)
	}
	return nil
}
