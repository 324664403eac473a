// Package blocklist keeps a list of leaked passwords in a file of its own
// format, from a million to some billions of them, and says whether it has one.
//
// The file is a table and 1,024 shards, each a binary fuse filter (Graf and
// Lemire, https://arxiv.org/abs/2201.01174) with fingerprints of 16 bits. A
// password belongs to the shard that the first 10 bits of its SHA-1 name. Numbers are little endian.
//
//	header, 48 bytes   magic "\x89SPKL\r\n\x1a", version, fingerprint bits, shards,
//	                   reserved (each uint32); keys (uint64), reserved (uint64); CRC of the table, CRC of the header before it
//	table, 32 a shard  offset of its fingerprints in the file (uint64), seed (uint64),
//	                   keys, segment length, segments, CRC of its fingerprints (each uint32)
//	fingerprints       uint16 each, shard after shard, up to the end of the file
//
// CRCs are CRC-32C.
//
// Why 16 bits. A filter has every password of the list, and takes some others
// for one of them. With 8 bits that is 1 in 256: in a service of a thousand resets a
// day, four people a day are told that a good password was leaked, which is not true. With
// 16 bits it is 1 in 65,536, one in two months. The price is disk alone: 18 bits for each password
// instead of 9, 2.3 GB for a billion.
//
// Why it is read at places and not mapped. A look-up takes three fingerprints,
// so that it reads six bytes, mostly from the page cache, which the system takes
// back when it likes. Mapped, a file that is cut short, or a disk that fails, kills the process
// with SIGBUS, and what was looked at counts as the process's memory; read, both are errors.
package blocklist
