package config

import (
	"net/netip"
)

// WebhookDirectory is an application that keeps its users to itself and answers signed calls.
type WebhookDirectory struct {
	URL          string
	Secrets      Secret // whsec_…, with commas or white space between
	AllowPrivate []netip.Prefix
	CA           string // path of a PEM file
}

func (b directoryBinder) webhook() []Setting {
	return []Setting{
		b.plainText(Setting{
			Path: "url", Allowed: "a URL such as https://app.example.com/sparekey; http only on this machine", Example: "https://app.example.com/sparekey",
			About: "where the application answers, at /find, /set and /health below it",
		}, func(d *Directory) *string { return &d.Webhook.URL }),
		secret(Setting{
			Path: "secrets", Allowed: "whsec_ and 24 to 64 bytes in base64, up to four with commas between; secrets_file names a file with them", About: "what calls are signed with, the newest first",
		}, in(b, func(d *Directory) *Secret { return &d.Webhook.Secrets })),
		list(Setting{
			Path: "allow_private", Allowed: "networks such as 10.0.0.0/8 or fd00::/8, or single addresses",
			About: "private, loopback and other special networks that the host's name may lead to; all are refused unless listed",
		}, in(b, func(d *Directory) *[]netip.Prefix { return &d.Webhook.AllowPrivate }), parseNetwork, netip.Prefix.String),
		b.plainText(Setting{Path: "ca_file", Default: "the system's authorities", Allowed: "the path of a PEM file", About: "whose certificates are believed"}, func(d *Directory) *string { return &d.Webhook.CA }),
	}
}
