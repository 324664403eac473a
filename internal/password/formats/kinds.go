package formats

import "github.com/sparekey/sparekey/internal/reset"

const (
	// mostBcrypt is how many bytes bcrypt looks at (Provos and Mazières, "A Future-Adaptable Password Scheme").
	mostBcrypt = 72
	// mostCrypt is what Debian's libcrypt takes: its CRYPT_MAX_PASSPHRASE_SIZE, 512, counts the NUL at the end.
	mostCrypt = 511
)

// The parameters of formats. What is least is OWASP's least where it names one.
var (
	argon2Params = []Param{
		{"m", 19456, 7168, 1 << 20, "memory in KiB"},
		{"t", 2, 1, 64, "passes"},
		{"p", 1, 1, 64, "lanes"},
	}
	bcryptParams = []Param{{"cost", 12, 10, 16, "the binary logarithm of its rounds"}}
	scryptParams = []Param{
		{"ln", 17, 13, 20, "the binary logarithm of N"},
		{"r", 8, 8, 32, "block size"},
		{"p", 1, 1, 16, "lanes"},
	}
	pbkdf2Params = []Param{{"iterations", 600_000, 600_000, 5_000_000, "iterations"}}
	// OWASP does not speak of SHA-crypt. It asks for 210,000 iterations of PBKDF2 with SHA-512, each of two
	// blocks; a round of SHA-crypt is one. The least is what the format means when it says nothing.
	shaCryptParams = []Param{{"rounds", 420_000, 5_000, 2_000_000, "rounds"}}
	// As YESCRYPT_COST_FACTOR in Debian's login.defs, whose default is 5: 16 MiB.
	yescryptParams = []Param{{"cost", 5, 5, 11, "2^(cost-1) MiB of memory"}}
)

// kinds are all formats that there are.
var kinds = []kind{
	{name: "argon2id", example: "$argon2id$v=19$m=19456,t=2,p=1$", params: argon2Params, check: checkArgon2, encode: argon2id("$")},
	{name: "bcrypt", example: "$2b$12$", params: bcryptParams, most: mostBcrypt, ends: true, encode: bcryptOf("$2b$")},
	{name: "bcrypt-2a", example: "$2a$12$", params: bcryptParams, most: mostBcrypt, ends: true, encode: bcryptOf("$2a$")},
	{name: "bcrypt-2y", example: "$2y$12$", params: bcryptParams, most: mostBcrypt, ends: true, encode: bcryptOf("$2y$")},
	{name: "spring-bcrypt", example: "{bcrypt}$2a$12$", params: bcryptParams, most: mostBcrypt, ends: true, encode: bcryptOf("{bcrypt}$2a$")},
	{name: "scrypt", example: "$scrypt$ln=17,r=8,p=1$", params: scryptParams, check: checkScrypt, encode: scryptHash},
	{name: "pbkdf2-sha256", example: "$pbkdf2-sha256$i=600000$", params: pbkdf2Params, encode: pbkdf2PHC},
	{name: "passlib-pbkdf2-sha256", example: "$pbkdf2-sha256$600000$", params: pbkdf2Params, encode: pbkdf2Passlib},
	{name: "django-pbkdf2-sha256", example: "pbkdf2_sha256$600000$", params: pbkdf2Params, encode: pbkdf2Django},
	{name: "django-argon2", example: "argon2$argon2id$v=19$m=19456,t=2,p=1$", params: argon2Params, check: checkArgon2, encode: argon2id("argon2$")},
	{name: "ssha512", example: "{SSHA512}", encode: ssha512},
	{name: "sha512-crypt", example: "$6$rounds=420000$", params: shaCryptParams, most: mostCrypt, ends: true, encode: sha512Crypt},
	{name: "yescrypt", example: "$y$j9T$", params: yescryptParams, most: mostCrypt, ends: true, encode: yescryptHash},
}

// What memory times passes must be, in KiB: from the weakest of the settings that
// OWASP calls equivalent (m=7168, t=5) to what libsodium calls "sensitive" (1 GiB, four passes).
const leastArgon2Work, mostArgon2Work = 7168 * 5, 4 << 20

func checkArgon2(values []int) error {
	memory, passes, lanes := values[0], values[1], values[2]
	switch work := memory * passes; {
	case work < leastArgon2Work:
		return reset.Invalidf("m times t is %d; it must be at least %d, as in m=19456 t=2 or m=47104 t=1", work, leastArgon2Work)
	case work > mostArgon2Work:
		return reset.Invalidf("m times t is %d; it must be at most %d", work, mostArgon2Work)
	case memory < 8*lanes: // RFC 9106, 3.1
		return reset.Invalidf("m is %d; it must be at least 8 times p", memory)
	}
	return nil
}

// What N times r times p must be: from the weakest of the settings that OWASP calls equivalent (2^13, 8, 10) to
// 4 GiB of work; and the most memory, 128·N·r bytes (RFC 7914, 2), is 1 GiB.
const leastScryptWork, mostScryptWork, mostScryptMemory = 80 << 13, 4 << 23, 1 << 23

func checkScrypt(values []int) error {
	n, r, p := 1<<values[0], values[1], values[2]
	switch {
	case n*r*p < leastScryptWork:
		return reset.Invalidf("2^ln times r times p is %d; it must be at least %d, as in ln=17 r=8 p=1 or ln=15 r=8 p=3", n*r*p, leastScryptWork)
	case n*r > mostScryptMemory, n*r*p > mostScryptWork:
		return reset.Invalidf("these parameters ask for more memory or work than is given to one password: 1 GiB, and 4 GiB over all lanes")
	}
	return nil
}
