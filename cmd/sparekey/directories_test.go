package main

import (
	"encoding/pem"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/sparekey/sparekey/internal/certs/certtest"
	"github.com/sparekey/sparekey/internal/config"
	"github.com/sparekey/sparekey/internal/directory/ldapdir/slapdtest"
	"github.com/sparekey/sparekey/internal/reset"
	"github.com/sparekey/sparekey/internal/store/postgres/pgtest"
)

// loadText reads a configuration file.
func loadText(t *testing.T, text string) (*config.Config, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "sparekey.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return config.Load(config.Source{File: path})
}

// made makes the directories of a configuration.
func made(t *testing.T, cfg *config.Config) (*directories, error) {
	t.Helper()
	hasher, err := newHasher(cfg, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	return newDirectories(cfg, hasher, time.Now, slog.New(slog.DiscardHandler))
}

// TestSamplesOfDirectories: every sample of docs/directories.md is one that Sparekey starts with.
func TestSamplesOfDirectories(t *testing.T) {
	t.Parallel()
	guide, err := os.ReadFile(filepath.Join("..", "..", "docs", "directories.md"))
	if err != nil {
		t.Fatal(err)
	}
	files := t.TempDir()
	secret := []byte("whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=")
	samples := 0
	for _, found := range regexp.MustCompile("(?ms)^```yaml\n(.*?)^```").FindAllStringSubmatch(string(guide), -1) {
		text := strings.ReplaceAll(found[1], "/etc/sparekey/", files+"/")
		text = strings.ReplaceAll(text, "secrets_file: shop-secrets", "secrets_file: "+files+"/shop-secrets")
		for _, file := range regexp.MustCompile(`_file: (\S+)`).FindAllStringSubmatch(text, -1) {
			contents := secret
			if strings.HasSuffix(file[1], ".pem") {
				contents = certtest.New(t).PEM()
			}
			if err := os.WriteFile(file[1], contents, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		cfg, err := loadText(t, text)
		if err != nil {
			t.Errorf("%v\n%s", err, found[1])
			continue
		}
		d, err := made(t, cfg)
		if err != nil {
			t.Errorf("%v\n%s", err, found[1])
			continue
		}
		samples += len(d.made)
		if err := d.close(); err != nil {
			t.Error(err)
		}
	}
	if samples < 8 {
		t.Errorf("only %d directories are in the samples", samples)
	}
}

// TestSamplesAreThoseThatWereRun: what the tests of connectors run against real servers stands in docs/directories.md word for word.
func TestSamplesAreThoseThatWereRun(t *testing.T) {
	t.Parallel()
	guide, err := os.ReadFile(filepath.Join("..", "..", "docs", "directories.md"))
	if err != nil {
		t.Fatal(err)
	}
	run := 0
	for _, pattern := range []string{"sqldir/testdata/samples/*", "ldapdir/testdata/*.ldif"} {
		files, err := filepath.Glob(filepath.Join("..", "..", "internal", "directory", filepath.FromSlash(pattern)))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if run++; !strings.Contains(string(guide), "\n"+strings.TrimSpace(string(text))+"\n```") {
				t.Errorf("%s is not in docs/directories.md", file)
			}
		}
	}
	if run < 7 {
		t.Errorf("only %d samples were found", run)
	}
}

// TestMissetDirectories: what is wrong with a directory's settings is told by their names, all at once, and without secrets.
func TestMissetDirectories(t *testing.T) {
	t.Parallel()
	cfg, err := loadText(t, `
directories:
  crm: {type: sql, url: "oracle://sparekey:opensesame@db.example.com/crm", hash: md5}
  shop: {type: webhook, url: "http://shop.example.com/x", secrets: whsec_opensesame}
  corp: {type: ldap, servers: ["ldap://ldap.example.com"], base: nonsense, ca_file: /nowhere.pem}
  wiki: {type: sql, url: "sqlite:/nowhere.db", hash: bcrypt}
`)
	if err != nil {
		t.Fatal(err)
	}
	d, err := made(t, cfg)
	if err == nil {
		t.Fatal(d.close())
	}
	text := err.Error()
	for _, words := range []string{
		"directories.crm.hash does not fit: there is no format of that name", "directories.shop.secrets does not fit",
		"directories.corp.ca_file does not fit", "directories.wiki.table does not fit",
	} {
		if !strings.Contains(text, words) {
			t.Errorf("it does not say %q:\n%s", words, text)
		}
	}
	if strings.Contains(text, "opensesame") {
		t.Errorf("it tells a secret:\n%s", text)
	}
	if code := report(io.Discard, err); code != exitUsage {
		t.Errorf("exit code %d", code)
	}
}

// TestUnreadableAuthorities: a file that has no authorities is refused in each type of directories, by the setting's name.
func TestUnreadableAuthorities(t *testing.T) {
	t.Parallel()
	empty := filepath.Join(t.TempDir(), "empty.pem")
	if err := os.WriteFile(empty, []byte("opensesame"), 0o600); err != nil {
		t.Fatal(err)
	}
	for file, why := range map[string]string{filepath.Join(t.TempDir(), "none.pem"): "no such file", empty: "there is no certificate in the file"} {
		cfg, err := loadText(t, `
directories:
  crm: {type: sql, url: "postgres://sparekey@db.example.com/crm", table: users, hash: bcrypt-2y, ca_file: `+file+`}
  shop: {type: webhook, url: "https://shop.example.com/x", secrets: whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=, ca_file: `+file+`}
  corp: {type: ldap, servers: ["ldaps://ldap.example.com"], base: "dc=example,dc=com", bind: {dn: "cn=sparekey", password: x}, ca_file: `+file+`}
`)
		if err != nil {
			t.Fatal(err)
		}
		d, err := made(t, cfg)
		if err == nil {
			t.Fatal(why, d.close())
		}
		faults, _ := errors.AsType[*config.Error](err)
		if faults == nil || len(faults.Faults) != 3 {
			t.Fatalf("%s: %v, want three faults", why, err)
		}
		for i, name := range []string{"corp", "crm", "shop"} {
			f := faults.Faults[i]
			if f.Path != "directories."+name+".ca_file" || !strings.Contains(f.Problem, why) || !strings.Contains(f.Fix, "PEM file") || strings.Contains(f.Problem, "opensesame") {
				t.Errorf("%s: %+v", name, f)
			}
		}
	}
}

// TestAuthoritiesAreBelieved: each type of directories believes the servers that its file vouches for.
func TestAuthoritiesAreBelieved(t *testing.T) {
	t.Parallel()
	crm, crmFile, err := pgtest.StartTLS("localhost")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = crm.Close() })
	corp := slapdtest.New(t, slapdtest.Options{})
	shop := httptest.NewTLSServer(http.NotFoundHandler())
	t.Cleanup(shop.Close)
	shopFile := filepath.Join(t.TempDir(), "shop.pem")
	certificate := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: shop.Certificate().Raw})
	if err := os.WriteFile(shopFile, certificate, 0o600); err != nil {
		t.Fatal(err)
	}
	address := strings.NewReplacer("127.0.0.1", "localhost", "sslmode=disable", "sslmode=verify-full").Replace(crm.URL("postgres"))
	cfg, err := loadText(t, `
directories:
  crm: {type: sql, url: "`+address+`", table: users, hash: bcrypt-2y, ca_file: `+crmFile+`}
  shop: {type: webhook, url: "`+shop.URL+`", secrets: whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=, ca_file: `+shopFile+`}
  corp: {type: ldap, servers: ["ldaps://`+corp.SecureAddress()+`"], base: "dc=example,dc=test", bind: {dn: "`+slapdtest.RootDN+`", password: "`+slapdtest.RootPassword+`"}, ca_file: `+corp.AuthorityFile()+`}
`)
	if err != nil {
		t.Fatal(err)
	}
	d, err := made(t, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.close() })
	// What they have besides is not what a directory needs, and is told only over a connection that is believed.
	for name, setting := range map[string]string{"crm": "table", "shop": "url", "corp": "filter"} {
		err := d.made[name].Check(t.Context(), func(string) {})
		if m, ok := errors.AsType[*reset.Misset](err); !ok || m.Setting != setting {
			t.Errorf("%s: %v, want what is wrong with %s", name, err, setting)
		}
	}
}

// TestAloneTheBuiltInOneStaysAsItIs: without other directories nothing stands between, so looking stays one look.
func TestAloneTheBuiltInOneStaysAsItIs(t *testing.T) {
	t.Parallel()
	cfg, err := loadText(t, "")
	if err != nil {
		t.Fatal(err)
	}
	d, err := made(t, cfg)
	if err != nil {
		t.Fatal(err)
	}
	people, err := d.whole(nil)
	if _, ok := people.(reset.Finder); !ok || err != nil {
		t.Errorf("it is a %T, %v", people, err)
	}
}
