package reset

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"time"
)

// unknownRate is how often an address that nobody has is told so, whatever the
// throttle says: it may be a stranger's, whom somebody else names over and over.
var unknownRate = Rate{Count: 1, Per: 24 * time.Hour}

// TellUnknown has the courier tell an address that nobody has that it has no
// account, at most once a day. Who asked is answered as ever, and long before. Call
// it before any entry is worked.
func (c *Courier) TellUnknown() { c.tellUnknown = true }

// unknown ends an entry whose address leads to nobody who may reset.
func (c *Courier) unknown(ctx context.Context, e LinkEntry, address Address) error {
	who := c.audit.ofAddress(address)
	told, err := c.mayTell(ctx, e, address)
	if err != nil {
		return err
	}
	if !told {
		return c.skip(ctx, e, who, EndUnknown, OutcomeUnknown)
	}
	err = c.mailUnknown(ctx, e, address)
	if _, never := errors.AsType[*Undeliverable](err); never {
		return c.skip(ctx, e, who, EndRefused, OutcomeUnknown) // somebody has mistyped it: nothing to warn of
	}
	if err != nil {
		// It will be tried again, and is not over the limit then.
		return errors.Join(err, c.store.Update(ctx, func(tx Tx) error {
			_, err := tx.ForgetLimits(ctx, []string{unknownLimit(address)})
			return err
		}))
	}
	return nil
}

// mayTell reports whether the address is told, and counts that. It is not if
// somebody has it, who is disabled or not of the account that was asked for: that it had no
// account would be a lie. Nor is it if an administrator asked for many.
func (c *Courier) mayTell(ctx context.Context, e LinkEntry, address Address) (bool, error) {
	if !c.tellUnknown || e.Job != "" {
		return false, nil
	}
	_, err := c.directory.UserByAddress(ctx, address)
	if !errors.Is(err, ErrNoUser) {
		return false, err
	}
	now := c.now()
	within := false
	err = c.store.Update(ctx, func(tx Tx) error {
		wait, err := tx.Take(ctx, unknownLimit(address), 1, unknownRate, now)
		within = wait == 0
		return err
	})
	return within && err == nil, err
}

// mailUnknown sends the mail, in the name of the service: whoever asked on the page of an
// organisation has not shown that the address has to do with it.
func (c *Courier) mailUnknown(ctx context.Context, e LinkEntry, address Address) error {
	brand, err := c.brand(ctx, e.Brand, User{})
	if err != nil {
		return err
	}
	err = c.mailer.SendUnknown(ctx, UnknownMail{To: address, ForgotURL: brand.URL("/forgot"), Brand: c.worn(brand)})
	c.audit.mailed(ctx, c.audit.ofAddress(address), Details("mail", "unknown"), err)
	return err
}

// unknownLimit names the limit of an address. The store need not know the address itself.
func unknownLimit(a Address) string {
	sum := sha256.Sum256([]byte(a.Key()))
	return "unknown:" + base64.RawURLEncoding.EncodeToString(sum[:16])
}
