// Package puzzletest solves puzzles, as a browser would, for tests.
package puzzletest

import (
	"bytes"
	"crypto/pbkdf2"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"testing"
)

// Payload is what a browser sends, before base64.
type Payload struct {
	Challenge struct {
		Parameters map[string]any `json:"parameters"`
		Signature  string         `json:"signature"`
	} `json:"challenge"`
	Solution struct {
		Counter    any     `json:"counter"`
		DerivedKey string  `json:"derivedKey"`
		Time       float64 `json:"time"`
	} `json:"solution"`
}

// Text is the payload as it is sent. Names are in alphabetical order.
func (p Payload) Text(t testing.TB) string {
	t.Helper()
	text, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	return base64.StdEncoding.EncodeToString(text)
}

// Solve answers a challenge, which comes as JSON, after the description in api/openapi.yaml.
func Solve(t testing.TB, challenge []byte) Payload {
	t.Helper()
	var c struct {
		Parameters struct {
			Cost, KeyLength        int
			KeyPrefix, Nonce, Salt string
		}
	}
	var p Payload
	for _, into := range []any{&c, &p.Challenge} {
		if err := json.Unmarshal(challenge, into); err != nil {
			t.Fatalf("a challenge that is no JSON: %v: %s", err, challenge)
		}
	}
	prefix, nonce, salt := fromHex(t, c.Parameters.KeyPrefix), fromHex(t, c.Parameters.Nonce), fromHex(t, c.Parameters.Salt)
	for counter := range uint32(1_000_000) {
		password := binary.BigEndian.AppendUint32(bytes.Clone(nonce), counter)
		key, err := pbkdf2.Key(sha256.New, string(password), salt, c.Parameters.Cost, c.Parameters.KeyLength)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.HasPrefix(key, prefix) {
			p.Solution.Counter, p.Solution.DerivedKey, p.Solution.Time = counter, hex.EncodeToString(key), 7.5
			return p
		}
	}
	t.Fatalf("a challenge that cannot be solved: %s", challenge)
	return p
}

func fromHex(t testing.TB, digits string) []byte {
	t.Helper()
	b, err := hex.DecodeString(digits)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
