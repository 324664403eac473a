package reset_test

import (
	"bytes"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"net/url"
	"strings"
	"testing"
	"unicode"

	"pgregory.net/rapid"

	"github.com/sparekey/sparekey/internal/reset"
)

// theDefault is a default brand as serve makes one.
func theDefault(t testing.TB, base string) reset.Brand {
	t.Helper()
	b, err := reset.Branding{
		Name: "Example", Sender: "Example <noreply@example.test>", ReplyTo: "help@example.test", Support: "https://help.example.test/",
		LinkBase: base, Hosts: []string{"reset.example.test"},
	}.Default()
	must(t, err)
	return b
}

func address(t testing.TB, s string) reset.Address {
	t.Helper()
	a, err := reset.ParseAddress(s)
	must(t, err)
	return a
}

func TestBrandingIsKeptTidy(t *testing.T) {
	t.Parallel()
	base := theDefault(t, "https://reset.example.test:8443/auth")
	_, err := reset.Branding{
		Name: "  Acme  ", Accent: " #0A5 ", Background: "#FAFAFA", Sender: `"Acme, Ltd" <no-reply@acme.test>`,
		ReplyTo: " Help@Acme.test", Support: "https://acme.test/help", LinkBase: "https://Reset.Bücher.test:8443/auth/",
		Hosts: []string{"Reset.Bücher.test", "xn--bcher-kva.test.", "reset.xn--bcher-kva.test"},
	}.Checked(base)
	// #00aa55 on #fafafa is no 4.5:1; the error is looked at below.
	refused(t, "a pale accent", err, reset.Invalid, reset.CodeBadValue)
	got, err := reset.Branding{
		Name: "  Acme  ", Accent: " #063 ", Background: "#FAFAFA", Sender: `"Acme, Ltd" <no-reply@acme.test>`,
		ReplyTo: " Help@Acme.test", Support: "https://acme.test/help", LinkBase: "https://Reset.Bücher.test:8443/auth/",
		Hosts: []string{"Reset.Bücher.test", "xn--bcher-kva.test.", "reset.xn--bcher-kva.test"},
	}.Checked(base)
	must(t, err)
	same(t, "what is kept", got, reset.Branding{
		Name: "Acme", Accent: "#006633", Background: "#fafafa", Sender: `"Acme, Ltd" <no-reply@acme.test>`,
		ReplyTo: "Help@Acme.test", Support: "https://acme.test/help", LinkBase: "https://reset.xn--bcher-kva.test:8443/auth",
		Hosts: []string{"reset.xn--bcher-kva.test", "xn--bcher-kva.test"},
	})
	same(t, "what is in force", got.Brand(reset.Account{ID: 3, Name: "acme"}, base), reset.Brand{
		Account: 3, Name: "Acme", Accent: "#006633", Background: "#fafafa",
		Sender: address(t, "no-reply@acme.test"), SenderName: "Acme, Ltd", ReplyTo: address(t, "Help@Acme.test"), Support: "https://acme.test/help",
		BaseURL: "https://reset.xn--bcher-kva.test:8443/auth", Hosts: []string{"reset.xn--bcher-kva.test", "xn--bcher-kva.test"},
	})
}

func TestWhatIsNotSetIsTheDefaults(t *testing.T) {
	t.Parallel()
	base := theDefault(t, "https://reset.example.test:8443/auth")
	base.Accent, base.Background = "#123456", "#ffffff"
	for name, c := range map[string]struct {
		set  reset.Branding
		want func(*reset.Brand)
	}{
		"a sender without a name": {reset.Branding{Sender: "no-reply@acme.test"}, func(b *reset.Brand) {
			b.Sender = address(t, "no-reply@acme.test")
		}},
		"a name": {reset.Branding{Name: "Acme & Sons"}, func(b *reset.Brand) { b.Name, b.SenderName = "Acme & Sons", "Acme & Sons" }},
		"one colour: the other is not the default brand's": {reset.Branding{Accent: "#660000"}, func(b *reset.Brand) {
			b.Accent, b.Background = "#660000", ""
		}},
		"host names: the first is in links": {reset.Branding{Hosts: []string{"reset.acme.test", "r.acme.test"}}, func(b *reset.Brand) {
			b.BaseURL, b.Hosts = "https://reset.acme.test:8443/auth", []string{"reset.acme.test", "r.acme.test"}
		}},
		"a support address": {reset.Branding{Support: "help@acme.test"}, func(b *reset.Brand) { b.Support = "help@acme.test" }},
	} {
		want := base
		want.Account, want.Name, want.SenderName, want.Hosts = 7, "acme", "acme", nil
		c.want(&want)
		checked, err := c.set.Checked(base)
		must(t, err)
		same(t, name, checked.Brand(reset.Account{ID: 7, Name: "acme"}, base), want)
	}
}

func TestBrandingRefuses(t *testing.T) {
	t.Parallel()
	base := theDefault(t, "https://reset.example.test/auth")
	for name, c := range map[string]struct {
		set  reset.Branding
		says string
	}{
		"a name of two lines":            {reset.Branding{Name: "Acme\nBcc: eve@evil.test"}, "control characters"},
		"a name that turns the text":     {reset.Branding{Name: "Acme \u202egnp"}, "direction of writing"},
		"a name that is too long":        {reset.Branding{Name: strings.Repeat("ä", 101)}, "more than 100"},
		"a name that is not UTF-8":       {reset.Branding{Name: "Acme\xff"}, "UTF-8"},
		"a colour's name":                {reset.Branding{Accent: "navy"}, "such as #1d4f91"},
		"a colour with a style in it":    {reset.Branding{Accent: "#1d4f91;}*{"}, "such as #1d4f91"},
		"a colour of five digits":        {reset.Branding{Background: "#12345"}, "such as #1d4f91"},
		"an accent that nobody can read": {reset.Branding{Accent: "#ffcc00"}, "in the light scheme the accent (#ffcc00) on the background (#f4f4f1) has a contrast of 1.37:1 and needs 4.50:1; choose a darker accent, such as #"},
		"a background that is too dark":  {reset.Branding{Background: "#808080"}, "in the light scheme text (#1b1f23) on the background (#808080) has a contrast of 4.19:1 and needs 4.50:1; choose a lighter background, such as #"},
		"a background that hides hints":  {reset.Branding{Background: "#aaaaaa"}, "quiet text"},
		"the accent on the background":   {reset.Branding{Accent: "#767676", Background: "#f9f9f9"}, "contrast of 4.3"},
		"a sender that is no address":    {reset.Branding{Sender: "Acme"}, "Example <noreply@example.com>"},
		"two senders":                    {reset.Branding{Sender: "a@acme.test, b@acme.test"}, "is not a mail address"},
		"a sender with a header":         {reset.Branding{Sender: "Acme <a@acme.test>\r\nBcc: eve@evil.test"}, "is not a mail address"},
		"a sender hiding a header":       {reset.Branding{Sender: "=?utf-8?q?A=0d=0aBcc=3A_eve=40evil.test?= <a@acme.test>"}, "control characters"},
		"a sender few servers take":      {reset.Branding{Sender: "ünal@acme.test"}, "ASCII before the @"},
		"a sender that turns the text":   {reset.Branding{Sender: "Acme \u202egnp <a@acme.test>"}, "direction of writing"},
		"a reply-to with a name":         {reset.Branding{ReplyTo: "Help <help@acme.test>"}, "the address for replies: not a mail address"},
		"support by script":              {reset.Branding{Support: "javascript:alert(1)"}, "the support address: write a mail address, or a URL"},
		"support without TLS":            {reset.Branding{Support: "http://acme.test/help"}, "https://"},
		"support with a user":            {reset.Branding{Support: "https://me@acme.test/"}, "no user name"},
		"support without a host":         {reset.Branding{Support: "https:///help"}, "https://"},
		"a link base without TLS":        {reset.Branding{LinkBase: "http://reset.acme.test/auth"}, "the link base: it must be https: whoever reads the link"},
		"a link base on the machine":     {reset.Branding{LinkBase: "http://localhost:8080/auth"}, "it must be https, as base_url is"},
		"a link base with a query":       {reset.Branding{LinkBase: "https://reset.acme.test/auth?x"}, "a query"},
		"a link base with a user":        {reset.Branding{LinkBase: "https://good.test@evil.test/auth"}, "a user name"},
		"a link base elsewhere":          {reset.Branding{LinkBase: "https://reset.acme.test/other"}, `its path must be that of base_url, "/auth"`},
		"a link base that is no URL":     {reset.Branding{LinkBase: "reset.acme.test"}, "such as https://reset.example.com"},
		"a host with a port":             {reset.Branding{Hosts: []string{"reset.acme.test:443"}}, "a host name: it has more than a name"},
		"a URL for a host":               {reset.Branding{Hosts: []string{"https://reset.acme.test"}}, "more than a name"},
		"a wildcard":                     {reset.Branding{Hosts: []string{"*.acme.test"}}, "more than a name"},
		"an address for a host":          {reset.Branding{Hosts: []string{"192.0.2.1"}}, "IP address"},
		"one of IPv6":                    {reset.Branding{Hosts: []string{"[2001:db8::1]"}}, "IP address"},
		"numbers for a host":             {reset.Branding{Hosts: []string{"192.0.2"}}, "not the name of a host"},
		"a host with an empty part":      {reset.Branding{Hosts: []string{"reset..test"}}, "not the name of a host"},
		"a false form of IDN":            {reset.Branding{Hosts: []string{"xn--a.test"}}, "not the name of a host"},
		"the default brand's host":       {reset.Branding{Hosts: []string{"Reset.Example.test"}}, "is the default brand's"},
		"too many hosts":                 {reset.Branding{Hosts: make([]string, 21)}, "up to 20"},
	} {
		_, err := c.set.Checked(base)
		e := refused(t, name, err, reset.Invalid, reset.CodeBadValue)
		if !strings.Contains(e.Message, c.says) {
			t.Errorf("%s: got %q, want it to say %q", name, e.Message, c.says)
		}
	}
	loopback := theDefault(t, "http://localhost:8080")
	if _, err := (reset.Branding{LinkBase: "http://acme.localhost:8080"}).Checked(loopback); err != nil {
		t.Errorf("where base_url is http on loopback a link base may be: %v", err)
	}
	for _, c := range []struct{ base, host string }{
		{"http://127.0.0.1:8080", "127.0.0.1"}, {"https://[2001:db8::1]:8443", "2001:db8::1"}, {"https://reset.example.test", "reset.example.test"},
	} {
		b, err := reset.Branding{LinkBase: c.base}.Default()
		must(t, err)
		same(t, "the hosts of "+c.base, b.Hosts, []string{c.host})
	}
	_, err := reset.Branding{LinkBase: "https://reset.acme.test"}.Checked(loopback)
	refused(t, "https where base_url is http", err, reset.Invalid, reset.CodeBadValue)
}

func TestContrastIsWCAGs(t *testing.T) {
	t.Parallel()
	// The first two by definition; the others are what people check their checkers with.
	for _, c := range []struct {
		a, b reset.Color
		want float64
	}{
		{"#000000", "#ffffff", 21},
		{"#777777", "#777777", 1},
		{"#777777", "#ffffff", 4.48},
		{"#767676", "#ffffff", 4.54},
		{"#0000ff", "#ffffff", 8.59},
		{"#ff0000", "#ffffff", 4.00},
	} {
		if got := reset.Contrast(c.a, c.b); got < c.want-0.005 || got > c.want+0.005 {
			t.Errorf("%s on %s: got %.3f, want %.2f", c.a, c.b, got, c.want)
		}
	}
}

// aColor draws any colour, or one of a kind: any two are seldom far enough from each other.
func aColor(kind string) *rapid.Generator[string] {
	return rapid.OneOf(rapid.StringMatching(`#[0-9a-fA-F]{6}`), rapid.StringMatching(kind))
}

const (
	darkColor  = `#([0-5][0-9a-f]){3}`
	lightColor = `#([ef][0-9a-f]){3}`
)

func TestWhatIsTakenCanBeRead(t *testing.T) {
	t.Parallel()
	taken, turned := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		set := reset.Branding{Accent: reset.Color(aColor(darkColor).Draw(t, "accent")), Background: reset.Color(aColor(lightColor).Draw(t, "background"))}
		checked, err := set.Checked(reset.Brand{})
		if err != nil {
			turned++
			_, proposed, ok := strings.Cut(reset.AsError(err).Message, ", such as ")
			if !ok {
				t.Fatalf("a refusal proposes nothing: %v", err)
			}
			if _, err := reset.ParseColor(proposed); err != nil {
				t.Fatalf("%q is proposed: %v", proposed, err)
			}
			return
		}
		taken++
		brand := checked.Brand(reset.Account{}, reset.Brand{})
		for scheme, palette := range map[string]reset.Palette{"light": brand.Light(), "dark": brand.Dark()} {
			for _, pair := range palette.Pairs() {
				if pair.Contrast() < 4.5 {
					t.Fatalf("%+v was taken, and in the %s scheme %+v has %.2f:1", checked, scheme, pair, pair.Contrast())
				}
			}
		}
	})
	if taken == 0 || turned == 0 {
		t.Errorf("%d were taken and %d refused; this shows nothing", taken, turned)
	}
}

func TestEveryReadableAccentIsTaken(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		accent := reset.Color(strings.ToLower(aColor(darkColor).Draw(t, "accent")))
		_, err := reset.Branding{Accent: accent, Background: "#ffffff"}.Checked(reset.Brand{})
		if readable := reset.Contrast(accent, "#ffffff") >= 4.5; readable != (err == nil) {
			t.Fatalf("%s has %.3f:1 on white: %v", accent, reset.Contrast(accent, "#ffffff"), err)
		}
	})
}

func TestProposedColoursAreTaken(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		set := reset.Branding{Accent: reset.Color(aColor(darkColor).Draw(t, "accent")), Background: reset.Color(aColor(lightColor).Draw(t, "background"))}
		for range 3 { // the background first, and then the accent on it; the third is taken
			_, err := set.Checked(reset.Brand{})
			if err == nil {
				return
			}
			message := reset.AsError(err).Message
			_, proposed, _ := strings.Cut(message, ", such as ")
			if strings.Contains(message, "choose a darker accent") {
				set.Accent = reset.Color(proposed)
			} else {
				set.Background = reset.Color(proposed)
			}
		}
		t.Fatalf("following what is proposed leads nowhere: %+v", set)
	})
}

// aHost draws host names, and what nearly is one.
func aHost() *rapid.Generator[string] {
	label := rapid.OneOf(
		rapid.StringMatching(`[a-zA-Z0-9]([a-zA-Z0-9-]{0,8}[a-zA-Z0-9])?`),
		rapid.StringOfN(rapid.SampledFrom([]rune("abKzßéäöσςжא語１ａ。.-_: ")), 1, 8, -1),
	)
	return rapid.Custom(func(t *rapid.T) string { return strings.Join(rapid.SliceOfN(label, 1, 4).Draw(t, "labels"), ".") })
}

func TestHostsAreFoundAsBrowsersSendThem(t *testing.T) {
	t.Parallel()
	taken := 0
	rapid.Check(t, func(t *rapid.T) {
		typed := aHost().Draw(t, "host")
		host, err := reset.ParseHost(typed)
		if err != nil {
			return
		}
		taken++
		if strings.ContainsFunc(host, func(r rune) bool {
			return r > unicode.MaxASCII || unicode.IsUpper(r) || strings.ContainsRune(" :/@[]_", r)
		}) {
			t.Fatalf("%q was taken as %q", typed, host)
		}
		again, err := reset.ParseHost(host)
		if err != nil || again != host {
			t.Fatalf("%q becomes %q, and that %q, %v", typed, host, again, err)
		}
		for _, header := range []string{host, strings.ToUpper(host), host + ".", host + ":443", host + ".:8080"} {
			if got := reset.RequestHost(header); got != host {
				t.Fatalf("with the Host %q the name is %q, not %q", header, got, host)
			}
		}
		if u, err := url.Parse("https://" + host + "/"); err != nil || u.Hostname() != host {
			t.Fatalf("%q makes the URL %v, %v", host, u, err)
		}
	})
	if taken == 0 {
		t.Error("not one host was taken; this shows nothing")
	}
}

func TestRequestHostIsANameOrNothing(t *testing.T) {
	t.Parallel()
	for header, want := range map[string]string{
		"": "", "reset.acme.test": "reset.acme.test", "RESET.acme.TEST:8080": "reset.acme.test", "localhost": "localhost",
		"good.test@evil.test": "", "good.test, evil.test": "", "good.test/evil": "", "good.test#": "", "good.test\tevil": "", "good.test:x": "",
		"good.test:80:80": "", "127.0.0.1": "127.0.0.1", "127.0.0.1:8080": "127.0.0.1", "[::1]": "::1", "[0:0::1]:8080": "::1", "::1": "", "[::1": "", "[127.0.0.1]": "",
		"[fe80::1%25eth0]": "", "127.1": "", "acmé.test": "", "a..b": "", ".": "", ":80": "",
		"good.test..": "", "-a.test": "", strings.Repeat("a", 64) + ".test": "", strings.Repeat("a.", 130) + "test": "",
	} {
		same(t, header, reset.RequestHost(header), want)
	}
	rapid.Check(t, func(t *rapid.T) {
		host := reset.RequestHost(rapid.String().Draw(t, "header"))
		if strings.Trim(host, "abcdefghijklmnopqrstuvwxyz0123456789.:-") != "" {
			t.Fatalf("got %q", host)
		}
	})
}

func TestWherePagesAre(t *testing.T) {
	t.Parallel()
	base := theDefault(t, "https://reset.example.test/auth")
	for name, c := range map[string]struct {
		set  reset.Branding
		want string
	}{
		"a host of its own":      {reset.Branding{Hosts: []string{"r.acme.test"}}, "https://r.acme.test/auth/forgot"},
		"a link base of its own": {reset.Branding{LinkBase: "https://r.acme.test/auth"}, "https://r.acme.test/auth/forgot"},
		"the default's host":     {reset.Branding{Name: "Acme"}, "https://reset.example.test/auth/forgot?account=3"},
		"hosts, but links go to the default's": {
			reset.Branding{Hosts: []string{"r.acme.test"}, LinkBase: "https://reset.example.test/auth"}, "https://reset.example.test/auth/forgot?account=3",
		},
	} {
		checked, err := c.set.Checked(base)
		must(t, err)
		same(t, name, checked.Brand(reset.Account{ID: 3, Name: "acme"}, base).URL("/forgot"), c.want)
	}
	same(t, "the default's", base.URL("/forgot"), "https://reset.example.test/auth/forgot")
}

func TestSupportLinks(t *testing.T) {
	t.Parallel()
	for support, want := range map[string]string{
		"": "", "help@acme.test": "mailto:help@acme.test", "a?b=c&d@acme.test": "mailto:a%3Fb=c&d@acme.test",
		"https://acme.test/help?x=1": "https://acme.test/help?x=1",
	} {
		b, err := reset.Branding{Support: support}.Checked(reset.Brand{})
		must(t, err)
		same(t, support, b.Brand(reset.Account{}, reset.Brand{}).SupportURL(), want)
	}
}

// picture is a picture of that size in PNG.
func picture(t testing.TB, width, height int) []byte {
	t.Helper()
	var b bytes.Buffer
	must(t, png.Encode(&b, drawn(width, height)))
	return b.Bytes()
}

func drawn(width, height int) image.Image {
	img := image.NewPaletted(image.Rect(0, 0, width, height), color.Palette{color.White, color.RGBA{R: 0x1d, G: 0x4f, B: 0x91, A: 0xff}})
	for i := range img.Pix {
		img.Pix[i] = uint8(i % 2)
	}
	return img
}

// tinyWebP is a lossless picture of one pixel.
const tinyWebP = "RIFF\x1a\x00\x00\x00WEBPVP8L\x0d\x00\x00\x00\x2f\x00\x00\x00\x10\x07\x10\x11\x11\x88\x88\xfe\x07\x00"

func TestLogosAreKnownByWhatIsInThem(t *testing.T) {
	t.Parallel()
	var jpg bytes.Buffer
	must(t, jpeg.Encode(&jpg, drawn(40, 10), nil))
	for name, c := range map[string]struct {
		data          []byte
		media, ending string
		width, height int
	}{
		"PNG":  {picture(t, 300, 80), "image/png", ".png", 300, 80},
		"JPEG": {jpg.Bytes(), "image/jpeg", ".jpg", 40, 10},
		"WebP": {[]byte(tinyWebP), "image/webp", ".webp", 1, 1},
	} {
		l, err := reset.NewLogo(c.data)
		must(t, err)
		same(t, name, []any{l.Type, l.Width, l.Height, l.IsZero()}, []any{c.media, c.width, c.height, false})
		if !strings.HasPrefix(l.Name(), "logo-") || !strings.HasSuffix(l.Name(), c.ending) {
			t.Errorf("%s: the name is %q", name, l.Name())
		}
		if d, ok := reset.LogoDigest(l.Name()); !ok || d != l.Digest {
			t.Errorf("%s: %q is not understood", name, l.Name())
		}
	}
	for _, name := range []string{"", "logo-.png", "logo-00.png", "../logo", "logo-" + strings.Repeat("0", 64) + ".svg", "logo-" + strings.Repeat("A", 64) + ".png"} {
		if _, ok := reset.LogoDigest(name); ok {
			t.Errorf("%q was understood", name)
		}
	}
}

func TestLogosThatAreRefused(t *testing.T) {
	t.Parallel()
	whole := picture(t, 300, 80)
	for name, c := range map[string]struct {
		data []byte
		says string
	}{
		"nothing":        {nil, "no picture"},
		"SVG":            {[]byte(`<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>`), "also if it is an SVG"},
		"HTML":           {[]byte(`<!doctype html><title>x</title>`), "no picture"},
		"GIF":            {[]byte("GIF89a\x01\x00\x01\x00\x00\x00\x00;"), "no picture"},
		"half of a PNG":  {whole[:len(whole)-20], "damaged"},
		"too many bytes": {append(bytes.Clone(whole), make([]byte, reset.MaxLogo)...), "64 KiB"},
		"too wide":       {picture(t, 1025, 2), "1025 × 2 pixels; it may have up to 1024"},
	} {
		_, err := reset.NewLogo(c.data)
		e := refused(t, name, err, reset.Invalid, reset.CodeBadValue)
		if !strings.Contains(e.Message, c.says) {
			t.Errorf("%s: got %q, want it to say %q", name, e.Message, c.says)
		}
	}
}
