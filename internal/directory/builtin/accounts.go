package builtin

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"github.com/sparekey/sparekey/internal/reset"
)

// AddAccount adds an account.
func (d *Directory) AddAccount(ctx context.Context, name string) (reset.Account, error) {
	name, key, err := accountName(name)
	if err != nil {
		return reset.Account{}, err
	}
	a := reset.Account{Name: name}
	err = d.update(ctx, func(tx RecordsTx) error {
		a.ID, err = addAccount(ctx, tx, name, key, d.now())
		return err
	})
	if errors.Is(err, reset.ErrExists) {
		return a, &reset.Error{Kind: reset.Conflict, Code: reset.CodeBadValue, Message: "there is an account of that name already", Cause: err}
	}
	return a, err
}

// Accounts lists all accounts by name.
func (d *Directory) Accounts(ctx context.Context) ([]reset.Account, error) {
	return d.records.Accounts(ctx)
}

// AccountsNamed returns the accounts of those names, by the name as it was asked for; those
// that there are not are missing.
func (d *Directory) AccountsNamed(ctx context.Context, names []string) (map[string]reset.Account, error) {
	asked := map[string][]string{} // by key
	for _, name := range names {
		if _, key, err := accountName(name); err == nil {
			asked[key] = append(asked[key], name)
		}
	}
	found, err := d.records.AccountsByKeys(ctx, slices.Sorted(maps.Keys(asked)))
	if err != nil {
		return nil, err
	}
	accounts := make(map[string]reset.Account, len(names))
	for _, a := range found {
		_, key, err := accountName(a.Name)
		if err != nil {
			continue // made before a rule that it breaks
		}
		for _, name := range asked[key] {
			accounts[name] = a
		}
	}
	return accounts, nil
}

// Account returns the account of that name.
func (d *Directory) Account(ctx context.Context, name string) (a reset.Account, err error) {
	err = d.withAccount(ctx, name, func(_ RecordsTx, found reset.Account) error {
		a = found
		return nil
	})
	return a, err
}

// Suspend suspends an account and closes the open requests of the members who
// are left without an active one.
func (d *Directory) Suspend(ctx context.Context, name string) error {
	now := d.now()
	return d.withAccount(ctx, name, func(tx RecordsTx, a reset.Account) error {
		tx.Record(reset.AdminAct(ctx, now, reset.ActSuspended, "account", a.Name))
		if err := tx.SetSuspended(ctx, a.ID, now); err != nil {
			return err
		}
		members, err := tx.UsersOfAccount(ctx, a.ID)
		if err != nil {
			return err
		}
		for _, u := range members {
			if u.MayReset() {
				continue
			}
			if err := closeRequests(ctx, tx, u.ID, now); err != nil {
				return err
			}
		}
		return nil
	})
}

// Resume ends an account's suspension. Links from before stay dead.
func (d *Directory) Resume(ctx context.Context, name string) error {
	now := d.now()
	return d.withAccount(ctx, name, func(tx RecordsTx, a reset.Account) error {
		tx.Record(reset.AdminAct(ctx, now, reset.ActResumed, "account", a.Name))
		return tx.SetSuspended(ctx, a.ID, time.Time{})
	})
}

func (d *Directory) withAccount(ctx context.Context, name string, fn func(tx RecordsTx, a reset.Account) error) error {
	_, key, err := accountName(name)
	if err != nil {
		return err
	}
	err = d.update(ctx, func(tx RecordsTx) error {
		a, err := tx.AccountByKey(ctx, key)
		if err != nil {
			return err
		}
		return fn(tx, a)
	})
	if errors.Is(err, reset.ErrNoAccount) {
		return &reset.Error{Kind: reset.NotFound, Code: reset.CodeNotFound, Message: "there is no account of that name", Cause: err}
	}
	return err
}

// ensureAccount finds an account or makes it.
func ensureAccount(ctx context.Context, tx RecordsTx, name string, now time.Time) (int64, error) {
	name, key, err := accountName(name)
	if err != nil {
		return 0, err
	}
	a, err := tx.AccountByKey(ctx, key)
	if errors.Is(err, reset.ErrNoAccount) {
		return addAccount(ctx, tx, name, key, now)
	}
	return a.ID, err
}

func addAccount(ctx context.Context, tx RecordsTx, name, key string, now time.Time) (int64, error) {
	tx.Record(reset.AdminAct(ctx, now, reset.ActAccountAdded, "account", name))
	return tx.AddAccount(ctx, name, key, now)
}

// accountName checks an account's name and returns it with what it is matched
// by: "ACME" and "Acme" are one account.
func accountName(s string) (name, key string, err error) {
	name, err = cleanName("an account's name", s)
	if err != nil {
		return "", "", err
	}
	if name == "" {
		return "", "", reset.Invalidf("an account needs a name")
	}
	// Commas and semicolons separate accounts on the command line and in CSV files.
	if strings.ContainsAny(name, ",;") {
		return "", "", reset.Invalidf("an account's name cannot have a comma or a semicolon")
	}
	return name, strings.ToLower(name), nil
}

// cleanName trims and normalises a name and refuses what could break a line.
func cleanName(what, s string) (string, error) {
	if !utf8.ValidString(s) {
		return "", reset.Invalidf("%s must be valid UTF-8", what)
	}
	s = norm.NFC.String(strings.TrimSpace(s))
	switch {
	case len(s) > maxName:
		return "", reset.Invalidf("%s has at most %d bytes", what, maxName)
	case strings.ContainsFunc(s, func(r rune) bool { return unicode.IsControl(r) || r == '\u2028' || r == '\u2029' }):
		return "", reset.Invalidf("%s cannot have control characters or line breaks", what)
	}
	return s, nil
}
