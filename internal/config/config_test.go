package config_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/spf13/pflag"
	"pgregory.net/rapid"

	"github.com/sparekey/sparekey/internal/config"
	"github.com/sparekey/sparekey/internal/reset"
)

// write puts a configuration file into a folder of its own and returns its path.
func write(t *testing.T, yaml string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "sparekey.yaml")
	if err := os.WriteFile(path, []byte(yaml), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func flags(t testing.TB, args ...string) *pflag.FlagSet {
	t.Helper()
	fs := pflag.NewFlagSet("test", pflag.ContinueOnError)
	config.AddFlags(fs)
	if err := fs.Parse(args); err != nil {
		t.Fatal(err)
	}
	return fs
}

func load(t testing.TB, src config.Source) *config.Config {
	t.Helper()
	cfg, err := config.Load(src)
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

func value(t testing.TB, cfg *config.Config, path string) config.Value {
	t.Helper()
	i := slices.IndexFunc(cfg.Values(), func(v config.Value) bool { return v.Path == path })
	if i < 0 {
		t.Fatalf("no value of %s", path)
	}
	return cfg.Values()[i]
}

func TestDefaultsAreThoseOfTheTable(t *testing.T) {
	t.Parallel()
	cores := runtime.GOMAXPROCS(0)
	want := &config.Config{
		Database: config.Database{Path: ".sparekey/sparekey.db"}, DatabaseConnections: 16,
		Listen:   "127.0.0.1:8080",
		TLS:      config.TLS{ACMEDirectory: "https://acme-v02.api.letsencrypt.org/directory"},
		Language: "en",
		Mail:     config.Mail{Connections: 8},
		API:      config.API{RequireKey: true, MaxAddresses: 10, MaxBulk: 5000},
		Request:  config.Request{TTL: time.Hour},
		Hash:     config.Hash{Concurrency: cores, Queue: 100 * cores, Memory: 19456, Time: 2, Parallelism: 1},
		Password: config.Password{MinLength: 15, MaxLength: 1024, MinStrength: 1, RangeTimeout: 2 * time.Second},
		Puzzle:   config.Puzzle{Difficulty: 5000, WithoutScript: 60},
		Throttle: config.Throttle{
			Enabled: true, AddressPerMinute: 1, AddressPerHour: 3, Client: 30, Key: 600, Account: 6000, Service: 6000, Guesses: 100,
		},
		HTTP:     config.HTTP{MaxInFlight: 256},
		Log:      config.Log{Format: "json", Level: slog.LevelInfo},
		Shutdown: config.Shutdown{Timeout: 30 * time.Second},
		Outbox:   config.Outbox{Workers: 48},
		Events:   config.Events{Types: reset.EventTypes, SecretVersion: 1},
		Audit:    config.Audit{RetentionDays: 400, Clients: "truncated"},
	}
	got := load(t, config.Source{})
	if diff := cmp.Diff(want, got, cmpopts.IgnoreUnexported(config.Config{})); diff != "" {
		t.Error(diff)
	}
	got.Values()[0].Source = "changed by a caller"
	for _, v := range got.Values() {
		if v.Source != "default" {
			t.Errorf("%s comes from %q", v.Path, v.Source)
		}
	}
	if n := len(config.Settings()); len(got.Values()) != n {
		t.Errorf("%d values of %d settings", len(got.Values()), n)
	}
}

func TestEverySettingCanBeSetInTheFile(t *testing.T) {
	t.Parallel()
	path := write(t, `
database: sqlite:///var/lib/x.db
database_password: secret
database_connections: 20
secret: 0123456789abcdef0123456789abcdef
listen: ":80"
language: pt-BR
base_url: HTTPS://Reset.Example.com:8443/a/b//
tls:
  certificate: ""
  key: ""
  autocert: [Reset.Example.com, www.example.com]
  cache: /var/lib/acme
  acme_directory: https://acme.example.com/directory
  acme_email: ops@example.com
  acme_terms: true
  redirect_listen: ":81"
mail:
  smtp: smtps://u:p@mx.example.com
  from: '"Example, Inc." <noreply@example.com>'
  service_name: The Example
  connections: 2
  dkim_key: "-----BEGIN PRIVATE KEY-----"
  templates: /etc/sparekey/mails
  tell_unknown: true
  dkim_selector: SK2026
  dkim_domains: [Example.com, xn--exmple-cua.com]
brand:
  logo: /etc/sparekey/logo.png
  accent: "#639"
  background: '#FAFAFA'
  reply_to: help@example.com
  support: https://example.com/help
  hosts: [Sparekey.internal, bücher.example.com]
api: {require_key: false, cors_origins: [https://A.example.com:443, "http://localhost:3000"], max_addresses: 5, max_bulk: 6}
request.ttl: 90m
hash: {concurrency: 3, queue: 0, memory: 65536, time: 4, parallelism: 2}
password: {min_length: 8, max_length: 64, min_strength: 3, blocklist: /var/lib/x.list, range_url: "https://range.example.com/range/", range_timeout: 3s}
throttle: {enabled: false, address_per_minute: 2, address_per_hour: 4, client: 7, key: 9, account: 10, service: 11, guesses: 8}
puzzle: {enabled: true, difficulty: 12, without_script: 0}
http:
  trusted_proxies: [10.1.2.3/8, "::ffff:192.0.2.1", "2001:db8::/32"]
  max_in_flight: 9
  strict_hosts: true
log: {format: text, level: debug}
shutdown: {delay: 7s, timeout: 5s}
outbox: {workers: 10}
events:
  targets: ["HTTPS://App.example.com", "http://localhost:9000/Hooks?a=b=c"]
  types: [request.failed, password.reset]
  allow_private: ["127.0.0.1", "10.0.0.0/8"]
  secret_version: 3
  secrets:
    - https://app.example.com/=whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA
    - http://localhost:9000/Hooks?a=b=c=whsec_BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBA==
audit: {retention_days: 0, clients: none}
`)
	want := &config.Config{
		Database: config.Database{Path: "/var/lib/x.db"}, DatabasePassword: "secret", DatabaseConnections: 20,
		Secret:  "0123456789abcdef0123456789abcdef",
		Listen:  ":80",
		BaseURL: "https://reset.example.com:8443/a/b", Language: "pt-BR",
		TLS: config.TLS{
			Autocert: []string{"reset.example.com", "www.example.com"}, Cache: "/var/lib/acme",
			ACMEDirectory: "https://acme.example.com/directory", ACMEEmail: "ops@example.com", ACMETerms: true, RedirectListen: ":81",
		},
		Mail: config.Mail{
			SMTP: "smtps://u:p@mx.example.com", From: `"Example, Inc." <noreply@example.com>`,
			ServiceName: "The Example", Connections: 2,
			Templates: "/etc/sparekey/mails", TellUnknown: true,
			DKIM: config.DKIM{Key: "-----BEGIN PRIVATE KEY-----", Selector: "sk2026", Domains: []string{"example.com", "xn--exmple-cua.com"}},
		},
		Brand: config.Brand{
			Logo: "/etc/sparekey/logo.png", Accent: "#663399", Background: "#fafafa", ReplyTo: "help@example.com",
			Support: "https://example.com/help", Hosts: []string{"sparekey.internal", "xn--bcher-kva.example.com"},
		},
		API: config.API{
			CORSOrigins:  []string{"https://a.example.com", "http://localhost:3000"},
			MaxAddresses: 5, MaxBulk: 6,
		},
		Request: config.Request{TTL: 90 * time.Minute},
		Hash:    config.Hash{Concurrency: 3, Memory: 65536, Time: 4, Parallelism: 2},
		Password: config.Password{
			MinLength: 8, MaxLength: 64, MinStrength: 3, Blocklist: "/var/lib/x.list",
			RangeURL: "https://range.example.com/range", RangeTimeout: 3 * time.Second,
		},
		Throttle: config.Throttle{AddressPerMinute: 2, AddressPerHour: 4, Client: 7, Key: 9, Account: 10, Service: 11, Guesses: 8},
		Puzzle:   config.Puzzle{Enabled: true, Difficulty: 12},
		HTTP: config.HTTP{TrustedProxies: []netip.Prefix{
			netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("192.0.2.1/32"), netip.MustParsePrefix("2001:db8::/32"),
		}, MaxInFlight: 9, StrictHosts: true},
		Log:      config.Log{Format: "text", Level: slog.LevelDebug},
		Shutdown: config.Shutdown{Delay: 7 * time.Second, Timeout: 5 * time.Second},
		Outbox:   config.Outbox{Workers: 10},
		Events: config.Events{
			Targets:       []string{"https://app.example.com/", "http://localhost:9000/Hooks?a=b=c"},
			Types:         []reset.EventType{reset.EventRequestFailed, reset.EventPasswordReset},
			AllowPrivate:  []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32"), netip.MustParsePrefix("10.0.0.0/8")},
			SecretVersion: 3,
			Secrets: []config.EventSecret{
				{Target: "https://app.example.com/", Secret: "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"},
				{Target: "http://localhost:9000/Hooks?a=b=c", Secret: "whsec_BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBA=="},
			},
		},
		Audit: config.Audit{Clients: "none"},
	}
	got := load(t, config.Source{File: path})
	if diff := cmp.Diff(want, got, cmpopts.IgnoreUnexported(config.Config{}), cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })); diff != "" {
		t.Error(diff)
	}
	for _, v := range got.Values() {
		if v.Source != "file "+path {
			t.Errorf("%s comes from %q", v.Path, v.Source)
		}
	}
}

func TestHigherLayersWin(t *testing.T) {
	t.Parallel()
	path := write(t, "hash: {time: 3}\nlisten: ':3'\nmail: {service_name: File}\n")
	environ := []string{"SPAREKEY_LISTEN=:4", "SPAREKEY_HASH_TIME=4", "SPAREKEY_HASH_TIME=5", "OTHER_LISTEN=:9", "SPAREKEY_MAIL_SERVICE_NAME="}
	cfg := load(t, config.Source{
		Flags: flags(t, "--listen=:5"), Environ: environ, File: path,
		Defaults: map[string]string{"log.format": "text", "hash.time": "9"},
	})
	tests := []config.Value{
		{Path: "listen", Value: ":5", Source: "flag --listen"},
		{Path: "hash.time", Value: "5", Source: "environment SPAREKEY_HASH_TIME"}, // the last of two counts
		{Path: "mail.service_name", Value: "File", Source: "file " + path},        // empty in the environment: not set
		{Path: "log.format", Value: "text", Source: "default"},
		{Path: "outbox.workers", Value: "48", Source: "default"},
		{Path: "audit.retention_days", Value: "400", Source: "default"},
		{Path: "audit.clients", Value: "truncated", Source: "default"},
	}
	for _, want := range tests {
		if diff := cmp.Diff(want, value(t, cfg, want.Path)); diff != "" {
			t.Error(diff)
		}
	}
}

// valid draws a value that a setting takes, in the spelling in which Values shows it.
func valid(t *rapid.T, s config.Setting) string {
	switch s.Kind {
	case config.Bool:
		return strconv.FormatBool(rapid.Bool().Draw(t, "bool"))
	case config.Number:
		return strconv.Itoa(19456 + rapid.IntRange(0, 100).Draw(t, "number"))
	case config.Duration:
		return rapid.SampledFrom([]string{"1m", "2m", "3m30s", "10m"}).Draw(t, "duration")
	}
	return fmt.Sprintf("v%d", rapid.IntRange(0, 1000).Draw(t, "text"))
}

func TestAnySubsetOfSourcesYieldsTheHighest(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "c.yaml")
	// Settings that take any number, duration, truth or text that valid draws.
	names := []string{
		"api.max_bulk", "hash.queue", "hash.memory", "throttle.client", "throttle.guesses", "http.max_in_flight",
		"api.require_key", "throttle.enabled", "request.ttl", "shutdown.timeout", "mail.service_name",
	}
	rapid.Check(t, func(rt *rapid.T) {
		name := rapid.SampledFrom(names).Draw(rt, "setting")
		settings := config.Settings()
		s := settings[slices.IndexFunc(settings, func(s config.Setting) bool { return s.Path == name })]
		src := config.Source{File: path}
		want := config.Value{Path: name, Source: "default"}
		yaml := ""
		if rapid.Bool().Draw(rt, "in defaults") {
			want.Value = valid(rt, s)
			src.Defaults = map[string]string{name: want.Value}
		} else {
			want.Value = value(t, load(t, config.Source{}), name).Value
		}
		if rapid.Bool().Draw(rt, "in file") {
			want.Value, want.Source = valid(rt, s), "file "+path
			yaml = strings.Replace(name, ".", ":\n  ", 1) + ": " + want.Value + "\n"
			if rapid.Bool().Draw(rt, "dotted") {
				yaml = name + ": '" + want.Value + "'\n"
			}
		}
		if rapid.Bool().Draw(rt, "in environment") {
			want.Value, want.Source = valid(rt, s), "environment "+s.Env()
			src.Environ = []string{s.Env() + "=" + want.Value}
		}
		if rapid.Bool().Draw(rt, "in flags") {
			want.Value, want.Source = valid(rt, s), "flag --"+s.Flag()
			src.Flags = flags(t, "--"+s.Flag()+"="+want.Value)
		}
		if err := os.WriteFile(path, []byte(yaml), 0o600); err != nil {
			rt.Fatal(err)
		}
		if diff := cmp.Diff(want, value(t, load(t, src), name)); diff != "" {
			rt.Fatal(diff)
		}
	})
}

func TestServiceNameIsDerivedFromTheSender(t *testing.T) {
	t.Parallel()
	tests := []struct{ from, name, want string }{
		{"", "", ""},
		{"Example <noreply@example.com>", "", "Example"},
		{"noreply@example.com", "", "example.com"},
		{"Example <noreply@example.com>", "Mine", "Mine"},
	}
	for _, tt := range tests {
		cfg := load(t, config.Source{Environ: []string{"SPAREKEY_MAIL_FROM=" + tt.from, "SPAREKEY_MAIL_SERVICE_NAME=" + tt.name}})
		if cfg.Mail.ServiceName != tt.want {
			t.Errorf("from %q, named %q: service name %q, want %q", tt.from, tt.name, cfg.Mail.ServiceName, tt.want)
		}
	}
	cfg := load(t, config.Source{Flags: flags(t, "--mail-service-name=", "--mail-from=noreply@example.com")})
	if cfg.Mail.ServiceName != "example.com" {
		t.Errorf("an empty flag leaves the service name %q", cfg.Mail.ServiceName)
	}
}

func TestQueueFollowsConcurrency(t *testing.T) {
	t.Parallel()
	cfg := load(t, config.Source{Environ: []string{"SPAREKEY_HASH_CONCURRENCY=5"}})
	if cfg.Hash.Queue != 500 {
		t.Errorf("queue %d for 5 hashes at once", cfg.Hash.Queue)
	}
}

func TestListsComeFromEverySource(t *testing.T) {
	t.Parallel()
	want := []string{"https://a.test", "http://b.test:81"}
	for name, src := range map[string]config.Source{
		"environment":   {Environ: []string{"SPAREKEY_API_CORS_ORIGINS= https://a.test , http://b.test:81,,https://a.test"}},
		"one flag":      {Flags: flags(t, "--api-cors-origins=https://a.test,http://b.test:81")},
		"repeated flag": {Flags: flags(t, "--api-cors-origins=https://a.test", "--api-cors-origins=http://b.test:81")},
		"list in file":  {File: write(t, "api:\n  cors_origins:\n    - https://a.test\n    - http://b.test:81\n")},
		"text in file":  {File: write(t, "api: {cors_origins: 'https://a.test,http://b.test:81'}\n")},
	} {
		cfg := load(t, src)
		if diff := cmp.Diff(want, cfg.API.CORSOrigins); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
		if got := value(t, cfg, "api.cors_origins").Value; got != "https://a.test,http://b.test:81" {
			t.Errorf("%s: shown as %q", name, got)
		}
	}
	cfg := load(t, config.Source{Flags: flags(t, "--api-cors-origins="), File: write(t, "api: {cors_origins: ['https://a.test']}")})
	if len(cfg.API.CORSOrigins) != 0 {
		t.Errorf("an empty flag does not empty the list: %v", cfg.API.CORSOrigins)
	}
}

func TestWhichFileIsRead(t *testing.T) {
	t.Parallel()
	one, two, three := write(t, "outbox: {workers: 1}"), write(t, "outbox: {workers: 2}"), write(t, "outbox: {workers: 3}")
	environ := []string{"SPAREKEY_CONFIG=" + three}
	for want, src := range map[int]config.Source{
		1: {File: one, Flags: flags(t, "--config", two), Environ: environ},
		2: {Flags: flags(t, "--config", two), Environ: environ},
		3: {Flags: flags(t), Environ: environ},
	} {
		if got := load(t, src).Outbox.Workers; got != want {
			t.Errorf("file %d was read instead of %d", got, want)
		}
	}
}

// Not parallel, unlike all others: it changes the working directory.
func TestFileInTheWorkingDirectoryIsReadIfThere(t *testing.T) {
	t.Chdir(t.TempDir())
	load(t, config.Source{}) // none there is fine
	if err := os.WriteFile("sparekey.yaml", []byte("# nothing yet\nmail:\n  # from: x\nlisten: ':1'\noutbox:\n  workers:\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := value(t, load(t, config.Source{}), "listen"); got.Source != "file sparekey.yaml" || got.Value != ":1" {
		t.Errorf("listen is %v", got)
	}
	if got := value(t, load(t, config.Source{}), "outbox.workers"); got.Source != "default" {
		t.Errorf("a key without a value counts as set: %v", got)
	}
}

func TestSecretFromFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "smtp")
	if err := os.WriteFile(path, []byte("smtp://u:p ss@mx.example.com\r\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg := load(t, config.Source{Environ: []string{"SPAREKEY_MAIL_SMTP_FILE=" + path}, File: write(t, "mail: {smtp: other}")})
	if got := cfg.Mail.SMTP.Reveal(); got != "smtp://u:p ss@mx.example.com" {
		t.Errorf("read %q", got)
	}
	want := config.Value{Path: "mail.smtp", Value: "[hidden]", Source: "environment SPAREKEY_MAIL_SMTP_FILE"}
	if diff := cmp.Diff(want, value(t, cfg, "mail.smtp")); diff != "" {
		t.Error(diff)
	}
}

// Whatever is secret can be read from a file, and is hidden then too.
func TestEverySecretComesFromAFile(t *testing.T) {
	t.Parallel()
	secrets := 0
	for _, s := range config.Settings() {
		if !s.Secret {
			continue
		}
		secrets++
		const target = "https://app.example.com/hook"
		text := s.Example
		env := []string{"SPAREKEY_EVENTS_TARGETS=" + target}
		switch s.Path {
		case "events.secrets":
			text = target + "=whsec_" + base64.StdEncoding.EncodeToString(make([]byte, 32))
		case "mail.dkim_key":
			text, env = "-----BEGIN PRIVATE KEY-----", append(env, "SPAREKEY_MAIL_DKIM_SELECTOR=sk")
		}
		path := filepath.Join(t.TempDir(), "secret")
		if err := os.WriteFile(path, []byte(text+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		cfg := load(t, config.Source{Environ: append(env, s.EnvFile()+"="+path)})
		want := config.Value{Path: s.Path, Value: "[hidden]", Source: "environment " + s.EnvFile()}
		if diff := cmp.Diff(want, value(t, cfg, s.Path)); diff != "" {
			t.Error(diff)
		}
	}
	if secrets < 2 {
		t.Errorf("there are %d secrets", secrets)
	}
}

// PostgreSQL's address is shown without its password, wherever it stands in it.
func TestPostgresIsShownWithoutItsPassword(t *testing.T) {
	t.Parallel()
	const canary = "c4nary"
	for set, shown := range map[string]string{
		"postgres://ann:" + canary + "@db.example.com:5433/sparekey?sslmode=verify-full": "postgres://ann@db.example.com:5433/sparekey?sslmode=verify-full",
		"postgresql://db.example.com/sparekey?password=" + canary + "&user=ann":          "postgresql://db.example.com/sparekey?user=ann",
		"postgres:///sparekey?host=/run/postgresql":                                      "postgres:///sparekey?host=%2Frun%2Fpostgresql",
	} {
		cfg := load(t, config.Source{Environ: []string{"SPAREKEY_DATABASE=" + set}})
		if cfg.Database.URL.Reveal() != set || cfg.Database.Path != "" {
			t.Errorf("%s: %q, %q", set, cfg.Database.URL.Reveal(), cfg.Database.Path)
		}
		if got := cfg.Database.String(); got != shown {
			t.Errorf("%s is shown as %s", set, got)
		}
		if all := fmt.Sprintf("%v %+v %#v", cfg, cfg.Database, cfg.Database) + fmt.Sprint(cfg.Values()); strings.Contains(all, canary) {
			t.Errorf("the password shows in %s", all)
		}
	}
}

func TestSecretsAreHiddenHoweverPrinted(t *testing.T) {
	t.Parallel()
	const canary = "c4nary"
	cfg := load(t, config.Source{Environ: []string{"SPAREKEY_MAIL_SMTP=smtp://u:" + canary + "@mx.example.com"}})
	asJSON, err := json.Marshal(cfg)
	if err != nil {
		t.Fatal(err)
	}
	var logged strings.Builder
	slog.New(slog.NewTextHandler(&logged, nil)).Info("", "smtp", cfg.Mail.SMTP, "mail", cfg.Mail)
	shown := fmt.Sprintf("%v %+v %#v %s %q %x", cfg, cfg, cfg.Mail, cfg.Mail.SMTP, cfg.Mail.SMTP, cfg.Mail.SMTP) +
		string(asJSON) + logged.String() + fmt.Sprint(cfg.Values())
	if strings.Contains(shown, canary) || strings.Contains(shown, fmt.Sprintf("%x", canary)) {
		t.Errorf("the secret shows in %s", shown)
	}
	if got := config.Secret("").String(); got != "" {
		t.Errorf("a secret that is not set shows as %q", got)
	}
	var none pflag.FlagSet
	config.AddFlags(&none)
	if none.Lookup("mail-smtp") != nil {
		t.Error("a secret has a flag")
	}
}

// TestTargetsOnThisMachine: sparekey dev tells no others.
func TestTargetsOnThisMachine(t *testing.T) {
	t.Parallel()
	all := []string{"https://app.example.com/", "http://localhost:9000/", "https://127.0.0.1/", "https://10.0.0.1/", "http://[::1]:1/", "https://localhost.example.com/"}
	e := config.Events{Targets: all}
	want := []string{"http://localhost:9000/", "https://127.0.0.1/", "http://[::1]:1/"}
	if got := e.Loopback().Targets; !slices.Equal(got, want) || len(e.Targets) != len(all) {
		t.Errorf("got %q of %q, want %q", got, e.Targets, want)
	}
}
