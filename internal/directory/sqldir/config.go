// Package sqldir is the directory of an application that keeps its users in a
// PostgreSQL, MySQL, MariaDB or SQLite database of its own.
//
// The operator names the table and its columns, or writes the statements. A reset
// is one transaction of that database: the password, when it was changed if there is a column
// for it, and the end of the user's sessions if there is a statement for it. Exactly one user is changed, or nothing.
//
// Whatever the database's collation takes for the same address is compared
// again by reset.Address.Key. Of one address all spellings are found that differ in the case of A to Z, and in
// the form of the domain (xn--… or as people write it; of domains with more than four such labels those where
// all have the same form). A full statement finds what it finds.
package sqldir

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"

	"github.com/sparekey/sparekey/internal/reset"
)

// Config is what an operator sets. The names that errors give are those of the settings in the directory's section.
type Config struct {
	// URL is where the database is (url):
	//
	//	postgres://user:password@host:5432/name
	//	mysql://user:password@host:3306/name (mariadb:// is the same)
	//	sqlite:/path/of/the.db, which must be there
	//
	// A server on another machine is spoken to over TLS, and its certificate is checked, unless Plaintext says
	// otherwise. One on this machine (a loopback address, or a socket: postgres://user@/name?host=/run/postgresql,
	// mysql://user@/name?socket=/run/mysqld/mysqld.sock) is not, unless CA is set or the URL asks for it with
	// sslmode=verify-full, or tls=true for MySQL. Other parameters of postgres:// are the driver's (libpq's names).
	URL string
	// Password is the password for the database, if it is not in the URL (password).
	Password string
	// CA are the authorities whose certificates the server may have; nil: the system's (ca_file).
	CA *x509.CertPool
	// Plaintext allows to speak to another machine without TLS, hashes and addresses in the clear (plaintext). Default: no.
	Plaintext bool

	// Table holds the users: "users", or "app.users" with its schema (table). Not needed where all three of
	// Statements.Find, FindByID and Set are there.
	Table   string
	Columns Columns
	// Statements stand in for what is made of Table and Columns, each for itself.
	Statements Statements

	// Hasher makes the hash that the application verifies. It must be set.
	Hasher Hasher

	// Timeout bounds each call, waiting for a connection included (timeout). Default 5 s, at least 100 ms, at most a minute.
	Timeout time.Duration
	// Connections is how many connections there are at most (connections). Default 4, at most 100.
	Connections int
	// Now tells the time; it must be set.
	Now reset.Clock
}

// Columns are the names of the table's columns, in the database's own spelling. Where it is not said otherwise, empty: there is none.
type Columns struct {
	// ID names a user for good and is unique (columns.id). Default "id".
	ID string
	// Email is the mail address (columns.email). Default "email".
	Email string
	// Password is the hash (columns.password). Default "password".
	Password string
	// Name is how to address the person (columns.name).
	Name string
	// Locale is a language tag such as de (columns.locale).
	Locale string
	// Account is the name of the account that the user is in (columns.account); of several, see Statements.Accounts.
	Account string
	// Disabled says that the user may not log in: true, a number that is not 0, or a time when that was done (columns.disabled).
	Disabled string
	// Active is the opposite: the user may log in only if it is true or a number that is not 0 (columns.active).
	Active string
	// ChangedAt is set to the time of the change, in UTC (columns.changed_at).
	ChangedAt string
}

// Statements are full statements, with named parameters such as :id where values belong. What they find is
// read by the names of the result's columns: id and email, which must be there, and name, locale, account, disabled and active.
type Statements struct {
	// Find finds the users who have :address, which is in small letters, its domain in ASCII (xn--…);
	// :address_unicode is the same with the domain as people write it. It should find the spellings that differ in the case of A to Z
	// too; what it finds too much does no harm. Several rows of one id are one user in several accounts (statements.find).
	Find string
	// FindByID finds the user of :id (statements.find_by_id).
	FindByID string
	// Accounts finds the names of the accounts of :id, in the first column of its result (statements.accounts).
	Accounts string
	// Set sets the password of :id to :hash. It must change exactly one row, or nothing is changed. It may also use
	// :email, the user's address as it is stored, and the time: :now in UTC, or :now_unix in seconds and :now_unix_ms in milliseconds
	// since 1970 (statements.set).
	Set string
	// EndSessions ends the sessions of :id, in the same transaction; it may change any number of rows, and use
	// what Set may but for :hash (statements.end_sessions).
	EndSessions string
}

// Hasher makes hashes in the format that the application reads.
type Hasher interface {
	// Hash returns a hash of the password as it was typed. A password that the application would cut is
	// refused with reasons; too much work at once is Unavailable. Where it had to wait it asks still, which may be nil.
	Hash(ctx context.Context, password string, still func(context.Context) error) (string, error)
	// String names the format: "argon2id m=19456 t=2 p=1".
	String() string
}

// Bounds of what can be configured.
const (
	defaultTimeout, leastTimeout, mostTimeout = 5 * time.Second, 100 * time.Millisecond, time.Minute
	defaultConnections, mostConnections       = 4, 100
	// mostName is the longest name of a column or table part that any of the databases takes (MySQL: 64 characters), in bytes.
	mostName = 256
)

// Directory is a reset.Directory in an application's database.
type Directory struct {
	config  Config
	dialect *dialect
	db      database

	find, byID statement // the first is not set if it is made for each address
	accounts   statement // not set: there are none but those in the rows
	set, end   statement

	facts facts // of the table
}

// New checks the configuration; it does not connect. The error joins a *reset.Misset for each fault.
func New(c Config) (*Directory, error) {
	d := &Directory{config: c}
	var faults []error
	fault := func(setting, fix, format string, args ...any) {
		faults = append(faults, &reset.Misset{Setting: setting, Fix: fix, Cause: fmt.Errorf(format, args...)})
	}
	d.defaults(fault)
	scheme, _, _ := strings.Cut(d.config.URL, ":")
	var open func(*Config) (database, error)
	switch scheme {
	case "postgres", "postgresql":
		d.dialect, open = postgresDialect, openPostgres
	case "mysql", "mariadb":
		d.dialect, open = mysqlDialect, openMySQL
	case "sqlite":
		d.dialect, open = sqliteDialect, openSQLite
	default:
		fault("url", "write postgres://USER@HOST:PORT/NAME, mysql://USER@HOST:PORT/NAME or sqlite:PATH", "it names no kind of database that there is")
		return nil, errors.Join(faults...)
	}
	d.statements(fault)
	if len(faults) > 0 {
		return nil, errors.Join(faults...)
	}
	db, err := open(&d.config)
	if err != nil {
		return nil, err
	}
	d.db = db
	return d, nil
}

// Close waits for what is under way and closes the connections.
func (d *Directory) Close() error { return d.db.close() }

func (d *Directory) defaults(fault func(setting, fix, format string, args ...any)) {
	c := &d.config
	c.URL = strings.TrimSpace(c.URL)
	for _, column := range []struct {
		name *string
		or   string
	}{{&c.Columns.ID, "id"}, {&c.Columns.Email, "email"}, {&c.Columns.Password, "password"}} {
		if *column.name == "" {
			*column.name = column.or
		}
	}
	if c.Timeout == 0 {
		c.Timeout = defaultTimeout
	}
	if c.Connections == 0 {
		c.Connections = defaultConnections
	}
	if c.Timeout < leastTimeout || c.Timeout > mostTimeout {
		fault("timeout", fmt.Sprintf("write a duration from %s to %s", leastTimeout, mostTimeout), "it is out of range")
	}
	if c.Connections < 1 || c.Connections > mostConnections {
		fault("connections", fmt.Sprintf("write a number from 1 to %d", mostConnections), "it is out of range")
	}
	if c.Hasher == nil {
		fault("hash", "name the format that the application verifies", "there is none")
	}
	for setting, name := range c.names() {
		for part := range strings.SplitSeq(name, ".") {
			if name != "" && (part == "" || len(part) > mostName || strings.ContainsFunc(part, unicode.IsControl)) {
				fault(setting, "write the name as the database has it", "it is no name")
				break
			}
			if setting != "table" {
				break
			}
		}
	}
}

// names are the names of the table and its columns, by setting.
func (c *Config) names() map[string]string {
	return map[string]string{
		"table": c.Table, "columns.id": c.Columns.ID, "columns.email": c.Columns.Email, "columns.password": c.Columns.Password,
		"columns.name": c.Columns.Name, "columns.locale": c.Columns.Locale, "columns.account": c.Columns.Account,
		"columns.disabled": c.Columns.Disabled, "columns.active": c.Columns.Active, "columns.changed_at": c.Columns.ChangedAt,
	}
}

// statements reads those that are written out, and makes the others.
func (d *Directory) statements(fault func(setting, fix, format string, args ...any)) {
	c, g := &d.config, generator{d.dialect, d.config.Table, d.config.Columns}
	read := func(setting, text string, verbs, names []string, needs ...string) (s statement) {
		if strings.TrimSpace(text) == "" {
			return s
		}
		s, err := d.dialect.parse(text, verbs, names)
		if err != nil {
			fault("statements."+setting, "write one statement of "+d.dialect.name+" with named parameters", "%w", err)
			return statement{parts: []string{""}}
		}
		for _, name := range needs {
			if !s.has(name) {
				fault("statements."+setting, "say where the value belongs: :"+name, "it does not use :%s", name)
			}
		}
		return s
	}
	d.find = read("find", c.Statements.Find, d.dialect.finds, findNames)
	if d.find.isSet() && !d.find.has("address") && !d.find.has("address_unicode") {
		fault("statements.find", "compare the column with :address", "it does not use :address")
	}
	d.byID = read("find_by_id", c.Statements.FindByID, d.dialect.finds, byIDNames, "id")
	d.accounts = read("accounts", c.Statements.Accounts, d.dialect.finds, byIDNames, "id")
	d.set = read("set", c.Statements.Set, d.dialect.sets, setNames, "id", "hash")
	d.end = read("end_sessions", c.Statements.EndSessions, d.dialect.ends, changeNames)
	if d.end.isSet() && !d.end.has("id") && !d.end.has("email") {
		fault("statements.end_sessions", "say whose sessions are meant: :id", "it uses neither :id nor :email")
	}
	if c.Table == "" {
		if !d.find.isSet() || !d.byID.isSet() || !d.set.isSet() {
			fault("table", "name the table that holds the users, or write statements.find, statements.find_by_id and statements.set", "there is none")
		}
		return
	}
	if !d.byID.isSet() {
		d.byID = g.findByID()
	}
	if !d.set.isSet() {
		d.set = g.set()
	}
}
