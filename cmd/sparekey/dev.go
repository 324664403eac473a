package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"strings"
	"text/template"
	"time"

	"github.com/spf13/cobra"

	"github.com/sparekey/sparekey/internal/config"
	"github.com/sparekey/sparekey/internal/directory/builtin"
	"github.com/sparekey/sparekey/internal/logs"
	"github.com/sparekey/sparekey/internal/mail/devbox"
	"github.com/sparekey/sparekey/internal/reset"
)

const (
	devListen = "127.0.0.1:8080"
	devData   = ".sparekey"
	devFrom   = "Sparekey <noreply@example.com>"
)

// demoUsers are there to play with; the first is in two accounts.
var demoUsers = []builtin.NewUser{
	{Email: "ada@example.test", Name: "Ada Adams", Accounts: []string{"Acme", "Globex"}},
	{Email: "bob@example.test", Name: "Bob Brown", Accounts: []string{"Acme"}},
	{Email: "eve@example.test", Name: "Eve Evans"},
}

func newDev(c console) *cobra.Command {
	var data string
	cmd := &cobra.Command{
		Use:   "dev",
		Short: "Try everything on this machine, without any set-up",
		Long: `Run everything on this machine: the API, the pages and a mailbox that shows each
mail as it arrives, with its own database and demo users. Nothing leaves the
machine. The text it prints says where to look and what to paste.

The throttle is off here, so that one may ask again at once; --throttle-enabled
switches it on. Not for production: anybody who reaches the port reads the mails.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return unlessStopped(cmd.Context(), dev(cmd.Context(), c, cmd, data))
		},
	}
	cmd.Flags().StringVar(&data, "data", devData, "keep the database in `FOLDER`")
	config.AddFlags(cmd.Flags(), "listen", "brand", "api", "request", "throttle", "puzzle", "password", "log", "events")
	return cmd
}

func dev(ctx context.Context, c console, cmd *cobra.Command, data string) (err error) {
	cfg, err := load(c, cmd, map[string]string{
		"listen": devListen, "mail.from": devFrom, "throttle.enabled": "false", "log.format": "text", "log.level": "warn",
	})
	if err != nil {
		return err
	}
	cfg.Database.Path = filepath.Join(data, "sparekey.db")
	l, err := listenLoopback(ctx, cfg.Listen)
	if err != nil {
		return err
	}
	// Whatever production is configured to, the links lead here, and events nowhere else.
	cfg.Events = cfg.Events.Loopback()
	cfg.BaseURL = "http://" + l.Addr().String()

	ctx = asOperator(ctx, c)
	log := logs.New(c.stderr, cfg.Log.Format, cfg.Log.Level)
	core, err := openCore(ctx, cfg, c.now, log, true)
	if err != nil {
		return errors.Join(err, l.Close())
	}
	defer func() { err = errors.Join(err, core.close()) }()
	if err := core.verifyLists(ctx); err != nil {
		return errors.Join(err, l.Close())
	}
	if err := core.openBrands(ctx); err != nil {
		return errors.Join(err, l.Close())
	}
	key, err := prepareDemo(ctx, core)
	if err != nil {
		return errors.Join(err, l.Close())
	}
	composer, err := newComposer(cfg, c.now)
	if err != nil {
		return errors.Join(err, l.Close())
	}
	box := devbox.New(composer, c.now)
	s, err := newService(ctx, core, box, box.Handler(ctx), nil)
	if err != nil {
		return errors.Join(err, l.Close())
	}
	if err := greet(c.stdout, cfg, data, key); err != nil {
		return errors.Join(err, l.Close())
	}
	return s.run(ctx, l)
}

// listenLoopback refuses any address that others could reach: the mailbox shows every secret.
func listenLoopback(ctx context.Context, address string) (net.Listener, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, hintf(err, "write --listen 127.0.0.1:PORT")
	}
	if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return nil, &failure{
			cause: fmt.Errorf("dev does not listen on %s, where others could read its mailbox", address),
			hint:  "write --listen 127.0.0.1:PORT, or use: sparekey serve", code: exitUsage,
		}
	}
	return listen(ctx, address, "listen")
}

// prepareDemo adds the demo users that are missing and makes a key for this run.
func prepareDemo(ctx context.Context, c *core) (key string, err error) {
	for _, u := range demoUsers {
		if _, err := c.users.Add(ctx, u); err != nil && !errors.Is(err, reset.ErrExists) {
			return "", err
		}
	}
	// Only digests of keys are stored, so an earlier run's key cannot be shown
	// again; it ends, and this run gets its own.
	keys := c.keys()
	list, err := keys.List(ctx)
	if err != nil {
		return "", err
	}
	for _, k := range list {
		if strings.HasPrefix(k.Name, "dev-") && k.RevokedAt.IsZero() {
			if err := keys.Revoke(ctx, k.Name); err != nil {
				return "", err
			}
		}
	}
	return keys.Create(ctx, fmt.Sprintf("dev-%d", c.now().UnixNano()), reset.ScopeAdmin, 0, 30*24*time.Hour)
}

var greeting = template.Must(template.New("greeting").Parse(`Sparekey runs for development. Nothing leaves this machine.

  Ask for a link    {{.Base}}/forgot
  Read the mails    {{.Base}}/dev/mail
  The API           {{.Base}}/api/1.0/openapi.yaml

  Users             {{.Users}} ({{.First}} is in two accounts)
  API key           {{.Key}}

Reset a password over the API, in three lines to paste (ask, look, reset):

curl -sS {{if .Puzzles}}-H 'X-Auth-Token: {{.Key}}' {{end}}-H 'Content-Type: application/json' -d '{"email":["{{.First}}"]}' {{.Base}}/api/1.0/reset-password/request
curl -sS -H 'X-Auth-Token: {{.Key}}' {{.Base}}/api/1.0/reset-password/metadata/$(curl -sS '{{.Base}}/dev/mail/next?to={{.First}}')
curl -sS -H 'X-Auth-Token: {{.Key}}' -H 'Content-Type: application/json' -d '{"password":"correct horse battery staple"}' {{.Base}}/api/1.0/reset-password/reset/$(curl -sS '{{.Base}}/dev/mail/latest?to={{.First}}')

Then see that it is changed:

printf 'correct horse battery staple' | {{.Command}} user verify {{.First}} --password-stdin{{.Database}}

Ctrl-C stops it.
`))

// greet prints what to open and what to paste.
func greet(w io.Writer, cfg *config.Config, data, key string) error {
	var names []string
	for _, u := range demoUsers {
		names = append(names, u.Email)
	}
	database := ""
	if data != devData {
		database = " --database 'sqlite:" + cfg.Database.Path + "'"
	}
	return greeting.Execute(w, map[string]any{
		"Base": cfg.BaseURL, "Users": strings.Join(names, ", "), "First": demoUsers[0].Email, "Key": key,
		"Command": command(), "Database": database,
		"Puzzles": cfg.Puzzle.Enabled, // which take more than a line; who sends a key solves none
	})
}
