package reset

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"image"
	_ "image/jpeg" // a format of logos
	_ "image/png"  // a format of logos
	"regexp"

	_ "golang.org/x/image/webp" // a format of logos
)

// The most that a logo may have, in bytes and in pixels a side.
const (
	MaxLogo       = 64 << 10
	maxLogoPixels = 1024
)

// Logo is a picture that stands for an organisation. The zero Logo is none.
type Logo struct {
	// Type is its media type: image/png, image/jpeg or image/webp.
	Type string
	// Width and Height are in pixels.
	Width, Height int
	// Digest is the SHA-256 of the file.
	Digest Digest
	// Data is the file. It is nil where a Logo is only named, as on pages, which have browsers fetch it.
	Data []byte
}

// logoTypes are the media types of what image.Decode calls the formats, and the ends of files' names.
var logoTypes = map[string]struct{ media, ending string }{
	"png":  {"image/png", ".png"},
	"jpeg": {"image/jpeg", ".jpg"},
	"webp": {"image/webp", ".webp"},
}

// NewLogo takes a picture in PNG, JPEG or WebP, by what is in it and not by a
// name. SVG is refused: it is a document that can hold scripts, styles and
// references, most mail programs do not show it, and what a sanitiser lets
// through today may do more in tomorrow's browser.
func NewLogo(data []byte) (Logo, error) {
	if len(data) > MaxLogo {
		return Logo{}, Invalidf("the logo has more than %d KiB; make it smaller, 400 pixels wide for example", MaxLogo>>10)
	}
	shape, format, err := image.DecodeConfig(bytes.NewReader(data))
	kind, ok := logoTypes[format]
	if err != nil || !ok {
		return Logo{}, Invalidf("the logo is no picture in PNG, JPEG or WebP (not animated); save it as PNG, also if it is an SVG")
	}
	if shape.Width < 1 || shape.Height < 1 || shape.Width > maxLogoPixels || shape.Height > maxLogoPixels {
		return Logo{}, Invalidf("the logo is %d × %d pixels; it may have up to %d each way", shape.Width, shape.Height, maxLogoPixels)
	}
	if _, _, err := image.Decode(bytes.NewReader(data)); err != nil {
		return Logo{}, Invalidf("the logo is damaged; save it again as PNG")
	}
	return Logo{Type: kind.media, Width: shape.Width, Height: shape.Height, Digest: sha256.Sum256(data), Data: data}, nil
}

// IsZero reports whether there is none.
func (l Logo) IsZero() bool { return l.Type == "" }

// Name is the logo's file name. It changes with the picture, so whoever has
// the file of a name need not ask for it again.
func (l Logo) Name() string {
	for _, kind := range logoTypes {
		if kind.media == l.Type {
			return "logo-" + hex.EncodeToString(l.Digest[:]) + kind.ending
		}
	}
	return ""
}

var logoName = regexp.MustCompile(`^logo-([0-9a-f]{64})\.(png|jpg|webp)$`)

// LogoDigest is the digest in a logo's name.
func LogoDigest(name string) (d Digest, ok bool) {
	found := logoName.FindStringSubmatch(name)
	if found == nil {
		return Digest{}, false
	}
	_, err := hex.Decode(d[:], []byte(found[1]))
	return d, err == nil
}
