package main

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net/url"
	"os"
	"os/signal"
	"syscall"

	"github.com/sparekey/sparekey/internal/certs"
	"github.com/sparekey/sparekey/internal/config"
	"github.com/sparekey/sparekey/internal/reset"
)

// certificates are what the listener speaks TLS with.
type certificates interface {
	TLSConfig() *tls.Config
	// Watch follows them until ctx ends, and looks at once on reload.
	Watch(ctx context.Context, reload <-chan os.Signal)
}

// openCertificates opens what is configured; nil if a proxy in front speaks TLS.
func openCertificates(cfg *config.Config, brands *reset.Brands, now reset.Clock, log *slog.Logger) (certificates, error) {
	switch t := cfg.TLS; {
	case t.Certificate != "":
		files, err := certs.OpenFiles(certs.FilesOptions{
			Certificate: t.Certificate, Key: t.Key, Host: hostOf(cfg.BaseURL), Now: now, Log: log,
		})
		if err != nil {
			return nil, hintf(err, "%s", pairHint)
		}
		return files, nil
	case len(t.Autocert) > 0:
		acme, err := certs.NewACME(certs.ACMEOptions{
			Hosts: t.Autocert, More: brands.Hosts, Cache: t.Cache, Directory: t.ACMEDirectory, Email: t.ACMEEmail, Now: now, Log: log,
		})
		if err != nil {
			return nil, hintf(err, "set tls.cache to a folder that this user can write")
		}
		return acme, nil
	}
	return nil, nil //nolint:nilnil // that there are none is an answer, not a failure
}

const pairHint = "put PEM files at tls.certificate and tls.key that belong together and that this user can read"

// hostOf is the host of a URL, without the port.
func hostOf(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return u.Hostname()
}

// hangups tells of SIGHUP, which service managers send to have files read again.
// Without it the signal would end the process, so it is taken even where there
// is nothing to read.
func hangups() (signals <-chan os.Signal, stop func()) {
	c := make(chan os.Signal, 1)
	signal.Notify(c, syscall.SIGHUP)
	return c, func() { signal.Stop(c) }
}
