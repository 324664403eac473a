package password

import (
	"encoding/base64"
	"strconv"
	"strings"

	"github.com/sparekey/sparekey/internal/reset"
)

// hash is a stored hash that has been read and found within bounds.
type hash interface {
	// matches reports whether it is the hash of the password. It compares in constant time.
	matches(password []byte) bool
}

// Bounds of every hash that can be verified. An imported hash is hostile input:
// whatever it asks for is checked before anything is computed.
const (
	mostEncoded = 512 // length of the whole, in bytes

	leastSalt, mostSalt = 8, 64  // bytes (RFC 9106, 3.1: at least 8)
	leastTag, mostTag   = 16, 64 // bytes; a shorter one is hit by chance

	// The most memory of one hash, in KiB, and the most memory times passes:
	// what libsodium calls "sensitive" (1 GiB, 4 passes), a few seconds of work.
	mostMemoryKiB = 1 << 20
	mostWorkKiB   = 4 << 20
)

// CheckEncoded reports whether the hash is one that Verify can check, within
// bounds. The error is Invalid; its message says why without repeating the hash.
//
// These are taken:
//
//	$argon2id$v=19$m=,t=,p=$SALT$TAG, $argon2i$…   memory at most 1 GiB, passes and lanes at most 64,
//	                                               memory × passes at most 4 GiB (RFC 9106)
//	$2a$, $2b$, $2y$                               bcrypt, cost 4 to 16
//	$scrypt$ln=,r=,p=$SALT$TAG                     128·r·2^ln at most 1 GiB, times p at most 4 GiB (RFC 7914)
//	$pbkdf2-sha256$N$SALT$TAG, $pbkdf2-sha512$…    1,000 to 5,000,000 iterations, as passlib writes them (RFC 8018)
//	$5$, $6$                                       SHA-crypt, 1,000 to 2,000,000 rounds
//
// Where they are encoded in base64, salts have 8 to 64 bytes and tags 16 to 64.
//
// bcrypt sees only the first 72 bytes of a password, and NUL ends it. A password
// that is longer or has a NUL never matches a bcrypt hash here: it is refused,
// not cut. SHA-crypt likewise never matches a password of more than 512 bytes,
// whose work would be out of bounds.
func CheckEncoded(encoded string) error {
	_, err := parse(encoded)
	return err
}

// parse reads a hash of any format that CheckEncoded names.
func parse(encoded string) (hash, error) {
	if len(encoded) > mostEncoded {
		return nil, unusable("it is longer than %d bytes", mostEncoded)
	}
	// The first field is what stands before the first $: nothing.
	fields := strings.Split(encoded, "$")
	if len(fields) < 3 || fields[0] != "" {
		return nil, unusable("it does not have the form $name$parameters$salt$hash")
	}
	name, rest := fields[1], fields[2:]
	switch name {
	case "argon2id", "argon2i":
		return parseArgon2(argon2Variant(name), rest)
	case "2a", "2b", "2y":
		return parseBcrypt(encoded, rest)
	case "scrypt":
		return parseScrypt(rest)
	case "pbkdf2-sha256", "pbkdf2-sha512":
		return parsePBKDF2(name, rest)
	case "5", "6":
		return parseSHACrypt(name, rest)
	}
	return nil, unusable("its kind is not one of argon2id, argon2i, bcrypt, scrypt, pbkdf2-sha256, pbkdf2-sha512, SHA-crypt")
}

func unusable(format string, args ...any) error {
	e := reset.Invalidf(format, args...)
	e.Message = "this hash cannot be used: " + e.Message
	return e
}

// parameters reads "a=1,b=2" with exactly the given names in that order.
func parameters(s string, names ...string) ([]int, error) {
	parts := strings.Split(s, ",")
	if len(parts) != len(names) {
		return nil, unusable("its parameters are not %s", strings.Join(names, ", "))
	}
	values := make([]int, len(names))
	for i, name := range names {
		digits, ok := strings.CutPrefix(parts[i], name+"=")
		if !ok {
			return nil, unusable("its parameters are not %s", strings.Join(names, ", "))
		}
		var err error
		if values[i], err = decimal(name, digits); err != nil {
			return nil, err
		}
	}
	return values, nil
}

// decimal reads a number as the PHC string format has it: no sign, no leading zero.
func decimal(name, s string) (int, error) {
	n, err := strconv.Atoi(s)
	if err != nil || strconv.Itoa(n) != s || n < 0 {
		return 0, unusable("its parameter %s is not a number", name)
	}
	return n, nil
}

// between checks one parameter against its bounds.
func between(name string, value, least, most int) error {
	if value < least || value > most {
		return unusable("its parameter %s is %d; it must be between %d and %d", name, value, least, most)
	}
	return nil
}

// saltAndTag decodes both from unpadded base64 and checks their lengths.
func saltAndTag(salt64, tag64 string) (salt, tag []byte, err error) {
	// Strict, so that one hash has one spelling.
	encoding := base64.RawStdEncoding.Strict()
	if strings.ContainsAny(salt64+tag64, "\r\n") { // which Go's decoder would skip
		return nil, nil, unusable("it has a line break")
	}
	if salt, err = encoding.DecodeString(salt64); err != nil {
		return nil, nil, unusable("its salt is not unpadded base64")
	}
	if tag, err = encoding.DecodeString(tag64); err != nil {
		return nil, nil, unusable("its last part is not unpadded base64")
	}
	if len(salt) < leastSalt || len(salt) > mostSalt {
		return nil, nil, unusable("its salt has %d bytes; it must have %d to %d", len(salt), leastSalt, mostSalt)
	}
	if len(tag) < leastTag || len(tag) > mostTag {
		return nil, nil, unusable("its last part has %d bytes; it must have %d to %d", len(tag), leastTag, mostTag)
	}
	return salt, tag, nil
}
