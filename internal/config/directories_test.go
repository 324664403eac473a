package config_test

import (
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sparekey/sparekey/internal/config"
)

const twoDirectories = `
base_url: https://reset.example.com
directories:
  builtin:
    domains: [example.org]
  corp:
    type: ldap
    domains: [example.com, Exämple.com]
    account: Acme
    servers: [ldaps://ldap1.example.com, ldaps://ldap2.example.com]
    bind:
      dn: cn=sparekey,ou=services,dc=example,dc=com
      password_file: FILE
    base: ou=people,dc=example,dc=com
    unlock: true
  ad:
    type: ldap
    timeout: 2s
    servers: [ldaps://dc.example.com]
    bind.dn: sparekey@example.com
    base: dc=example,dc=com
    method: ad
`

func TestDirectoriesOfAFile(t *testing.T) {
	t.Parallel()
	password := write(t, "of the file\n")
	cfg := load(t, config.Source{
		File:    write(t, strings.ReplaceAll(twoDirectories, "FILE", password)),
		Environ: []string{"SPAREKEY_DIRECTORIES_AD_BIND_PASSWORD=of the environment", "SPAREKEY_DIRECTORIES_CORP_TIMEOUT=3s"},
	})
	want := []config.Directory{
		{
			Name: "ad", Type: "ldap", Timeout: 2 * time.Second, Connections: 4,
			LDAP: config.LDAPDirectory{
				Servers: []string{"ldaps://dc.example.com"}, BindDN: "sparekey@example.com", BindPassword: "of the environment",
				Base: "dc=example,dc=com", Method: "ad",
				Attributes: config.LDAPAttributes{Mail: "mail", Locale: "preferredLanguage", DisabledValue: "TRUE"},
			},
		},
		{Name: "builtin", Type: "builtin", Domains: []string{"example.org"}},
		{
			Name: "corp", Type: "ldap", Domains: []string{"example.com", "xn--exmple-cua.com"}, Account: "Acme", Timeout: 3 * time.Second, Connections: 4,
			LDAP: config.LDAPDirectory{
				Servers: []string{"ldaps://ldap1.example.com", "ldaps://ldap2.example.com"},
				BindDN:  "cn=sparekey,ou=services,dc=example,dc=com", BindPassword: "of the file",
				Base: "ou=people,dc=example,dc=com", Method: "rfc3062", Unlock: true,
				Attributes: config.LDAPAttributes{Mail: "mail", Locale: "preferredLanguage", DisabledValue: "TRUE"},
			},
		},
	}
	if diff := cmp.Diff(want, cfg.Directories); diff != "" {
		t.Error(diff)
	}
	shown := map[string]config.Value{}
	for _, v := range cfg.Values() {
		shown[v.Path] = v
		if strings.Contains(v.Value, "of the") {
			t.Errorf("%s shows %q", v.Path, v.Value)
		}
	}
	for path, value := range map[string]string{
		"directories.ad.bind.password": "[hidden]", "directories.corp.base": "ou=people,dc=example,dc=com", "directories.builtin.domains": "example.org",
	} {
		if shown[path].Value != value {
			t.Errorf("%s is shown as %+v", path, shown[path])
		}
	}
	if got := shown["directories.corp.timeout"].Source; got != "environment SPAREKEY_DIRECTORIES_CORP_TIMEOUT" {
		t.Errorf("the timeout came from %s", got)
	}
}

func TestDirectoriesThatDoNotFit(t *testing.T) {
	t.Parallel()
	secret := write(t, "the password")
	for text, want := range map[string]string{
		"directories: {Corp: {type: ldap}}":                                           "directories.Corp is no name of a directory; write a small letter",
		"directories: {corp: ldap}":                                                   "directories.corp is a section and has no value of its own",
		"directories: {corp: {}}":                                                     "directories.corp.type does not say what the directory is; write sql, ldap, webhook",
		"directories: {corp: {type: nis}}":                                            "directories.corp.type does not say what the directory is",
		"directories: {corp: {type: builtin}}":                                        "directories.corp.type does not say what the directory is",
		"directories: {builtin: {type: ldap}}":                                        "directories.builtin.type does not say what the directory is",
		"directories: {corp: {type: ldap, bas: x}}":                                   "directories.corp.bas is no setting; the nearest is directories.corp.base",
		"directories: {corp: {type: ldap, timeout: 1h}}":                              "directories.corp.timeout is out of range",
		"directories: {corp: {type: ldap, bind: {password: a, password_file: FILE}}}": "directories.corp.bind.password is set twice",
		"directories: {corp: {type: ldap, bind: {password_file: /nowhere}}}":          "directories.corp.bind.password cannot be read from the file",
		"directories: {corp: {type: ldap, base_file: FILE}}":                          "directories.corp.base_file is no setting",
		"directories: {builtin: {account: Acme}}":                                     "directories.builtin.account is no setting",
	} {
		_, err := config.Load(config.Source{File: write(t, strings.ReplaceAll(text, "FILE", secret))})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v\nwant %s", text, err, want)
		}
		if err != nil && strings.Contains(err.Error(), "the password") {
			t.Errorf("the error has the secret: %v", err)
		}
	}
	_, err := config.Load(config.Source{File: write(t, ""), Environ: []string{"SPAREKEY_DIRECTORIES_CORP_BASE=x"}})
	if err == nil || !strings.Contains(err.Error(), "SPAREKEY_DIRECTORIES_CORP_BASE") {
		t.Errorf("a variable of a directory that is not there: %v", err)
	}
	if _, ok := errors.AsType[*config.Error](err); !ok {
		t.Errorf("%T", err)
	}
}

// TestDirectoriesAreDocumented: docs/directories.md has a line of each setting of each type, in its section, and none of other settings.
func TestDirectoriesAreDocumented(t *testing.T) {
	t.Parallel()
	contents, err := os.ReadFile(filepath.Join("..", "..", "docs", "directories.md"))
	if err != nil {
		t.Fatal(err)
	}
	sections := map[string]string{}
	for part := range strings.SplitSeq("\n"+string(contents), "\n## ") {
		heading, text, _ := strings.Cut(part, "\n")
		sections[heading] = text
	}
	cell := regexp.MustCompile("(?m)^\\| `([a-z_.]+)` \\|")
	for heading, kind := range map[string]string{"SQL": config.TypeSQL, "LDAP": config.TypeLDAP, "Webhook": config.TypeWebhook} {
		var want, got []string
		for _, s := range config.DirectorySettings("name", kind) {
			if name := strings.TrimPrefix(s.Path, "directories.name."); !slices.Contains([]string{"type", "domains", "account"}, name) {
				want = append(want, name)
			}
		}
		_, table, _ := strings.Cut(sections[heading], "\n### Settings\n")
		table, _, _ = strings.Cut(table, "\n### ")
		for _, found := range cell.FindAllStringSubmatch(table, -1) {
			got = append(got, found[1])
		}
		slices.Sort(want)
		slices.Sort(got)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("the settings in the section %s of docs/directories.md (-want +got):\n%s", heading, diff)
		}
	}
}
