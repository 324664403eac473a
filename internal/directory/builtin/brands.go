package builtin

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/sparekey/sparekey/internal/reset"
)

// Branding returns an account with what is set of its brand.
func (d *Directory) Branding(ctx context.Context, name string) (found reset.AccountBranding, err error) {
	err = d.withAccount(ctx, name, func(tx RecordsTx, a reset.Account) error {
		b, err := tx.Branding(ctx, a.ID)
		found = reset.AccountBranding{Account: a, Branding: b}
		return err
	})
	return found, err
}

// SetBranding changes what is set of an account's brand: change is given what
// is, and returns what shall be; it may run more than once. base is the default brand, against which it is checked.
func (d *Directory) SetBranding(ctx context.Context, name string, base reset.Brand, change func(reset.Branding) (reset.Branding, error)) (set reset.AccountBranding, err error) {
	now := d.now()
	all, err := d.records.Brandings(ctx)
	if err != nil {
		return set, err
	}
	err = d.withAccount(ctx, name, func(tx RecordsTx, a reset.Account) error {
		before, err := tx.Branding(ctx, a.ID)
		if err != nil {
			return err
		}
		after, err := change(before)
		if err != nil {
			return err
		}
		if after, err = after.Checked(base); err != nil {
			return err
		}
		set = reset.AccountBranding{Account: a, Branding: after}
		if err := clash(set, all); err != nil {
			return err
		}
		changed := after.Changes(before)
		if len(changed) == 0 {
			return nil
		}
		tx.Record(reset.AdminAct(ctx, now, reset.ActBranded, "account", a.Name, "changed", strings.Join(changed, " ")))
		return tx.SetBranding(ctx, a.ID, after)
	})
	if errors.Is(err, reset.ErrExists) { // somebody else was quicker than clash
		err = &reset.Error{Kind: reset.Conflict, Code: reset.CodeBadValue, Message: "another account has one of these host names", Cause: err}
	}
	return set, err
}

// clash says whose a host name is already, and how many brands there may be.
func clash(set reset.AccountBranding, all []reset.AccountBranding) error {
	others := 0
	for _, other := range all {
		if other.Account.ID == set.Account.ID {
			continue
		}
		others++
		for _, host := range set.Hosts {
			if slices.Contains(other.Hosts, host) {
				return &reset.Error{
					Kind: reset.Conflict, Code: reset.CodeBadValue,
					Message: fmt.Sprintf("the host name %s is that of the account %q already", host, other.Account.Name),
				}
			}
		}
	}
	if others >= reset.MaxBrands && !set.IsZero() {
		return reset.Invalidf("there are %d accounts with brands of their own, and no more are taken", others)
	}
	return nil
}
