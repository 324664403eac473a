package web

import (
	"bytes"
	"fmt"
	"net/http"
	"regexp"
	"strings"

	"github.com/sparekey/sparekey/internal/reset"
)

// brand is what the pages wear for a request.
func (p *Pages) brand(r *http.Request) reset.Brand {
	if p.BrandOf == nil {
		return reset.Brand{Name: p.ServiceName}
	}
	return p.BrandOf(r)
}

// brandView is a brand as the layout shows it.
type brandView struct {
	Name string
	Logo string // where it is; empty: none
	// Width and Height are as much of the logo's as the page has room for.
	Width, Height int
}

// The most room that a logo gets, in CSS pixels.
const (
	logoWidth  = 240
	logoHeight = 64
)

func (p *Pages) brandView(b reset.Brand) brandView {
	v := brandView{Name: b.Name}
	if b.Logo.IsZero() || p.LogoOf == nil {
		return v
	}
	v.Logo, v.Width, v.Height = p.asset(b.Logo.Name()), b.Logo.Width, b.Logo.Height
	if v.Height > logoHeight {
		v.Width, v.Height = max(1, v.Width*logoHeight/v.Height), logoHeight
	}
	if v.Width > logoWidth {
		v.Width, v.Height = logoWidth, max(1, v.Height*logoWidth/v.Width)
	}
	return v
}

// supportView is whom to ask for help.
type supportView struct {
	URL   string
	Parts []piece
}

// A stylesheet's name says all that is in it: the digest of what all brands
// have in common, and the two colours, or 0 where Sparekey's own serve. So
// each process can make any of them, and none has to be kept.
var stylesheetName = regexp.MustCompile(`^style-([0-9a-f]{12})-([0-9a-f]{6}|0)-([0-9a-f]{6}|0)\.css$`)

func stylesheetOf(b reset.Brand) string {
	part := func(c reset.Color) string {
		if c == "" {
			return "0"
		}
		return strings.TrimPrefix(string(c), "#")
	}
	return "style-" + styleDigest + "-" + part(b.Accent) + "-" + part(b.Background) + ".css"
}

// stylesheet makes the stylesheet of that name; false if there is none.
func stylesheet(name string) ([]byte, bool) {
	found := stylesheetName.FindStringSubmatch(name)
	if found == nil || found[1] != styleDigest {
		return nil, false
	}
	color := func(s string) reset.Color {
		if s == "0" {
			return ""
		}
		return reset.Color("#" + s)
	}
	b := reset.Brand{Accent: color(found[2]), Background: color(found[3])}
	var out bytes.Buffer
	fmt.Fprintf(&out, ":root{%s}\n@media screen and (prefers-color-scheme:dark){:root{%s}}\n", properties(b.Light()), properties(b.Dark()))
	out.Write(styleText)
	return out.Bytes(), true
}

// properties are a palette as custom properties.
func properties(p reset.Palette) string {
	return fmt.Sprintf("--ground:%s;--sheet:%s;--text:%s;--quiet:%s;--problem:%s;--accent:%s;--on-accent:%s",
		p.Ground, p.Sheet, p.Text, p.Quiet, p.Problem, p.Accent, p.OnAccent)
}

// serveAsset answers what is made when it is asked for: a stylesheet or a logo.
func (p *Pages) serveAsset(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("name")
	if text, ok := stylesheet(name); ok {
		asset{"text/css; charset=utf-8", text}.serve(w, r)
		return
	}
	if digest, ok := reset.LogoDigest(name); ok && p.LogoOf != nil {
		logo, err := p.LogoOf(r.Context(), digest)
		if err == nil && logo.Name() == name {
			// Of what an operator was given by others a browser makes a picture, and nothing else.
			w.Header().Set("Content-Security-Policy", logoPolicy)
			asset{logo.Type, logo.Data}.serve(w, r)
			return
		}
		if err != nil && reset.AsError(err).Kind != reset.NotFound {
			p.WriteError(w, r, err)
			return
		}
	}
	p.note(w, r, http.StatusNotFound, "missing", nil)
}
