package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
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
Terminate TLS in front of it, and check the set-up first with: sparekey doctor`,
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
	s, err := newService(core, mailer, nil)
	if err != nil {
		return err
	}
	l, err := listen(ctx, cfg.Listen)
	if err != nil {
		return err
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

func listen(ctx context.Context, address string) (net.Listener, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, hintf(fmt.Errorf("listen on %s: %w", address, err),
			"something else may be using the port; choose another with --listen HOST:PORT or SPAREKEY_LISTEN")
	}
	return l, nil
}

// run serves on l until ctx ends, then finishes what was begun: first the
// requests, whose entries may still come, then the outbox.
func (s *service) run(ctx context.Context, l net.Listener) (err error) {
	letGo, err := s.begin(ctx)
	if err != nil {
		return errors.Join(err, l.Close())
	}
	defer letGo()
	s.log.InfoContext(ctx, "serving", "event", "serve.started", "listen", l.Addr().String(), "base_url", s.cfg.BaseURL, "version", version())
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
	served := s.server.Serve(ctx, grace, l)
	enough()
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
	return mail.New(mail.Options{
		Server: server, From: cfg.Mail.From, ServiceName: cfg.Mail.ServiceName, BaseURL: cfg.BaseURL,
		Connections: cfg.Mail.Connections, Now: c.now, Log: log,
	})
}
