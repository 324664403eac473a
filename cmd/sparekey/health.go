package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sparekey/sparekey/internal/certs"
	"github.com/sparekey/sparekey/internal/config"
)

// healthTime is how long the service has for its answer. It gives itself two seconds for the database.
const healthTime = 4 * time.Second

func newHealth(c console) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "health",
		Short: "Ask the service on this machine whether it is ready",
		Long: `Ask the service that listens on this machine, at the address that is configured,
whether it is ready (/readyz). The exit code is 0 if it says so within four
seconds, and 1 if not. It is for containers, which have no curl.`,
		Example: `  sparekey health`,
		Args:    takes(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := load(c, cmd, nil)
			if err != nil {
				return err
			}
			answer, err := askHealth(cmd.Context(), cfg)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintln(c.stdout, answer)
			return err
		},
	}
	config.AddFlags(cmd.Flags(), "listen", "base_url", "tls")
	return cmd
}

func askHealth(ctx context.Context, cfg *config.Config) (answer string, err error) {
	address, err := nearby(cfg.Listen)
	if err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(ctx, healthTime)
	defer cancel()
	transport := &http.Transport{DisableKeepAlives: true}
	scheme := "http"
	if cfg.TLS.On() {
		scheme = "https"
		transport.TLSClientConfig = &tls.Config{
			MinVersion: certs.Version, ServerName: hostOf(cfg.BaseURL),
			// It asks this machine how its own process is, and sends and believes nothing
			// that matters. The certificate is for people's way, and doctor looks at it.
			InsecureSkipVerify: true, //nolint:gosec // see above
		}
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, scheme+"://"+address+"/readyz", http.NoBody)
	if err != nil {
		return "", err
	}
	resp, err := transport.RoundTrip(req)
	if err != nil {
		return "", hintf(fmt.Errorf("nobody answers at %s: %w", address, err), "start it with: sparekey serve; or set listen to where it listens; see its log")
	}
	defer func() { _ = resp.Body.Close() }() // it was only read
	text, err := io.ReadAll(io.LimitReader(resp.Body, 1<<10))
	if err != nil {
		return "", fmt.Errorf("read the answer: %w", err)
	}
	answer = strings.TrimSpace(string(text))
	if resp.StatusCode != http.StatusOK {
		return "", hintf(fmt.Errorf("it is not ready: %s (%d)", answer, resp.StatusCode), "see its log, and: sparekey doctor")
	}
	return answer, nil
}

// nearby is where to reach, on this machine, who listens at an address: a
// listener for every interface is asked over loopback. An empty machine has no
// file of hosts, so no name is used.
func nearby(listen string) (string, error) {
	host, port, err := net.SplitHostPort(listen)
	if err != nil || port == "0" {
		return "", usagef("set listen, with the port that the service listens on", "the port of the service is not known")
	}
	if ip, err := netip.ParseAddr(host); host == "" || err == nil && ip.IsUnspecified() {
		host = "127.0.0.1"
		if ip.Is6() {
			host = "::1"
		}
	}
	return net.JoinHostPort(host, port), nil
}
