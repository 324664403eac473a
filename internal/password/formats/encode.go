package formats

import (
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"fmt"
	"strings"

	"github.com/go-crypt/x/crypt"
	"github.com/go-crypt/x/yescrypt"
	"golang.org/x/crypto/argon2"
	"golang.org/x/crypto/bcrypt"
	"golang.org/x/crypto/scrypt"
)

// saltBytes is the length of a salt (NIST SP 800-132, 5.1: at least 128 bits), tagBytes that of what is computed.
const saltBytes, tagBytes = 16, 32

// The characters that salts are made of where they are text: Django's, and those of crypt(3).
const (
	alphanumeric  = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
	cryptAlphabet = "./" + alphanumeric
)

func randomBytes() []byte {
	salt := make([]byte, saltBytes)
	_, _ = rand.Read(salt) // never fails since Go 1.24: it ends the program instead
	return salt
}

// randomText returns n characters of an alphabet, each as likely as any other.
func randomText(alphabet string, n int) string {
	whole := 256 / len(alphabet) * len(alphabet) // bytes from here on would favour the first characters
	text := make([]byte, 0, n)
	for len(text) < n {
		for _, b := range randomBytes() {
			if int(b) < whole && len(text) < n {
				text = append(text, alphabet[int(b)%len(alphabet)])
			}
		}
	}
	return string(text)
}

// djangoSalt is as Django makes them, so that it finds 128 bits in it and leaves the hash alone.
func djangoSalt() string { return randomText(alphanumeric, 22) }

var b64 = base64.RawStdEncoding.EncodeToString

// argon2id writes the PHC string format, as argon2's reference implementation
// does; Django puts its own name before it, and wants its own sort of salt.
func argon2id(prefix string) func([]byte, []int) (string, error) {
	return func(password []byte, values []int) (string, error) {
		salt := randomBytes()
		if prefix != "$" {
			salt = []byte(djangoSalt())
		}
		memory, passes, lanes := uint32(values[0]), uint32(values[1]), uint8(values[2]) //nolint:gosec // Parse has bounded them
		tag := argon2.IDKey(password, salt, passes, memory, lanes, tagBytes)
		return fmt.Sprintf("%sargon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", prefix, argon2.Version, memory, passes, lanes, b64(salt), b64(tag)), nil
	}
}

// bcryptOf writes bcrypt after a prefix. Of passwords that are valid UTF-8 and no
// longer than 72 bytes, $2a$, $2b$ and $2y$ are the same hash: the names tell apart mistakes that
// old implementations made with longer ones and with bytes that UTF-8 does not have.
func bcryptOf(prefix string) func([]byte, []int) (string, error) {
	return func(password []byte, values []int) (string, error) {
		hash, err := bcrypt.GenerateFromPassword(password, values[0])
		if err != nil {
			return "", err
		}
		return prefix + strings.TrimPrefix(string(hash), "$2a$"), nil
	}
}

func scryptHash(password []byte, values []int) (string, error) {
	ln, r, p := values[0], values[1], values[2]
	salt := randomBytes()
	tag, err := scrypt.Key(password, salt, 1<<ln, r, p, tagBytes)
	return fmt.Sprintf("$scrypt$ln=%d,r=%d,p=%d$%s$%s", ln, r, p, b64(salt), b64(tag)), err
}

func pbkdf2Key(password, salt []byte, iterations int) ([]byte, error) {
	return pbkdf2.Key(sha256.New, string(password), salt, iterations, tagBytes)
}

// pbkdf2PHC names its parameter, as the PHC string format has it.
func pbkdf2PHC(password []byte, values []int) (string, error) {
	salt := randomBytes()
	tag, err := pbkdf2Key(password, salt, values[0])
	return fmt.Sprintf("$pbkdf2-sha256$i=%d$%s$%s", values[0], b64(salt), b64(tag)), err
}

// pbkdf2Passlib does not, and has "." where base64 has "+": that is older, and what Python's passlib and its like read.
func pbkdf2Passlib(password []byte, values []int) (string, error) {
	salt := randomBytes()
	tag, err := pbkdf2Key(password, salt, values[0])
	adapted := strings.NewReplacer("+", ".")
	return fmt.Sprintf("$pbkdf2-sha256$%d$%s$%s", values[0], adapted.Replace(b64(salt)), adapted.Replace(b64(tag))), err
}

func pbkdf2Django(password []byte, values []int) (string, error) {
	salt := djangoSalt()
	tag, err := pbkdf2Key(password, []byte(salt), values[0])
	return fmt.Sprintf("pbkdf2_sha256$%d$%s$%s", values[0], salt, base64.StdEncoding.EncodeToString(tag)), err
}

// ssha512 is what OpenLDAP's module pw-sha2 and Dovecot read. It takes a microsecond, and so does each guess.
func ssha512(password []byte, _ []int) (string, error) {
	salt := randomBytes()
	h := sha512.New()
	_, _ = h.Write(password) // a hash's Write never fails
	_, _ = h.Write(salt)
	return "{SSHA512}" + base64.StdEncoding.EncodeToString(append(h.Sum(nil), salt...)), nil
}

// sha512Crypt writes what crypt(3) reads (Drepper, "Unix crypt using SHA-256 and SHA-512").
func sha512Crypt(password []byte, values []int) (string, error) {
	salt := randomText(cryptAlphabet, 16)
	return fmt.Sprintf("$6$rounds=%d$%s$%s", values[0], salt, crypt.KeySHACrypt(sha512.New, password, []byte(salt), values[0])), nil
}

// yescryptHash writes what crypt(3) reads, with the parameters that libxcrypt makes of a cost: N = 2^(cost+7), r = 32.
func yescryptHash(password []byte, values []int) (string, error) {
	setting := fmt.Sprintf("$y$%s$%s", yescrypt.EncodeSetting(0, values[0]+7, 32), yescrypt.Encode64(randomBytes()))
	hash, err := yescrypt.Hash(password, []byte(setting))
	return string(hash), err
}
