package main

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sparekey/sparekey/internal/config"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

func at(t time.Time) func() time.Time { return func() time.Time { return t } }

// TestDoctorClock: a clock cannot be right that is before what was written earlier.
func TestDoctorClock(t *testing.T) {
	t.Parallel()
	env := environ(freshDatabase(t))
	if _, stderr, code := sparekey(t, console{args: []string{"key", "create", "app"}, environ: env, now: at(noon)}); code != exitOK {
		t.Fatal(stderr)
	}
	for _, tt := range []struct {
		name string
		now  time.Time
		want string
	}{
		{"now", noon, "ok   clock: 2026-11-23T12:00:00Z, not before what is in the database"},
		{"a year later", noon.AddDate(1, 0, 0), "ok   clock: 2027-"},
		{"set back a moment by a time server", noon.Add(-slack), "ok   clock: "},
		{"an hour behind", noon.Add(-time.Hour), "FAIL clock: it says 2026-11-23T11:00:00Z, which is before what is in the database (2026-11-23T12:00:00Z)"},
		{"no battery", time.Unix(0, 0), "FAIL clock: it says 1970-01-01T00:00:00Z"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			out, _, _ := sparekey(t, console{args: []string{"doctor"}, environ: env, now: at(tt.now)})
			if !strings.Contains(out, tt.want) {
				t.Errorf("got\n%s\nwant %s", out, tt.want)
			}
		})
	}
}

func TestDoctorClockKnowsTheBuild(t *testing.T) {
	t.Parallel()
	d := &doctorsBag{now: at(noon), built: noon.Add(time.Hour)}
	if _, err := d.clock(t.Context()); err == nil || !strings.Contains(err.Error(), "before this build") {
		t.Errorf("got %v, want that the clock is before this build", err)
	}
	d.built = noon.Add(-time.Hour)
	if detail, err := d.clock(t.Context()); err != nil || !strings.Contains(detail, "not before this build") {
		t.Errorf("got %q, %v", detail, err)
	}
}

// TestDoctorBaseURL: a host that this machine does not find may well be one that browsers do.
func TestDoctorBaseURL(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, url, note string
		found           bool
	}{
		{"found", "https://reset.example.com/app", "", true},
		{"not found", "https://reset.example.com", "does not find that host", false},
		{"an address", "https://192.0.2.1", "", false},
		{"loopback", "http://127.0.0.1:8080", "on this machine alone", false},
		{"loopback, IPv6", "http://[::1]:8080", "on this machine alone", false},
		{"localhost", "http://localhost:8080", "on this machine alone", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			cfg, err := config.Load(config.Source{Environ: []string{"SPAREKEY_BASE_URL=" + tt.url}})
			if err != nil {
				t.Fatal(err)
			}
			d := &doctorsBag{cfg: cfg, lookup: func(_ context.Context, host string) error {
				if host != "reset.example.com" {
					t.Errorf("looked up %s", host)
				}
				if !tt.found {
					return errors.New("no such host")
				}
				return nil
			}}
			detail, err := d.baseURL(t.Context())
			if err != nil || !strings.Contains(detail, tt.url) || !strings.Contains(detail, tt.note) || strings.Contains(detail, "note") != (tt.note != "") {
				t.Errorf("got %q, %v; want the URL and the note %q", detail, err, tt.note)
			}
		})
	}
}

// TestCheckHasADeadline: what never answers is a failure, not a doctor who never ends.
func TestCheckHasADeadline(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		f := check{"mail server", func(ctx context.Context) (string, error) {
			<-ctx.Done()
			return "", hintf(ctx.Err(), "wake it up")
		}}.look(t.Context())
		if f.OK || f.Hint != "wake it up" || time.Since(start) != checkTime {
			t.Errorf("after %v: %+v; want a failure after %v", time.Since(start), f, checkTime)
		}
	})
}

// TestDoctorGivesUp: Ctrl-C ends it, with a failure.
func TestDoctorGivesUp(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var out, errs strings.Builder
	c := console{args: []string{"doctor"}, environ: environ(freshDatabase(t)), stdin: strings.NewReader(""), stdout: &out, stderr: &errs, now: time.Now}
	if code := run(ctx, c); code != exitFailed || out.String() != "" {
		t.Errorf("exit code %d, want %d: %s%s", code, exitFailed, out.String(), errs.String())
	}
}
