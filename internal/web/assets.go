package web

import (
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"net/http"
	"slices"
	"strconv"

	"github.com/sparekey/sparekey/internal/reset"
)

var (
	//go:embed assets/style.css
	styleText []byte
	//go:embed assets/page.js
	scriptText []byte
	//go:embed assets/icon.svg
	iconText []byte
	//go:embed assets/puzzle.js
	puzzleText []byte
	// What does the work is of ALTCHA's widget, as it is in the npm package
	// (script/vendor-altcha); the widget itself is not, see docs/adr/0008.
	//go:embed altcha/pbkdf2.js
	workerText []byte
	//go:embed altcha/LICENSE.txt
	workerLicence []byte
)

// solverText is the page's script and its workers' in one, so that the page is
// not one more request away from beginning to work.
var solverText = slices.Concat(
	[]byte("/* What follows up to the word else is of altcha, whose licence is:\n\n"), workerLicence, []byte("*/\n"),
	[]byte("if (typeof document === \"undefined\") {\n"), workerText, []byte("\n} else {\n"), puzzleText, []byte("}\n"),
)

// asset is a file that never changes under its name, since the name holds its digest.
type asset struct {
	kind    string
	content []byte
}

var (
	script = digested("page", ".js", scriptText)
	solver = digested("puzzle", ".js", solverText)
	icon   = digested("icon", ".svg", iconText)
	assets = map[string]asset{
		script: {"text/javascript; charset=utf-8", scriptText},
		solver: {"text/javascript; charset=utf-8", solverText},
		icon:   {"image/svg+xml", iconText},
	}
	// styleDigest stands for what stylesheets have in common: the text, and the palettes of reset, of which a brand's are made.
	styleDigest = digest([]byte(string(styleText) + properties(reset.Brand{}.Light()) + properties(reset.Brand{}.Dark())))
)

func digested(name, ending string, content []byte) string {
	return name + "-" + digest(content) + ending
}

func digest(content []byte) string {
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:6])
}

func (a asset) serve(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Type", a.kind)
	h.Set("Content-Length", strconv.Itoa(len(a.content)))
	h.Set("Cache-Control", "public, max-age=31536000, immutable")
	if r.Method != http.MethodHead {
		_, _ = w.Write(a.content)
	}
}
