package main

import (
	"context"
	"errors"
	"fmt"
	netmail "net/mail"
	"strings"

	"github.com/sparekey/sparekey/internal/mail"
	"github.com/sparekey/sparekey/internal/reset"
)

// signature says what the DNS has to publish for the signatures of mails, and
// looks whether it does. That it does not, or not yet, or not for this machine,
// is a note; that it has another key is a fault, for then every signature fails.
func (d *doctorsBag) signature(ctx context.Context) (string, error) {
	signs, err := newDKIM(d.cfg, d.now)
	if err != nil {
		return "", err
	}
	var said []string
	for _, r := range signs.Records() {
		found, err := d.published(ctx, r)
		if err != nil {
			return "", err
		}
		if found {
			said = append(said, r.Name+" has the key")
			continue
		}
		said = append(said, fmt.Sprintf("note: this machine does not find %s; publish it: %s IN TXT %s", r.Name, r.Name, quoted(r.Value)))
	}
	if from, ok := addressOf(d.cfg.Mail.From); ok && !signs.Signs(from) {
		return "", hintf(errors.New("mails from "+from.Raw()+" are not signed, since their domain is not in mail.dkim_domains"),
			"add the domain of mail.from to mail.dkim_domains, and publish the key there")
	}
	return strings.Join(said, "; "), nil
}

// published looks for the record.
func (d *doctorsBag) published(ctx context.Context, r mail.Record) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, lookupTime)
	defer cancel()
	found, err := d.lookupTXT(ctx, r.Name)
	if err != nil {
		return false, nil // not there, or not to be seen from here
	}
	for _, text := range found {
		if r.Matches(text) {
			return true, nil
		}
	}
	if len(found) > 0 {
		return false, hintf(fmt.Errorf("%s has another key than mail.dkim_key", r.Name),
			"publish this one there: %s, or sign under another selector", quoted(r.Value))
	}
	return false, nil
}

// quoted writes a TXT record as zone files have it: strings of at most 255 bytes (RFC 1035, 3.3).
func quoted(value string) string {
	const most = 255
	var parts []string
	for len(value) > most {
		parts = append(parts, `"`+value[:most]+`"`)
		value = value[most:]
	}
	return strings.Join(append(parts, `"`+value+`"`), " ")
}

func addressOf(from string) (reset.Address, bool) {
	parsed, err := netmail.ParseAddress(from)
	if err != nil {
		return reset.Address{}, false
	}
	a, err := reset.ParseAddress(parsed.Address)
	return a, err == nil
}
