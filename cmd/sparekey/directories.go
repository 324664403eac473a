package main

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"os"

	"github.com/sparekey/sparekey/internal/config"
	"github.com/sparekey/sparekey/internal/directory/builtin"
	"github.com/sparekey/sparekey/internal/directory/hookdir"
	"github.com/sparekey/sparekey/internal/directory/joint"
	"github.com/sparekey/sparekey/internal/directory/ldapdir"
	"github.com/sparekey/sparekey/internal/directory/sqldir"
	"github.com/sparekey/sparekey/internal/password"
	"github.com/sparekey/sparekey/internal/password/formats"
	"github.com/sparekey/sparekey/internal/reset"
)

// connector is a directory that is somewhere else.
type connector interface {
	reset.Inspected
	Close() error
}

// directories are those that the configuration names besides the built-in one.
type directories struct {
	cfg   []config.Directory // without the built-in one
	made  map[string]connector
	hash  *password.Hasher
	now   reset.Clock
	log   *slog.Logger
	local *config.Directory // what is set of the built-in one; nil: nothing
	title string            // what people are told of the built-in one
}

// newDirectories makes them. None is connected to: a service starts although a directory is down.
func newDirectories(cfg *config.Config, hasher *password.Hasher, now reset.Clock, log *slog.Logger) (*directories, error) {
	d := &directories{made: map[string]connector{}, hash: hasher, now: now, log: log, title: cfg.Mail.ServiceName}
	var faults []config.Fault
	for i := range cfg.Directories {
		c := cfg.Directories[i]
		if c.Name == config.Builtin {
			d.local = &c
			continue
		}
		made, err := d.connect(c)
		if err != nil {
			faults = append(faults, directoryFaults(c.Name, err)...)
			continue
		}
		d.cfg, d.made[c.Name] = append(d.cfg, c), made
	}
	if len(faults) > 0 {
		return nil, errors.Join(&config.Error{Faults: faults, Hint: "docs/directories.md has every setting of directories, and samples"}, d.close())
	}
	return d, nil
}

// connect makes a directory of its settings.
func (d *directories) connect(c config.Directory) (connector, error) {
	switch c.Type {
	case config.TypeSQL:
		return d.sql(c)
	case config.TypeLDAP:
		return d.ldap(c)
	case config.TypeWebhook:
		return d.webhook(c)
	}
	return nil, fmt.Errorf("there is no type %s of directories", c.Type)
}

func (d *directories) sql(c config.Directory) (connector, error) {
	writer, err := d.writer("hash", c.SQL.Hash)
	authorities, unread := readAuthorities(c.SQL.CA)
	if err := errors.Join(err, unread); err != nil {
		return nil, err
	}
	columns, statements := c.SQL.Columns, c.SQL.Statements
	return sqldir.New(sqldir.Config{
		URL: c.SQL.URL.Reveal(), Password: c.SQL.Password.Reveal(), CA: authorities, Plaintext: c.SQL.Plaintext, Table: c.SQL.Table,
		Columns: sqldir.Columns(columns), Statements: sqldir.Statements(statements),
		Hasher: writer, Timeout: c.Timeout, Connections: c.Connections, Now: d.now,
	})
}

// writer makes what hashes in the format that a setting names.
func (d *directories) writer(setting, format string) (*password.Writer, error) {
	f, err := formats.Parse(format)
	if err != nil {
		return nil, &reset.Misset{Setting: setting, Fix: "write a format and its parameters, such as argon2id or bcrypt-2y cost=12", Cause: err}
	}
	return d.hash.Writer(f), nil
}

func (d *directories) ldap(c config.Directory) (connector, error) {
	l := c.LDAP
	conf := ldapdir.Config{
		Servers: l.Servers, StartTLS: l.StartTLS, Plaintext: l.Plaintext, BindDN: l.BindDN, Base: l.Base, Filter: l.Filter, AddressFilter: l.AddressFilter,
		Attributes: ldapdir.Attributes(l.Attributes), Method: ldapdir.Method(l.Method), Scheme: l.Scheme,
		Unlock: l.Unlock, MustChange: l.MustChange, IgnoreHistory: l.IgnoreHistory,
		Timeout: c.Timeout, Connections: c.Connections, Now: d.now, Log: d.log.With("directory", c.Name),
	}
	if l.BindPassword != "" {
		conf.BindPassword = func() (string, error) { return l.BindPassword.Reveal(), nil }
	}
	var unread, unknown error
	conf.CA, unread = readAuthorities(l.CA)
	if conf.Method == ldapdir.UserPassword {
		var writer *password.Writer
		if writer, unknown = d.writer("scheme", l.Scheme); unknown == nil {
			conf.Hash = writer.Hash
		}
	}
	if err := errors.Join(unread, unknown); err != nil {
		return nil, err
	}
	return ldapdir.New(conf)
}

func (d *directories) webhook(c config.Directory) (connector, error) {
	keys, err := hookdir.ParseSecrets(c.Webhook.Secrets.Reveal())
	authorities, unread := readAuthorities(c.Webhook.CA)
	if err := errors.Join(err, unread); err != nil {
		return nil, err
	}
	return hookdir.New(hookdir.Config{
		URL: c.Webhook.URL, Keys: keys, AllowPrivate: c.Webhook.AllowPrivate, CA: authorities,
		Timeout: c.Timeout, Connections: c.Connections, Now: d.now,
	})
}

// readAuthorities reads whose certificates are believed; nil: those of the system's.
func readAuthorities(path string) (*x509.CertPool, error) {
	if path == "" {
		return nil, nil //nolint:nilnil // crypto/tls means the system's by nil
	}
	fail := func(cause error) (*x509.CertPool, error) {
		return nil, &reset.Misset{Setting: "ca_file", Fix: "name a PEM file with certificates that this user may read", Cause: cause}
	}
	pem, err := os.ReadFile(path)
	if err != nil {
		return fail(err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return fail(errors.New("there is no certificate in the file"))
	}
	return pool, nil
}

// directoryFaults are what is wrong with the settings of a directory.
func directoryFaults(name string, err error) []config.Fault {
	if several, ok := err.(interface{ Unwrap() []error }); ok {
		var all []config.Fault
		for _, one := range several.Unwrap() {
			all = append(all, directoryFaults(name, one)...)
		}
		return all
	}
	if m, ok := errors.AsType[*reset.Misset](err); ok {
		return []config.Fault{{Path: "directories." + name + "." + m.Setting, Problem: "does not fit: " + m.Cause.Error(), Fix: m.Fix}}
	}
	return []config.Fault{{Path: "directories." + name, Problem: "cannot be used: " + err.Error(), Fix: "see docs/directories.md"}}
}

// whole is all directories as one: the built-in one by itself if there is no other.
func (d *directories) whole(users *builtin.Directory) (reset.Directory, error) {
	if len(d.cfg) == 0 && d.local == nil {
		return users, nil
	}
	local := joint.Part{Name: joint.Builtin, Directory: users, Title: d.title}
	if d.local != nil {
		local.Domains = d.local.Domains
	}
	parts := []joint.Part{local}
	for _, c := range d.cfg {
		parts = append(parts, joint.Part{
			Name: c.Name, Directory: d.made[c.Name], Domains: c.Domains, Account: c.Account,
			Strict: c.Type == config.TypeLDAP || c.Type == config.TypeWebhook, Timeout: 2 * c.Timeout, // to find somebody may take two calls
		})
	}
	return joint.New(parts, users)
}

func (d *directories) close() error {
	var errs []error
	for _, c := range d.made {
		errs = append(errs, c.Close())
	}
	return errors.Join(errs...)
}

// checks are what sparekey doctor looks at.
func (d *directories) checks() []check {
	var all []check
	for _, c := range d.cfg {
		all = append(all, check{"directory " + c.Name, func(ctx context.Context) (string, error) {
			var last string
			err := d.made[c.Name].Check(ctx, func(line string) { last = line })
			return last, d.advise(c.Name, err)
		}})
	}
	return all
}

// advise tells which setting to change.
func (d *directories) advise(name string, err error) error {
	if m, ok := errors.AsType[*reset.Misset](err); ok {
		return hintf(m.Cause, "directories.%s.%s: %s", name, m.Setting, m.Fix)
	}
	return err
}
