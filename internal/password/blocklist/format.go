package blocklist

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math/bits"

	"github.com/FastFilter/xorfilter"

	"github.com/sparekey/sparekey/internal/password"
)

const (
	magic   = "\x89SPKL\r\n\x1a" // no text: whoever turns its line breaks round damages it visibly
	version = 1

	shardBits       = 10
	shards          = 1 << shardBits
	fingerprintBits = 16

	headerSize = 48
	rowSize    = 32
	dataStart  = headerSize + shards*rowSize

	// mostKeys is how many keys a shard may have. The SHA-1 of passwords spread
	// evenly, so this is for 17 billion; it bounds the memory of building one.
	mostKeys = 1 << 24
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// keyOf is what filters know a password by: 64 bits of its digest. That two of
// a shard's million agree in them is a matter of one in 10^13.
func keyOf(d password.Digest) uint64 { return binary.BigEndian.Uint64(d[:8]) }

// shardOf is where a key belongs.
func shardOf(key uint64) int { return int(key >> (64 - shardBits)) }

// row is what the table says of a shard.
type row struct {
	offset, seed                  uint64
	keys, segmentLength, segments uint32
	crc                           uint32
}

// fingerprints is how many the shard has: three hashes reach two segments
// further than the first of them.
func (r row) fingerprints() uint64 {
	if r.segments == 0 {
		return 0
	}
	return (uint64(r.segments) + 2) * uint64(r.segmentLength)
}

func (r row) size() uint64 { return r.fingerprints() * fingerprintBits / 8 }

func (r row) append(b []byte) []byte {
	b = binary.LittleEndian.AppendUint64(b, r.offset)
	b = binary.LittleEndian.AppendUint64(b, r.seed)
	for _, v := range []uint32{r.keys, r.segmentLength, r.segments, r.crc} {
		b = binary.LittleEndian.AppendUint32(b, v)
	}
	return b
}

func readRow(b []byte) row {
	return row{
		offset: binary.LittleEndian.Uint64(b), seed: binary.LittleEndian.Uint64(b[8:]),
		keys: binary.LittleEndian.Uint32(b[16:]), segmentLength: binary.LittleEndian.Uint32(b[20:]),
		segments: binary.LittleEndian.Uint32(b[24:]), crc: binary.LittleEndian.Uint32(b[28:]),
	}
}

// rowOf describes a filter.
func rowOf(f xorfilter.BinaryFuse[uint16], keys int, offset uint64, crc uint32) (row, error) {
	r := row{offset: offset, seed: f.Seed, keys: uint32(keys), segmentLength: f.SegmentLength, segments: f.SegmentCount, crc: crc} //nolint:gosec // at most mostKeys
	if r.fingerprints() != uint64(len(f.Fingerprints)) || f.SegmentCountLength != f.SegmentCount*f.SegmentLength || f.SegmentLengthMask != f.SegmentLength-1 {
		return row{}, errors.New("the filter is not of the form that this format knows")
	}
	return r, nil
}

// probe returns the fingerprint of a key in a shard that is not empty, and the
// places of the three that make it up if the shard has the key. It is what
// xorfilter's Contains does, which wants all fingerprints in memory.
func (r row) probe(key uint64) (fingerprint uint16, places [3]uint64) {
	h := key + r.seed // murmur3's finalizer of 64 bits
	h ^= h >> 33
	h *= 0xff51afd7ed558ccd
	h ^= h >> 33
	h *= 0xc4ceb9fe1a85ec53
	h ^= h >> 33
	hi, _ := bits.Mul64(h, uint64(r.segments)*uint64(r.segmentLength))
	length := uint64(r.segmentLength)
	places[0] = hi
	places[1] = (hi + length) ^ h>>18&(length-1)
	places[2] = (hi + 2*length) ^ h&(length-1)
	return uint16(h ^ h>>32), places //nolint:gosec // its lowest bits are the fingerprint
}

// encodeTable returns header and table of a file.
func encodeTable(rows []row) []byte {
	table := make([]byte, 0, shards*rowSize)
	keys := uint64(0)
	for _, r := range rows {
		table = r.append(table)
		keys += uint64(r.keys)
	}
	b := make([]byte, 0, dataStart)
	b = append(b, magic...)
	for _, v := range []uint32{version, fingerprintBits, shards, 0} {
		b = binary.LittleEndian.AppendUint32(b, v)
	}
	b = binary.LittleEndian.AppendUint64(b, keys)
	b = binary.LittleEndian.AppendUint64(b, 0)
	b = binary.LittleEndian.AppendUint32(b, crc32.Checksum(table, castagnoli))
	b = binary.LittleEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
	return append(b, table...)
}

var (
	errForeign   = errors.New("is no list of leaked passwords that sparekey blocklist build made")
	errTruncated = errors.New("is cut short")
	errDamaged   = errors.New("is damaged")
)

// decodeTable reads header and table of a file of that size, and believes nothing in them.
func decodeTable(b []byte, size int64) (rows []row, keys uint64, err error) {
	u32 := func(at int) uint32 { return binary.LittleEndian.Uint32(b[at:]) }
	switch {
	case len(b) < len(magic) || string(b[:len(magic)]) != magic:
		return nil, 0, errForeign
	case len(b) < headerSize:
		return nil, 0, errTruncated
	case u32(44) != crc32.Checksum(b[:44], castagnoli):
		return nil, 0, errDamaged
	case u32(8) != version:
		return nil, 0, fmt.Errorf("has version %d of the format, and this build knows version %d", u32(8), version)
	case u32(12) != fingerprintBits || u32(16) != shards:
		return nil, 0, errDamaged
	case len(b) < dataStart:
		return nil, 0, errTruncated
	case u32(40) != crc32.Checksum(b[headerSize:dataStart], castagnoli):
		return nil, 0, errDamaged
	}
	end := uint64(dataStart)
	for i := range shards {
		r := readRow(b[headerSize+i*rowSize:])
		l := r.segmentLength
		if r.offset != end || r.keys > mostKeys || r.segments > 1<<24 || l > 1<<18 || l&(l-1) != 0 || (r.keys > 0) != (r.fingerprints() > 0) {
			return nil, 0, errDamaged
		}
		end += r.size()
		keys += uint64(r.keys)
		rows = append(rows, r)
	}
	switch {
	case binary.LittleEndian.Uint64(b[24:]) != keys:
		return nil, 0, errDamaged
	case uint64(size) < end: //nolint:gosec // sizes of files are not negative
		return nil, 0, errTruncated
	case uint64(size) > end: //nolint:gosec // the same
		return nil, 0, errDamaged
	}
	return rows, keys, nil
}
