package builtin

import (
	"context"
	"errors"
	"fmt"

	"github.com/sparekey/sparekey/internal/reset"
)

// Remove removes a user (GDPR, art. 17): with the memberships and requests, so
// that links are dead, and with the address in what the outbox holds. Nothing of
// the address is left in the store.
func (d *Directory) Remove(ctx context.Context, email string) error {
	now := d.now()
	err := d.change(ctx, email, func(tx RecordsTx, u reset.User) error {
		tx.Record(reset.AdminAct(ctx, now, reset.ActUserRemoved, "user", u.ID))
		if err := tx.LockRequests(ctx, u.ID); err != nil {
			return err
		}
		if err := tx.RemoveUser(ctx, u.ID); err != nil {
			return err
		}
		return tx.ForgetEntries(ctx, u.ID, u.Email)
	})
	if err != nil {
		return err
	}
	if err := d.records.Scrub(ctx); err != nil {
		return fmt.Errorf("the user was removed, but the address is still in the database's log: %w", err)
	}
	return nil
}

// ChangeAddress gives a user another address. Links that are on their way to the
// old one are dead at once, and both addresses are told (OWASP ASVS 6.3.7): the
// old one, since whoever changed it may not have been the user.
func (d *Directory) ChangeAddress(ctx context.Context, email, to string) error {
	a, err := reset.ParseAddress(to)
	if err != nil {
		return err
	}
	now := d.now()
	err = d.change(ctx, email, func(tx RecordsTx, u reset.User) error {
		if u.Email == a {
			return reset.Invalidf("the user has this very address already")
		}
		tx.Record(reset.AdminAct(ctx, now, reset.ActUserMoved, "user", u.ID))
		if err := closeRequests(ctx, tx, u.ID, now); err != nil {
			return err
		}
		if err := tx.SetAddress(ctx, u.ID, a); err != nil {
			return err
		}
		notice := reset.NoticeEntry{UserID: u.ID, ChangedAt: now, Matter: reset.MatterAddress}
		if u.Email.Key() == a.Key() { // another spelling of the same mailbox
			return tx.Enqueue(ctx, notice)
		}
		former := notice
		former.To = u.Email.Raw()
		return tx.Enqueue(ctx, former, notice)
	})
	if errors.Is(err, reset.ErrExists) {
		return &reset.Error{Kind: reset.Conflict, Code: reset.CodeBadValue, Message: "a user has this address already", Cause: err}
	}
	return err
}
