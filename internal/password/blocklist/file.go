package blocklist

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"sync"
	"sync/atomic"

	"github.com/sparekey/sparekey/internal/password"
)

// File is a list in a file. It is safe for concurrent use. All it keeps in memory is the
// table, 32 KiB. It implements password.List.
//
// A file that is replaced by Build, or by anything else that renames, goes on
// being read as it was; the new one is for the next process.
type File struct {
	path string

	mu   sync.Mutex // opening
	open atomic.Pointer[opened]
}

// opened is a File that was opened.
type opened struct {
	file  *os.File
	rows  []row
	keys  uint64
	sound []atomic.Bool // of each shard: whether its CRC was seen to be right
}

var _ password.List = (*File)(nil)

// At returns the list at a path. It is opened when it is first needed, so that a
// command that checks no password can do without it.
func At(path string) *File { return &File{path: path} }

// Close closes it, if it was opened. Nothing may use it any more.
func (f *File) Close() error {
	if o := f.open.Swap(nil); o != nil {
		return o.file.Close()
	}
	return nil
}

// Has implements password.List. A shard that is read for the first time is
// checked as a whole first: a damaged one is an error, never an answer.
func (f *File) Has(ctx context.Context, d password.Digest) (bool, error) {
	o, err := f.opened()
	if err != nil {
		return false, err
	}
	key := keyOf(d)
	shard := shardOf(key)
	r := o.rows[shard]
	if r.keys == 0 {
		return false, nil
	}
	if err := o.check(ctx, shard); err != nil {
		return false, f.fault(err)
	}
	fingerprint, places := r.probe(key)
	for _, place := range places {
		var b [fingerprintBits / 8]byte
		if _, err := o.file.ReadAt(b[:], int64(r.offset+place*uint64(len(b)))); err != nil { //nolint:gosec // within the file, see decodeTable
			return false, f.fault(err)
		}
		fingerprint ^= binary.LittleEndian.Uint16(b[:])
	}
	return fingerprint == 0, nil
}

// Verify reads all of the file and says whether it is as it was built, and how
// many passwords it has. A billion take some seconds.
func (f *File) Verify(ctx context.Context) (passwords uint64, err error) {
	o, err := f.opened()
	if err != nil {
		return 0, err
	}
	for shard := range o.rows {
		if err := o.check(ctx, shard); err != nil {
			return 0, f.fault(err)
		}
	}
	return o.keys, nil
}

// fault names the file.
func (f *File) fault(err error) error {
	if _, named := errors.AsType[*os.PathError](err); named {
		return err
	}
	return fmt.Errorf("%s %w", f.path, err)
}

func (f *File) opened() (*opened, error) {
	if o := f.open.Load(); o != nil {
		return o, nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if o := f.open.Load(); o != nil {
		return o, nil
	}
	o, err := openFile(f.path)
	if err != nil {
		return nil, f.fault(err)
	}
	f.open.Store(o)
	return o, nil
}

func openFile(path string) (o *opened, err error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, file.Close())
		}
	}()
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, errForeign
	}
	head, err := io.ReadAll(io.LimitReader(file, dataStart))
	if err != nil {
		return nil, err
	}
	rows, keys, err := decodeTable(head, info.Size())
	if err != nil {
		return nil, err
	}
	return &opened{file: file, rows: rows, keys: keys, sound: make([]atomic.Bool, shards)}, nil
}

// check reads a shard, unless it was, and compares its CRC. Two callers may do so at once; both find the same.
func (o *opened) check(ctx context.Context, shard int) error {
	if o.sound[shard].Load() {
		return nil
	}
	r := o.rows[shard]
	crc := crc32.New(castagnoli)
	in := io.NewSectionReader(o.file, int64(r.offset), int64(r.size())) //nolint:gosec // within the file, see decodeTable
	buffer := make([]byte, 64<<10)
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		n, err := in.Read(buffer)
		_, _ = crc.Write(buffer[:n]) // never fails
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
	}
	if crc.Sum32() != r.crc {
		return errDamaged
	}
	o.sound[shard].Store(true)
	return nil
}
