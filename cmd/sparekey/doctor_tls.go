package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/sparekey/sparekey/internal/certs"
)

// certificate looks at what the listener speaks TLS with.
func (d *doctorsBag) certificate(ctx context.Context) (string, error) {
	if d.cfg.TLS.Certificate != "" {
		return d.certificateFiles()
	}
	return d.autocert(ctx)
}

func (d *doctorsBag) certificateFiles() (string, error) {
	t := d.cfg.TLS
	pair, err := certs.ReadPair(t.Certificate, t.Key)
	if err != nil {
		return "", hintf(err, "%s", pairHint)
	}
	if err := onlyOurs(t.Key, 0o007); err != nil {
		return "", err
	}
	note := ""
	for _, p := range certs.Problems(pair.Leaf, hostOf(d.cfg.BaseURL), d.now()) {
		if p.Event == certs.OtherName && len(d.cfg.HTTP.TrustedProxies) > 0 {
			note = " (note: it is not for the host of base_url, which is right only if the proxy in front calls by its name)"
			continue
		}
		return "", hintf(errors.New(p.Text), "%s", p.Hint)
	}
	return fmt.Sprintf("that in %s is good until %s%s", t.Certificate, pair.Leaf.NotAfter.UTC().Format(time.RFC3339), note), nil
}

// autocert looks at what was fetched before, and whether the authority can be
// reached. Whether that reaches us shows when a certificate is fetched.
func (d *doctorsBag) autocert(ctx context.Context) (string, error) {
	t := d.cfg.TLS
	if err := onlyOurs(t.Cache, 0o077); err != nil && !errors.Is(err, os.ErrNotExist) {
		return "", err
	}
	var parts []string
	for _, host := range t.Autocert {
		leaf, err := certs.Cached(t.Cache, host)
		if errors.Is(err, os.ErrNotExist) {
			parts = append(parts, "there is none for "+host+" yet, serve gets it")
			continue
		}
		if err != nil {
			return "", hintf(err, "this user must be able to read the folder tls.cache; remove a damaged file from it, and serve gets another")
		}
		for _, p := range certs.Problems(leaf, host, d.now()) {
			return "", hintf(errors.New(p.Text), "it should have been renewed: see the log of serve for tls.acme_failed")
		}
		parts = append(parts, fmt.Sprintf("that for %s is good until %s", host, leaf.NotAfter.UTC().Format(time.RFC3339)))
	}
	terms, err := certs.Reach(ctx, t.ACMEDirectory)
	if err != nil {
		return "", hintf(fmt.Errorf("the authority does not answer: %w", err), "see that this machine reaches %s", t.ACMEDirectory)
	}
	parts = append(parts, "the authority answers")
	if terms != "" {
		parts = append(parts, "its terms: "+terms)
	}
	return strings.Join(parts, "; "), nil
}

// onlyOurs refuses a file or folder with any of those permissions for others.
func onlyOurs(path string, others os.FileMode) error {
	info, err := os.Stat(path)
	if err != nil {
		return hintf(err, "this user must be able to read it")
	}
	if mode := info.Mode().Perm(); mode&others != 0 {
		return hintf(fmt.Errorf("%s has mode %04o, so others can read the key", path, mode),
			"take that away with: chmod %s %s", map[os.FileMode]string{0o007: "o=", 0o077: "go="}[others], path)
	}
	return nil
}
