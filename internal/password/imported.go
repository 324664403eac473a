package password

import (
	"bytes"
	"crypto/pbkdf2"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/subtle"
	stdhash "hash"
	"strings"

	"github.com/go-crypt/x/crypt"
	"golang.org/x/crypto/bcrypt"
	"golang.org/x/crypto/scrypt"
)

// Bounds of the hashes that only an import brings: each at most a few seconds of work.
const (
	leastBcryptCost, mostBcryptCost = 4, 16
	mostBcryptPassword              = 72 // bytes that bcrypt sees

	mostScryptLog   = 20
	mostScryptBlock = 64
	mostScryptLanes = 64

	leastPBKDF2, mostPBKDF2 = 1_000, 5_000_000

	defaultSHARounds              = 5_000
	leastSHARounds, mostSHARounds = 1_000, 2_000_000
	mostSHASalt                   = 16
	// Bytes. libxcrypt hashes no longer password, and the work grows with the square of its length.
	mostSHAPassword = 512
)

// cryptAlphabet are the characters that crypt(3) writes numbers and salts in.
const cryptAlphabet = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

// bcryptHash is a whole bcrypt hash, in the form that x/crypto reads.
type bcryptHash string

func parseBcrypt(encoded string, fields []string) (hash, error) {
	const saltAndTag = 53
	if len(fields) != 2 || len(fields[0]) != 2 || len(fields[1]) != saltAndTag || strings.Trim(fields[1], cryptAlphabet) != "" {
		return nil, unusable("it does not have bcrypt's form, $2b$ with a cost of two digits and %d characters", saltAndTag)
	}
	cost, err := decimal("cost", strings.TrimPrefix(fields[0], "0"))
	if err != nil {
		return nil, err
	}
	if err := between("cost", cost, leastBcryptCost, mostBcryptCost); err != nil {
		return nil, err
	}
	return bcryptHash(encoded), nil
}

// matches refuses what bcrypt would not see in full. x/crypto's comparison
// takes such passwords all the same: of one longer than 72 bytes it sees the
// beginning, and since bcrypt repeats the password with a NUL between, "a" and
// "a\x00a" are the same to it.
func (h bcryptHash) matches(password []byte) bool {
	if len(password) > mostBcryptPassword || bytes.IndexByte(password, 0) >= 0 {
		return false
	}
	return bcrypt.CompareHashAndPassword([]byte(h), password) == nil
}

// scryptHash is an scrypt hash (RFC 7914).
type scryptHash struct {
	log, block, lanes int
	salt, tag         []byte
}

func parseScrypt(fields []string) (hash, error) {
	if len(fields) != 3 {
		return nil, unusable("it does not have the form $scrypt$ln=,r=,p=$salt$hash")
	}
	numbers, err := parameters(fields[0], "ln", "r", "p")
	if err != nil {
		return nil, err
	}
	h := scryptHash{log: numbers[0], block: numbers[1], lanes: numbers[2]}
	if err := between("ln", h.log, 1, mostScryptLog); err != nil {
		return nil, err
	}
	if err := between("r", h.block, 1, mostScryptBlock); err != nil {
		return nil, err
	}
	if err := between("p", h.lanes, 1, mostScryptLanes); err != nil {
		return nil, err
	}
	// 128·r·2^ln bytes (RFC 7914, 2), here in KiB.
	if memory := (h.block << h.log) / 8; memory > mostMemoryKiB || memory*h.lanes > mostWorkKiB {
		return nil, unusable("it asks for more memory or work than is given to one password")
	}
	if h.salt, h.tag, err = saltAndTag(fields[1], fields[2]); err != nil {
		return nil, err
	}
	return h, nil
}

func (h scryptHash) matches(password []byte) bool {
	tag, err := scrypt.Key(password, h.salt, 1<<h.log, h.block, h.lanes, len(h.tag))
	return err == nil && subtle.ConstantTimeCompare(h.tag, tag) == 1
}

// pbkdf2Hash is a PBKDF2 hash with HMAC (RFC 8018, 5.2).
type pbkdf2Hash struct {
	new        func() stdhash.Hash
	iterations int
	salt, tag  []byte
}

func parsePBKDF2(name string, fields []string) (hash, error) {
	if len(fields) != 3 {
		return nil, unusable("it does not have the form $%s$iterations$salt$hash", name)
	}
	h := pbkdf2Hash{new: sha256.New}
	if name == "pbkdf2-sha512" {
		h.new = sha512.New
	}
	var err error
	if h.iterations, err = decimal("iterations", fields[0]); err != nil {
		return nil, err
	}
	if err := between("iterations", h.iterations, leastPBKDF2, mostPBKDF2); err != nil {
		return nil, err
	}
	// passlib writes "." where base64 has "+".
	plus := strings.NewReplacer(".", "+")
	if h.salt, h.tag, err = saltAndTag(plus.Replace(fields[1]), plus.Replace(fields[2])); err != nil {
		return nil, err
	}
	return h, nil
}

func (h pbkdf2Hash) matches(password []byte) bool {
	tag, err := pbkdf2.Key(h.new, string(password), h.salt, h.iterations, len(h.tag))
	return err == nil && subtle.ConstantTimeCompare(h.tag, tag) == 1
}

// shaHash is a SHA-crypt hash, $5$ or $6$ (Drepper, "Unix crypt using SHA-256 and SHA-512").
type shaHash struct {
	new    func() stdhash.Hash
	rounds int
	salt   []byte
	tag    []byte // still encoded
}

func parseSHACrypt(name string, fields []string) (hash, error) {
	h, length := shaHash{new: sha256.New, rounds: defaultSHARounds}, 43
	if name == "6" {
		h.new, length = sha512.New, 86
	}
	if digits, ok := strings.CutPrefix(fields[0], "rounds="); ok {
		var err error
		if h.rounds, err = decimal("rounds", digits); err != nil {
			return nil, err
		}
		if err := between("rounds", h.rounds, leastSHARounds, mostSHARounds); err != nil {
			return nil, err
		}
		fields = fields[1:]
	}
	if len(fields) != 2 || strings.Trim(fields[0]+fields[1], cryptAlphabet) != "" || len(fields[1]) != length {
		return nil, unusable("it does not have SHA-crypt's form, $%s$salt$ and %d characters", name, length)
	}
	if n := len(fields[0]); n < 1 || n > mostSHASalt {
		return nil, unusable("its salt has %d characters; it must have 1 to %d", n, mostSHASalt)
	}
	h.salt, h.tag = []byte(fields[0]), []byte(fields[1])
	return h, nil
}

func (h shaHash) matches(password []byte) bool {
	if len(password) > mostSHAPassword {
		return false
	}
	return subtle.ConstantTimeCompare(h.tag, crypt.KeySHACrypt(h.new, password, h.salt, h.rounds)) == 1
}
