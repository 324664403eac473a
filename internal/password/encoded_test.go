package password_test

import (
	"encoding/base64"
	"errors"
	"strings"
	"testing"

	"github.com/sparekey/sparekey/internal/password"
	"github.com/sparekey/sparekey/internal/reset"
)

const horse = "correct horse battery staple"

// knownAnswers were made by others: argon2 by the reference implementation (its
// test.c), scrypt and PBKDF2 by OpenSSL through Python's hashlib, bcrypt and
// SHA-crypt by libxcrypt.
var knownAnswers = []struct{ name, password, encoded string }{
	{"argon2id", "password", "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4"},
	{"argon2id, two lanes", "password", "$argon2id$v=19$m=256,t=2,p=2$c29tZXNhbHQ$bQk8UB/VmZZF4Oo79iDXuL5/0ttZwg2f/5U52iv1cDc"},
	{"argon2id, 64 MiB", "password", "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc"},
	{"argon2i", "password", "$argon2i$v=19$m=256,t=2,p=1$c29tZXNhbHQ$iekCn0Y3spW+sCcFanM2xBT63UP2sghkUoHLIUpWRS8"},
	{"scrypt", horse, "$scrypt$ln=10,r=8,p=1$AAECAwQFBgcICQoLDA0ODw$mp90zEQd5XGhjEv4WArVH4Z0XRSzkGWtJK2S/AXJlRU"},
	{"scrypt, three lanes", horse, "$scrypt$ln=4,r=1,p=3$AAECAwQFBgcICQoLDA0ODw$wzBnG/RY+gIQB48PPCE/8Q2sgzoeU9/c8lMlGDH1yWs60tqDBu7B6Pn6XqM3VWqEUwCTJDKDbq+j4ZAlS7LiVQ"},
	{"PBKDF2, SHA-256", horse, "$pbkdf2-sha256$1000$8PHy8/T19vf4.fr7/P3./w$0A35jjZ8X.jm/Nj9sc4uzmU/RqA2wljSyf5enbVFSOY"},
	{"PBKDF2, SHA-512", horse, "$pbkdf2-sha512$1000$8PHy8/T19vf4.fr7/P3./w$7Ny4dUakS7JIZAfjYpLQGSZsWvUihs7A6xXDgyqRrc3BkpXb3nL1/MvPpT3VxDAwU6FzpGn1KkCfA3fC7/680Q"},
	{"bcrypt 2a", horse, "$2a$04$abcdefghijklmnopqrstuu7EJV7kdjBBQxyb0HjTh9KS7.Lah/6CG"},
	{"bcrypt 2b", horse, "$2b$04$abcdefghijklmnopqrstuu7EJV7kdjBBQxyb0HjTh9KS7.Lah/6CG"},
	{"bcrypt 2y", horse, "$2y$04$abcdefghijklmnopqrstuu7EJV7kdjBBQxyb0HjTh9KS7.Lah/6CG"},
	{"bcrypt, 72 bytes", seventyTwo, "$2b$04$abcdefghijklmnopqrstuuWTSHkTgWdsWag7rtSY2APXG6jxP2cuq"},
	{"bcrypt, decomposed as typed", "cafe\u0301 au lait au bord", "$2b$04$abcdefghijklmnopqrstuuOG41bjRRfwkpswAuN6D.TibdsdFJhRa"},
	{"SHA-256-crypt", horse, "$5$saltstring$hixOXgchwauyzVtlSM/e7UnQx0qiTk74JE/YU53IbE0"},
	{"SHA-256-crypt, fewer rounds, short salt", horse, "$5$rounds=1000$s$GpEjV34AjQr18L10BrMcRwx35g2aOZFgsho2imX.xS0"},
	{"SHA-256-crypt, long password", strings.Repeat("0123456789", 13), "$5$rounds=1000$longsalt$mxFogrFp1A37OoMxyPJTFVkcMjngZIPJ213QxeK9Pk9"},
	{"SHA-512-crypt", horse, "$6$saltstring$qvPJY4PeugKzKQqyIJ0gRdJnpS0uaaiZ.X1SaheFedsK/yZPwlluTLS90fJPM41sD5JxCHKgGr1..qt5HqEY8."},
	{"SHA-512-crypt, fewer rounds", horse, "$6$rounds=1400$anotherlongsalts$DY8ofsHFwr6qUPLa1CEoQGwXJoRil1PKmXBbSOenTcLcsBy4jAfIOZdnnEP.DV9c9SkLwknNyyn0xLnV6Ykmu1"},
	{"SHA-512-crypt, long password", strings.Repeat("0123456789", 13), "$6$rounds=1000$longsalt$/eOwP573b5EeBUz/SKetkAy3el7OKggn0N.P8rZzSXRmNUNlDhibQ0sN93v.alRS4izPO2P9SZeAot/P0OhWs1"},
	{"SHA-512-crypt, decomposed as typed", "cafe\u0301 au lait au bord", "$6$rounds=1000$saltstring$T9e9fCjdi1f5jfwEc5ZPJcKHt/JhWff260y6AJadCUTMoyIlvl4Zmnih5r3o2.tBnJ418RviEOd6fKahg3jhc/"},
}

var seventyTwo = strings.Repeat("0123456789abcdef", 4) + "01234567"

func TestKnownAnswers(t *testing.T) {
	t.Parallel()
	h := password.CheapHasher()
	for _, tc := range knownAnswers {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			if err := password.CheckEncoded(tc.encoded); err != nil {
				t.Fatal(err)
			}
			if ok, err := h.Verify(t.Context(), tc.password, tc.encoded); !ok || err != nil {
				t.Errorf("the password: %v, %v", ok, err)
			}
			if ok, err := h.Verify(t.Context(), tc.password+"x", tc.encoded); ok || err != nil {
				t.Errorf("another password: %v, %v", ok, err)
			}
			if !h.NeedsUpgrade(tc.encoded) { // even the argon2id ones: their salt has 8 bytes
				t.Error("it needs no upgrade")
			}
		})
	}
}

// bcrypt sees 72 bytes and takes NUL for the end; x/crypto would let each of
// these pass as the password.
func TestBcryptNeverCutsAPassword(t *testing.T) {
	t.Parallel()
	h := password.CheapHasher()
	const (
		ofSeventyTwo = "$2b$04$abcdefghijklmnopqrstuuWTSHkTgWdsWag7rtSY2APXG6jxP2cuq"
		ofHorse      = "$2b$04$abcdefghijklmnopqrstuu7EJV7kdjBBQxyb0HjTh9KS7.Lah/6CG"
		ofNothing    = "$2b$04$abcdefghijklmnopqrstuubyCG3zY1GIXMyxfivm.ClDiInHzxjiq"
	)
	for _, tc := range []struct{ name, password, encoded string }{
		{"one byte more", seventyTwo + "x", ofSeventyTwo},
		{"much more", seventyTwo + strings.Repeat("x", 1000), ofSeventyTwo},
		{"repeated after NUL", horse + "\x00" + horse, ofHorse},
		{"NUL alone", "\x00", ofNothing},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			if ok, err := h.Verify(t.Context(), tc.password, tc.encoded); ok || err != nil {
				t.Errorf("got %v, %v", ok, err)
			}
		})
	}
}

const (
	salt16 = "AAECAwQFBgcICQoLDA0ODw"
	tag32  = "CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc"
)

func ofBytes(n int) string { return base64.RawStdEncoding.EncodeToString(make([]byte, n)) }

func TestCheckEncodedRefusesBeforeComputing(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ name, encoded, why string }{
		{"nothing", "", "form"},
		{"plain text", "hunter2hunter2hunter2", "form"},
		{"a dollar", "$", "form"},
		{"dollars", "$$$$$$", "kind"},
		{"something in front", "x$argon2id$v=19$m=19456,t=2,p=1$" + salt16 + "$" + tag32, "form"},
		{"a mebibyte", "$argon2id$" + strings.Repeat("$", 1<<20), "longer than 512"},
		{"MD5-crypt", "$1$saltsalt$qjXMvbEw8oaL.CzflDtaK/", "kind"},
		{"argon2d", "$argon2d$v=19$m=19456,t=2,p=1$" + salt16 + "$" + tag32, "kind"},
		{"argon2: of old", "$argon2id$v=16$m=19456,t=2,p=1$" + salt16 + "$" + tag32, "version"},
		{"argon2: without version", "$argon2id$m=19456,t=2,p=1$" + salt16 + "$" + tag32, "form"},
		{"argon2: 4 TiB", "$argon2id$v=19$m=4294967295,t=2,p=1$" + salt16 + "$" + tag32, "m is 4294967295"},
		{"argon2: beyond 64 bits", "$argon2id$v=19$m=99999999999999999999,t=2,p=1$" + salt16 + "$" + tag32, "not a number"},
		{"argon2: 1 GiB and 1 KiB", "$argon2id$v=19$m=1048577,t=1,p=1$" + salt16 + "$" + tag32, "m is 1048577"},
		{"argon2: 1 GiB five times", "$argon2id$v=19$m=1048576,t=5,p=1$" + salt16 + "$" + tag32, "m times t"},
		{"argon2: 65 passes", "$argon2id$v=19$m=64,t=65,p=1$" + salt16 + "$" + tag32, "t is 65"},
		{"argon2: no pass", "$argon2id$v=19$m=64,t=0,p=1$" + salt16 + "$" + tag32, "t is 0"},
		{"argon2: 65 lanes", "$argon2id$v=19$m=19456,t=2,p=65$" + salt16 + "$" + tag32, "p is 65"},
		{"argon2: no lane", "$argon2id$v=19$m=19456,t=2,p=0$" + salt16 + "$" + tag32, "p is 0"},
		{"argon2: 256 lanes, 0 in a byte", "$argon2id$v=19$m=19456,t=2,p=256$" + salt16 + "$" + tag32, "p is 256"},
		{"argon2: too little memory for its lanes", "$argon2id$v=19$m=15,t=2,p=2$" + salt16 + "$" + tag32, "m is 15"},
		{"argon2: a sign", "$argon2id$v=19$m=+19456,t=2,p=1$" + salt16 + "$" + tag32, "not a number"},
		{"argon2: a negative", "$argon2id$v=19$m=19456,t=-2,p=1$" + salt16 + "$" + tag32, "not a number"},
		{"argon2: a leading zero", "$argon2id$v=19$m=19456,t=02,p=1$" + salt16 + "$" + tag32, "not a number"},
		{"argon2: no number", "$argon2id$v=19$m=,t=2,p=1$" + salt16 + "$" + tag32, "not a number"},
		{"argon2: another order", "$argon2id$v=19$t=2,m=19456,p=1$" + salt16 + "$" + tag32, "parameters"},
		{"argon2: one more parameter", "$argon2id$v=19$m=19456,t=2,p=1,keyid=AA$" + salt16 + "$" + tag32, "parameters"},
		{"argon2: a parameter twice", "$argon2id$v=19$m=19456,m=19456,p=1$" + salt16 + "$" + tag32, "parameters"},
		{"argon2: padding", "$argon2id$v=19$m=19456,t=2,p=1$" + salt16 + "==$" + tag32, "salt is not"},
		{"argon2: a line break", "$argon2id$v=19$m=19456,t=2,p=1$" + salt16 + "$" + tag32 + "\n", "line break"},
		{"argon2: loose bits", "$argon2id$v=19$m=19456,t=2,p=1$" + salt16[:21] + "x$" + tag32, "salt is not"},
		{"argon2: a short salt", "$argon2id$v=19$m=19456,t=2,p=1$" + ofBytes(7) + "$" + tag32, "salt has 7"},
		{"argon2: a long salt", "$argon2id$v=19$m=19456,t=2,p=1$" + ofBytes(65) + "$" + tag32, "salt has 65"},
		{"argon2: a short tag", "$argon2id$v=19$m=19456,t=2,p=1$" + salt16 + "$" + ofBytes(15), "last part has 15"},
		{"argon2: a long tag", "$argon2id$v=19$m=19456,t=2,p=1$" + salt16 + "$" + ofBytes(65), "last part has 65"},
		{"argon2: no tag", "$argon2id$v=19$m=19456,t=2,p=1$" + salt16 + "$", "last part has 0"},
		{"argon2: one part more", "$argon2id$v=19$m=19456,t=2,p=1$" + salt16 + "$" + tag32 + "$", "form"},
		{"bcrypt: 2^17", "$2b$17$abcdefghijklmnopqrstuu7EJV7kdjBBQxyb0HjTh9KS7.Lah/6CG", "cost is 17"},
		{"bcrypt: 2^31", "$2b$31$abcdefghijklmnopqrstuu7EJV7kdjBBQxyb0HjTh9KS7.Lah/6CG", "cost is 31"},
		{"bcrypt: 2^3", "$2b$03$abcdefghijklmnopqrstuu7EJV7kdjBBQxyb0HjTh9KS7.Lah/6CG", "cost is 3"},
		{"bcrypt: 2^0", "$2b$00$abcdefghijklmnopqrstuu7EJV7kdjBBQxyb0HjTh9KS7.Lah/6CG", "cost is 0"},
		{"bcrypt: a sign", "$2b$+4$abcdefghijklmnopqrstuu7EJV7kdjBBQxyb0HjTh9KS7.Lah/6CG", "not a number"},
		{"bcrypt: the variant with the fault", "$2x$04$abcdefghijklmnopqrstuu7EJV7kdjBBQxyb0HjTh9KS7.Lah/6CG", "kind"},
		{"bcrypt: a character less", "$2b$04$abcdefghijklmnopqrstuu7EJV7kdjBBQxyb0HjTh9KS7.Lah/6C", "form"},
		{"bcrypt: a character more", "$2b$04$abcdefghijklmnopqrstuu7EJV7kdjBBQxyb0HjTh9KS7.Lah/6CGG", "form"},
		{"bcrypt: a wrong character inside", "$2b$04$abcdefghijklmnopq+stuu7EJV7kdjBBQxyb0HjTh9KS7.Lah/6CG", "form"},
		{"scrypt: 2^63", "$scrypt$ln=63,r=8,p=1$" + salt16 + "$" + tag32, "ln is 63"},
		{"scrypt: 2 GiB", "$scrypt$ln=20,r=16,p=1$" + salt16 + "$" + tag32, "memory or work"},
		{"scrypt: 1 GiB five times", "$scrypt$ln=20,r=8,p=5$" + salt16 + "$" + tag32, "memory or work"},
		{"scrypt: wide blocks", "$scrypt$ln=4,r=1073741824,p=1$" + salt16 + "$" + tag32, "r is 1073741824"},
		{"scrypt: many lanes", "$scrypt$ln=4,r=8,p=65$" + salt16 + "$" + tag32, "p is 65"},
		{"scrypt: one part less", "$scrypt$ln=4,r=8,p=1$" + salt16, "form"},
		{"scrypt: a short tag", "$scrypt$ln=4,r=8,p=1$" + salt16 + "$" + ofBytes(8), "last part has 8"},
		{"PBKDF2: too few", "$pbkdf2-sha256$999$" + salt16 + "$" + tag32, "iterations is 999"},
		{"PBKDF2: too many", "$pbkdf2-sha256$5000001$" + salt16 + "$" + tag32, "iterations is 5000001"},
		{"PBKDF2: SHA-1", "$pbkdf2$131000$" + salt16 + "$" + tag32, "kind"},
		{"PBKDF2: one part less", "$pbkdf2-sha512$29000$" + salt16, "form"},
		{"PBKDF2: a short salt", "$pbkdf2-sha512$29000$" + ofBytes(4) + "$" + tag32, "salt has 4"},
		{"SHA-crypt: too many", "$6$rounds=999999999$saltstring$" + strings.Repeat("a", 86), "rounds is 999999999"},
		{"SHA-crypt: too few", "$6$rounds=999$saltstring$" + strings.Repeat("a", 86), "rounds is 999"},
		{"SHA-crypt: rounds and nothing else", "$6$rounds=5000", "form"},
		{"SHA-crypt: no salt", "$5$$" + strings.Repeat("a", 43), "salt has 0"},
		{"SHA-crypt: a long salt", "$5$" + strings.Repeat("a", 17) + "$" + strings.Repeat("a", 43), "salt has 17"},
		{"SHA-crypt: the other's length", "$5$saltstring$" + strings.Repeat("a", 86), "form"},
		{"SHA-crypt: a wrong character", "$5$salt=string$" + strings.Repeat("a", 43), "form"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			err := password.CheckEncoded(tc.encoded)
			e, ok := errors.AsType[*reset.Error](err)
			if !ok || e.Kind != reset.Invalid || !strings.Contains(e.Message, tc.why) {
				t.Fatalf("got %v, want an Invalid error with %q", err, tc.why)
			}
			if len(tc.encoded) > 20 && strings.Contains(err.Error(), tc.encoded[len(tc.encoded)-16:]) {
				t.Error("the error repeats the hash")
			}
			_, err = password.CheapHasher().Verify(t.Context(), "a bird in the hand", tc.encoded)
			if got := reset.AsError(err); got.Kind != reset.Internal {
				t.Errorf("Verify answers %v, want an Internal error", err)
			}
		})
	}
}

func TestCheckEncodedTakesWhatIsJustWithinBounds(t *testing.T) {
	t.Parallel()
	for _, encoded := range []string{
		"$argon2id$v=19$m=1048576,t=4,p=1$" + salt16 + "$" + tag32, // libsodium's "sensitive"
		"$argon2i$v=19$m=65536,t=64,p=64$" + ofBytes(64) + "$" + ofBytes(64),
		"$argon2id$v=19$m=8,t=1,p=1$" + ofBytes(8) + "$" + ofBytes(16),
		"$2y$16$abcdefghijklmnopqrstuu7EJV7kdjBBQxyb0HjTh9KS7.Lah/6CG",
		"$scrypt$ln=20,r=8,p=4$" + salt16 + "$" + tag32,
		"$scrypt$ln=17,r=64,p=1$" + salt16 + "$" + tag32,
		"$pbkdf2-sha512$5000000$" + salt16 + "$" + tag32,
		"$6$rounds=2000000$saltstring$" + strings.Repeat("a", 86),
	} {
		if err := password.CheckEncoded(encoded); err != nil {
			t.Errorf("%s: %v", encoded, err)
		}
	}
}

// A long password must not buy a long computation: SHA-crypt's grows with its square.
func TestSHACryptRefusesOverlongPasswords(t *testing.T) {
	t.Parallel()
	const encoded = "$6$rounds=1000$saltstring$T9e9fCjdi1f5jfwEc5ZPJcKHt/JhWff260y6AJadCUTMoyIlvl4Zmnih5r3o2.tBnJ418RviEOd6fKahg3jhc/"
	if ok, err := password.CheapHasher().Verify(t.Context(), strings.Repeat("x", 1<<20), encoded); ok || err != nil {
		t.Errorf("got %v, %v", ok, err)
	}
}
