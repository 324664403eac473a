package blocklist

import "github.com/FastFilter/xorfilter"

// What tests of the format need to know.
const (
	DataStart  = dataStart
	HeaderSize = headerSize
	RowSize    = rowSize
	ShardSize  = mostKeys
	ChunkKeys  = chunkKeys
)

var (
	ErrForeign   = errForeign
	ErrTruncated = errTruncated
	ErrDamaged   = errDamaged
	ErrUneven    = errUneven
)

// Probe says whether a filter has a key, by its row and its fingerprints.
func Probe(f xorfilter.BinaryFuse[uint16], key uint64) (bool, error) {
	r, err := rowOf(f, 1, 0, 0)
	if err != nil {
		return false, err
	}
	fingerprint, places := r.probe(key)
	for _, p := range places {
		fingerprint ^= f.Fingerprints[p]
	}
	return fingerprint == 0, nil
}

// Overfill adds keys to a shard that is as full as may be.
func Overfill(dir string) (err error) {
	s, err := newSpill(dir)
	if err != nil {
		return err
	}
	defer func() { _ = s.close() }()
	s.chunks[0] = make([]int64, mostKeys/chunkKeys)
	for range chunkKeys {
		if err := s.add(1); err != nil {
			return err
		}
	}
	return nil
}
