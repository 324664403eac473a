package blocklist

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
)

const (
	keySize = 8
	// chunkKeys is how many keys of a shard are written at once: together 32 MiB are held back.
	chunkKeys = 32 << 10 / keySize
)

// spill sorts keys into shards on disk: one temporary file, to which each shard
// adds a chunk whenever its buffer is full. Eight bytes a key.
type spill struct {
	file    *os.File
	end     int64
	buffers [shards][]byte
	chunks  [shards][]int64 // where they begin; all but what is still in the buffer is full
}

// newSpill makes the file in a folder. Its name is removed at once where the
// system allows that, so that it ends with the process.
func newSpill(dir string) (*spill, error) {
	file, err := os.CreateTemp(dir, ".sparekey-*.keys")
	if err != nil {
		return nil, err
	}
	_ = os.Remove(file.Name()) // else close does
	return &spill{file: file}, nil
}

func (s *spill) close() error {
	err := s.file.Close()
	if e := os.Remove(s.file.Name()); e != nil && !errors.Is(e, os.ErrNotExist) {
		err = errors.Join(err, e)
	}
	return err
}

var errUneven = errors.New("far too many hashes begin alike; is this a list of SHA-1 hashes?")

func (s *spill) add(key uint64) error {
	shard := shardOf(key)
	b := s.buffers[shard]
	if b == nil {
		b = make([]byte, 0, chunkKeys*keySize)
	}
	b = binary.LittleEndian.AppendUint64(b, key)
	s.buffers[shard] = b
	if len(b) < cap(b) {
		return nil
	}
	if (len(s.chunks[shard])+1)*chunkKeys > mostKeys {
		return errUneven
	}
	if _, err := s.file.WriteAt(b, s.end); err != nil {
		return fmt.Errorf("write a temporary file in %s: %w", filepath.Dir(s.file.Name()), err)
	}
	s.chunks[shard] = append(s.chunks[shard], s.end)
	s.end += int64(len(b))
	s.buffers[shard] = b[:0]
	return nil
}

// keys returns the keys of a shard, sorted and each once, in a buffer that may be used again.
func (s *spill) keys(shard int, into []uint64) ([]uint64, error) {
	into = into[:0]
	chunk := make([]byte, chunkKeys*keySize)
	for _, at := range s.chunks[shard] {
		if _, err := s.file.ReadAt(chunk, at); err != nil {
			return nil, fmt.Errorf("read back a temporary file: %w", err)
		}
		into = appendKeys(into, chunk)
	}
	into = appendKeys(into, s.buffers[shard])
	s.buffers[shard] = nil
	slices.Sort(into)
	return slices.Compact(into), nil
}

func appendKeys(into []uint64, b []byte) []uint64 {
	for ; len(b) > 0; b = b[keySize:] {
		into = append(into, binary.LittleEndian.Uint64(b))
	}
	return into
}
