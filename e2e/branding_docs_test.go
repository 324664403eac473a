package e2e

import (
	"context"
	"image"
	"image/color"
	"image/png"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// pngOf is a picture of one colour.
func pngOf(t *testing.T, width, height int) []byte {
	t.Helper()
	img := image.NewPaletted(image.Rect(0, 0, width, height), color.Palette{color.RGBA{R: 0x66, G: 0x33, B: 0x99, A: 0xff}})
	var out strings.Builder
	if err := png.Encode(&out, img); err != nil {
		t.Fatal(err)
	}
	return []byte(out.String())
}

// block is a part of a guide in a fence.
type block struct{ language, text string }

// blocks are all of a guide, in its order.
func blocks(t *testing.T, guide string) []block {
	t.Helper()
	text, err := os.ReadFile(guide)
	if err != nil {
		t.Fatal(err)
	}
	return blocksOf(string(text))
}

// blocksOf are all in a text.
func blocksOf(text string) (list []block) {
	for _, found := range regexp.MustCompile("(?ms)^```([a-z]*)\n(.*?)^```").FindAllStringSubmatch(text, -1) {
		list = append(list, block{found[1], found[2]})
	}
	return list
}

// TestBrandingGuide runs docs/branding.md: each of its commands as it is written,
// against a service that runs meanwhile, with the files that it shows; and what it says they print they print.
func TestBrandingGuide(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	address := freeAddr(t)
	// Where the guide's reader has folders and a port of their own.
	here := strings.NewReplacer("/var/lib/sparekey/", dir+"/", "127.0.0.1:8080", address).Replace
	for _, name := range []string{"logo.png", "acme.png"} {
		if err := os.WriteFile(filepath.Join(dir, name), pngOf(t, 120, 32), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(binary, filepath.Join(dir, "sparekey")); err != nil {
		t.Fatal(err)
	}
	files := map[string]string{"mail:": "sparekey.yaml", "display_name:": "acme.yaml"}
	var script, printed strings.Builder
	script.WriteString("set -euo pipefail\n")
	var shown []string // what the guide says is printed
	serving, commands := false, 0
	run := func() {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		cmd := exec.CommandContext(ctx, "bash", "-c", script.String())
		cmd.Dir, cmd.Env = dir, []string{"PATH=" + dir + ":" + os.Getenv("PATH"), "HOME=" + dir}
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%v\n%s\nof\n%s", err, out, script.String())
		}
		printed.Write(out)
	}
	settings := ""
	for _, b := range blocks(t, "../docs/branding.md") {
		switch {
		case b.language == "yaml":
			first, _, _ := strings.Cut(b.text, " ")
			first, _, _ = strings.Cut(first, "\n")
			name, ok := files[first]
			if !ok {
				t.Fatalf("which file is this?\n%s", b.text)
			}
			if err := os.WriteFile(filepath.Join(dir, name), []byte(b.text), 0o600); err != nil {
				t.Fatal(err)
			}
		case b.language == "sh" && settings == "":
			settings = here(b.text)
			script.WriteString(settings)
			run()
		case b.language == "sh":
			commands += strings.Count(b.text, "\n")
			script.Reset()
			script.WriteString("set -euo pipefail\n" + settings)
			if strings.Contains(b.text, "curl ") {
				serving = true
				serveGuide(t, dir, settings, address)
			}
			script.WriteString(here(b.text))
			run()
		default:
			shown = append(shown, b.text)
		}
	}
	if commands < 12 || !serving {
		t.Errorf("only %d commands were run, with the service: %v; has the guide's form changed?", commands, serving)
	}
	spaces := regexp.MustCompile(` +`)
	squeezed := func(s string) string { return spaces.ReplaceAllString(s, " ") }
	for _, text := range shown {
		for line := range strings.Lines(text) {
			if strings.HasPrefix(line, "error: ") {
				continue // cmd/sparekey's script account_brand has this very refusal
			}
			if !strings.Contains(squeezed(printed.String()), squeezed(strings.TrimSpace(line))) {
				t.Errorf("the guide says that %q is printed, and it is not:\n%s", line, printed.String())
			}
		}
	}
	if title := regexp.MustCompile(`<title>[^<]*Acme[^<]*</title>`); !title.MatchString(printed.String()) {
		t.Errorf("the page at the account's host is not Acme's:\n%s", printed.String())
	}
}

// serveGuide starts the service with the guide's settings, and a mail server's.
func serveGuide(t *testing.T, dir, settings, address string) {
	t.Helper()
	cmd := exec.Command("bash", "-c", settings+"exec sparekey serve")
	cmd.Dir = dir
	cmd.Env = []string{
		"PATH=" + dir + ":" + os.Getenv("PATH"), "HOME=" + dir, "SPAREKEY_LISTEN=" + address, "SPAREKEY_MAIL_SMTP=smtp://127.0.0.1:9",
	}
	startCommand(t, cmd).waitFor(t, `"event":"serve.started"`)
}
