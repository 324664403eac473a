// Package shottest takes pictures of mails in Chromium, for whoever changes how they look.
package shottest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

// The sizes of a window, in CSS pixels, and the schemes in which every mail is looked at.
var (
	sizes = []struct {
		name          string
		width, height int64
	}{{"phone", 390, 844}, {"desktop", 1000, 800}}
	schemes = []string{"light", "dark"}
)

// patience is how long one picture may take.
const patience = 30 * time.Second

// Shoot writes a picture of each HTML file below from, which `sparekey mail preview`
// has written there, in each size and scheme, below to: NAME.SIZE.SCHEME.png. languages
// picks those whose name ends in one of them, such as "de"; none picks all. It
// answers how many pictures there are. A mail that is wider than the window is an error.
func Shoot(ctx context.Context, from string, to *os.Root, languages ...string) (int, error) {
	pages, err := find(from, languages)
	if err != nil {
		return 0, err
	}
	browser, closeBrowser, err := open(ctx)
	if err != nil {
		return 0, err
	}
	defer closeBrowser()
	if err := chromedp.Do(browser); err != nil { // it would end with the first context that it is used with
		return 0, fmt.Errorf("start Chromium: %w", err)
	}
	shots := 0
	for _, page := range pages {
		for _, size := range sizes {
			for _, scheme := range schemes {
				rel, err := filepath.Rel(from, page)
				if err != nil {
					return shots, err
				}
				file := fmt.Sprintf("%s.%s.%s.png", strings.TrimSuffix(rel, ".html"), size.name, scheme)
				picture, err := shoot(browser, page, size.width, size.height, scheme)
				if err == nil {
					err = errors.Join(to.MkdirAll(filepath.Dir(file), 0o755), to.WriteFile(file, picture, 0o644))
				}
				if err != nil {
					return shots, fmt.Errorf("%s: %w", file, err)
				}
				shots++
			}
		}
	}
	return shots, nil
}

// find lists the mails among the files.
func find(from string, languages []string) (pages []string, err error) {
	err = filepath.WalkDir(from, func(path string, entry os.DirEntry, err error) error {
		name := strings.TrimSuffix(filepath.Base(path), ".html")
		if err != nil || entry.IsDir() || !strings.HasSuffix(path, ".html") || name == "index" {
			return err
		}
		wanted := len(languages) == 0
		for _, l := range languages {
			wanted = wanted || strings.HasSuffix(name, "."+l)
		}
		if wanted {
			pages = append(pages, path)
		}
		return nil
	})
	if err == nil && len(pages) == 0 {
		err = errors.New("there is no mail in " + from + "; write some with: sparekey mail preview --to-dir " + from)
	}
	return pages, err
}

// open starts a headless Chromium.
func open(ctx context.Context) (browser context.Context, closeBrowser func(), err error) {
	path := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if p, err := exec.LookPath(name); err == nil {
			path = p
			break
		}
	}
	if path == "" {
		return nil, nil, errors.New("there is no Chromium; run script/setup, which installs it")
	}
	profile, err := os.MkdirTemp("", "shots")
	if err != nil {
		return nil, nil, err
	}
	alloc, cancelAlloc := chromedp.NewExecAllocator(ctx,
		chromedp.ExecPath(path), chromedp.Headless, chromedp.NoSandbox, chromedp.NoFirstRun, chromedp.NoDefaultBrowserCheck,
		chromedp.UserDataDir(profile),
		chromedp.Flag("disable-gpu", true), chromedp.Flag("disable-sync", true), chromedp.Flag("hide-scrollbars", true),
		chromedp.Flag("disable-background-networking", true), chromedp.Flag("disable-component-update", true),
		chromedp.Flag("disable-dev-shm-usage", true),
	)
	browser, cancel := chromedp.NewContext(alloc)
	return browser, func() {
		cancel()
		cancelAlloc()
		_ = os.RemoveAll(profile)
	}, nil
}

// shoot takes one picture.
func shoot(browser context.Context, page string, width, height int64, scheme string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(browser, patience)
	defer cancel()
	absolute, err := filepath.Abs(page)
	if err != nil {
		return nil, err
	}
	if _, err := chromedp.Call(ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}},
	}); err != nil {
		return nil, err
	}
	if err := chromedp.Do(ctx, chromedp.EmulateViewport(width, height), chromedp.Navigate("file://"+filepath.ToSlash(absolute))); err != nil {
		return nil, err
	}
	wide, err := chromedp.Run(ctx, chromedp.Evaluate[int64](`document.documentElement.scrollWidth`))
	if err != nil {
		return nil, err
	}
	if wide > width {
		return nil, fmt.Errorf("it is %d pixels wide, in a window of %d", wide, width)
	}
	// A window as high as the mail: Chromium's pictures of more than the window are shifted where text runs to the left.
	whole, err := chromedp.Run(ctx, chromedp.Evaluate[int64](`Math.ceil(document.documentElement.scrollHeight)`))
	if err != nil {
		return nil, err
	}
	if err := chromedp.Do(ctx, chromedp.EmulateViewport(width, max(height, whole))); err != nil {
		return nil, err
	}
	return chromedp.Run(ctx, chromedp.CaptureScreenshot())
}
