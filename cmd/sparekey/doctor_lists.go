package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/sparekey/sparekey/internal/password"
)

// blocklist reads the list of leaked passwords through.
func (d *doctorsBag) blocklist(ctx context.Context) (detail string, err error) {
	known := newLists(d.cfg.Password)
	defer func() { err = errors.Join(err, known.close()) }()
	n, err := known.verify(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		return "", hintf(fmt.Errorf("%s could not be read through in %v", d.cfg.Password.Blocklist, checkTime),
			"the disk is slow or busy; sparekey serve reads all of the list too before it starts, however long that takes")
	}
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%s is whole and has %s", d.cfg.Password.Blocklist, count(int(n), "password")), nil //nolint:gosec // some billions
}

// leakedForSure is a password that every list of leaked ones has.
const leakedForSure = "password"

// rangeLookUp asks the service for a password that it must know.
func (d *doctorsBag) rangeLookUp(ctx context.Context) (detail string, err error) {
	known := newLists(d.cfg.Password)
	defer func() { err = errors.Join(err, known.close()) }()
	has, err := known.service.Has(ctx, password.DigestOf(leakedForSure))
	const hint = "set SPAREKEY_PASSWORD_RANGE_URL to the address of a range search, such as https://api.pwnedpasswords.com/range; until it answers, passwords are taken without it"
	if err != nil {
		return "", hintf(err, hint)
	}
	if !has {
		return "", hintf(fmt.Errorf("%s does not know the password %q as leaked", d.cfg.Password.RangeURL, leakedForSure), hint)
	}
	return d.cfg.Password.RangeURL + " answers, and knows leaked passwords", nil
}
