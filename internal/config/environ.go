package config

import (
	"io"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
)

// maxSecretFile is the largest file that a secret is read from, in bytes.
const maxSecretFile = 64 << 10

// Docker and Kubernetes put the addresses of other services into every
// container's environment, and the service of Sparekey itself is easily named
// "sparekey". Those variables are nobody's typo.
var (
	linkPart = regexp.MustCompile(`^SPAREKEY_([A-Z0-9_]+_)?(SERVICE_HOST|SERVICE_PORT(_[A-Z0-9_]+)?|PORT_\d+_(TCP|UDP|SCTP)_(PROTO|PORT|ADDR))$`)
	linkPort = regexp.MustCompile(`^SPAREKEY_([A-Z0-9_]+_)?PORT(_\d+_(TCP|UDP|SCTP))?$`)
	linkURL  = regexp.MustCompile(`^(tcp|udp|sctp)://`)
)

func isServiceLink(name, value string) bool {
	return linkPart.MatchString(name) || linkPort.MatchString(name) && linkURL.MatchString(value)
}

// variables are those that begin with SPAREKEY_ and are not empty.
func variables(environ []string) map[string]string {
	set := map[string]string{}
	for _, entry := range environ {
		name, value, ok := strings.Cut(entry, "=")
		if ok && strings.HasPrefix(name, envPrefix) {
			set[name] = value
		}
	}
	maps.DeleteFunc(set, func(_, value string) bool { return value == "" })
	return set
}

// readEnviron reads what variables say of settings.
func readEnviron(set map[string]string, settings []Setting) (layer, []Fault) {
	values := layer{}
	paths := []string{"config"} // as paths, so that typos are found as they are in the file
	var faults []Fault
	for _, s := range settings {
		paths = append(paths, s.Path)
		if s.Secret {
			paths = append(paths, s.Path+"_file")
		}
		if value, ok := set[s.Env()]; ok {
			values[s.Path] = given{text: value, source: "environment " + s.Env()}
		}
		path, ok := set[s.EnvFile()]
		switch _, both := values[s.Path]; {
		case !ok || !s.Secret:
		case both:
			faults = append(faults, Fault{
				Source:  "environment " + s.EnvFile(),
				Problem: "is set as well as " + s.Env(), Fix: "unset one of the two",
			})
		default:
			values[s.Path] = readSecretFile(path, "environment "+s.EnvFile())
		}
	}
	for _, name := range slices.Sorted(maps.Keys(set)) {
		isName := func(path string) bool { return envName(path) == name }
		if !slices.ContainsFunc(paths, isName) && !isServiceLink(name, set[name]) {
			faults = append(faults, unknownVariable(name, paths))
		}
	}
	return values, faults
}

func unknownVariable(name string, paths []string) Fault {
	isPlain := func(path string) bool { return envName(path)+fileSuffix == name }
	if i := slices.IndexFunc(paths, isPlain); i >= 0 {
		return Fault{
			Source:  "environment " + name,
			Problem: "is no setting: only secrets are read from files", Fix: "set " + envName(paths[i]) + " to the value itself",
		}
	}
	right := nearest(strings.TrimPrefix(name, envPrefix), paths)
	if right != "" {
		right = envName(right)
	}
	return unknown("environment "+showName(name), right)
}

// readSecretFile reads a secret from a file, as Docker and Kubernetes provide
// them. The path is in no text: it may be the secret itself, in the wrong variable.
func readSecretFile(path, source string) given {
	fail := func(reason string) given {
		return given{source: source, problem: "cannot be read from the file that is named (" + reason + ")"}
	}
	f, err := os.Open(path)
	if err != nil {
		return fail(why(err))
	}
	defer func() { _ = f.Close() }() // it was only read
	contents, err := io.ReadAll(io.LimitReader(f, maxSecretFile+1))
	if err == nil && len(contents) > maxSecretFile {
		return fail("it is larger than 64 KiB")
	}
	if err != nil {
		return fail(why(err))
	}
	value := strings.TrimRight(string(contents), "\r\n")
	if value == "" {
		return fail("it is empty")
	}
	return given{text: value, source: source}
}
