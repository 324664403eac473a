// Package config is the configuration: one table of settings (Settings), four
// layers to take them from (Load) and where each value came from
// (Config.Values).
//
// Environment names, flags, the nearest right name for a typo and the
// documentation all derive from the table. The package reads nothing of the
// process by itself: the environment and the flags are handed in.
package config

import (
	"log/slog"
	"net/netip"
	"net/url"
	"slices"
	"time"

	"github.com/sparekey/sparekey/internal/reset"
)

// Config is what is in force. Its values are within the limits that the table
// of settings states; those that have no default may still be empty, see Require.
type Config struct {
	Database Database
	// DatabasePassword is PostgreSQL's, where it is not in the database's address.
	DatabasePassword Secret
	// DatabaseConnections is how many connections to PostgreSQL one process has at most.
	DatabaseConnections int
	// Secret is what the keys of the audit trail, of events and of puzzles are derived
	// from. Empty if it was not set.
	Secret Secret
	// Listen is the host:port to serve on.
	Listen string
	// BaseURL is where people reach the service, without a trailing slash.
	// Links are built from it alone. Empty if it was not set.
	BaseURL string
	// Language is a BCP 47 tag: that of mails to people of whom no language is known.
	Language string
	TLS      TLS
	Mail     Mail
	Brand    Brand
	API      API
	Request  Request
	Hash     Hash
	Password Password
	Throttle Throttle
	Puzzle   Puzzle
	HTTP     HTTP
	Log      Log
	Shutdown Shutdown
	Outbox   Outbox
	Events   Events
	Audit    Audit
	// Directories are where users live besides the built-in one, in the order of their names.
	Directories []Directory

	values []Value
}

// Database says where the data is.
type Database struct {
	// Path is the SQLite file, relative to the working directory unless absolute;
	// empty if the database is PostgreSQL.
	Path string
	// URL is PostgreSQL's address, as libpq takes it; empty if the database is SQLite.
	URL Secret
}

// TLS says whether and how the listener speaks TLS itself. Without a
// certificate and without hosts it speaks HTTP, to a proxy in front.
type TLS struct {
	// Certificate and Key are paths of PEM files.
	Certificate, Key string
	// Autocert are the host names to fetch certificates for by ACME.
	Autocert []string
	// Cache is the folder where fetched certificates and their keys are kept.
	Cache string
	// ACMEDirectory is the URL of the authority's directory (RFC 8555, 7.1.1).
	ACMEDirectory string
	// ACMEEmail is where the authority writes to about troubles; may be empty.
	ACMEEmail string
	// ACMETerms says that the operator agrees to the authority's terms.
	ACMETerms bool
	// RedirectListen is the host:port of a second listener, without TLS, that
	// only sends browsers to BaseURL; empty for none.
	RedirectListen string
}

// On reports whether the listener speaks TLS.
func (t TLS) On() bool { return t.Certificate != "" || len(t.Autocert) > 0 }

// Mail says how mails leave and in whose name.
type Mail struct {
	// SMTP is the URL of the mail server. Empty if it was not set.
	SMTP Secret
	// From is the sender, an address with or without a name. Empty if it was not set.
	From string
	// ServiceName is who asks, in mails and pages: the name or else the domain
	// in From, unless it was set.
	ServiceName string
	// Connections is how many connections to the mail server may be open at once.
	Connections int
	// Templates is a folder with templates of the operator's own. Empty for none.
	Templates string
	// TellUnknown has addresses told for which there is no account.
	TellUnknown bool
	DKIM        DKIM
}

// API are the settings of the JSON interface.
type API struct {
	// RequireKey demands an API key for looking at a request and for resetting.
	RequireKey bool
	// CORSOrigins are the origins whose pages may call, in the spelling that browsers send.
	CORSOrigins []string
	// MaxAddresses and MaxBulk are how many addresses one request may name.
	MaxAddresses int
	MaxBulk      int
}

// Request is about the link's life.
type Request struct {
	// TTL is how long a link is good.
	TTL time.Duration
}

// Hash are the costs of argon2id (RFC 9106; OWASP Password Storage) and how much of it may go on at once.
type Hash struct {
	// Concurrency is how many hashes may be computed at once.
	Concurrency int
	// Queue is how many callers may wait for their turn; those beyond it are turned away.
	Queue int
	// Memory is in KiB, for one hash.
	Memory      int
	Time        int
	Parallelism int
}

// Password is what a new password has to be (NIST SP 800-63B-4, 3.1.1.2).
type Password struct {
	// MinLength and MaxLength are in characters.
	MinLength int
	MaxLength int
	// MinStrength is from 0, which asks for nothing, to 4.
	MinStrength int
	// Blocklist is the path of a list of leaked passwords. Empty for none.
	Blocklist string
	// RangeURL is a service that knows leaked passwords by the beginning of their hash. Empty for none.
	RangeURL string
	// RangeTimeout is how long that service is waited for.
	RangeTimeout time.Duration
}

// Throttle limits who asks too often.
type Throttle struct {
	Enabled bool
	// AddressPerMinute and AddressPerHour are how many mails with links may go to one address.
	AddressPerMinute, AddressPerHour int
	// Client and Key are how many addresses a minute one client address, or one key, may ask for.
	Client, Key int
	// Account is how many mails with links an hour may go to the users of one account.
	Account int
	// Service is how many addresses a minute all callers together may ask for.
	Service int
	// Guesses is how many wrong ids or keys an hour one client address may send.
	Guesses int
}

// Puzzle demands work of callers without a key.
type Puzzle struct {
	Enabled bool
	// Difficulty is the most tries that a puzzle takes.
	Difficulty int
	// WithoutScript is how many times an hour all browsers without JavaScript may ask.
	WithoutScript int
}

// HTTP are the settings of the server.
type HTTP struct {
	// TrustedProxies are the networks whose X-Forwarded-For is believed.
	TrustedProxies []netip.Prefix
	// MaxInFlight is how many requests may be under way at once.
	MaxInFlight int
	// StrictHosts refuses requests for hosts that are nobody's.
	StrictHosts bool
}

// Log says how logs are written.
type Log struct {
	// Format is "json" or "text".
	Format string
	Level  slog.Level
}

// Shutdown is about stopping.
type Shutdown struct {
	// Delay is for how long to go on serving, while /readyz says no, so that
	// whoever spreads requests over replicas sends them to others.
	Delay time.Duration
	// Timeout is how long to wait for what is under way.
	Timeout time.Duration
}

// Outbox is about the queue of mails.
type Outbox struct {
	// Workers is how many entries are worked on at once.
	Workers int
}

// Events is about telling applications.
type Events struct {
	// Targets are the URLs that are told.
	Targets []string
	// Types are what they are told of.
	Types []reset.EventType
	// AllowPrivate are the networks that targets may be in besides the Internet.
	AllowPrivate []netip.Prefix
	// SecretVersion counts how often the targets' secrets were changed; those of
	// this version and of the one before sign.
	SecretVersion int
	// Secrets sign besides.
	Secrets []EventSecret
}

// EventSecret is a secret of the operator's own for a target.
type EventSecret struct {
	Target string
	Secret Secret // whsec_ and base64
}

// String hides the secret.
func (s EventSecret) String() string { return s.Secret.String() }

// Loopback returns the events with those targets alone that are on this machine.
func (e Events) Loopback() Events {
	e.Targets = slices.DeleteFunc(slices.Clone(e.Targets), func(target string) bool {
		u, err := url.Parse(target)
		return err != nil || !isLoopback(u.Hostname())
	})
	return e
}

// Audit is about the audit trail.
type Audit struct {
	// RetentionDays is how many days entries are kept; 0: for ever.
	RetentionDays int
	// Clients says how exactly it tells where calls came from: truncated, full or none.
	Clients string
}

// Value is one setting as it is in force.
type Value struct {
	// Path names the setting, such as "mail.from".
	Path string
	// Value is the value in one line. That of a secret is "[hidden]", or empty if it is not set.
	Value string
	// Source says where it came from: "default", "flag --x",
	// "environment SPAREKEY_X" or "file PATH".
	Source string
}

// Values lists every setting, in the order of the table, with its value and
// where that came from. Secrets are hidden.
func (c *Config) Values() []Value {
	return append([]Value(nil), c.values...)
}

// hidden stands for a secret wherever one is shown.
const hidden = "[hidden]"

// Secret is a value that prints as "[hidden]" however it is formatted,
// logged or marshalled; only Reveal gives it away (OWASP ASVS 13.3).
type Secret string

// Reveal returns the secret itself.
func (s Secret) Reveal() string { return string(s) }

// String hides the secret. An empty one stays empty, so that it can be seen to be missing.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return hidden
}

// GoString hides the secret.
func (s Secret) GoString() string { return s.String() }

// LogValue hides the secret.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalText hides the secret.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }
