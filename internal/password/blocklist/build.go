package blocklist

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"

	"github.com/FastFilter/xorfilter"

	"github.com/sparekey/sparekey/internal/password"
)

// BuildOptions say what to build.
type BuildOptions struct {
	// Name is what errors call the input.
	Name string
	// Out is the path of the list. What is there is replaced when the new one is complete and on the disk.
	Out string
	// MinCount leaves out what was seen less often; a line without a count was seen once.
	MinCount uint64
	// Shard is told, if not nil, after each shard how many of the shards are built.
	Shard func(done, all int)
}

// Built says what was built.
type Built struct {
	Lines     uint64 // lines with a hash
	Passwords uint64 // different ones that were seen often enough
	Bytes     uint64 // size of the list
}

// Build reads lines of hashes, as they are published, from in, in any order,
// and makes a list of them. Its memory is bounded by the biggest shard, about
// 50 bytes for each of its keys, and 100 MB besides; its temporary file, in the
// folder of Out, takes eight bytes a line.
func Build(ctx context.Context, in io.Reader, o BuildOptions) (built Built, err error) {
	s, err := newSpill(filepath.Dir(o.Out))
	if err != nil {
		return built, err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	err = readLines(ctx, o.Name, in, func(d password.Digest, count uint64) error {
		built.Lines++
		// A count of 0 is padding, which the range service sends.
		if count == 0 || count < o.MinCount {
			return nil
		}
		return s.add(keyOf(d))
	})
	if err != nil {
		return built, err
	}
	if built.Lines == 0 {
		return built, fmt.Errorf("%s has no line with a hash", o.Name)
	}
	err = replace(o.Out, func(out *os.File) (err error) {
		built.Passwords, built.Bytes, err = writeShards(ctx, out, s, o.Shard)
		return err
	})
	return built, err
}

// replace makes a file and puts it in the place of another once it is complete
// and on the disk. Everybody may read it: what it holds was published.
func replace(path string, write func(*os.File) error) error {
	dir := filepath.Dir(path)
	f, err := os.CreateTemp(dir, ".sparekey-*.list")
	if err != nil {
		return err
	}
	if err = write(f); err == nil {
		err = errors.Join(f.Chmod(0o644), f.Sync())
	}
	err = errors.Join(err, f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return syncDir(dir)
}

// syncDir makes a rename durable.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// writeShards builds shard after shard, and writes the table last.
func writeShards(ctx context.Context, out *os.File, s *spill, told func(done, all int)) (keys, size uint64, err error) {
	if _, err := out.Seek(dataStart, io.SeekStart); err != nil {
		return 0, 0, err
	}
	w := bufio.NewWriterSize(out, 1<<20)
	var (
		builder xorfilter.BinaryFuseBuilder
		list    []uint64
	)
	rows := make([]row, shards)
	size = dataStart
	for i := range rows {
		if ctx.Err() != nil {
			return 0, 0, context.Cause(ctx)
		}
		if list, err = s.keys(i, list); err != nil {
			return 0, 0, err
		}
		if rows[i], err = writeShard(w, &builder, list, size); err != nil {
			return 0, 0, err
		}
		size += rows[i].size()
		keys += uint64(len(list))
		if told != nil {
			told(i+1, shards)
		}
	}
	if err := w.Flush(); err != nil {
		return 0, 0, err
	}
	_, err = out.WriteAt(encodeTable(rows), 0)
	return keys, size, err
}

// writeShard builds a filter of keys that are sorted and each there once:
// xorfilter fails on many that are there twice (FastFilter/xorfilter #30).
func writeShard(w io.Writer, builder *xorfilter.BinaryFuseBuilder, keys []uint64, offset uint64) (row, error) {
	if len(keys) == 0 {
		return row{offset: offset}, nil
	}
	filter, err := xorfilter.BuildBinaryFuse[uint16](builder, keys)
	if err != nil {
		return row{}, fmt.Errorf("build a filter of %d keys: %w", len(keys), err)
	}
	crc := crc32.New(castagnoli)
	both := io.MultiWriter(w, crc)
	buffer := make([]byte, 0, 64<<10)
	for i, fingerprint := range filter.Fingerprints {
		buffer = binary.LittleEndian.AppendUint16(buffer, fingerprint)
		if len(buffer) == cap(buffer) || i == len(filter.Fingerprints)-1 {
			if _, err := both.Write(buffer); err != nil {
				return row{}, err
			}
			buffer = buffer[:0]
		}
	}
	return rowOf(filter, len(keys), offset, crc.Sum32())
}
