package web

import (
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"net/http"
	"strconv"
)

var (
	//go:embed assets/style.css
	styleText []byte
	//go:embed assets/show.js
	scriptText []byte
	//go:embed assets/icon.svg
	iconText []byte
)

// asset is a file that never changes under its name, since the name holds its digest.
type asset struct {
	kind    string
	content []byte
}

var (
	stylesheet = digested("style", ".css", styleText)
	script     = digested("show", ".js", scriptText)
	icon       = digested("icon", ".svg", iconText)
	assets     = map[string]asset{
		stylesheet: {"text/css; charset=utf-8", styleText},
		script:     {"text/javascript; charset=utf-8", scriptText},
		icon:       {"image/svg+xml", iconText},
	}
)

func digested(name, ending string, content []byte) string {
	sum := sha256.Sum256(content)
	return name + "-" + hex.EncodeToString(sum[:6]) + ending
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
