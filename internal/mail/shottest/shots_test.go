package shottest

import (
	"bytes"
	"image"
	"image/color"
	"image/png"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/sparekey/sparekey/internal/i18n"
	"github.com/sparekey/sparekey/internal/mail"
	"github.com/sparekey/sparekey/internal/reset"
)

// TestEveryMailFits: no mail is wider than a phone, in the default brand and in one of its own.
//
// With SPAREKEY_SCREENSHOTS it is looked at in every language, and the pictures are left there.
func TestEveryMailFits(t *testing.T) {
	t.Parallel()
	folder, languages := os.Getenv("SPAREKEY_SCREENSHOTS"), []string{"de", "he"}
	if folder == "" {
		folder = t.TempDir()
	} else {
		languages = nil
		for _, l := range i18n.Languages() {
			languages = append(languages, l.Tag)
		}
	}
	now := func() time.Time { return time.Date(2026, 11, 24, 12, 4, 0, 0, time.UTC) }
	composer, err := mail.NewComposer(mail.Sender{From: "Example <noreply@example.com>", BaseURL: "https://reset.example.com"}, now)
	if err != nil {
		t.Fatal(err)
	}
	from := t.TempDir()
	mails := 0
	for folder, brand := range map[string]reset.Brand{"default": {}, "acme": acme(t)} {
		for _, l := range languages {
			samples, err := composer.Samples(l, brand)
			if err != nil {
				t.Fatal(err)
			}
			for _, s := range samples {
				mails++
				file := filepath.Join(from, folder, s.Name+"."+l+".html")
				if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(file, []byte(s.Page()), 0o600); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	to := rootOf(t, folder)
	if err := to.MkdirAll("mails", 0o755); err != nil {
		t.Fatal(err)
	}
	mailed, err := to.OpenRoot("mails")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = mailed.Close() })
	if n, err := Shoot(t.Context(), from, mailed); err != nil || n != 4*mails || mails == 0 {
		t.Errorf("%d pictures of %d mails, %v", n, mails, err)
	}
}

// rootOf opens a folder, until the test ends.
func rootOf(t *testing.T, folder string) *os.Root {
	t.Helper()
	root, err := os.OpenRoot(folder)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = root.Close() })
	return root
}

// acme is an organisation's own brand, with all that a brand may have.
func acme(t *testing.T) reset.Brand {
	t.Helper()
	picture := image.NewPaletted(image.Rect(0, 0, 240, 64), color.Palette{color.RGBA{R: 0x66, G: 0x33, B: 0x99, A: 0xff}})
	var data bytes.Buffer
	if err := png.Encode(&data, picture); err != nil {
		t.Fatal(err)
	}
	sender, err := reset.ParseAddress("noreply@acme.example.com")
	if err != nil {
		t.Fatal(err)
	}
	logo, err := reset.NewLogo(data.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	return reset.Brand{
		Account: 7, Name: "Acme", Accent: "#663399", Background: "#faf7fc", Sender: sender, Support: "help@acme.example.com",
		BaseURL: "https://reset.acme.example.com", Logo: logo,
	}
}

func TestShoot(t *testing.T) {
	t.Parallel()
	from, to := t.TempDir(), t.TempDir()
	for name, page := range map[string]string{
		"link.de.html": "<body style='margin:0'><p style='height:2000px'>Hallo", "link.en.html": "<p>Hello", "index.html": "<p>All", "link.de.eml": "x",
	} {
		if err := os.WriteFile(filepath.Join(from, name), []byte(page), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	n, err := Shoot(t.Context(), from, rootOf(t, to), "de")
	if err != nil || n != 4 {
		t.Fatalf("%d pictures, %v; want 4", n, err)
	}
	for name, width := range map[string]int{
		"link.de.phone.light.png": 390, "link.de.phone.dark.png": 390, "link.de.desktop.light.png": 1000, "link.de.desktop.dark.png": 1000,
	} {
		f, err := os.Open(filepath.Join(to, name))
		if err != nil {
			t.Fatal(err)
		}
		shape, err := png.DecodeConfig(f)
		if err != nil || shape.Width != width || shape.Height < 2000 {
			t.Errorf("%s is %d × %d (%v), want %d × at least 2000", name, shape.Width, shape.Height, err, width)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := Shoot(t.Context(), from, rootOf(t, to), "fr"); err == nil {
		t.Error("no mail in French, and no error")
	}
}
