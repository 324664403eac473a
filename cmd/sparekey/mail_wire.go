package main

import (
	"errors"

	"github.com/sparekey/sparekey/internal/config"
	"github.com/sparekey/sparekey/internal/mail"
	"github.com/sparekey/sparekey/internal/reset"
)

// mailOptions are what the configuration says of composing mails.
func mailOptions(cfg *config.Config, now reset.Clock) (mail.Options, error) {
	o := mail.Options{
		From: cfg.Mail.From, ServiceName: cfg.Mail.ServiceName, BaseURL: cfg.BaseURL, Language: cfg.Language, Now: now,
	}
	var err error
	if cfg.Mail.From != "" && cfg.BaseURL != "" { // doctor works without, and says so in its own words
		if o.Brand, err = defaultBrand(cfg); err != nil {
			return o, err
		}
	}
	if o.DKIM, err = newDKIM(cfg, now); err != nil || cfg.Mail.Templates == "" {
		return o, err
	}
	o.Templates, err = mail.LoadTemplates(cfg.Mail.Templates)
	if err != nil {
		return o, &failure{
			cause: errors.New("mail.templates: " + message(err)), code: exitUsage,
			hint: "mend that file, or take it out of the folder so that ours serves",
		}
	}
	return o, nil
}

// newComposer makes what composes mails that are shown instead of sent.
func newComposer(cfg *config.Config, now reset.Clock) (*mail.Composer, error) {
	o, err := mailOptions(cfg, now)
	if err != nil {
		return nil, err
	}
	return mail.NewComposer(o.Sender(), now)
}

// newDKIM makes what signs mails, or answers nil if nothing should.
func newDKIM(cfg *config.Config, now reset.Clock) (*mail.DKIM, error) {
	d := cfg.Mail.DKIM
	if d.Key == "" {
		return nil, nil //nolint:nilnil // mails go out without a signature
	}
	signs, err := mail.NewDKIM(mail.DKIMOptions{Domains: d.Domains, Selector: d.Selector, Key: d.Key.Reveal()}, now)
	if err != nil {
		return nil, &failure{
			cause: errors.New("mail." + reset.AsError(err).Message), code: exitUsage,
			hint: "mend that setting, or unset mail.dkim_key and mail.dkim_selector to send without a signature; docs/mails.md has the whole way",
		}
	}
	return signs, nil
}
