package password

import (
	"crypto/subtle"
	"encoding/base64"
	"fmt"

	"golang.org/x/crypto/argon2"
)

// The most passes and lanes of an argon2 hash.
const (
	mostPasses = 64
	mostLanes  = 64
)

// argon2Variant is the name of a variant in the PHC string format.
type argon2Variant string

const (
	argon2id argon2Variant = "argon2id"
	argon2i  argon2Variant = "argon2i"
)

// argon2Hash is an argon2 hash, version 1.3 (RFC 9106).
type argon2Hash struct {
	variant   argon2Variant
	params    Params
	salt, tag []byte
}

func parseArgon2(variant argon2Variant, fields []string) (hash, error) {
	if len(fields) != 4 {
		return nil, unusable("it does not have the form $%s$v=19$m=,t=,p=$salt$hash", variant)
	}
	if fields[0] != "v=19" {
		return nil, unusable("its version of argon2 is not 19")
	}
	numbers, err := parameters(fields[1], "m", "t", "p")
	if err != nil {
		return nil, err
	}
	a := argon2Hash{variant: variant, params: Params{MemoryKiB: numbers[0], Time: numbers[1], Parallelism: numbers[2]}}
	if err := checkArgon2(a.params); err != nil {
		return nil, err
	}
	if a.salt, a.tag, err = saltAndTag(fields[2], fields[3]); err != nil {
		return nil, err
	}
	return a, nil
}

// checkArgon2 checks the parameters against the bounds of what may be computed.
func checkArgon2(p Params) error {
	if err := between("p", p.Parallelism, 1, mostLanes); err != nil {
		return err
	}
	if err := between("t", p.Time, 1, mostPasses); err != nil {
		return err
	}
	// RFC 9106, 3.1: at least 8 KiB for each lane.
	if err := between("m", p.MemoryKiB, 8*p.Parallelism, mostMemoryKiB); err != nil {
		return err
	}
	if work := p.MemoryKiB * p.Time; work > mostWorkKiB {
		return unusable("m times t is %d; it must be at most %d", work, mostWorkKiB)
	}
	return nil
}

func (a argon2Hash) derive(password []byte, length int) []byte {
	key := argon2.IDKey
	if a.variant == argon2i {
		key = argon2.Key
	}
	return key(password, a.salt, uint32(a.params.Time), uint32(a.params.MemoryKiB), uint8(a.params.Parallelism), uint32(length))
}

func (a argon2Hash) matches(password []byte) bool {
	return subtle.ConstantTimeCompare(a.tag, a.derive(password, len(a.tag))) == 1
}

// String returns the hash in PHC string format, as the reference implementation writes it.
func (a argon2Hash) String() string {
	b64 := base64.RawStdEncoding.EncodeToString
	return fmt.Sprintf("$%s$v=%d$m=%d,t=%d,p=%d$%s$%s", a.variant, argon2.Version,
		a.params.MemoryKiB, a.params.Time, a.params.Parallelism, b64(a.salt), b64(a.tag))
}
