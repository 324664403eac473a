package blocklist

import (
	"bufio"
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strconv"

	"github.com/sparekey/sparekey/internal/password"
)

// longestLine is far more than a hash and its count need, in bytes.
const longestLine = 4096

// ParseError is a line that is no hash with its count.
type ParseError struct {
	File    string // as it was named to Build
	Line    int64  // from 1
	Problem string
}

func (e *ParseError) Error() string { return fmt.Sprintf("%s, line %d: %s", e.File, e.Line, e.Problem) }

const lineForm = "write the SHA-1 of a password in 40 hexadecimal digits, and perhaps a colon and how often it was seen"

// readLines hands the digest and count of each line to take.
func readLines(ctx context.Context, name string, in io.Reader, take func(d password.Digest, count uint64) error) error {
	r := bufio.NewReaderSize(in, max(1<<20, longestLine))
	for line := int64(1); ; line++ {
		if line%4096 == 1 && ctx.Err() != nil {
			return context.Cause(ctx)
		}
		text, err := r.ReadSlice('\n')
		if len(text) > longestLine || errors.Is(err, bufio.ErrBufferFull) {
			return &ParseError{name, line, "is too long; " + lineForm}
		}
		ended := errors.Is(err, io.EOF)
		if ended {
			err = nil
		}
		if err != nil {
			return fmt.Errorf("read %s after line %d: %w", name, line-1, err)
		}
		if line == 1 {
			text = bytes.TrimPrefix(text, []byte("\xef\xbb\xbf")) // a byte order mark
			if problem := noText(text); problem != "" {
				return &ParseError{name, line, problem}
			}
		}
		if text = bytes.TrimSpace(text); len(text) > 0 {
			d, count, problem := parseLine(text)
			if problem != "" {
				return &ParseError{name, line, problem}
			}
			if err := take(d, count); err != nil {
				return err
			}
		}
		if ended {
			return nil
		}
	}
}

// noText knows files that are not what they may be taken for.
func noText(beginning []byte) string {
	for prefix, problem := range map[string]string{
		"\xff\xfe":   "is UTF-16; write the file in UTF-8 or ASCII",
		"\xfe\xff":   "is UTF-16; write the file in UTF-8 or ASCII",
		"\x1f\x8b":   "is packed with gzip; unpack it first, for example: gzip -dc FILE | sparekey blocklist build - --out LIST",
		"7z\xbc\xaf": "is packed with 7-Zip; unpack it first, for example: 7z e -so FILE | sparekey blocklist build - --out LIST",
		"PK\x03\x04": "is packed with ZIP; unpack it first, for example: unzip -p FILE | sparekey blocklist build - --out LIST",
		magic[:5]:    "is a list that was built already",
	} {
		if bytes.HasPrefix(beginning, []byte(prefix)) {
			return problem
		}
	}
	return ""
}

// parseLine reads HASH or HASH:COUNT; problem is empty, or what is wrong and never the line itself.
func parseLine(text []byte) (d password.Digest, count uint64, problem string) {
	hash, number, counted := bytes.Cut(text, []byte(":"))
	hash, number = bytes.TrimSpace(hash), bytes.TrimSpace(number)
	if len(hash) != hex.EncodedLen(len(d)) {
		if n := len(hash); n == 32 && isHex(hash) {
			return d, 0, "has 32 hexadecimal digits, as lists of NTLM or MD5 hashes have; take the list of SHA-1 hashes"
		}
		return d, 0, "is no SHA-1; " + lineForm
	}
	if _, err := hex.Decode(d[:], hash); err != nil {
		return d, 0, "is no SHA-1; " + lineForm
	}
	if !counted {
		return d, 1, ""
	}
	count, err := strconv.ParseUint(string(number), 10, 64)
	if err != nil {
		return d, 0, "has no number after its colon; " + lineForm
	}
	return d, count, ""
}

func isHex(text []byte) bool {
	_, err := hex.DecodeString(string(text))
	return err == nil
}
