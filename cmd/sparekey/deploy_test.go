package main

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/sparekey/sparekey/internal/config"
)

const deploy = "../../deploy"

func readDeploy(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(deploy, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestSettingsInTextsExist: what a guide or a sample sets is a setting, a secret's file or the file of settings.
func TestSettingsInTextsExist(t *testing.T) {
	t.Parallel()
	known := map[string]bool{"SPAREKEY_CONFIG": true}
	for _, s := range config.Settings() {
		known[s.Env()] = true
		if s.Secret {
			known[s.EnvFile()] = true
		}
	}
	var texts []string
	for _, pattern := range []string{"../../README.md", "../../docs/operate.md", "../../docs/security.md", deploy + "/*"} {
		names, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		texts = append(texts, names...)
	}
	found := 0
	for _, name := range texts {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, setting := range regexp.MustCompile(`\bSPAREKEY_[A-Z0-9_]+`).FindAllString(string(text), -1) {
			found++
			if !known[setting] {
				t.Errorf("%s names %s, which is no setting", name, setting)
			}
		}
	}
	if found < 30 {
		t.Errorf("only %d settings are named: are the texts still there?", found)
	}
}

// isCommand fails unless words, after the program, are a command with flags that it has.
func isCommand(t *testing.T, where string, words []string) {
	t.Helper()
	root := newRoot(console{})
	cmd, rest, err := root.Find(words)
	if err != nil || cmd == root {
		t.Errorf("%s runs %q, which is no command: %v", where, words, err)
		return
	}
	if err := cmd.ParseFlags(rest); err != nil {
		t.Errorf("%s runs %q: %v", where, words, err)
	}
}

// loads reads an environment with every secret's file in its place, and demands what serve needs.
func loads(t *testing.T, where string, environment map[string]string, needed ...string) *config.Config {
	t.Helper()
	contents := map[string]string{"SPAREKEY_MAIL_SMTP_FILE": "smtp://user:word@mail.example.com", "SPAREKEY_DATABASE_PASSWORD_FILE": "word"}
	var environ []string
	for name, value := range environment {
		if content, ok := contents[name]; ok {
			value = filepath.Join(t.TempDir(), "secret")
			if err := os.WriteFile(value, []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		environ = append(environ, name+"="+value)
	}
	cfg, err := config.Load(config.Source{Environ: environ})
	if err != nil {
		t.Fatalf("%s: %v", where, err)
	}
	if err := config.Require(cfg, needed...); err != nil {
		t.Errorf("%s: %v", where, err)
	}
	return cfg
}

// unit is a unit of systemd: the values of each directive, in their order.
func unit(t *testing.T, name string) map[string][]string {
	t.Helper()
	values := map[string][]string{}
	for line := range strings.Lines(readDeploy(t, name)) {
		line = strings.TrimSpace(line)
		if key, value, ok := strings.Cut(line, "="); ok && !strings.HasPrefix(line, "#") {
			values[key] = append(values[key], value)
		}
	}
	return values
}

// TestUnit holds deploy/sparekey.service against the program that it starts. What
// it allows is tried in e2e: TestDeployed.
func TestUnit(t *testing.T) {
	t.Parallel()
	u := unit(t, "sparekey.service")
	words := strings.Fields(u["ExecStart"][0])
	if words[0] != "/usr/local/bin/sparekey" {
		t.Errorf("it starts %s", words[0])
	}
	isCommand(t, "the unit", words[1:])
	environment := map[string]string{"SPAREKEY_BASE_URL": testBaseURL, "SPAREKEY_MAIL_FROM": "noreply@example.com"} // from its EnvironmentFile
	for _, entry := range u["Environment"] {
		name, value, _ := strings.Cut(entry, "=")
		environment[name] = strings.NewReplacer("%S", "/var/lib", "%d", "/run/credentials/sparekey.service").Replace(value)
	}
	cfg := loads(t, "the unit", environment, config.Needed("serve")...)
	if state := "/var/lib/" + u["StateDirectory"][0] + "/"; !strings.HasPrefix(cfg.Database.Path, state) {
		t.Errorf("the database %s is not in %s, the one folder that can be written", cfg.Database.Path, state)
	}
	for _, entry := range u["Environment"] { // each credential that is used is loaded
		if _, credential, ok := strings.Cut(entry, "=%d/"); ok &&
			!slices.ContainsFunc(u["LoadCredential"], func(c string) bool { return strings.HasPrefix(c, credential+":") }) {
			t.Errorf("the credential %s is used and not loaded", credential)
		}
	}
	// Whatever stops it has to wait for as long as stopping may take, on PostgreSQL too.
	stop, err := time.ParseDuration(u["TimeoutStopSec"][0] + "s")
	if longest := 5*time.Second + cfg.Shutdown.Timeout + 10*time.Second; err != nil || stop <= longest {
		t.Errorf("it is killed after %v (%v), while stopping may take %v", stop, err, longest)
	}
	if got := u["RestartPreventExitStatus"]; !slices.Equal(got, []string{"2"}) || exitUsage != 2 {
		t.Errorf("it is started again after any code but %v; a wrong configuration ends it with %d", got, exitUsage)
	}
	for _, yes := range []string{
		"DynamicUser", "NoNewPrivileges", "MemoryDenyWriteExecute", "PrivateDevices", "PrivateTmp", "PrivateUsers", "ProtectHome", "ProtectClock",
		"ProtectControlGroups", "ProtectHostname", "ProtectKernelLogs", "ProtectKernelModules", "ProtectKernelTunables",
		"LockPersonality", "RestrictNamespaces", "RestrictRealtime", "RestrictSUIDSGID",
	} {
		if !slices.Equal(u[yes], []string{"yes"}) {
			t.Errorf("%s is %q, want yes", yes, u[yes])
		}
	}
	for name, want := range map[string]string{"ProtectSystem": "strict", "CapabilityBoundingSet": "", "AmbientCapabilities": "", "StateDirectoryMode": "0700", "UMask": "0077"} {
		if !slices.Equal(u[name], []string{want}) {
			t.Errorf("%s is %q, want %q", name, u[name], want)
		}
	}
	// The drop-in gives one right, and takes back what would make it void.
	d := unit(t, "port-443.conf")
	for name, want := range map[string]string{"CapabilityBoundingSet": "CAP_NET_BIND_SERVICE", "AmbientCapabilities": "CAP_NET_BIND_SERVICE", "PrivateUsers": "no"} {
		if !slices.Equal(d[name], []string{want}) {
			t.Errorf("port-443.conf: %s is %q, want %q", name, d[name], want)
		}
	}
	if len(d) != 3 {
		t.Errorf("port-443.conf sets %q", slices.Sorted(maps.Keys(d)))
	}
}

// TestDockerfile holds deploy/Dockerfile against the program and the module.
func TestDockerfile(t *testing.T) {
	t.Parallel()
	text := strings.ReplaceAll(readDeploy(t, "Dockerfile"), "\\\n", " ")
	module, err := os.ReadFile("../../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	version := regexp.MustCompile(`(?m)^go (\d+\.\d+)`).FindStringSubmatch(string(module))
	build, image, found := strings.Cut(text, "\nFROM scratch\n")
	if !found || !strings.Contains(build, "FROM golang:"+version[1]+"-") {
		t.Errorf("it is not built with Go %s into an empty image", version[1])
	}
	for _, want := range []string{"CGO_ENABLED=0 go build -trimpath", "-X main.release=${VERSION}", "./cmd/sparekey"} {
		if !strings.Contains(build, want) {
			t.Errorf("the build lacks %s", want)
		}
	}
	if strings.Contains(image, "\nRUN ") {
		t.Error("there is nothing in an empty image that could RUN")
	}
	instructions := map[string]string{}
	for line := range strings.Lines(image) {
		name, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		instructions[name] = rest
	}
	if instructions["USER"] != "65532:65532" { // as numbers: Kubernetes cannot tell by a name that it is not root
		t.Errorf("the user is %q", instructions["USER"])
	}
	environment := map[string]string{}
	for _, entry := range strings.Fields(instructions["ENV"]) {
		name, value, _ := strings.Cut(entry, "=")
		environment[name] = value
	}
	cfg := loads(t, "the image", environment)
	if filepath.Dir(cfg.Database.Path) != instructions["VOLUME"] || instructions["WORKDIR"] != instructions["VOLUME"] {
		t.Errorf("the database is %s, the volume %s", cfg.Database.Path, instructions["VOLUME"])
	}
	_, health, _ := strings.Cut(instructions["HEALTHCHECK"], "CMD ")
	for what, command := range map[string]string{"CMD": instructions["CMD"], "HEALTHCHECK": health} {
		var words []string // as JSON: there is no shell to take words apart
		if err := json.Unmarshal([]byte(command), &words); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		if what == "HEALTHCHECK" {
			if instructions["ENTRYPOINT"] != `["`+words[0]+`"]` {
				t.Errorf("it starts %s and asks %s", instructions["ENTRYPOINT"], words[0])
			}
			words = words[1:]
		}
		isCommand(t, "the image's "+what, words)
	}
	if timeout := regexp.MustCompile(`--timeout=(\S+)`).FindStringSubmatch(instructions["HEALTHCHECK"]); timeout == nil {
		t.Error("a check may take for ever")
	} else if d, err := time.ParseDuration(timeout[1]); err != nil || d <= healthTime {
		t.Errorf("a check is ended after %s, and may take %v", timeout[1], healthTime)
	}
}

// composed is what is looked at of deploy/compose.yaml.
type composed struct {
	Services map[string]struct {
		Build       any
		Command     []string
		Environment map[string]string
		Secrets     []string
		ReadOnly    bool     `yaml:"read_only"`
		CapDrop     []string `yaml:"cap_drop"`
		SecurityOpt []string `yaml:"security_opt"`
		User        string
		Grace       string `yaml:"stop_grace_period"`
	}
	Secrets map[string]struct{ File string }
}

// TestCompose holds deploy/compose.yaml against the program.
func TestCompose(t *testing.T) {
	t.Parallel()
	var c composed
	if err := yaml.Unmarshal([]byte(readDeploy(t, "compose.yaml")), &c); err != nil {
		t.Fatal(err)
	}
	ours := 0
	for name, s := range c.Services {
		for setting, value := range s.Environment {
			if secret, ok := strings.CutPrefix(value, "/run/secrets/"); ok && !slices.Contains(s.Secrets, secret) {
				t.Errorf("%s: %s names the secret %s, which it is not given", name, setting, secret)
			}
		}
		for _, secret := range s.Secrets {
			if !strings.HasPrefix(c.Secrets[secret].File, "./secrets/") { // what git and the image leave out
				t.Errorf("%s: the secret %s comes from %q", name, secret, c.Secrets[secret].File)
			}
		}
		if s.Build == nil {
			continue
		}
		ours++
		if !s.ReadOnly || s.User != "65532:65532" || !slices.Equal(s.CapDrop, []string{"ALL"}) || !slices.Equal(s.SecurityOpt, []string{"no-new-privileges:true"}) {
			t.Errorf("%s has more rights than it needs", name)
		}
		if len(s.Command) > 0 {
			isCommand(t, name, s.Command)
			loads(t, name, s.Environment)
			continue
		}
		cfg := loads(t, name, s.Environment, config.Needed("serve")...)
		grace, err := time.ParseDuration(s.Grace)
		if longest := cfg.Shutdown.Delay + cfg.Shutdown.Timeout + 10*time.Second; err != nil || grace <= longest {
			t.Errorf("%s is killed after %v (%v), while stopping may take %v", name, grace, err, longest)
		}
	}
	if ours != 2 {
		t.Errorf("%d services are ours, want 2", ours)
	}
}
