package config

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// slip makes one slip of the finger in a name.
func slip(t *rapid.T, name string) string {
	i := rapid.IntRange(0, len(name)-1).Draw(t, "at")
	letter := rapid.StringMatching(`[a-z_.]`).Draw(t, "letter")
	switch rapid.IntRange(0, 3).Draw(t, "slip") {
	case 0:
		return name[:i] + name[i+1:]
	case 1:
		return name[:i] + letter + name[i:]
	case 2:
		return name[:i] + letter + name[i+1:]
	}
	if i == len(name)-1 {
		return name
	}
	return name[:i] + name[i+1:i+2] + name[i:i+1] + name[i+2:]
}

func TestASlipLeadsBackToTheName(t *testing.T) {
	t.Parallel()
	paths := settingPaths()
	rapid.Check(t, func(t *rapid.T) {
		right := rapid.SampledFrom(paths).Draw(t, "right")
		wrong := slip(t, right)
		// Another name may be as near as the one that was meant.
		if got := nearest(wrong, paths); got == "" || distance(plain(wrong), plain(got)) > 1 {
			t.Fatalf("%q led to %q instead of %q", wrong, got, right)
		}
		if got := nearest(strings.ToUpper(strings.ReplaceAll(right, ".", "-")), paths); got != right {
			t.Fatalf("%q in another spelling led to %q", right, got)
		}
	})
}

func TestSlipsAreCounted(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		a, b string
		want int
	}{
		{"", "", 0},
		{"", "abc", 3},
		{"abc", "abc", 0},
		{"abc", "ac", 1},
		{"abc", "abxc", 1},
		{"abc", "axc", 1},
		{"smtp", "smpt", 1},
		{"ab", "ba", 1},
		{"kitten", "sitting", 3},
	} {
		if got, back := slips(tt.a, tt.b), slips(tt.b, tt.a); got != tt.want || back != tt.want {
			t.Errorf("slips(%q, %q) = %d and back %d, want %d", tt.a, tt.b, got, back, tt.want)
		}
	}
}

func FuzzNearest(f *testing.F) {
	for _, seed := range []string{"", ".", "mail.smpt", "BASE-URL", "\xff\xfe", "İİİİ", strings.Repeat("mail.smtp", 50)} {
		f.Add(seed)
	}
	paths := settingPaths()
	f.Fuzz(func(t *testing.T, name string) {
		got := nearest(name, paths)
		if got != "" && !slices.Contains(paths, got) {
			t.Fatalf("%q led to %q, which is no setting", name, got)
		}
		for _, p := range paths {
			if got != "" && distance(plain(name), plain(p)) < distance(plain(name), plain(got)) {
				t.Fatalf("%q led to %q, but %q is nearer", name, got, p)
			}
		}
		if strings.ContainsAny(showName(name)+showPath(name), "\n\r\x1b") {
			t.Fatalf("%q shows with a control character", name)
		}
	})
}

func FuzzLoad(f *testing.F) {
	for _, seed := range []string{
		"", "null", "[]", "a", "mail: {smtp: x}", "mail: [1, {2: 3}]", "{1: 2, 1.5: 3, true: 4, null: 5}", "? {a: b}\n: c", "? [a]\n: b",
		"a: &a [*a]", "a: &a {b: *a}", "<<: {listen: ':1'}", "<<: [1]", "mail: !!binary aGFsbG8=", "hash: {time: .inf, memory: 0x4C00}", "mail.: 1\n.mail: 2\n.: 3",
		"mail: {? {x: y} : z}", "listen: 2026-01-01", "---\n---\n", "%YAML 9.9\n---\na: b", "\xff", "hash.time: 3\nhash: {time: 4}", "a: |\n  ---\n", "http: {trusted_proxies: [[1]]}",
	} {
		f.Add([]byte(seed))
	}
	path := filepath.Join(f.TempDir(), "sparekey.yaml")
	f.Fuzz(func(t *testing.T, yaml []byte) {
		if err := os.WriteFile(path, yaml, 0o600); err != nil {
			t.Fatal(err)
		}
		cfg, err := Load(Source{File: path})
		if (cfg == nil) == (err == nil) {
			t.Fatalf("Load = %v, %v", cfg, err)
		}
		if err == nil {
			if n := len(cfg.Values()); n != len(Settings()) {
				t.Fatalf("%d values", n)
			}
			return
		}
		faults, ok := errors.AsType[*Error](err)
		if !ok {
			t.Fatalf("an error of another type: %v", err)
		}
		for _, fault := range faults.Faults {
			if strings.ContainsAny(fault.String(), "\n\r") || fault.Fix == "" {
				t.Fatalf("not a line that says what to do: %q", fault)
			}
		}
	})
}
