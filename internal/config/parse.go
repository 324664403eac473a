package config

import (
	"errors"
	"log/slog"
	"net/mail"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/sparekey/sparekey/internal/reset"
)

// The errors of this file say what is wrong with a value and never what it
// was: it may be a secret that ended up in the wrong place.

func parseSecret(s string) (Secret, error) {
	if strings.TrimSpace(s) == "" {
		return "", errors.New("is empty")
	}
	return Secret(s), nil
}

func parseBool(s string) (bool, error) {
	v, err := strconv.ParseBool(strings.ToLower(strings.TrimSpace(s)))
	if err != nil {
		return false, errors.New("is neither true nor false")
	}
	return v, nil
}

func formatBool(v bool) string { return strconv.FormatBool(v) }

type numberRange struct{ low, high int }

func (r numberRange) String() string {
	return "from " + strconv.Itoa(r.low) + " to " + strconv.Itoa(r.high)
}

func (r numberRange) parse(s string) (int, error) {
	n, err := strconv.Atoi(strings.TrimSpace(s))
	switch {
	case errors.Is(err, strconv.ErrRange) || err == nil && (n < r.low || n > r.high):
		return 0, errors.New("is out of range")
	case err != nil:
		return 0, errors.New("is not a whole number")
	}
	return n, nil
}

func formatInt(n int) string { return strconv.Itoa(n) }

type durationRange struct{ low, high time.Duration }

func (r durationRange) String() string {
	return "from " + formatDuration(r.low) + " to " + formatDuration(r.high) + ", such as 90s, 30m or 1h30m"
}

func (r durationRange) parse(s string) (time.Duration, error) {
	d, err := time.ParseDuration(strings.TrimSpace(s))
	switch {
	case err != nil:
		return 0, errors.New("is not a duration")
	case d < r.low || d > r.high:
		return 0, errors.New("is out of range")
	}
	return d, nil
}

// formatDuration writes 1h where Duration.String writes 1h0m0s.
func formatDuration(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// parseList takes values between commas; repeated ones count once.
func parseList[T any](one func(string) (T, error)) func(string) ([]T, error) {
	return func(s string) ([]T, error) {
		var out []T
		var seen []string
		for part := range strings.SplitSeq(s, ",") {
			part = strings.TrimSpace(part)
			if part == "" || slices.Contains(seen, part) {
				continue
			}
			v, err := one(part)
			if err != nil {
				return nil, err
			}
			out, seen = append(out, v), append(seen, part)
		}
		return out, nil
	}
}

func formatList[T any](one func(T) string) func([]T) string {
	return func(list []T) string {
		parts := make([]string, len(list))
		for i, v := range list {
			parts[i] = one(v)
		}
		return strings.Join(parts, ",")
	}
}

func oneOf(words ...string) func(string) (string, error) {
	return func(s string) (string, error) {
		s = strings.ToLower(strings.TrimSpace(s))
		if !slices.Contains(words, s) {
			return "", errors.New("is not one of the words that it may be")
		}
		return s, nil
	}
}

func parseLevel(s string) (slog.Level, error) {
	levels := map[string]slog.Level{"debug": slog.LevelDebug, "info": slog.LevelInfo, "warn": slog.LevelWarn, "error": slog.LevelError}
	level, ok := levels[strings.ToLower(strings.TrimSpace(s))]
	if !ok {
		return 0, errors.New("is not a level")
	}
	return level, nil
}

// String writes the database as it is configured, without a password.
func (d Database) String() string {
	if d.URL == "" {
		return "sqlite:" + d.Path
	}
	u, err := url.Parse(d.URL.Reveal())
	if err != nil {
		return d.URL.String() // it was parsed before, so this does not happen
	}
	if u.User != nil {
		u.User = url.User(u.User.Username())
	}
	query := u.Query()
	query.Del("password")
	u.RawQuery = query.Encode()
	return u.String()
}

// ParseDatabase reads the address of a database as the setting database has it.
func ParseDatabase(s string) (Database, error) { return parseDatabase(s) }

func parseDatabase(s string) (Database, error) {
	scheme, path, ok := strings.Cut(strings.TrimSpace(s), ":")
	switch {
	case !ok:
		return Database{}, errors.New("lacks the prefix sqlite: or postgres: at its beginning")
	case scheme == "postgres", scheme == "postgresql":
		return parsePostgres(strings.TrimSpace(s))
	case scheme != "sqlite":
		return Database{}, errors.New("names a kind of database that is not supported; there are sqlite and postgres")
	}
	if rest, ok := strings.CutPrefix(path, "//"); ok {
		// sqlite:///var/x.db is how many write the absolute path /var/x.db;
		// with two slashes, what follows would be a host.
		if !strings.HasPrefix(rest, "/") {
			return Database{}, errors.New("has // after sqlite: without a third slash")
		}
		path = rest
	}
	switch {
	case path == "" || strings.HasSuffix(path, "/"):
		return Database{}, errors.New("names no file")
	case path == ":memory:":
		return Database{}, errors.New("must be a file: a database in memory would lose what was promised")
	case hasControl(path):
		return Database{}, errors.New("has a control character in its path")
	}
	return Database{Path: path}, nil
}

// parsePostgres takes the URL form of libpq's addresses. Its parameters are the driver's business.
func parsePostgres(s string) (Database, error) {
	u, err := url.Parse(s)
	switch {
	case err != nil: // its text would repeat the password
		return Database{}, errors.New("is no URL; percent-encode what is special in user and password")
	case u.Opaque != "" || u.Hostname() == "" && !u.Query().Has("host"):
		return Database{}, errors.New("names no host")
	case strings.Trim(u.Path, "/") == "":
		return Database{}, errors.New("names no database after the host")
	case u.Fragment != "":
		return Database{}, errors.New("has a # in it; write %23")
	}
	return Database{URL: Secret(s)}, nil
}

// parseFrom takes a sender; an empty one is not set.
func parseFrom(s string) (string, error) {
	s = strings.TrimSpace(s)
	if s == "" {
		return "", nil
	}
	from, err := mail.ParseAddress(s)
	if err != nil {
		return "", errors.New("is not a sender")
	}
	if hasControl(s) || hasControl(from.Name) {
		return "", errors.New("has a control character")
	}
	if _, err := reset.ParseAddress(from.Address); err != nil {
		return "", errors.New("is " + reset.AsError(err).Message)
	}
	return s, nil
}

// serviceName is the name in mail.from or, if there is none, its domain.
func serviceName(c *Config) string {
	from, err := mail.ParseAddress(c.Mail.From)
	if err != nil {
		return ""
	}
	if name := strings.TrimSpace(from.Name); name != "" {
		return name
	}
	_, domain, _ := strings.Cut(from.Address, "@")
	return domain
}

func parseName(s string) (string, error) {
	s = strings.TrimSpace(s)
	switch {
	case hasControl(s) || !utf8.ValidString(s):
		return "", errors.New("has a control character or is not UTF-8")
	case utf8.RuneCountInString(s) > 100:
		return "", errors.New("is too long")
	}
	return s, nil
}

// parsePath takes the path of a file; an empty one is not set.
func parsePath(s string) (string, error) {
	if hasControl(s) {
		return "", errors.New("has a control character in its path")
	}
	return s, nil
}

func hasControl(s string) bool { return strings.ContainsFunc(s, unicode.IsControl) }
