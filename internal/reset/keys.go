package reset

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"log/slog"
	"regexp"
	"strings"
	"time"
)

// keyPrefix marks a Sparekey key, so that scanners for leaked secrets can know one.
const keyPrefix = "spk_"

// lastUsedGrain is how exact Key.LastUsedAt is: a write per call would cost more than it tells.
const lastUsedGrain = time.Minute

var keyName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)

// Keys makes, checks and revokes API keys.
type Keys struct {
	store    Store
	throttle Throttle
	now      Clock
	fresh    keyCache
	refusals refusals
	audit    *Audit
}

// Audit has the refusal of keys told to the audit trail. Call it before any key is checked.
func (k *Keys) Audit(a *Audit) { k.audit = a }

// NewKeys wires the keys to their surroundings. The throttle may be nil where nobody guesses, as on the command line.
func NewKeys(store Store, throttle Throttle, now Clock) *Keys {
	return &Keys{store: store, throttle: throttle, now: now}
}

// Log has refused keys and callers over a limit told of. Call it before any key is checked.
func (k *Keys) Log(l *slog.Logger) { k.refusals.log = l }

// Create makes a key with 256 random bits and returns its secret: the only
// time anybody sees it. Only its digest is stored. lifetime 0 means that it
// never expires; account 0 that it is bound to none.
func (k *Keys) Create(ctx context.Context, name string, scope Scope, account int64, lifetime time.Duration) (secret string, err error) {
	switch {
	case !keyName.MatchString(name):
		return "", Invalidf("a key's name has 1 to 64 letters, digits, dots, dashes and underscores, and begins with a letter or digit")
	case scope != ScopeReset && scope != ScopeAdmin:
		return "", Invalidf("there is no scope %q; a key's scope is reset or admin", string(scope))
	case lifetime < 0:
		return "", Invalidf("a key cannot expire before it is made")
	}
	now := k.now()
	key := Key{Name: name, Scope: scope, Account: account, CreatedAt: now}
	if lifetime > 0 {
		key.ExpiresAt = now.Add(lifetime)
	}
	var random [32]byte
	_, _ = rand.Read(random[:]) // never fails since Go 1.24: it ends the program instead
	secret = keyPrefix + base64.RawURLEncoding.EncodeToString(random[:])
	err = k.store.Update(ctx, func(tx Tx) error {
		tx.Record(AdminAct(ctx, now, ActKeyCreated, "key", name, "scope", string(scope)))
		return tx.AddKey(ctx, key, sha256.Sum256([]byte(secret)))
	})
	if errors.Is(err, ErrExists) {
		return "", &Error{Kind: Conflict, Code: CodeBadValue, Message: "there is a key of that name already", Cause: err}
	}
	return secret, err
}

// Authenticate returns the key that the value of an X-Auth-Token header names:
// the secret alone, or with a prefix that the client chose in front of it. A
// wrong, revoked or expired key is Unauthorized, and counts as a wrong guess.
func (k *Keys) Authenticate(ctx context.Context, client, header string) (Key, error) {
	now := k.now()
	caller := Caller{Client: client}
	if err := k.throttle.Guessing(caller, now); err != nil {
		k.Refused(ctx, caller, endOf(err))
		return Key{}, k.refusals.limited(ctx, caller, err, now)
	}
	digest, key, err := k.find(ctx, header, now)
	wrong, end := "", ""
	switch {
	case errors.Is(err, ErrNoKey):
		wrong, end = "this key is not known", EndUnknown
	case err != nil:
		return Key{}, err
	case !key.RevokedAt.IsZero():
		wrong, end = "this key was revoked", EndRevoked
	case !key.ExpiresAt.IsZero() && !now.Before(key.ExpiresAt):
		wrong, end = "this key has expired", EndExpired
	}
	if wrong != "" {
		k.refusals.badKey(ctx, caller, key.Name, wrong, now)
		k.Refused(ctx, Caller{Client: client, Key: &key}, end)
		if err := k.throttle.WrongGuess(ctx, caller, now); err != nil {
			return Key{}, k.refusals.limited(ctx, caller, err, now)
		}
		return Key{}, errBadKey(wrong)
	}
	if now.Sub(key.LastUsedAt) >= lastUsedGrain {
		// Worth knowing, not worth failing for.
		_ = k.store.Update(ctx, func(tx Tx) error { return tx.TouchKey(ctx, key.ID, now) })
		key.LastUsedAt = now
		k.fresh.put(digest, key, now)
	}
	return key, nil
}

// Refused tells the audit trail of a call that was refused for its key, and how.
func (k *Keys) Refused(ctx context.Context, c Caller, end string) {
	k.audit.noteLike(k.audit.entry(ctx, c, ActKeyRefused, "", end))
}

func errBadKey(why string) *Error {
	return &Error{Kind: Unauthorized, Code: CodeNotAuthorized, Message: why + "; make one with: sparekey key create"}
}

// find takes "KEY" or "PREFIX KEY". A comma means that several headers were
// joined (RFC 9110, 5.3); which of them counts is nothing to guess about.
func (k *Keys) find(ctx context.Context, header string, now time.Time) (Digest, Key, error) {
	if len(header) > 512 || strings.Contains(header, ",") {
		return Digest{}, Key{}, ErrNoKey
	}
	prefix, secret, two := strings.Cut(header, " ")
	if !two {
		secret = prefix
	}
	if secret == "" || strings.ContainsAny(secret, " \t") {
		return Digest{}, Key{}, ErrNoKey
	}
	digest := Digest(sha256.Sum256([]byte(secret)))
	if key, ok := k.fresh.get(digest, now); ok {
		return digest, key, nil
	}
	key, err := k.store.KeyByDigest(ctx, digest)
	if err == nil {
		k.fresh.put(digest, key, now)
	}
	return digest, key, err
}

// List returns all keys, by name.
func (k *Keys) List(ctx context.Context) ([]Key, error) { return k.store.Keys(ctx) }

// Revoke makes a key useless at once.
func (k *Keys) Revoke(ctx context.Context, name string) error {
	now := k.now()
	err := k.store.Update(ctx, func(tx Tx) error {
		tx.Record(AdminAct(ctx, now, ActKeyRevoked, "key", name))
		return tx.RevokeKey(ctx, name, now)
	})
	k.fresh.forget()
	if errors.Is(err, ErrNoKey) {
		return &Error{Kind: NotFound, Code: CodeNotFound, Message: "there is no key of that name that could be revoked", Cause: err}
	}
	return err
}
