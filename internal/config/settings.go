package config

import (
	"log/slog"
	"net/netip"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sparekey/sparekey/internal/reset"
)

// queuePerHash is how many callers may wait per hash that may run at once: at
// some 10 to 20 ms a hash the last of them waits one or two seconds, which a
// person who changes a password does not mind. Longer queues only keep people
// waiting for what they have given up.
const queuePerHash = 100

// maxHashes is the highest hash.concurrency.
const maxHashes = 1024

// Settings returns the table of settings: all there are, in the order in which
// they are listed. Whatever derives its default comes after what it derives it from.
func Settings() []Setting {
	var all []Setting
	for _, section := range [][]Setting{
		serviceSettings(), tlsSettings(), mailSettings(), letterSettings(), brandSettings(), apiSettings(), hashSettings(), passwordSettings(), limitSettings(),
		puzzleSettings(), operationSettings(), eventSettings(),
	} {
		all = append(all, section...)
	}
	return all
}

func serviceSettings() []Setting {
	return []Setting{
		bind(Setting{
			Path: "database", Kind: Text, Default: "sqlite:.sparekey/sparekey.db",
			Allowed: "sqlite:PATH, such as sqlite:/var/lib/sparekey/sparekey.db, or postgres://USER@HOST:PORT/NAME?sslmode=verify-full",
			About:   "where the data is kept; a relative path is taken from the working directory",
		}, func(c *Config) *Database { return &c.Database }, parseDatabase, Database.String),
		secret(Setting{
			Path: "database_password", Example: "a long random word",
			Allowed: "any text",
			About:   "the password for PostgreSQL, if it is not in the database's address",
		}, func(c *Config) *Secret { return &c.DatabasePassword }),
		number(Setting{
			Path: "database_connections", Default: "16",
			About: "connections to PostgreSQL that one process may have; three in eight are for sending mails",
		}, "", 6, 1000, func(c *Config) *int { return &c.DatabaseConnections }),
		bind(Setting{
			Path: "secret", Kind: Text, Secret: true, Example: "what openssl rand -base64 32 prints",
			Allowed: "at least 32 characters, the same for every replica",
			About:   "what other keys are derived from; unless it is set, one is made and kept in the database",
		}, func(c *Config) *Secret { return &c.Secret }, parseMaster, Secret.String),
		text(Setting{
			Path: "listen", Default: "127.0.0.1:8080",
			Allowed: "HOST:PORT or :PORT, such as 127.0.0.1:8080",
			About:   "the address to serve on; without a host, on every interface",
		}, func(c *Config) *string { return &c.Listen }, parseListen),
		text(Setting{
			Path: "base_url", NeededBy: []string{"serve"}, Example: "https://reset.example.com",
			Allowed: "https://HOST with a port and a path prefix if needed; http only for a loopback host",
			About:   "where people reach the service; the mailed links begin with it",
		}, func(c *Config) *string { return &c.BaseURL }, parseBaseURL),
	}
}

func tlsSettings() []Setting {
	return []Setting{
		text(Setting{
			Path: "tls.certificate", Allowed: "the path of a PEM file: the certificate, then those between it and the authority",
			About: "the certificate to speak TLS with; read again when it changes",
		}, func(c *Config) *string { return &c.TLS.Certificate }, parsePath),
		text(Setting{
			Path: "tls.key", Allowed: "the path of a PEM file with the key, without a passphrase",
			About: "the key of tls.certificate; let nobody but Sparekey's user read it",
		}, func(c *Config) *string { return &c.TLS.Key }, parsePath),
		list(Setting{
			Path: "tls.autocert", Allowed: "host names such as reset.example.com",
			About: "hosts to fetch certificates for by ACME (TLS-ALPN-01), instead of tls.certificate",
		}, func(c *Config) *[]string { return &c.TLS.Autocert }, parseACMEHost, func(s string) string { return s }),
		text(Setting{
			Path: "tls.cache", Allowed: "the path of a folder, such as /var/lib/sparekey/acme",
			About: "where the certificates of tls.autocert are kept, with their keys",
		}, func(c *Config) *string { return &c.TLS.Cache }, parsePath),
		text(Setting{
			Path: "tls.acme_directory", Default: letsEncrypt, Allowed: "the https URL of an ACME directory",
			About: "the authority that tls.autocert asks",
		}, func(c *Config) *string { return &c.TLS.ACMEDirectory }, parseDirectory),
		text(Setting{
			Path: "tls.acme_email", Allowed: "an address such as ops@example.com",
			About: "where the authority may write to about these certificates",
		}, func(c *Config) *string { return &c.TLS.ACMEEmail }, parsePlainAddress),
		boolean(Setting{
			Path: "tls.acme_terms", Default: "false",
			About: "whether you agree to the authority's terms; tls.autocert needs true",
		}, func(c *Config) *bool { return &c.TLS.ACMETerms }),
		text(Setting{
			Path: "tls.redirect_listen", Allowed: "HOST:PORT or :PORT, such as :80",
			About: "a second address, without TLS, that only sends browsers to base_url",
		}, func(c *Config) *string { return &c.TLS.RedirectListen }, parseOptionalListen),
	}
}

func mailSettings() []Setting {
	return []Setting{
		secret(Setting{
			Path: "mail.smtp", NeededBy: []string{"serve"}, Example: "smtp://mail.example.com:587",
			Allowed: "smtp://[USER:PASSWORD@]HOST[:PORT] or smtps://…",
			About:   "the mail server, with user and password if it wants them",
		}, func(c *Config) *Secret { return &c.Mail.SMTP }),
		text(Setting{
			Path: "mail.from", NeededBy: []string{"serve"}, Example: "Example <noreply@example.com>",
			Allowed: "an address such as noreply@example.com, or Name <noreply@example.com>",
			About:   "the sender of all mails",
		}, func(c *Config) *string { return &c.Mail.From }, parseFrom),
		text(Setting{
			Path: "mail.service_name", Default: "the name or domain in mail.from", derive: serviceName,
			Allowed: "up to 100 characters in one line",
			About:   "who asks, in mails and pages",
		}, func(c *Config) *string { return &c.Mail.ServiceName }, parseName),
		number(Setting{
			Path: "mail.connections", Default: "8",
			About: "connections to the mail server at once",
		}, "", 1, 64, func(c *Config) *int { return &c.Mail.Connections }),
	}
}

func apiSettings() []Setting {
	return []Setting{
		boolean(Setting{
			Path: "api.require_key", Default: "true",
			About: "whether looking at a request and resetting need an API key; false for clients that send none",
		}, func(c *Config) *bool { return &c.API.RequireKey }),
		list(Setting{
			Path:    "api.cors_origins",
			Allowed: "origins such as https://app.example.com, without a path; not *",
			About:   "whose pages may call the API from a browser",
		}, func(c *Config) *[]string { return &c.API.CORSOrigins }, parseOrigin, func(s string) string { return s }),
		number(Setting{
			Path: "api.max_addresses", Default: "10",
			About: "addresses that one request may name",
		}, "", 1, 10_000, func(c *Config) *int { return &c.API.MaxAddresses }),
		number(Setting{
			Path: "api.max_bulk", Default: "5000",
			About: "addresses that one bulk request of an admin key may name",
		}, "", 1, 100_000, func(c *Config) *int { return &c.API.MaxBulk }),
		duration(Setting{
			Path: "request.ttl", Default: "1h",
			About: "how long a link is good",
		}, time.Minute, reset.MaxTTL, func(c *Config) *time.Duration { return &c.Request.TTL }),
	}
}

// The least costs are those of the OWASP Password Storage Cheat Sheet for
// argon2id with one lane; the most keep a slip of the finger from stopping the service.
func hashSettings() []Setting {
	return []Setting{
		number(Setting{
			Path: "hash.concurrency", Default: "the number of cores", derive: cores,
			About: "passwords hashed at once; each takes hash.memory",
		}, "", 1, maxHashes, func(c *Config) *int { return &c.Hash.Concurrency }),
		number(Setting{
			Path: "hash.queue", Default: "100 × hash.concurrency", derive: queue,
			About: "callers that may wait for their hash; further ones are asked to come back",
		}, "", 0, 100_000, func(c *Config) *int { return &c.Hash.Queue }),
		number(Setting{
			Path: "hash.memory", Default: "19456",
			About: "argon2id memory for one hash, in KiB",
		}, " of KiB", 19_456, 1_048_576, func(c *Config) *int { return &c.Hash.Memory }),
		number(Setting{
			Path: "hash.time", Default: "2",
			About: "argon2id passes",
		}, "", 2, 100, func(c *Config) *int { return &c.Hash.Time }),
		number(Setting{
			Path: "hash.parallelism", Default: "1",
			About: "argon2id lanes",
		}, "", 1, 16, func(c *Config) *int { return &c.Hash.Parallelism }),
	}
}

func passwordSettings() []Setting {
	return []Setting{
		number(Setting{
			Path: "password.min_length", Default: "15",
			About: "the fewest characters of a new password; not above password.max_length",
		}, "", 8, 4096, func(c *Config) *int { return &c.Password.MinLength }),
		number(Setting{
			Path: "password.max_length", Default: "1024",
			About: "the most characters of a new password",
		}, "", 64, 4096, func(c *Config) *int { return &c.Password.MaxLength }),
		number(Setting{
			Path: "password.min_strength", Default: "1",
			About: "how hard to guess a new password has to be, as zxcvbn estimates it; 0 asks for nothing, and from 2 on phrases of ordinary words are refused too",
		}, "", 0, 4, func(c *Config) *int { return &c.Password.MinStrength }),
		text(Setting{
			Path: "password.blocklist", Allowed: "the path of a file that sparekey blocklist build made",
			About: "a list of leaked passwords, none of which is taken",
		}, func(c *Config) *string { return &c.Password.Blocklist }, parsePath),
		text(Setting{
			Path: "password.range_url", Allowed: "https://HOST with a port and a path if needed; http only for a loopback host",
			About: "a service that is asked whether a new password was leaked, by the first five digits of its hash, such as https://api.pwnedpasswords.com/range; without its answer the password is taken",
		}, func(c *Config) *string { return &c.Password.RangeURL }, parseRangeURL),
		duration(Setting{
			Path: "password.range_timeout", Default: "2s",
			About: "how long to wait for the answer of password.range_url",
		}, 100*time.Millisecond, 30*time.Second, func(c *Config) *time.Duration { return &c.Password.RangeTimeout }),
	}
}

func limitSettings() []Setting {
	return []Setting{
		boolean(Setting{
			Path: "throttle.enabled", Default: "true",
			About: "whether asking and guessing too often is refused; false only for tests and benchmarks",
		}, func(c *Config) *bool { return &c.Throttle.Enabled }),
		number(Setting{
			Path: "throttle.address_per_minute", Default: "1",
			About: "mails with links to one address in a minute; further requests are taken in silence",
		}, "", 1, 60, func(c *Config) *int { return &c.Throttle.AddressPerMinute }),
		number(Setting{
			Path: "throttle.address_per_hour", Default: "3",
			About: "mails with links to one address in an hour; further requests are taken in silence",
		}, "", 1, 60, func(c *Config) *int { return &c.Throttle.AddressPerHour }),
		number(Setting{
			Path: "throttle.client", Default: "30",
			About: "addresses a minute that one client address may ask for",
		}, "", 1, 1_000_000, func(c *Config) *int { return &c.Throttle.Client }),
		number(Setting{
			Path: "throttle.key", Default: "600",
			About: "addresses a minute that may be asked for with one key",
		}, "", 1, 1_000_000, func(c *Config) *int { return &c.Throttle.Key }),
		number(Setting{
			Path: "throttle.account", Default: "6000",
			About: "mails with links an hour to the users of one account; further ones wait",
		}, "", 1, 10_000_000, func(c *Config) *int { return &c.Throttle.Account }),
		number(Setting{
			Path: "throttle.service", Default: "6000",
			About: "addresses a minute that all callers without a key may ask for together",
		}, "", 1, 10_000_000, func(c *Config) *int { return &c.Throttle.Service }),
		number(Setting{
			Path: "throttle.guesses", Default: "100",
			About: "wrong ids or keys an hour from one client address",
		}, "", 1, 1_000_000, func(c *Config) *int { return &c.Throttle.Guesses }),
	}
}

func puzzleSettings() []Setting {
	return []Setting{
		boolean(Setting{
			Path: "puzzle.enabled", Default: "false",
			About: "whether asking without a key takes a solved puzzle (proof of work); the published API clients send none",
		}, func(c *Config) *bool { return &c.Puzzle.Enabled }),
		number(Setting{
			Path: "puzzle.difficulty", Default: "5000",
			About: "the most tries that a puzzle takes; half on average, at about 0.2 ms each on a PC",
		}, "", 1, 1_000_000, func(c *Config) *int { return &c.Puzzle.Difficulty }),
		number(Setting{
			Path: "puzzle.without_script", Default: "60",
			About: "requests an hour that all browsers without JavaScript together may make by the page; 0 for none",
		}, "", 0, 1_000_000, func(c *Config) *int { return &c.Puzzle.WithoutScript }),
	}
}

func operationSettings() []Setting {
	return []Setting{
		list(Setting{
			Path:    "http.trusted_proxies",
			Allowed: "networks such as 10.0.0.0/8 or 2001:db8::/32, or single addresses",
			About:   "whose X-Forwarded-For tells the client's address",
		}, func(c *Config) *[]netip.Prefix { return &c.HTTP.TrustedProxies }, parseNetwork, netip.Prefix.String),
		number(Setting{
			Path: "http.max_in_flight", Default: "256",
			About: "HTTP requests under way at once; further ones are asked to come back",
		}, "", 1, 65_536, func(c *Config) *int { return &c.HTTP.MaxInFlight }),
		boolean(Setting{
			Path: "http.strict_hosts", Default: "false",
			About: "whether requests for hosts other than that of base_url, brand.hosts and the accounts' are refused (400)",
		}, func(c *Config) *bool { return &c.HTTP.StrictHosts }),
		text(Setting{
			Path: "log.format", Default: "json", Allowed: "json or text",
			About: "how log lines are written; sparekey dev writes text unless told otherwise",
		}, func(c *Config) *string { return &c.Log.Format }, oneOf("json", "text")),
		bind(Setting{
			Path: "log.level", Kind: Text, Default: "info", Allowed: "debug, info, warn or error",
			About: "the least weighty lines that are logged",
		}, func(c *Config) *slog.Level { return &c.Log.Level }, parseLevel,
			func(l slog.Level) string { return strings.ToLower(l.String()) }),
		duration(Setting{
			Path: "shutdown.delay", Default: "5s on PostgreSQL, 0s on SQLite", derive: delay,
			About: "how long a stopping server goes on serving, with /readyz saying no, so that a proxy turns to other replicas",
		}, 0, 5*time.Minute, func(c *Config) *time.Duration { return &c.Shutdown.Delay }),
		duration(Setting{
			Path: "shutdown.timeout", Default: "30s",
			About: "how long a stopping server waits, after shutdown.delay, for what is under way",
		}, time.Second, 10*time.Minute, func(c *Config) *time.Duration { return &c.Shutdown.Timeout }),
		number(Setting{
			Path: "outbox.workers", Default: "48",
			About: "outbox entries worked on at once",
		}, "", 1, 256, func(c *Config) *int { return &c.Outbox.Workers }),
		number(Setting{
			Path: "audit.retention_days", Default: "400",
			About: "days that the audit trail goes back; 0: to its beginning",
		}, "", 0, 36_500, func(c *Config) *int { return &c.Audit.RetentionDays }),
		text(Setting{
			Path: "audit.clients", Default: "truncated", Allowed: "truncated, full or none",
			About: "how the audit trail tells where calls came from: by /24 and /48 networks, by whole addresses, or not",
		}, func(c *Config) *string { return &c.Audit.Clients }, oneOf("truncated", "full", "none")),
	}
}

// cores is what the scheduler may use: it heeds a container's CPU limit.
func cores(*Config) string { return strconv.Itoa(min(runtime.GOMAXPROCS(0), maxHashes)) }

// delay is for replicas: where one process serves there is nobody to turn to.
func delay(c *Config) string {
	if c.Database.URL != "" {
		return "5s"
	}
	return "0s"
}

func queue(c *Config) string { return strconv.Itoa(queuePerHash * c.Hash.Concurrency) }

// crossFaults checks what concerns two settings at once.
func crossFaults(c *Config) []Fault {
	faults := slices.Concat(tlsFaults(c), eventFaults(c), mailFaults(c), brandFaults(c))
	if c.Password.MaxLength != 0 && c.Password.MinLength > c.Password.MaxLength { // 0: it has a fault of its own
		faults = append(faults, Fault{
			Path: "password.min_length", Problem: "is above password.max_length, so that no password would do",
			Fix: "lower password.min_length or raise password.max_length",
		})
	}
	return faults
}
