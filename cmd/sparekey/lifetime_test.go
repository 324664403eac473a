package main

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestParseLifetime(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]time.Duration{
		"90d": 90 * day, "1d": day, "36500d": maxLifetime, "12h": 12 * time.Hour, "1d12h": day + 12*time.Hour,
		"1d1h30m": day + 90*time.Minute, "0d5m": 5 * time.Minute, "1h30m15s": 90*time.Minute + 15*time.Second, " 90d ": 90 * day,
	} {
		if got, err := parseLifetime(text); err != nil || got != want {
			t.Errorf("%q is %v, %v; want %v", text, got, err, want)
		}
	}
	for _, text := range []string{
		"", "d", "0", "0d", "0s", "90", "-1d", "+1d", "1.5d", "1d-1h", "-1h", "1h1d", "1d1d", "90 d", "90D", "36501d", "36500d1ns",
		"99999999999999999999d", "876001h", "2540400h", "never", "1w", "90d\x00",
	} {
		if got, err := parseLifetime(text); err == nil {
			t.Errorf("%q is %v, want a refusal", text, got)
		}
	}
}

func TestParseLifetimeAddsUp(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		days := rapid.IntRange(0, 36499).Draw(t, "days")
		rest := time.Duration(rapid.Int64Range(1, int64(day)).Draw(t, "rest"))
		got, err := parseLifetime(fmt.Sprintf("%dd%v", days, rest))
		if want := time.Duration(days)*day + rest; err != nil || got != want {
			t.Errorf("got %v, %v; want %v", got, err, want)
		}
	})
}

func FuzzParseLifetime(f *testing.F) {
	for _, seed := range []string{"90d", "1d12h", "-1d", "1e9d", "9223372036854775807ns", "36500d23h"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if d, err := parseLifetime(text); err == nil && (d <= 0 || d > maxLifetime) {
			t.Errorf("%q is %v, out of bounds", text, d)
		}
	})
}
