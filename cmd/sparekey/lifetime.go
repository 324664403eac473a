package main

import (
	"errors"
	"strconv"
	"strings"
	"time"
)

// maxLifetime is the longest that may be asked for; what is meant to last longer never expires.
const maxLifetime = 100 * 365 * 24 * time.Hour

const day = 24 * time.Hour

var errLifetime = errors.New("write days and hours, such as 90d, 12h or 1d12h, up to 36500d; without the flag it never expires")

// lifetime is the value of a flag: how long something is good; 0, the default, is for ever.
type lifetime time.Duration

// String is the lifetime as the help shows it.
func (l *lifetime) String() string {
	if *l == 0 {
		return ""
	}
	return time.Duration(*l).String()
}

// Set reads what was written.
func (l *lifetime) Set(s string) error {
	d, err := parseLifetime(s)
	*l = lifetime(d)
	return err
}

// Type names the kind of value in the help.
func (l *lifetime) Type() string { return "duration" }

// parseLifetime takes a duration above 0 in Go's units, with whole days (of 24
// hours) in front if wanted.
func parseLifetime(s string) (time.Duration, error) {
	var total time.Duration
	rest := strings.TrimSpace(s)
	if days, after, found := strings.Cut(rest, "d"); found {
		n, err := strconv.ParseUint(days, 10, 16)
		if err != nil {
			return 0, errLifetime
		}
		total, rest = time.Duration(n)*day, after
	}
	if rest != "" || total == 0 {
		d, err := time.ParseDuration(rest)
		if err != nil || d < 0 || d > maxLifetime {
			return 0, errLifetime
		}
		total += d
	}
	if total <= 0 || total > maxLifetime {
		return 0, errLifetime
	}
	return total, nil
}
