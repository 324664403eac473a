package joint

import (
	"errors"
	"strconv"
	"strings"
)

// A user is named by the directory and its own ID for them, "crm.17"; that of the
// built-in one is the ID as it is, "5b1f3a52-…". Who is in several has all of these, sorted, with
// commas in between (reset.JoinUserIDs). Of a directory's ID the bytes outside of A-Z a-z 0-9 - . _ : @ = are
// written as %XX. So there is one name for a user, and one user for a name.

// maxID is the longest of a directory's own IDs, in bytes as it is written.
const maxID = 255

const upperHex = "0123456789ABCDEF"

func plain(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("-._:@=", c) >= 0
}

// encode names a user of the part.
func (p *part) encode(id string) (string, error) {
	if p.Name == Builtin {
		if id == "" || strings.ContainsAny(id, ".,") {
			return "", errors.New("the built-in directory has a user whose ID cannot stand beside others")
		}
		return id, nil
	}
	return ID(p.Name, id)
}

// ID is the name of a user whom a directory that is not the built-in one knows by an ID of its own.
func ID(directory, id string) (string, error) {
	escaped := escape(id)
	if id == "" || len(escaped) > maxID {
		return "", errors.New("the ID of a user is empty, or longer than 255 bytes; name the directory's users by something shorter")
	}
	return directory + "." + escaped, nil
}

// decode finds the part and its own ID. The part is nil if there is none, or if nobody would have written the name like that.
func (d *Directory) decode(name string) (p *part, id string) {
	prefix, escaped, dotted := strings.Cut(name, ".")
	if !dotted {
		return d.named(Builtin), name
	}
	id, ok := unescape(escaped)
	if p = d.named(prefix); p == nil || p.Name == Builtin || !ok {
		return nil, ""
	}
	if again, err := p.encode(id); err != nil || again != name {
		return nil, ""
	}
	return p, id
}

func escape(s string) string {
	var b strings.Builder
	for i := range len(s) {
		if plain(s[i]) {
			b.WriteByte(s[i])
			continue
		}
		b.WriteByte('%')
		b.WriteByte(upperHex[s[i]>>4])
		b.WriteByte(upperHex[s[i]&15])
	}
	return b.String()
}

func unescape(s string) (string, bool) {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '%' {
			b.WriteByte(s[i])
			continue
		}
		if i+2 >= len(s) {
			return "", false
		}
		v, err := strconv.ParseUint(s[i+1:i+3], 16, 8) // decode sees whether it was in capitals
		if err != nil {
			return "", false
		}
		b.WriteByte(byte(v))
		i += 2
	}
	return b.String(), true
}
