package blocklist_test

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/FastFilter/xorfilter"
	"go.uber.org/goleak"

	"github.com/sparekey/sparekey/internal/password"
	"github.com/sparekey/sparekey/internal/password/blocklist"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// build makes a list of a text in a folder of its own and returns its path.
func build(t testing.TB, text string, least uint64) (path string, built blocklist.Built) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "list")
	built, err := blocklist.Build(t.Context(), strings.NewReader(text), blocklist.BuildOptions{Name: "hashes.txt", Out: path, MinCount: least})
	must(t, err)
	return path, built
}

func open(t testing.TB, path string) *blocklist.File {
	t.Helper()
	f := blocklist.At(path)
	t.Cleanup(func() { must(t, f.Close()) })
	return f
}

func has(t testing.TB, f *blocklist.File, p string) bool {
	t.Helper()
	ok, err := f.Has(t.Context(), password.DigestOf(p))
	must(t, err)
	return ok
}

// hashOf is a password's hash as it is published.
func hashOf(p string) string {
	d := password.DigestOf(p)
	return strings.ToUpper(hex.EncodeToString(d[:]))
}

// random returns n digests, always the same.
func random(n int) []password.Digest {
	r := rand.New(rand.NewPCG(1, 2))
	list := make([]password.Digest, n)
	for i := range list {
		for j := 0; j < 16; j += 8 {
			binary.BigEndian.PutUint64(list[i][j:], r.Uint64())
		}
	}
	return list
}

// TestListHasItsPasswordsAndFewOthers: every one of the list, and of others 1 in 65,536.
func TestListHasItsPasswordsAndFewOthers(t *testing.T) {
	t.Parallel()
	const listed, others = 60_000, 400_000
	digests := random(listed + others)
	var text strings.Builder
	for _, d := range digests[:listed] {
		fmt.Fprintf(&text, "%x:1\n", d)
	}
	path, built := build(t, text.String(), 0)
	info, err := os.Stat(path)
	must(t, err)
	if built.Lines != listed || built.Passwords != listed || built.Bytes != uint64(info.Size()) || info.Mode().Perm() != 0o644 {
		t.Errorf("built %+v, the file has %d bytes and mode %v", built, info.Size(), info.Mode())
	}
	f := open(t, path)
	if n, err := f.Verify(t.Context()); err != nil || n != listed {
		t.Errorf("Verify: %d, %v", n, err)
	}
	wrong := 0
	for i, d := range digests {
		ok, err := f.Has(t.Context(), d)
		must(t, err)
		if i < listed && !ok {
			t.Fatalf("the list lacks its digest %d", i)
		}
		if i >= listed && ok {
			wrong++
		}
	}
	if wrong > 4*others/65536 {
		t.Errorf("%d of %d others are taken for listed ones", wrong, others)
	}
}

// TestProbeIsXorfilters over the sizes where segments change, small ones, and
// those that other implementations fail to build (xor_singleheader #77).
func TestProbeIsXorfilters(t *testing.T) {
	t.Parallel()
	sizes := []int{11479, 11480, 11500, 11504, 11521, 11522, 65536, 200_000}
	for n := range 260 {
		sizes = append(sizes, n+1)
	}
	for _, n := range sizes {
		r := rand.New(rand.NewPCG(uint64(n), 3))
		keys := make([]uint64, n)
		for i := range keys {
			keys[i] = r.Uint64()
		}
		filter, err := xorfilter.NewBinaryFuse[uint16](keys)
		if err != nil {
			t.Errorf("%d keys: %v", n, err)
			continue
		}
		for i := range 2*n + 1000 {
			key := r.Uint64()
			if i < n {
				key = keys[i]
			}
			got, err := blocklist.Probe(*filter, key)
			must(t, err)
			if want := filter.Contains(key); got != want || i < n && !want {
				t.Fatalf("of %d keys, %x: got %v, xorfilter says %v", n, key, got, want)
			}
		}
	}
}

// TestManyKeysOfOneShard go by the disk, in several chunks, and come back.
func TestManyKeysOfOneShard(t *testing.T) {
	t.Parallel()
	const listed = 3*blocklist.ChunkKeys + 7
	digests := random(listed)
	var text strings.Builder
	for _, d := range digests {
		d[0], d[1] = 0xff, d[1]|0xc0
		fmt.Fprintf(&text, "%X:2\r\n", d)
		if d[2] < 16 { // some twice
			fmt.Fprintf(&text, "%x:1\n", d)
		}
	}
	path, built := build(t, text.String(), 0)
	if built.Passwords != listed || built.Lines <= listed {
		t.Errorf("built %+v, want %d passwords of more lines", built, listed)
	}
	f := open(t, path)
	for _, d := range digests {
		d[0], d[1] = 0xff, d[1]|0xc0
		if ok, err := f.Has(t.Context(), d); err != nil || !ok {
			t.Fatalf("%x: %v, %v", d, ok, err)
		}
	}
	if err := blocklist.Overfill(t.TempDir()); !errors.Is(err, blocklist.ErrUneven) {
		t.Errorf("more than %d keys in one shard: %v", blocklist.ShardSize, err)
	}
}

func TestFormsOfLines(t *testing.T) {
	t.Parallel()
	one, two := hashOf("one"), hashOf("two")
	for _, tc := range []struct {
		name, text string
		least      uint64
		want       []string
	}{
		{"upper case, as published", one + ":17\r\n" + two + ":3\r\n", 0, []string{"one", "two"}},
		{"lower case", strings.ToLower(one+":17\n"+two) + ":3\n", 0, []string{"one", "two"}},
		{"without a line break at the end", one + ":17\n" + two + ":3", 0, []string{"one", "two"}},
		{"without counts", one + "\n" + two + "\n", 0, []string{"one", "two"}},
		{"with empty lines, spaces and a byte order mark", "\xef\xbb\xbf\r\n " + one + " : 17 \n\n\n" + two + ":3\n\n", 0, []string{"one", "two"}},
		{"twice", one + ":17\n" + one + ":17\n" + two + ":3\n" + one + ":17\n", 0, []string{"one", "two"}},
		{"seen often enough", one + ":17\n" + two + ":3\n", 17, []string{"one"}},
		{"a line without a count was seen once", one + "\n" + two + ":2\n", 2, []string{"two"}},
		{"padding", one + ":0\n" + two + ":1\n", 0, []string{"two"}},
		{"nothing seen often enough", one + ":1\n" + two + ":1\n", 5, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			path, built := build(t, tc.text, tc.least)
			f := open(t, path)
			for _, p := range []string{"one", "two", "three"} {
				if got, want := has(t, f, p), strings.Contains(strings.Join(tc.want, " "), p); got != want {
					t.Errorf("it has %q: %v, want %v", p, got, want)
				}
			}
			if built.Passwords != uint64(len(tc.want)) {
				t.Errorf("built %+v", built)
			}
		})
	}
}

// TestBadLines are told with file and line and never repeated; what was there stays, and nothing else is left.
func TestBadLines(t *testing.T) {
	t.Parallel()
	good := hashOf("one") + ":17\n"
	for _, tc := range []struct{ name, text, want string }{
		{"no hash", good + good + "letmein\n", "hashes.txt, line 3: is no SHA-1; write the SHA-1 of a password in 40 hexadecimal digits"},
		{"a hash and a letter", good + "X" + good, "line 2: is no SHA-1"},
		{"no hexadecimal digits", good + strings.Repeat("g", 40) + ":1\n", "line 2: is no SHA-1"},
		{"an NTLM hash", good[:32] + ":1\n", "line 1: has 32 hexadecimal digits, as lists of NTLM or MD5 hashes have"},
		{"no count", good + hashOf("two") + ":\n", "line 2: has no number after its colon"},
		{"a count that is none", good + hashOf("two") + ":many\n", "line 2: has no number after its colon"},
		{"a count below nothing", hashOf("two") + ":-1\n", "line 1: has no number after its colon"},
		{"a long line", good + strings.Repeat("a", 5000) + "\n", "line 2: is too long"},
		{"a line without end", good + strings.Repeat("a", 3<<20), "line 2: is too long"},
		{"UTF-16", "\xff\xfeA\x00", "line 1: is UTF-16"},
		{"gzip", "\x1f\x8b\x08\x00", "line 1: is packed with gzip; unpack it first"},
		{"7-Zip", "7z\xbc\xaf\x27\x1c", "line 1: is packed with 7-Zip"},
		{"ZIP", "PK\x03\x04", "line 1: is packed with ZIP"},
		{"a list that is built", "\x89SPKL\r\n\x1a", "line 1: is a list that was built already"},
		{"nothing", "", "hashes.txt has no line with a hash"},
		{"empty lines", "\n\r\n\n", "hashes.txt has no line with a hash"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			path, _ := build(t, good, 0)
			_, err := blocklist.Build(t.Context(), strings.NewReader(tc.text), blocklist.BuildOptions{Name: "hashes.txt", Out: path})
			if err == nil || !strings.Contains(err.Error(), tc.want) || strings.Contains(err.Error(), "letmein") {
				t.Errorf("got %v, want %q", err, tc.want)
			}
			alone(t, path)
			if !has(t, open(t, path), "one") {
				t.Error("the list that was there is gone")
			}
		})
	}
}

// alone checks that a folder has one file.
func alone(t *testing.T, path string) {
	t.Helper()
	entries, err := os.ReadDir(filepath.Dir(path))
	must(t, err)
	if len(entries) != 1 || entries[0].Name() != filepath.Base(path) {
		t.Errorf("left behind: %v", entries)
	}
}

// endless is lines without end, until it is told to give up.
type endless struct {
	line []byte
	n    int
	stop func()
}

func (e *endless) Read(b []byte) (int, error) {
	n := copy(b, e.line[e.n%len(e.line):])
	if e.n += n; e.n > 8<<20 {
		e.stop()
	}
	return n, nil
}

func TestGivingUpLeavesNothing(t *testing.T) {
	t.Parallel()
	path, _ := build(t, hashOf("one"), 0)
	ctx, cancel := context.WithCancel(t.Context())
	_, err := blocklist.Build(ctx, &endless{line: []byte(hashOf("two") + "\n"), stop: cancel}, blocklist.BuildOptions{Name: "-", Out: path})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("while reading: %v", err)
	}
	ctx, cancel = context.WithCancel(t.Context())
	o := blocklist.BuildOptions{Name: "-", Out: path, Shard: func(done, _ int) {
		if done == 500 {
			cancel()
		}
	}}
	if _, err := blocklist.Build(ctx, strings.NewReader(hashOf("two")), o); !errors.Is(err, context.Canceled) {
		t.Errorf("while building: %v", err)
	}
	alone(t, path)
	if f := open(t, path); !has(t, f, "one") || has(t, f, "two") {
		t.Error("the list that was there was changed")
	}
}

// TestWhatIsNoListIsRefused: foreign, cut short, damaged anywhere, or of another version.
func TestWhatIsNoListIsRefused(t *testing.T) {
	t.Parallel()
	var text strings.Builder
	for _, d := range random(20_000) {
		fmt.Fprintf(&text, "%x\n", d)
	}
	path, _ := build(t, text.String(), 0)
	whole, err := os.ReadFile(path)
	must(t, err)
	flip := func(at int) []byte {
		b := append([]byte(nil), whole...)
		b[at] ^= 0x10
		return b
	}
	type bad struct {
		name  string
		bytes []byte
		want  error
	}
	list := []bad{
		{"nothing", nil, blocklist.ErrForeign},
		{"a text", []byte(text.String()), blocklist.ErrForeign},
		{"line breaks turned round", []byte(strings.ReplaceAll(string(whole), "\r\n", "\n")), blocklist.ErrForeign},
		{"one byte more", append(append([]byte(nil), whole...), 0), blocklist.ErrDamaged},
	}
	for _, n := range []int{8, blocklist.HeaderSize - 1, blocklist.HeaderSize, blocklist.DataStart - 1, blocklist.DataStart, len(whole) / 2, len(whole) - 1} {
		list = append(list, bad{fmt.Sprintf("the first %d bytes", n), whole[:n], blocklist.ErrTruncated})
	}
	for at := 8; at < len(whole); {
		list = append(list, bad{fmt.Sprintf("bit of byte %d", at), flip(at), blocklist.ErrDamaged})
		switch {
		case at < blocklist.HeaderSize+2*blocklist.RowSize:
			at++
		default:
			at += 3001
		}
	}
	list = append(list, bad{"the last bit", flip(len(whole) - 1), blocklist.ErrDamaged})
	dir := t.TempDir()
	for i, b := range list {
		path := filepath.Join(dir, fmt.Sprint(i))
		must(t, os.WriteFile(path, b.bytes, 0o600))
		f := open(t, path)
		if _, err := f.Verify(t.Context()); !errors.Is(err, b.want) || !strings.HasPrefix(err.Error(), path+" ") {
			t.Errorf("%s: got %v, want %v with the path", b.name, err, b.want)
		}
	}

	if _, err := open(t, dir).Verify(t.Context()); !errors.Is(err, blocklist.ErrForeign) {
		t.Errorf("a folder: %v", err)
	}
	if _, err := open(t, filepath.Join(dir, "none")).Verify(t.Context()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
}

// TestDamagedShardIsNoAnswer, even if nobody has verified the file, and the others still answer.
func TestDamagedShardIsNoAnswer(t *testing.T) {
	t.Parallel()
	digests := random(20_000)
	var text strings.Builder
	for _, d := range digests {
		fmt.Fprintf(&text, "%x\n", d)
	}
	path, _ := build(t, text.String(), 0)
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	must(t, err)
	_, err = file.WriteAt([]byte{0xa5, 0x5a, 0xa5}, blocklist.DataStart+3) // in the first shard
	must(t, err)
	must(t, file.Close())
	f := open(t, path)
	for _, d := range digests {
		first := binary.BigEndian.Uint16(d[:])>>6 == 0
		ok, err := f.Has(t.Context(), d)
		if first && !errors.Is(err, blocklist.ErrDamaged) || !first && (err != nil || !ok) {
			t.Fatalf("%x: %v, %v", d, ok, err)
		}
	}
}

// TestReplacedWhileRead: whoever has the old list open goes on reading it.
func TestReplacedWhileRead(t *testing.T) {
	t.Parallel()
	path, _ := build(t, hashOf("one"), 0)
	f := open(t, path)
	if !has(t, f, "one") {
		t.Fatal("the list lacks its password")
	}
	_, err := blocklist.Build(t.Context(), strings.NewReader(hashOf("two")), blocklist.BuildOptions{Name: "-", Out: path})
	must(t, err)
	if !has(t, f, "one") || has(t, f, "two") {
		t.Error("the old list answers with the new one")
	}
	if f := open(t, path); has(t, f, "one") || !has(t, f, "two") {
		t.Error("the new list answers with the old one")
	}
}

func TestManyAskAtOnce(t *testing.T) {
	t.Parallel()
	path, _ := build(t, hashOf("one")+"\n"+hashOf("two"), 0)
	f := open(t, path)
	var wg sync.WaitGroup
	for range 32 {
		wg.Go(func() {
			if !has(t, f, "one") || !has(t, f, "two") || has(t, f, "three") {
				t.Error("a wrong answer")
			}
		})
	}
	wg.Wait()
}

func FuzzFile(f *testing.F) {
	path, _ := build(f, hashOf("one")+"\n"+hashOf("two"), 0)
	whole, err := os.ReadFile(path)
	must(f, err)
	f.Add(whole)
	f.Add(whole[:blocklist.DataStart])
	f.Add(whole[:100])
	f.Fuzz(func(t *testing.T, b []byte) {
		path := filepath.Join(t.TempDir(), "list")
		must(t, os.WriteFile(path, b, 0o600))
		file := open(t, path)
		_, verified := file.Verify(t.Context())
		for i := range 64 {
			if _, err := file.Has(t.Context(), password.Digest{byte(4 * i), byte(i)}); err != nil && verified == nil {
				t.Errorf("verified, and then: %v", err)
			}
		}
	})
}

func FuzzLines(f *testing.F) {
	for _, s := range []string{hashOf("one") + ":17\r\n" + strings.ToLower(hashOf("two")), "letmein", "\xef\xbb\xbf\n:\n", ":1", strings.Repeat("a", 40) + ":18446744073709551616"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		out := filepath.Join(t.TempDir(), "list")
		built, err := blocklist.Build(t.Context(), strings.NewReader(text), blocklist.BuildOptions{Name: "-", Out: out})
		if err == nil && (built.Lines == 0 || built.Passwords > built.Lines) {
			t.Errorf("built %+v", built)
		}
		if err != nil && built.Passwords != 0 {
			t.Errorf("failed with %v and built %+v", err, built)
		}
	})
}
