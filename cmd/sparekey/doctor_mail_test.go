package main

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sparekey/sparekey/internal/config"
	"github.com/sparekey/sparekey/internal/mail/smtptest"
)

// dkimKey is a new key in PEM.
func dkimKey(t *testing.T) string {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

func TestDoctorSignature(t *testing.T) {
	t.Parallel()
	key := dkimKey(t)
	env := []string{"SPAREKEY_MAIL_FROM=Example <a@mail.example.com>", "SPAREKEY_MAIL_DKIM_KEY=" + key, "SPAREKEY_MAIL_DKIM_SELECTOR=sk1"}
	cfg, err := config.Load(config.Source{Environ: env})
	if err != nil {
		t.Fatal(err)
	}
	signs, err := newDKIM(cfg, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	record := signs.Records()[0]
	for _, tt := range []struct {
		name  string
		found []string
		err   error
		want  string
		fails bool
	}{
		{"published", []string{"v=spf1 -all", record.Value}, nil, record.Name + " has the key", false},
		{"not published", nil, errors.New("no such host"), `publish it: sk1._domainkey.mail.example.com IN TXT "v=DKIM1; k=ed25519; p=`, false},
		{"another key", []string{"v=DKIM1; p=AAAA"}, nil, "has another key than mail.dkim_key", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			d := &doctorsBag{cfg: cfg, now: time.Now, lookupTXT: func(_ context.Context, name string) ([]string, error) {
				if name != record.Name {
					t.Errorf("looked up %s", name)
				}
				return tt.found, tt.err
			}}
			detail, err := d.signature(t.Context())
			if err != nil {
				detail = err.Error()
			}
			if (err != nil) != tt.fails || !strings.Contains(detail, tt.want) {
				t.Errorf("got %q, %v; want %q", detail, err, tt.want)
			}
		})
	}
	t.Run("from elsewhere", func(t *testing.T) {
		t.Parallel()
		other, err := config.Load(config.Source{Environ: append(env, "SPAREKEY_MAIL_DKIM_DOMAINS=example.org")})
		if err != nil {
			t.Fatal(err)
		}
		d := &doctorsBag{cfg: other, now: time.Now, lookupTXT: func(context.Context, string) ([]string, error) { return nil, nil }}
		if _, err := d.signature(t.Context()); err == nil || !strings.Contains(err.Error(), "are not signed") {
			t.Errorf("got %v", err)
		}
	})
}

// TestDoctorSignatureWaitsForNoNameServer: one that does not answer is as good as none.
func TestDoctorSignatureWaitsForNoNameServer(t *testing.T) {
	t.Parallel()
	cfg, err := config.Load(config.Source{Environ: []string{
		"SPAREKEY_MAIL_FROM=a@example.com", "SPAREKEY_MAIL_DKIM_KEY=" + dkimKey(t), "SPAREKEY_MAIL_DKIM_SELECTOR=sk1",
	}})
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		d := &doctorsBag{cfg: cfg, now: time.Now, lookupTXT: func(ctx context.Context, _ string) ([]string, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}}
		start := time.Now()
		if detail, err := d.signature(t.Context()); err != nil || !strings.Contains(detail, "publish it") || time.Since(start) != lookupTime {
			t.Errorf("after %v: %q, %v", time.Since(start), detail, err)
		}
	})
}

func TestRecordsFitIntoZoneFiles(t *testing.T) {
	t.Parallel()
	for _, part := range strings.Split(quoted(strings.Repeat("x", 600)), `" "`) {
		if len(strings.Trim(part, `"`)) > 255 {
			t.Errorf("a string of %d bytes", len(part))
		}
	}
}

// TestServeSigns: the key comes from a file, mails carry its signature, and a key
// that is none stops the start with the setting's name.
func TestServeSigns(t *testing.T) {
	t.Parallel()
	smtp := smtptest.Start(t)
	file := filepath.Join(t.TempDir(), "dkim.pem")
	if err := os.WriteFile(file, []byte(dkimKey(t)), 0o600); err != nil {
		t.Fatal(err)
	}
	env := environ(freshDatabase(t), "SPAREKEY_LISTEN=127.0.0.1:0", "SPAREKEY_BASE_URL="+testBaseURL,
		"SPAREKEY_MAIL_SMTP="+smtp.URL(), "SPAREKEY_MAIL_FROM=Example <noreply@example.com>",
		"SPAREKEY_MAIL_DKIM_KEY_FILE="+file, "SPAREKEY_MAIL_DKIM_SELECTOR=sk1")
	if _, stderr, code := sparekey(t, console{args: []string{"user", "add", "ada@example.test"}, environ: env}); code != exitOK {
		t.Fatal(stderr)
	}
	p := start(t, env, "serve")
	if status, body := post(t, "http://"+served(t, p)+"/api/1.0/reset-password/request", "", `{"email":["ada@example.test"]}`); status != http.StatusOK {
		t.Fatalf("asking answered %d %s", status, body)
	}
	if mail := mailed(t, smtp, 1); !strings.Contains(mail.Header().Get("DKIM-Signature"), "d=example.com; s=sk1;") {
		t.Errorf("the mail is\n%s", mail.Raw)
	}
	http.DefaultClient.CloseIdleConnections()
	if code := p.end(t); code != exitOK || strings.Contains(p.stderr.String(), "PRIVATE KEY") {
		t.Errorf("serve ended with %d:\n%s", code, p.stderr.String())
	}
	if err := os.WriteFile(file, []byte("-----BEGIN PRIVATE KEY-----\nhunter2\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, stderr, code := sparekey(t, console{args: []string{"serve"}, environ: env})
	if code != exitUsage || !strings.HasPrefix(stderr, "error: mail.dkim_key is not a private key in PEM") || strings.Contains(stderr, "hunter2") {
		t.Errorf("exit code %d: %s", code, stderr)
	}
}
