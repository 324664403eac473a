package reset_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sparekey/sparekey/internal/reset"
	"github.com/sparekey/sparekey/internal/servicetest"
)

// No id, password or key is at rest in the clear, nor in any log line; the
// logs and the limits name no address either. Everything happens here that can
// happen to a secret, and then every byte is searched.
func TestNoSecretIsKeptOrLogged(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	w := servicetest.New(t, servicetest.WithThrottle(),
		servicetest.WithLog(slog.New(slog.NewJSONHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))))
	const typed = "nobody.canary@example.test"
	const known = "known.canary@example.test"
	w.AddUser(t, known, "Ada", "Acme")
	keys := map[string]string{
		"admin key": w.NewKey(t, "admin", reset.ScopeAdmin, ""), "revoked key": w.NewKey(t, "gone", reset.ScopeReset, "Acme"),
		"wrong key": "spk_canary-canary-canary",
	}
	must(t, w.Keys.Revoke(t.Context(), "gone"))
	admin := reset.Caller{Client: "203.0.113.77"}
	for name, secret := range keys {
		k, err := w.Keys.Authenticate(t.Context(), admin.Client, secret)
		if name == "admin key" {
			must(t, err)
			admin.Key = &k
		} else if err == nil {
			t.Fatalf("the %s was taken", name)
		}
	}
	id := w.MailedID(t, known)
	bulk(t, w, admin, typed)
	guess := reset.NewID().Reveal()
	opens(t, w, visitor, guess)
	opens(t, w, admin, strings.ToUpper(id))
	pending := fmt.Sprint(w.Pending())
	w.WorkOutbox(t)
	const refusedPassword, password = "canary refused", "a canary in a coal mine"
	for _, p := range []string{refusedPassword, password, password} {
		_, _ = w.Service.Reset(t.Context(), visitor, id, p)
	}
	if !w.VerifyPassword(t, known, password) {
		t.Fatal("the reset did not work; this shows nothing")
	}
	pending += fmt.Sprint(w.Pending())
	w.FailMail(&reset.Undeliverable{Reply: 550, Cause: fmt.Errorf("no such user %s", known)})
	w.WorkOutbox(t)

	secrets := map[string]string{"id": id, "guessed id": guess, "password": password, "refused password": refusedPassword}
	for name, s := range keys {
		secrets[name] = s
	}
	trail := fmt.Sprintf("%+v", w.Trail(t))
	disk := onDisk(t, w)
	if !strings.Contains(disk, known) || !strings.Contains(pending, typed) || !strings.Contains(log.String(), "password.reset") ||
		!strings.Contains(trail, nameOf(t, known)) {
		t.Fatal("what must be there was not found either; this shows nothing")
	}
	for name, s := range secrets {
		for _, spelled := range []string{s, strings.ToUpper(s), strings.ReplaceAll(s, "-", ""), hex.EncodeToString([]byte(s)), base64.StdEncoding.EncodeToString([]byte(s))} {
			for place, text := range map[string]string{"log": log.String(), "database": disk, "outbox": pending} {
				if strings.Contains(text, spelled) {
					t.Errorf("the %s has the %s as %q", place, name, spelled)
				}
			}
		}
	}
	for place, text := range map[string]string{"log": log.String(), "limits": tableOf(w.Dump(t), "limits"), "trail": trail} {
		for _, s := range []string{"canary", admin.Client, visitor.Client, "192.0.2.1"} {
			if strings.Contains(text, s) {
				t.Errorf("the %s names %s:\n%s", place, s, text)
			}
		}
	}
	if strings.Contains(disk, typed) {
		t.Error("the database has an address that nobody has")
	}
}

// onDisk returns all bytes of the database's files.
func onDisk(t testing.TB, w *servicetest.World) string {
	t.Helper()
	files, err := filepath.Glob(w.Path + "*")
	must(t, err)
	var all strings.Builder
	for _, f := range files {
		b, err := os.ReadFile(f)
		must(t, err)
		all.Write(b)
	}
	return all.String()
}

func tableOf(dump, table string) string {
	var b strings.Builder
	for line := range strings.Lines(dump) {
		if strings.HasPrefix(line, table+" ") {
			b.WriteString(line)
		}
	}
	return b.String()
}
