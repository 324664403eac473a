package config

import (
	"errors"
	"net/mail"
	"regexp"
	"strings"

	"github.com/sparekey/sparekey/internal/reset"
)

// DKIM says with which key mails are signed. Without a key they are not.
type DKIM struct {
	// Key is a private key in PEM. Empty if it was not set.
	Key Secret
	// Selector is where below _domainkey its public key is published.
	Selector string
	// Domains are those that publish it.
	Domains []string
}

func letterSettings() []Setting {
	return []Setting{
		text(Setting{
			Path: "language", Default: "en", Allowed: "a language tag such as en, de or pt-BR",
			About: "the language of mails to people of whom none is known",
		}, func(c *Config) *string { return &c.Language }, parseLanguage),
		text(Setting{
			Path: "mail.templates", Allowed: "the path of a folder, such as /etc/sparekey/mails",
			About: "templates of your own, laid over those of the mails; docs/mails.md says how",
		}, func(c *Config) *string { return &c.Mail.Templates }, parsePath),
		boolean(Setting{
			Path: "mail.tell_unknown", Default: "false",
			About: "whether an address for which there is no account is told so when somebody asks for it, at most once a day",
		}, func(c *Config) *bool { return &c.Mail.TellUnknown }),
		bind(Setting{
			Path: "mail.dkim_key", Kind: Text, Secret: true, Example: "what openssl genrsa 2048 prints",
			Allowed: "a private key in PEM, RSA of 2048 to 4096 bits or Ed25519, without a passphrase",
			About:   "the key that mails are signed with (DKIM); sparekey doctor says what to publish",
		}, func(c *Config) *Secret { return &c.Mail.DKIM.Key }, parseKeyText, Secret.String),
		text(Setting{
			Path: "mail.dkim_selector", Allowed: "small letters, digits and hyphens, such as sparekey2026",
			About: "the name below _domainkey under which the DNS has the public half of mail.dkim_key",
		}, func(c *Config) *string { return &c.Mail.DKIM.Selector }, parseSelector),
		list(Setting{
			Path: "mail.dkim_domains", Default: "the domain in mail.from", derive: senderDomain,
			Allowed: "domains such as example.com, in their xn-- form",
			About:   "the domains whose DNS has it; mails from other domains are not signed",
		}, func(c *Config) *[]string { return &c.Mail.DKIM.Domains }, parseDomain, func(s string) string { return s }),
	}
}

// languageTag is the shape of a BCP 47 tag. Which languages there are is not known here: the nearest one is spoken.
var languageTag = regexp.MustCompile(`^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*$`)

func parseLanguage(s string) (string, error) {
	s = strings.TrimSpace(s)
	if !languageTag.MatchString(s) {
		return "", errors.New("is not a language tag")
	}
	return s, nil
}

// parseKeyText takes what looks like a private key; whether it can sign is the mailer's to find out.
func parseKeyText(s string) (Secret, error) {
	if !strings.Contains(s, "PRIVATE KEY-----") {
		return "", errors.New("is not a private key in PEM")
	}
	return Secret(s), nil
}

// parseSelector takes labels of a domain name; an empty one is not set.
func parseSelector(s string) (string, error) {
	s = strings.ToLower(strings.TrimSpace(s))
	if s != "" && (!hostName.MatchString(s) || strings.Contains(s, "..")) {
		return "", errors.New("is not a name that can stand in the DNS")
	}
	return s, nil
}

func parseDomain(s string) (string, error) {
	s = strings.ToLower(s)
	if !hostName.MatchString(s) || !strings.Contains(s, ".") || strings.Contains(s, "..") {
		return "", errors.New("holds an entry that is not a domain (in its xn-- form)")
	}
	return s, nil
}

// senderDomain is the domain of mail.from, in ASCII.
func senderDomain(c *Config) string {
	from, err := mail.ParseAddress(c.Mail.From)
	if err != nil {
		return ""
	}
	a, err := reset.ParseAddress(from.Address)
	if err != nil {
		return ""
	}
	_, domain, _ := strings.Cut(a.Mailbox(), "@")
	return domain
}

// mailFaults finds settings of mails that contradict each other. Half a
// signature is none, and whoever set the half believes that mails are signed.
func mailFaults(c *Config) []Fault {
	d := c.Mail.DKIM
	switch {
	case d.Key != "" && d.Selector == "":
		return []Fault{{
			Path: "mail.dkim_selector", Problem: "is not set, though mail.dkim_key is",
			Fix: "set it to the name below _domainkey that the public key is published under, such as sparekey2026",
		}}
	case d.Key == "" && d.Selector != "":
		return []Fault{{
			Path: "mail.dkim_key", Problem: "is not set, though mail.dkim_selector is",
			Fix: "set SPAREKEY_MAIL_DKIM_KEY_FILE to the file with the private key, or unset mail.dkim_selector",
		}}
	}
	return nil
}
