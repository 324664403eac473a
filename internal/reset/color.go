package reset

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Color is a colour of sRGB as "#rrggbb", in lower case; empty: not set.
type Color string

// ParseColor takes #rgb or #rrggbb, in either case.
func ParseColor(s string) (Color, error) {
	digits, ok := strings.CutPrefix(strings.ToLower(s), "#")
	if len(digits) == 3 {
		digits = string([]byte{digits[0], digits[0], digits[1], digits[1], digits[2], digits[2]})
	}
	if _, err := strconv.ParseUint(digits, 16, 32); !ok || len(digits) != 6 || err != nil {
		return "", Invalidf("a colour is # and six digits from 0 to f, such as #1d4f91")
	}
	return Color("#" + digits), nil
}

// channels are red, green and blue, from 0 to 1. What is no colour is black.
func (c Color) channels() [3]float64 {
	n, err := strconv.ParseUint(strings.TrimPrefix(string(c), "#"), 16, 32)
	if err != nil {
		n = 0
	}
	return [3]float64{float64(n>>16&0xff) / 255, float64(n>>8&0xff) / 255, float64(n&0xff) / 255}
}

func colorOf(c [3]float64) Color {
	byteOf := func(f float64) int { return int(math.Round(min(max(f, 0), 1) * 255)) }
	return Color(fmt.Sprintf("#%02x%02x%02x", byteOf(c[0]), byteOf(c[1]), byteOf(c[2])))
}

// luminance is the relative luminance of WCAG 2.2.
func (c Color) luminance() float64 {
	var linear [3]float64
	for i, f := range c.channels() {
		if f <= 0.04045 {
			linear[i] = f / 12.92
		} else {
			linear[i] = math.Pow((f+0.055)/1.055, 2.4)
		}
	}
	return 0.2126*linear[0] + 0.7152*linear[1] + 0.0722*linear[2]
}

// Contrast is the contrast ratio of two colours after WCAG 2.2, from 1 to 21.
func Contrast(a, b Color) float64 {
	la, lb := a.luminance(), b.luminance()
	return (max(la, lb) + 0.05) / (min(la, lb) + 0.05)
}

// The least contrast of text (WCAG 2.2, 1.4.3), and the one that colours are given which we choose (1.4.6).
const (
	minContrast  = 4.5
	goodContrast = 7
)

// ratio is a contrast for people. It is cut, not rounded, so that what is not enough does not read as if it were.
func ratio(f float64) string { return fmt.Sprintf("%.2f:1", math.Floor(f*100)/100) }

// hsl are hue, saturation and lightness, each from 0 to 1.
func (c Color) hsl() (h, s, l float64) {
	rgb := c.channels()
	r, g, b := rgb[0], rgb[1], rgb[2]
	most, least := max(r, g, b), min(r, g, b)
	l = (most + least) / 2
	d := most - least
	if d == 0 {
		return 0, 0, l
	}
	s = d / (1 - math.Abs(2*l-1))
	switch most {
	case r:
		h = math.Mod((g-b)/d+6, 6)
	case g:
		h = (b-r)/d + 2
	default:
		h = (r-g)/d + 4
	}
	return h / 6, s, l
}

// fromHSL is the inverse of hsl.
func fromHSL(h, s, l float64) Color {
	a := s * min(l, 1-l)
	channel := func(n float64) float64 {
		k := math.Mod(n+h*12, 12)
		return l - a*max(-1, min(k-3, 9-k, 1))
	}
	return colorOf([3]float64{channel(0), channel(8), channel(4)})
}

// toward returns the nearest colour of the same hue that has the contrast on a
// ground, made lighter by steps, or darker by negative ones; c itself if it has it already.
func (c Color) toward(step float64, on Color, contrast float64) Color {
	h, s, l := c.hsl()
	for Contrast(c, on) < contrast && l > 0 && l < 1 {
		l = min(max(l+step, 0), 1)
		c = fromHSL(h, s, l)
	}
	return c
}

// Palette is what a page or mail is coloured with in one of the two schemes.
// On Ground and on Sheet each of the texts and Accent has a contrast of at
// least 4.5:1, and so has OnAccent on Accent (WCAG 2.2, 1.4.3).
type Palette struct {
	Ground   Color // of the page
	Sheet    Color // of what lies on it and holds the text
	Text     Color
	Quiet    Color // hints
	Problem  Color // what is wrong
	Accent   Color // links, and the ground of buttons
	OnAccent Color // what buttons say
}

// The palettes without an account's colours.
var (
	lightPalette = Palette{
		Ground: "#f4f4f1", Sheet: "#ffffff", Text: "#1b1f23", Quiet: "#565d66", Problem: "#a4161a",
		Accent: "#1d4f91", OnAccent: "#ffffff",
	}
	darkPalette = Palette{
		Ground: "#14171a", Sheet: "#1e2226", Text: "#e9ecef", Quiet: "#b0b7bf", Problem: "#ffb3ae",
		Accent: "#1d4f91", OnAccent: "#14171a",
	}
)

// Light is the palette of the light scheme.
func (b Brand) Light() Palette {
	p := lightPalette
	if b.Background != "" {
		p.Ground = b.Background
	}
	if b.Accent != "" {
		p.Accent = b.Accent
	}
	return p
}

// Dark is the palette of the dark scheme. Its grounds are Sparekey's own. An
// accent that cannot be read on them is made lighter, of the same hue, up to 7:1.
func (b Brand) Dark() Palette {
	p := darkPalette
	if b.Accent != "" {
		p.Accent = b.Accent
	}
	if Contrast(p.Accent, p.Sheet) < minContrast {
		p.Accent = p.Accent.toward(0.01, p.Sheet, goodContrast)
	}
	return p
}

// Pair is two colours of a palette that have to differ, one on the other.
type Pair struct {
	What, On   string // in words: "the accent", "the background"
	Of, Ground Color
}

// Contrast is the pair's.
func (p Pair) Contrast() float64 { return Contrast(p.Of, p.Ground) }

// Pairs are those whose contrast has to be at least 4.5:1.
func (p Palette) Pairs() []Pair {
	var pairs []Pair
	for _, ground := range []Pair{{On: "the background", Ground: p.Ground}, {On: "the sheet", Ground: p.Sheet}} {
		for _, text := range []Pair{
			{What: "text", Of: p.Text},
			{What: "quiet text", Of: p.Quiet},
			{What: "what is wrong", Of: p.Problem},
			{What: "the accent", Of: p.Accent},
		} {
			pairs = append(pairs, Pair{text.What, ground.On, text.Of, ground.Ground})
		}
	}
	return append(pairs, Pair{"what buttons say", "the accent", p.OnAccent, p.Accent})
}

// weak is the first pair whose contrast is too low.
func (p Palette) weak() (Pair, bool) {
	for _, pair := range p.Pairs() {
		if pair.Contrast() < minContrast {
			return pair, true
		}
	}
	return Pair{}, false
}

// checkColors says which two colours of a brand cannot be told apart well enough, and what would do.
func (b Brand) checkColors() error {
	for _, scheme := range []struct {
		name    string
		palette Palette
	}{{"light", b.Light()}, {"dark", b.Dark()}} {
		pair, weak := scheme.palette.weak()
		if !weak {
			continue
		}
		return Invalidf("in the %s scheme %s (%s) on %s (%s) has a contrast of %s and needs %s; %s",
			scheme.name, pair.What, pair.Of, pair.On, pair.Ground, ratio(pair.Contrast()), ratio(minContrast), b.better(pair))
	}
	return nil
}

// better proposes a colour instead of one that cannot be read: a darker accent, or a lighter
// background on which all texts can be.
func (b Brand) better(pair Pair) string {
	if pair.What == "the accent" && b.Accent != "" {
		return fmt.Sprintf("choose a darker accent, such as %s", b.Accent.toward(-0.01, pair.Ground, minContrast))
	}
	proposed := Brand{Background: b.Background}
	for pair, weak := proposed.Light().weak(); weak && pair.On == "the background"; pair, weak = proposed.Light().weak() {
		proposed.Background = proposed.Background.toward(0.01, pair.Of, minContrast)
	}
	return fmt.Sprintf("choose a lighter background, such as %s", proposed.Background)
}
