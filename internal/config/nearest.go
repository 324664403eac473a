package config

import (
	"strconv"
	"strings"
	"unicode"
)

// maxCompared is how much of a name is compared, in bytes; no right name is as
// long, and the work grows with the square.
const maxCompared = 64

// unknown is the fault of a name that is no setting. where says where it was
// found, right is the nearest name that is one, or empty if none is near.
func unknown(where, right string) Fault {
	if right == "" {
		return Fault{Source: where, Problem: "is no setting", Fix: "see docs/configuration.md for all there are"}
	}
	return Fault{Source: where, Problem: "is no setting", Fix: "the nearest is " + right}
}

// showPath returns a file's path as it may be shown in one line.
func showPath(path string) string {
	if strings.Contains(path, "://") {
		return hidden
	}
	if hasControl(path) {
		return strconv.Quote(path)
	}
	return path
}

// showName returns a wrong name as it may be shown: in quotes if it is not
// plain, and not at all if it looks like a URL or an address, which may hold a secret.
func showName(name string) string {
	switch {
	case strings.Contains(name, "://") || strings.Contains(name, "@"):
		return hidden
	case len(name) > maxCompared:
		return strconv.Quote(name[:maxCompared]) + "…"
	case name == "" || strings.ContainsFunc(name, func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsDigit(r) && r != '.' && r != '_' && r != '-'
	}):
		return strconv.Quote(name)
	}
	return name
}

// nearest returns the known name that the fewest slips turn into name; the
// first of those that are equally near, or "" if even that has little in
// common with it. Case, and which of . _ - stands between words, do not count.
// The last words of a name count as nearly the name itself, so that "ttl"
// leads to "request.ttl".
func nearest(name string, known []string) string {
	name = plain(name)
	best, least := "", (len(name)+1)/2+1
	for _, k := range known {
		if d := distance(name, plain(k)); d < least {
			best, least = k, d
		}
	}
	return best
}

// distance counts the slips between a name and a right one; leaving words out in front is one.
func distance(name, right string) int {
	d := slips(name, right)
	for {
		_, rest, found := strings.Cut(right, "_")
		if !found {
			return d
		}
		right = rest
		d = min(d, 1+slips(name, right))
	}
}

func plain(name string) string {
	if len(name) > maxCompared {
		name = name[:maxCompared]
	}
	return strings.NewReplacer(".", "_", "-", "_", " ", "_").Replace(strings.ToLower(name))
}

// slips counts the bytes to add, drop, change or swap with their neighbour to
// get from a to b (optimal string alignment).
func slips(a, b string) int {
	before, last, next := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := range len(a) {
		next[0] = i + 1
		for j := range len(b) {
			change := last[j]
			if a[i] != b[j] {
				change++
			}
			next[j+1] = min(change, last[j+1]+1, next[j]+1)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				next[j+1] = min(next[j+1], before[j-1]+1)
			}
		}
		before, last, next = last, next, before
	}
	return last[len(b)]
}
