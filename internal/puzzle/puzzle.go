// Package puzzle has callers do work before they ask, so that asking for very
// many costs them something that asking once does not.
//
// The work is that of the ALTCHA protocol in its second version: find the counter
// whose PBKDF2 key begins as the challenge says. Browsers compute PBKDF2 in native code, so
// whoever floods is hardly faster than a person's browser; that cannot be said of
// the first version, which asks for single SHA-256 digests. A challenge carries
// all there is to know of it under a keyed hash, so nothing is kept of those that
// were given out; of those that were used the nonce is, until they expire.
package puzzle

import (
	"context"
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"math/big"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/sparekey/sparekey/internal/reset"
)

const (
	// Life is how long a challenge may be answered.
	Life = 10 * time.Minute
	// Cost is how many rounds of PBKDF2 one try takes: long enough for a browser to
	// spend its time on them and not on getting there, and short enough to
	// make a challenge, which takes one try, in a fifth of a millisecond.
	Cost = 1000

	algorithm = "PBKDF2/SHA-256"
	keyLength = sha256.Size
	// known is how much of the key a challenge tells. Nobody hits the rest by luck.
	known = keyLength / 2

	// late is how long a used challenge is remembered after it has expired, for
	// replicas whose clocks are behind.
	late = time.Minute
)

// Options are how much work is asked for, and of whom none.
type Options struct {
	// Difficulty is the most tries that a challenge takes; on average it is half.
	Difficulty int
	// WithoutScript is how many times an hour all browsers together that do no
	// work, for want of JavaScript, may ask by the page; 0: not at all.
	WithoutScript int
}

// Puzzle is a reset.Puzzle.
type Puzzle struct {
	Options
	// sign is under which challenges are signed, and seal their keys. They are
	// text, since the protocol's other implementations take nothing else.
	sign, seal string
}

// New makes a puzzle. Processes with the same key take each other's challenges.
func New(key []byte, o Options) *Puzzle {
	return &Puzzle{Options: o, sign: mac(string(key), []byte("challenge")), seal: mac(string(key), []byte("key"))}
}

// mac is an HMAC-SHA-256 in hexadecimal digits.
func mac(key string, message []byte) string {
	h := hmac.New(sha256.New, []byte(key))
	h.Write(message)
	return hex.EncodeToString(h.Sum(nil))
}

// Challenge makes a challenge, in JSON as the protocol has it.
func (p *Puzzle) Challenge(now time.Time) ([]byte, error) {
	var nonce, salt [16]byte
	_, _ = rand.Read(nonce[:])
	_, _ = rand.Read(salt[:])
	counter, err := rand.Int(rand.Reader, big.NewInt(int64(p.Difficulty)))
	if err != nil {
		return nil, err
	}
	key, err := derive(nonce, salt, uint32(counter.Uint64())) //nolint:gosec // below Difficulty
	if err != nil {
		return nil, err
	}
	params := parameters{
		Algorithm: algorithm, Cost: Cost, ExpiresAt: now.Add(Life).Unix(), KeyLength: keyLength,
		KeyPrefix: hex.EncodeToString(key[:known]), KeySignature: mac(p.seal, key),
		Nonce: hex.EncodeToString(nonce[:]), Salt: hex.EncodeToString(salt[:]),
	}
	signed, err := params.canonical()
	if err != nil {
		return nil, err
	}
	return json.Marshal(challenge{Parameters: params, Signature: mac(p.sign, signed)})
}

// derive is one try.
func derive(nonce, salt [16]byte, counter uint32) ([]byte, error) {
	password := binary.BigEndian.AppendUint32(nonce[:], counter)
	return pbkdf2.Key(sha256.New, string(password), salt[:], Cost, keyLength)
}

// Check implements reset.Puzzle. That somebody has done the work is seen by
// the key that they found, so it need not be done again.
func (p *Puzzle) Check(c reset.Caller, now time.Time) (reset.Pass, error) {
	if c.Proof.Solution == "" {
		if c.Proof.Page && p.WithoutScript > 0 {
			return unsolved{c.Client, p.WithoutScript}, nil
		}
		return nil, reset.Unsolved(reset.FaultMissing)
	}
	s, ok := parse(c.Proof.Solution)
	if !ok {
		return nil, reset.Unsolved(reset.FaultWrong)
	}
	signed, err := s.params.canonical()
	if err != nil || !equal(mac(p.sign, signed), s.signature) || !equal(mac(p.seal, s.key), s.params.KeySignature) {
		return nil, reset.Unsolved(reset.FaultWrong)
	}
	expires := time.Unix(s.params.ExpiresAt, 0)
	if !now.Before(expires) {
		return nil, reset.Unsolved(reset.FaultExpired)
	}
	return solved{s.params.Nonce, expires}, nil
}

func equal(a, b string) bool { return hmac.Equal([]byte(a), []byte(b)) }

// solved is the pass of who has done the work.
type solved struct {
	nonce   string
	expires time.Time
}

// Spend implements reset.Pass with a limit that has room for one, ever: when it
// has room again the challenge has expired.
func (s solved) Spend(ctx context.Context, tx reset.Tx, now time.Time) error {
	wait, err := tx.Take(ctx, "puzzle:"+s.nonce, 1, reset.Rate{Count: 1, Per: s.expires.Sub(now) + late}, now)
	if err != nil || wait == 0 {
		return err
	}
	return reset.Unsolved(reset.FaultUsed)
}

// unsolved is the pass of who asks by the page without having done the work: so
// few for all of them together that nobody gets far that way, and fewer for one, so that
// one does not have all.
type unsolved struct {
	client string
	most   int // an hour
}

// ofOne is how many times an hour one client may ask without having done the work.
const ofOne = 3

// Spend implements reset.Pass.
func (u unsolved) Spend(ctx context.Context, tx reset.Tx, now time.Time) error {
	sum := sha256.Sum256([]byte(u.client))
	for _, limit := range []struct {
		name  string
		count int
	}{
		{"puzzle-unsolved:" + base64.RawURLEncoding.EncodeToString(sum[:16]), min(ofOne, u.most)},
		{"puzzle-unsolved-service", u.most},
	} {
		wait, err := tx.Take(ctx, limit.name, 1, reset.Rate{Count: limit.count, Per: time.Hour}, now)
		if err != nil {
			return err
		}
		if wait > 0 {
			e := reset.Unsolved(reset.FaultMissing)
			e.Kind, e.Code, e.RetryAfter = reset.Throttled, reset.CodeRestriction, wait
			return e
		}
	}
	return nil
}
