package password

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestArgon2HashReadsWhatItWrites(t *testing.T) {
	t.Parallel()
	bytesOf := func(least, most int) *rapid.Generator[[]byte] { return rapid.SliceOfN(rapid.Byte(), least, most) }
	rapid.Check(t, func(t *rapid.T) {
		lanes := rapid.IntRange(1, mostLanes).Draw(t, "lanes")
		passes := rapid.IntRange(1, mostPasses).Draw(t, "passes")
		want := argon2Hash{
			variant: rapid.SampledFrom([]argon2Variant{argon2id, argon2i}).Draw(t, "variant"),
			params: Params{
				MemoryKiB: rapid.IntRange(8*lanes, min(mostMemoryKiB, mostWorkKiB/passes)).Draw(t, "memory"),
				Time:      passes, Parallelism: lanes,
			},
			salt: bytesOf(leastSalt, mostSalt).Draw(t, "salt"),
			tag:  bytesOf(leastTag, mostTag).Draw(t, "tag"),
		}
		got, err := parse(want.String())
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(hash(want), got, cmp.AllowUnexported(argon2Hash{})); diff != "" {
			t.Fatal(diff)
		}
	})
}

// Whatever is read is within bounds, has one spelling alone, and is not
// repeated in an error.
func FuzzCheckEncoded(f *testing.F) {
	for _, seed := range []string{
		"", "$", "$$$$$", "x",
		"$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4",
		"$argon2i$v=19$m=4294967295,t=4294967295,p=255$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4",
		"$argon2id$v=19$m=-1,t=02,p=+1$c29tZXNhbHQ=$nf65EOgLrQMR\n/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4",
		"$2b$04$abcdefghijklmnopqrstuu7EJV7kdjBBQxyb0HjTh9KS7.Lah/6CG",
		"$2b$99$abcdefghijklmnopqrstuu7EJV7kdjBBQxyb0HjTh9KS7.Lah/6CG",
		"$scrypt$ln=10,r=8,p=1$AAECAwQFBgcICQoLDA0ODw$mp90zEQd5XGhjEv4WArVH4Z0XRSzkGWtJK2S/AXJlRU",
		"$pbkdf2-sha256$1000$8PHy8/T19vf4.fr7/P3./w$0A35jjZ8X.jm/Nj9sc4uzmU/RqA2wljSyf5enbVFSOY",
		"$5$rounds=1000$s$GpEjV34AjQr18L10BrMcRwx35g2aOZFgsho2imX.xS0",
		"$6$rounds=$$",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, encoded string) {
		stored, err := parse(encoded)
		if err != nil {
			if len(encoded) > 100 && strings.Contains(err.Error(), encoded) {
				t.Error("the error repeats the hash")
			}
			return
		}
		switch h := stored.(type) {
		case argon2Hash:
			if h.String() != encoded {
				t.Errorf("%q is also spelled %q", encoded, h.String())
			}
			if p := h.params; p.MemoryKiB > 1<<20 || p.Time > 64 || p.Parallelism > 64 || p.MemoryKiB*p.Time > 4<<20 {
				t.Errorf("out of bounds: %+v", p)
			}
		case bcryptHash:
			if string(h) != encoded || len(h) != 60 || h[4:6] > "16" {
				t.Errorf("not bcrypt, or out of bounds: %q", h)
			}
		case scryptHash:
			if uint64(h.block)<<h.log*128 > 1<<30 || uint64(h.block)<<h.log*128*uint64(h.lanes) > 4<<30 {
				t.Errorf("out of bounds: %+v", h)
			}
		case pbkdf2Hash:
			if h.iterations > 5_000_000 || len(h.tag) > 64 {
				t.Errorf("out of bounds: %d iterations", h.iterations)
			}
		case shaHash:
			if h.rounds > 2_000_000 || len(h.salt) > 16 {
				t.Errorf("out of bounds: %d rounds", h.rounds)
			}
		default:
			t.Errorf("nobody knows %T", h)
		}
	})
}
