package shottest

import (
	"image/png"
	"os"
	"path/filepath"
	"testing"
)

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
	n, err := Shoot(t.Context(), from, to, "de")
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
	if _, err := Shoot(t.Context(), from, to, "fr"); err == nil {
		t.Error("no mail in French, and no error")
	}
}
