package archtest

import (
	"slices"
	"strings"
	"testing"
)

const module = "github.com/sparekey/sparekey"

// kind is what a room is for, and so what of this module it may import.
type kind int

const (
	unknown kind = iota // a fault by itself: every room is named here
	core                // nothing of this module
	adapter             // the domain and its own room
	joiner              // everything but suites: it joins adapters, and nobody imports it
	suite               // anything: tests alone import it
	sample              // nothing of this module, and anything else: others copy it, and nobody imports it
)

// rooms are all rooms but those below internal/store and internal/directory,
// of which each is an adapter by being there, and suites, whose folder's name
// ends in "test".
var rooms = map[string]kind{
	"api":            core,
	"client":         core,
	"internal/reset": core,
	"internal/i18n":  core, // and what says things to people may import it: see crossing

	// What calls applications may import it: see crossing.
	"internal/callout": core,

	"internal/certs":      adapter,
	"internal/config":     adapter,
	"internal/httpapi":    adapter,
	"internal/httpserver": adapter,
	"internal/logs":       adapter,
	"internal/mail":       adapter,
	"internal/outbox":     adapter,
	"internal/password":   adapter,
	"internal/puzzle":     adapter,
	"internal/throttle":   adapter,
	"internal/web":        adapter,
	"internal/webhook":    adapter,

	"cmd/sparekey": joiner,

	"bench": suite, // it starts databases as tests do, and nobody imports it
	"e2e":   suite,

	"examples": sample,
}

// reserved says which rooms alone may import what. Suites are free.
var reserved = []struct {
	imported []string // or anything below it
	rooms    []string // or anything below it
	rule     string
}{
	{
		[]string{"github.com/riverqueue"},
		[]string{"internal/outbox", "internal/store"},
		"the outbox and the stores alone know River; ask reset.Tx to enqueue",
	},
	{
		// The commands name *sql.Tx, which joins store and outbox; the benchmark measures the bare database.
		[]string{"database/sql"},
		[]string{"internal/store", "internal/directory", "cmd/sparekey", "bench"},
		"SQL belongs into a store or a directory; ask through an interface in internal/reset",
	},
	{
		[]string{"modernc.org/sqlite", "github.com/jackc/pgx", "github.com/go-sql-driver/mysql", "github.com/pressly/goose"},
		[]string{"internal/store", "internal/directory", "bench"},
		"drivers and migrations belong into the store or directory that uses them",
	},
	{
		[]string{"net/smtp", "github.com/wneessen/go-mail"},
		[]string{"internal/mail"},
		"SMTP belongs into internal/mail; ask through reset's interface for sending",
	},
	{
		// A directory may live behind a webhook; internal/webhook calls applications, as internal/callout allows;
		// certificates are fetched over HTTPS; leaked passwords are asked for at a service.
		[]string{"net/http"},
		[]string{
			"internal/callout", "internal/webhook", "internal/certs", "internal/httpapi", "internal/web", "internal/httpserver", "internal/mail/devbox",
			"internal/directory", "internal/password/pwned", "client", "cmd/sparekey", "bench",
		},
		"HTTP belongs into the API, the pages and their server; return a reset.Error and let them answer",
	},
	{
		[]string{"html/template", "text/template"},
		[]string{"internal/mail", "internal/web", "cmd/sparekey"},
		"templates belong to mails and pages",
	},
	{
		[]string{"github.com/nicksnyder/go-i18n", "github.com/BurntSushi/toml", "golang.org/x/text/language"},
		[]string{"internal/i18n"},
		"languages belong into internal/i18n; ask its Match and its Localizer",
	},
	{
		[]string{"github.com/spf13/cobra"},
		[]string{"cmd/sparekey"},
		"the command line belongs into cmd/sparekey",
	},
	{
		[]string{
			"testing", "net/http/httptest", "github.com/google/go-cmp", "pgregory.net/rapid", "go.uber.org/goleak",
			"github.com/rogpeppe/go-internal", "github.com/chromedp", "github.com/emersion", "github.com/getkin/kin-openapi",
			"github.com/letsencrypt/pebble", "github.com/miekg/dns",
		},
		nil,
		"it is for tests; move this code into a _test.go file, or into a folder whose name ends in test",
	},
	{
		[]string{"C", "plugin"},
		nil,
		"the binary is static and made without a C compiler; find a way in Go",
	},
}

// roomOf returns the room that a package of this module is in.
func roomOf(pkg string) (string, kind) {
	parts := strings.Split(pkg, "/")
	if slices.ContainsFunc(parts, func(part string) bool { return strings.HasSuffix(part, "test") }) {
		return pkg, suite
	}
	if len(parts) >= 3 && (under(pkg, "internal/store") || under(pkg, "internal/directory")) {
		return strings.Join(parts[:3], "/"), adapter
	}
	for room, k := range rooms {
		if under(pkg, room) {
			return room, k
		}
	}
	return pkg, unknown
}

// under tells whether a package is, or is below, another.
func under(pkg, top string) bool { return pkg == top || strings.HasPrefix(pkg, top+"/") }

func underAny(pkg string, tops []string) bool {
	return slices.ContainsFunc(tops, func(top string) bool { return under(pkg, top) })
}

// broken returns the rule that an import breaks and what to do about it, empty
// if it breaks none. A package is named by its path inside the module, what it
// imports by its full path.
func broken(pkg, imported string) string {
	if local, ok := strings.CutPrefix(imported, module+"/"); ok {
		return crossing(pkg, local)
	}
	if _, k := roomOf(pkg); k == suite || k == sample {
		return ""
	}
	if first, _, _ := strings.Cut(imported, "/"); under(pkg, "client") && strings.Contains(first, ".") {
		return "the client uses the standard library alone, so that nobody inherits our dependencies"
	}
	for _, r := range reserved {
		if underAny(imported, r.imported) && !underAny(pkg, r.rooms) {
			return r.rule
		}
	}
	return ""
}

// crossing is broken for two packages of this module.
func crossing(from, to string) string {
	fromRoom, fromKind := roomOf(from)
	toRoom, toKind := roomOf(to)
	switch {
	case toKind == joiner && fromRoom != toRoom:
		return "nobody imports a command; move what both need to where it belongs"
	case fromKind == sample, toKind == sample:
		return "a sample stands alone, as it will where it is copied to"
	case under(from, "internal/daemontest"):
		return "every room's tests start servers with it, so it imports nothing of this module"
	case fromKind == suite:
		return ""
	case toKind == suite:
		return "tests alone import it; move what ships out of it"
	case fromKind == joiner, fromRoom == toRoom, fromKind == unknown: // the last is told once, by inspect
		return ""
	case fromKind == core:
		return "it imports nothing of this module; what it needs from outside is an interface of its own"
	case to == "internal/i18n":
		if fromRoom == "internal/web" || fromRoom == "internal/mail" {
			return ""
		}
		return "pages, mails and commands alone speak to people; return a code and let them say it"
	case to == "internal/callout":
		if fromRoom == "internal/webhook" || fromRoom == "internal/directory/hookdir" {
			return ""
		}
		return "applications are called by events and by the directory behind a webhook alone"
	case to == "internal/reset", fromRoom == "internal/httpapi" && to == "api":
		return ""
	case toKind == adapter:
		return "adapters never import each other; join them in cmd/sparekey, through an interface in internal/reset"
	}
	return "an adapter imports internal/reset alone (internal/httpapi also api)"
}

// TestRules tries the rules on made-up imports, of rooms too that do not exist yet.
func TestRules(t *testing.T) {
	t.Parallel()
	const (
		inner, api, client = module + "/internal/reset", module + "/api", module + "/client"
		sqlite, outbox     = module + "/internal/store/sqlite", module + "/internal/outbox"
		mail, web          = module + "/internal/mail", module + "/internal/web"
	)
	for _, c := range []struct {
		from, imported string
		rule           string // a part of it; empty if the import is allowed
	}{
		{"internal/reset", "fmt", ""},
		{"internal/reset", module + "/internal/logs", "nothing of this module"},
		{"internal/reset", api, "nothing of this module"},
		{"internal/reset", "net/http", "HTTP belongs"},
		{"internal/reset", "net/mail", ""},
		{"internal/reset", "database/sql", "SQL belongs"},
		{"internal/reset", "net/smtp", "SMTP belongs"},
		{"api", "embed", ""},
		{"api", inner, "nothing of this module"},
		{"client", "net/http", ""},
		{"client", "github.com/google/uuid", "standard library alone"},
		{"client", inner, "nothing of this module"},
		{"client", api, "nothing of this module"},

		{"internal/i18n", "github.com/nicksnyder/go-i18n/v2/i18n", ""},
		{"internal/i18n", inner, "nothing of this module"},
		{"internal/web", module + "/internal/i18n", ""},
		{"internal/mail", module + "/internal/i18n", ""},
		{"internal/password", module + "/internal/i18n", "alone speak to people"},
		{"internal/web", "golang.org/x/text/language", "languages belong"},
		{"cmd/sparekey", module + "/internal/i18n", ""},
		{"internal/web", inner, ""},
		{"internal/web", module + "/internal/httpapi", "never import each other"},
		{"internal/web", api, "internal/reset alone"},
		{"internal/web", client, "internal/reset alone"},
		{"internal/httpapi", api, ""},
		{"internal/httpapi", sqlite, "never import each other"},
		{"internal/httpapi", "net/http", ""},
		{"internal/mail/devbox", mail, ""},
		{"internal/mail/devbox", "net/http", ""},
		{"internal/mail", "net/http", "HTTP belongs"},
		{"internal/mail", "github.com/wneessen/go-mail/smtp", ""},
		{"internal/mail", mail + "/smtptest", "tests alone"},
		{"internal/outbox", "net/http/httptrace", "HTTP belongs"},
		{"internal/outbox", "text/template", "templates belong"},
		{"internal/outbox", "github.com/riverqueue/river", ""},
		{"internal/throttle", "github.com/riverqueue/river", "alone know River"},
		{"internal/throttle", "net/http", "HTTP belongs"},
		{"internal/password", "testing", "for tests"},
		{"internal/password", "net/http", "HTTP belongs"},
		{"internal/password/pwned", "net/http", ""},
		{"internal/password/blocklist", "net/http", "HTTP belongs"},
		{"internal/password", "testing/iotest", "for tests"},
		{"internal/config", "C", "static"},
		{"internal/config", "github.com/spf13/cobra", "command line"},

		{"internal/store/sqlite", outbox, "never import each other"},
		{"internal/store/sqlite", "github.com/riverqueue/river/riverdriver", ""},
		{"internal/store/sqlite", "net/http", "HTTP belongs"},
		{"internal/store/postgres", sqlite, "never import each other"},
		{"internal/store/postgres", "github.com/jackc/pgx/v5", ""},
		{"internal/store/postgres/queries", inner, ""},
		{"internal/store/postgres", module + "/internal/store/storetest", "tests alone"},
		{"internal/directory/ldap", inner, ""},
		{"internal/directory/ldap", mail, "never import each other"},
		{"internal/directory/ldap", "net/smtp", "SMTP belongs"},
		{"internal/directory/ldap", "github.com/riverqueue/river", "alone know River"},
		{"internal/directory/sql", "database/sql", ""},
		{"internal/webhook", "net/http", ""},
		{"internal/webhook", outbox, "never import each other"},

		{"internal/daemontest", "os/exec", ""},
		{"internal/daemontest", inner, "nothing of this module"},
		{"internal/daemontest", module + "/internal/servicetest", "nothing of this module"},
		{"internal/store/postgres/pgtest", module + "/internal/daemontest", ""},
		{"internal/directory/sql/mariadbtest", module + "/internal/daemontest", ""},
		{"internal/directory/sql", module + "/internal/daemontest", "tests alone"},
		{"internal/servicetest", sqlite, ""},
		{"internal/servicetest", "testing", ""},
		{"internal/servicetest", module + "/cmd/sparekey", "nobody imports a command"},
		{"cmd/sparekey", web, ""},
		{"cmd/sparekey", sqlite, ""},
		{"cmd/sparekey", module + "/internal/servicetest", "tests alone"},
		{"cmd/sparekey", module + "/bench", "tests alone import it"},
		{"bench", sqlite, ""},
		{"bench", "github.com/google/go-cmp/cmp", ""},
		{"internal/web", module + "/cmd/sparekey", "nobody imports a command"},

		{"internal/callout", "net/http", ""},
		{"internal/callout", inner, "nothing of this module"},
		{"internal/webhook", module + "/internal/callout", ""},
		{"internal/directory/hookdir", module + "/internal/callout", ""},
		{"internal/directory/ldap", module + "/internal/callout", "alone"},
		{"internal/web", module + "/internal/callout", "alone"},
		{"examples/directory-go", "database/sql", ""},
		{"examples/directory-go", inner, "stands alone"},
		{"internal/web", module + "/examples/directory-go", "stands alone"},
		{"e2e", module + "/examples/directory-go", "stands alone"},
	} {
		if rule := broken(c.from, c.imported); (rule == "") != (c.rule == "") || !strings.Contains(rule, c.rule) {
			t.Errorf("%s importing %s: got %q, want %q", c.from, c.imported, rule, c.rule)
		}
	}
}
