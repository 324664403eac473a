package reset_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/sparekey/sparekey/internal/reset"
	"github.com/sparekey/sparekey/internal/servicetest"
)

// logged are the lines of a log with that event, without their times.
func logged(t *testing.T, log *bytes.Buffer, event string) (lines []map[string]any) {
	t.Helper()
	for line := range strings.Lines(log.String()) {
		var l map[string]any
		must(t, json.Unmarshal([]byte(line), &l))
		if l["event"] == event {
			delete(l, "time")
			delete(l, "msg")
			delete(l, "event")
			lines = append(lines, l)
		}
	}
	return lines
}

// world is a World whose log can be read.
func loggingWorld(t *testing.T) (*servicetest.World, *bytes.Buffer) {
	t.Helper()
	var log bytes.Buffer
	return servicetest.New(t, servicetest.WithThrottle(), servicetest.WithLog(slog.New(slog.NewJSONHandler(&log, nil)))), &log
}

// A refused key is told of: why, whence and, if it was ours once, by name; never what was sent.
func TestRefusedKeysAreLogged(t *testing.T) {
	t.Parallel()
	w, log := loggingWorld(t)
	revoked := w.NewKey(t, "revoked", reset.ScopeReset, "")
	must(t, w.Keys.Revoke(t.Context(), "revoked"))
	good := w.NewKey(t, "good", reset.ScopeReset, "")
	sent := []string{"spk_made-up", revoked, good + "\n{\"event\":\"forged\"}", ""}
	for i, header := range sent {
		_, err := w.Keys.Authenticate(t.Context(), fmt.Sprintf("192.0.2.%d", 7+i/2), header)
		refused(t, "a wrong key", err, reset.Unauthorized, reset.CodeNotAuthorized)
	}
	_, err := w.Keys.Authenticate(t.Context(), "2001:db8:1:2::/64", "spk_made-up")
	refused(t, "a wrong key", err, reset.Unauthorized, reset.CodeNotAuthorized)
	_, err = w.Keys.Authenticate(t.Context(), "192.0.2.7", good)
	must(t, err)
	const unknown = "this key is not known"
	line := func(reason, key, network string, withheld float64) map[string]any {
		return map[string]any{"level": "WARN", "reason": reason, "key": key, "network": network, "withheld": withheld}
	}
	same(t, "the log", logged(t, log, "key.refused"), []map[string]any{
		line(unknown, "", "192.0.2.0/24", 0),
		line("this key was revoked", "revoked", "192.0.2.0/24", 0),
		line(unknown, "", "192.0.2.0/24", 0), // another client of that network
		line(unknown, "", "2001:db8:1::/48", 1),
	})
	for _, secret := range []string{"made-up", revoked, good, "forged"} {
		if strings.Contains(log.String(), secret) {
			t.Errorf("the log has %q", secret)
		}
	}
	if n := strings.Count(log.String(), "\n"); n != 4 {
		t.Errorf("%d lines, want 4", n)
	}
}

// Who goes on over a limit is told of once a minute; a flood of many writes twenty lines a minute, and counts the rest.
func TestCallersOverALimitAreLogged(t *testing.T) {
	t.Parallel()
	w, log := loggingWorld(t)
	admin := callerWith(t, w, "admin", reset.ScopeAdmin, "")
	flood := func(c reset.Caller) {
		for range 13 { // of which three are let through, with thirty addresses
			_ = w.Service.Ask(t.Context(), c, users(10))
		}
	}
	flood(visitor)
	for range 102 {
		_, _ = w.Service.Look(t.Context(), visitor, anID)
		_, _ = w.Keys.Authenticate(t.Context(), visitor.Client, "wrong")
	}
	for range 3 {
		_, _ = w.Service.AskBulk(t.Context(), admin, users(300))
	}
	info := func(limit, network string, withheld float64, key ...string) map[string]any {
		l := map[string]any{"level": "INFO", "limit": limit, "network": network, "withheld": withheld}
		if len(key) > 0 {
			l["key"] = key[0]
		}
		return l
	}
	same(t, "the log", logged(t, log, "throttle.refused"), []map[string]any{
		info("ask", "192.0.2.0/24", 0),
		info("guess", "192.0.2.0/24", 9), // the rest of the first flood
		info("guess", "192.0.2.0/24", 0), // of the keys, which count by themselves
		info("ask", "198.51.100.0/24", 51, "admin"),
	})

	w.Clock.Advance(time.Hour)
	log.Reset()
	const clients = 30
	for i := range clients {
		flood(reset.Caller{Client: fmt.Sprintf("203.0.113.%d", i)})
	}
	same(t, "lines about thirty floods in a minute", len(logged(t, log, "throttle.refused")), 20)
	w.Clock.Advance(time.Minute)
	flood(reset.Caller{Client: "203.0.113.99"})
	lines := logged(t, log, "throttle.refused")
	same(t, "lines with that of the next minute", len(lines), 21)
	told := 0
	for _, l := range lines {
		told += 1 + int(l["withheld"].(float64))
	}
	same(t, "refusals told of and counted", told, 10*clients+1)
}

// users are so many addresses.
func users(n int) []string {
	list := make([]string, n)
	for i := range list {
		list[i] = fmt.Sprintf("user%d@example.test", i)
	}
	return list
}

func TestNetworks(t *testing.T) {
	t.Parallel()
	for client, want := range map[string]string{
		"192.0.2.7": "192.0.2.0/24", "2001:db8:1:2::/64": "2001:db8:1::/48", "2001:db8::1": "2001:db8::/48",
		"": "unknown", "pipe": "unknown", "192.0.2.7\nx": "unknown",
	} {
		same(t, client, reset.Caller{Client: client}.Network(), want)
	}
}
