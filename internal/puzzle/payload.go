package puzzle

import (
	"encoding/base64"
	"encoding/hex"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// longest is how long a solution may be, in bytes. Ours are of about 800.
const longest = 4096

// challenge is what callers get.
type challenge struct {
	Parameters parameters `json:"parameters"`
	Signature  string     `json:"signature"`
}

// parameters are all of a challenge that is signed. The order is the protocol's: by name.
type parameters struct {
	Algorithm    string `json:"algorithm"`
	Cost         int64  `json:"cost"`
	ExpiresAt    int64  `json:"expiresAt"` // seconds since 1970
	KeyLength    int64  `json:"keyLength"`
	KeyPrefix    string `json:"keyPrefix"`
	KeySignature string `json:"keySignature"`
	Nonce        string `json:"nonce"`
	Salt         string `json:"salt"`
}

// canonical is what is signed. Each parameter has a name and an end, so no part
// of one can be read as part of another; in the protocol's first version that
// could be done with the time of expiry and the number (CVE-2025-68113).
func (p parameters) canonical() ([]byte, error) { return json.Marshal(p) }

// payload is what browsers send: JSON in base64.
type payload struct {
	Challenge struct {
		Parameters jsontext.Value `json:"parameters"`
		Signature  string         `json:"signature"`
	} `json:"challenge"`
	Solution struct {
		Counter    *uint32 `json:"counter"`
		DerivedKey string  `json:"derivedKey"`
		// How long it took some tell as well. Nobody asks.
	} `json:"solution"`
}

// solution is a payload that can be read. Nothing of it is known to be true.
type solution struct {
	params    parameters
	signature string
	key       []byte
}

// parse reads a solution strictly: in base64 as browsers write it, no member twice, no parameter besides ours.
func parse(text string) (solution, bool) {
	if len(text) > longest || strings.ContainsAny(text, "\r\n") { // which base64 passes over
		return solution{}, false
	}
	decoded, err := base64.StdEncoding.Strict().DecodeString(text)
	if err != nil {
		return solution{}, false
	}
	var p payload
	if err := json.Unmarshal(decoded, &p); err != nil || p.Solution.Counter == nil {
		return solution{}, false
	}
	var params parameters
	if err := json.Unmarshal(p.Challenge.Parameters, &params, json.RejectUnknownMembers(true)); err != nil {
		return solution{}, false
	}
	key, err := hex.DecodeString(p.Solution.DerivedKey)
	if err != nil || hex.EncodeToString(key) != p.Solution.DerivedKey {
		return solution{}, false
	}
	return solution{params, p.Challenge.Signature, key}, true
}
