package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/sparekey/sparekey/internal/config"
	"github.com/sparekey/sparekey/internal/logs"
	"github.com/sparekey/sparekey/internal/mail"
)

func newServe(c console) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Serve the API and the pages, and send the mails",
		Long: `Serve the API and the pages, and send the mails, until SIGTERM or SIGINT. Then
it goes on for shutdown.delay, so that a proxy can turn to other replicas, and
finishes the requests under way, and after them the mails under way, for
shutdown.timeout at most; a mail that was cut off goes out after the next start.

Three settings have no default and are needed: base_url, mail.smtp and mail.from.
It speaks TLS if tls.certificate and tls.key, or tls.autocert, are set; otherwise
have a proxy in front do so. SIGHUP makes it read the certificate again. Check the
set-up first with: sparekey doctor`,
		Example: `  SPAREKEY_BASE_URL=https://reset.example.com \
  SPAREKEY_MAIL_SMTP=smtp://user:password@mail.example.com \
  SPAREKEY_MAIL_FROM='Example <noreply@example.com>' \
  SPAREKEY_DATABASE=sqlite:/var/lib/sparekey/sparekey.db \
  sparekey serve`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return unlessStopped(cmd.Context(), serve(cmd.Context(), c, cmd))
		},
	}
	config.AddFlags(cmd.Flags())
	return cmd
}

func serve(ctx context.Context, c console, cmd *cobra.Command) (err error) {
	cfg, err := load(c, cmd, nil)
	if err != nil {
		return err
	}
	if err := config.Require(cfg, config.Needed("serve")...); err != nil {
		return err
	}
	boundMemory(cfg)
	log := logs.New(c.stderr, cfg.Log.Format, cfg.Log.Level)
	mailer, err := newMailer(cfg, c, log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, mailer.Close(context.WithoutCancel(ctx))) }()
	core, err := openCore(asOperator(ctx, c), cfg, c.now, log, true)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, core.close()) }()
	if err := core.verifyLists(ctx); err != nil {
		return err
	}
	if err := core.openBrands(ctx); err != nil {
		return err
	}
	certificates, err := openCertificates(cfg, core.brands, c.now, log)
	if err != nil {
		return err
	}
	s, err := newService(ctx, core, mailer, nil, certificates)
	if err != nil {
		return err
	}
	l, err := listen(ctx, cfg.Listen, "listen")
	if err != nil {
		return err
	}
	reload, stop := hangups()
	defer stop()
	s.reload = reload
	if cfg.TLS.RedirectListen != "" {
		if s.plain, err = listen(ctx, cfg.TLS.RedirectListen, "tls.redirect_listen"); err != nil {
			return errors.Join(err, l.Close())
		}
	}
	return s.run(ctx, l)
}

// unlessStopped forgives a service that was told to stop while it was still
// starting: what it broke off is no failure.
func unlessStopped(ctx context.Context, err error) error {
	if ctx.Err() != nil && (errors.Is(err, context.Canceled) || errors.Is(err, context.Cause(ctx))) {
		return nil
	}
	return err
}

// listen opens an address, which the setting is for.
func listen(ctx context.Context, address, setting string) (net.Listener, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	switch {
	case errors.Is(err, os.ErrPermission):
		return nil, hintf(fmt.Errorf("listen on %s: %w", address, err),
			"ports below 1024 need a right: see docs/operate.md about port 443; or set %s to a higher port", setting)
	case err != nil:
		return nil, hintf(fmt.Errorf("listen on %s: %w", address, err),
			"something else may be using the port; set %s to another HOST:PORT", setting)
	}
	return l, nil
}

// run serves on l until ctx ends, then finishes what was begun: first the
// requests, whose entries may still come, then the outbox.
func (s *service) run(ctx context.Context, l net.Listener) (err error) {
	letGo, err := s.begin(ctx)
	if err != nil {
		if s.plain != nil {
			err = errors.Join(err, s.plain.Close())
		}
		return errors.Join(err, l.Close())
	}
	defer letGo()
	doors := []any{"listen", l.Addr().String(), "tls", s.certificates != nil}
	if s.plain != nil {
		doors = append(doors, "redirect_listen", s.plain.Addr().String())
	}
	s.log.InfoContext(ctx, "serving", append(doors, "event", "serve.started", "base_url", s.cfg.BaseURL, "version", version())...)
	var tidying sync.WaitGroup
	tidy, enough := context.WithCancel(ctx)
	tidying.Go(func() { giveBack(tidy) })
	tidying.Go(func() {
		<-tidy.Done()
		if ctx.Err() != nil {
			s.log.InfoContext(ctx, "told to stop", "event", "serve.draining", "delay", s.cfg.Shutdown.Delay.String())
		}
	})
	grace, release := graceAfter(tidy, s.cfg.Shutdown.Delay+s.cfg.Shutdown.Timeout)
	defer release()
	beside := s.beside(tidy, grace)
	served := s.server.Serve(ctx, grace, l)
	enough()
	served = errors.Join(served, beside())
	tidying.Wait()
	s.log.InfoContext(ctx, "stopping", "event", "serve.stopping")
	stopped := s.outbox.Stop(grace)
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastEntries)
	defer cancel()
	stopped = errors.Join(stopped, s.recorder.Stop(last))
	s.log.InfoContext(ctx, "stopped", "event", "serve.stopped")
	if errors.Is(served, errGraceOver) {
		served = hintf(served, "the callers got no answer; a longer shutdown.timeout lets them finish")
	}
	return errors.Join(served, stopped)
}

// beside follows the brands and the certificates, and serves the redirects, until ctx ends;
// wait waits for that.
func (s *service) beside(ctx, grace context.Context) (wait func() error) {
	var running sync.WaitGroup
	var failed error
	running.Go(func() { s.brands.Watch(ctx) })
	running.Go(func() {
		if s.certificates != nil {
			s.certificates.Watch(ctx, s.reload)
			return
		}
		for ctx.Err() == nil {
			select {
			case <-s.reload:
				s.log.InfoContext(ctx, "there is nothing to read again", "event", "serve.hangup")
			case <-ctx.Done():
			}
		}
	})
	if s.plain != nil {
		running.Go(func() { failed = s.redirect.Serve(ctx, grace, s.plain) })
	}
	return func() error {
		running.Wait()
		return failed
	}
}

var errGraceOver = errors.New("shutdown.timeout is over")

// graceAfter is a context that ends with errGraceOver a while after ctx has
// ended: one deadline for everything that is finished by then.
func graceAfter(ctx context.Context, d time.Duration) (grace context.Context, release func()) {
	grace, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() { time.AfterFunc(d, func() { cancel(errGraceOver) }) })
	return grace, func() { stop(); cancel(nil) }
}

// begin takes hold of the database and starts the outbox.
func (s *service) begin(ctx context.Context) (letGo func(), err error) {
	letGo, reclaimed, err := s.store.hold(ctx)
	if err != nil {
		return nil, err
	}
	if reclaimed > 0 {
		s.log.InfoContext(ctx, "taking up what an earlier process left", "event", "outbox.reclaimed", "entries", reclaimed)
	}
	if err := s.outbox.Start(ctx); err != nil {
		letGo()
		return nil, err
	}
	s.recorder.Start(ctx)
	return letGo, nil
}

// newMailer makes what sends mails by SMTP.
func newMailer(cfg *config.Config, c console, log *slog.Logger) (*mail.Mailer, error) {
	server, err := mail.ParseServer(cfg.Mail.SMTP.Reveal())
	if err != nil {
		return nil, &failure{cause: err, hint: "set SPAREKEY_MAIL_SMTP, such as smtp://user:password@mail.example.com", code: exitUsage}
	}
	o, err := mailOptions(cfg, c.now)
	if err != nil {
		return nil, err
	}
	o.Server, o.Connections, o.Log = server, cfg.Mail.Connections, log
	return mail.New(o)
}
