package password

import (
	"context"
	"crypto/rand"
	"fmt"
	"strings"

	"github.com/sparekey/sparekey/internal/reset"
)

// Params say how much work one argon2id hash is.
type Params struct {
	MemoryKiB   int // memory, in KiB
	Time        int // passes over the memory
	Parallelism int // lanes; each is a goroutine while the hash is computed
}

// DefaultParams are the defaults, which are also the least that NewHasher
// takes: 19 MiB, 2 passes, 1 lane (OWASP Password Storage Cheat Sheet, argon2id).
func DefaultParams() Params { return Params{MemoryKiB: 19 * 1024, Time: 2, Parallelism: 1} }

// What Sparekey's own hashes consist of, in bytes (RFC 9106, 3.1 and 4).
const (
	ownSalt = 16
	ownTag  = 32
)

// Hasher makes and checks hashes, a bounded number at a time. It is safe for
// concurrent use.
//
// Each argon2id hash allocates MemoryKiB and leaves it to the garbage
// collector, so the memory that all of them need is a small multiple of
// concurrency × MemoryKiB. Checking an imported hash takes what that hash says,
// at most 1 GiB.
type Hasher struct {
	params Params
	gate   *gate
}

// NewHasher returns a Hasher that works on at most concurrency passwords at
// once and lets at most queue callers wait. It refuses params below
// DefaultParams or above what it would itself verify, and a concurrency below 1
// or a queue below 0. The error is Invalid and names every fault and its bound.
func NewHasher(params Params, concurrency, queue int, now reset.Clock) (*Hasher, error) {
	var faults []string
	bound := func(name string, value, least, most int) {
		switch {
		case value < least:
			faults = append(faults, fmt.Sprintf("%s is %d; the least is %d", name, value, least))
		case value > most:
			faults = append(faults, fmt.Sprintf("%s is %d; the most is %d", name, value, most))
		}
	}
	least := DefaultParams()
	bound("the memory of argon2id in KiB", params.MemoryKiB, least.MemoryKiB, mostMemoryKiB)
	bound("the passes of argon2id", params.Time, least.Time, mostPasses)
	bound("the parallelism of argon2id", params.Parallelism, least.Parallelism, mostLanes)
	bound("the number of hashes at once", concurrency, 1, mostAtOnce)
	bound("the number of callers who may wait for a hash", queue, 0, mostWaiting)
	if len(faults) == 0 { // so that neither factor is absurd
		bound("the memory of argon2id in KiB times its passes", params.MemoryKiB*params.Time, 0, mostWorkKiB)
	}
	if len(faults) > 0 {
		return nil, reset.Invalidf("%s", strings.Join(faults, "; "))
	}
	return &Hasher{params: params, gate: newGate(concurrency, queue, now)}, nil
}

// The most that may be configured; beyond it is a slip of the keyboard.
const (
	mostAtOnce  = 1024
	mostWaiting = 1 << 20
)

// Hash returns a hash of the NFC of the password, with a fresh salt, in PHC
// format: $argon2id$v=19$m=19456,t=2,p=1$salt$tag. It does not ask whether the
// password is a good one; that is the Policy's part. When the queue is full, or
// ctx ends while waiting, it answers an Unavailable *reset.Error with a RetryAfter
// of at least a second. A hash that has begun is finished whatever ctx says. A
// caller who had to wait is asked by still, which may be nil, whether the hash is of use yet.
func (h *Hasher) Hash(ctx context.Context, password string, still func(context.Context) error) (string, error) {
	var encoded string
	err := h.gate.do(ctx, still, func() {
		a := argon2Hash{variant: argon2id, params: h.params, salt: make([]byte, ownSalt)}
		_, _ = rand.Read(a.salt) // never fails since Go 1.24: it ends the program instead
		secret := []byte(Normalize(password))
		a.tag = a.derive(secret, ownTag)
		clear(secret)
		encoded = a.String()
	})
	return encoded, err
}

// Verify reports whether the password is the one behind the hash: one of its
// own, or one that was imported. It tries the NFC of the password and, where
// that differs, the password as typed, since whoever made an imported hash may
// not have normalized. It shares the bounds of Hash and answers the same error
// beyond them. A hash that CheckEncoded would refuse is an Internal error, for
// such a one should never have been stored.
func (h *Hasher) Verify(ctx context.Context, password, encoded string) (ok bool, err error) {
	stored, err := parse(encoded)
	if err != nil {
		return false, &reset.Error{
			Kind: reset.Internal, Code: reset.CodeUnknown, Cause: err,
			Message: "the password cannot be checked, because its stored hash cannot be read",
		}
	}
	err = h.gate.do(ctx, nil, func() {
		normal := Normalize(password)
		ok = stored.matches([]byte(normal))
		if !ok && normal != password {
			ok = stored.matches([]byte(password))
		}
	})
	return ok, err
}

// NeedsUpgrade reports whether the hash is weaker than what Hash makes: not
// argon2id, less memory, fewer passes, a shorter salt or tag, or not readable
// at all. Lanes are no matter of strength: they spread the same work.
func (h *Hasher) NeedsUpgrade(encoded string) bool {
	stored, err := parse(encoded)
	if err != nil {
		return true
	}
	a, ok := stored.(argon2Hash)
	return !ok || a.variant != argon2id ||
		a.params.MemoryKiB < h.params.MemoryKiB || a.params.Time < h.params.Time ||
		len(a.salt) < ownSalt || len(a.tag) < ownTag
}
