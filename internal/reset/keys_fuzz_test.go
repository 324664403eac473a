package reset_test

import (
	"strings"
	"testing"

	"github.com/sparekey/sparekey/internal/reset"
	"github.com/sparekey/sparekey/internal/servicetest"
)

// Whatever the header says, it names the key if and only if it is the secret,
// with at most one word and one space in front of it; and no error repeats it.
func FuzzKeyHeader(f *testing.F) {
	w := servicetest.New(f)
	secret, err := w.Keys.Create(f.Context(), "app", reset.ScopeReset, 0, 0)
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range []string{
		"", "%", "Token %", "Bearer %", " %", "% ", "Token  %", "%,%", "Token %, Token %", "%\r\n", "%\x00", "a b %", "\t%", "Token\t%",
		strings.Repeat("x", 600) + " %", "%%", "Token", "spk_", "SPK%",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, shape string) {
		header := strings.ReplaceAll(shape, "%", secret)
		prefix, two := strings.CutSuffix(header, " "+secret)
		want := header == secret || two && len(header) <= 512 && !strings.ContainsAny(prefix, " ,")
		key, err := w.Keys.Authenticate(t.Context(), "", header)
		switch {
		case (err == nil) != want:
			t.Errorf("%q: %v, want it to be taken: %v", shape, err, want)
		case err == nil && key.Name != "app":
			t.Errorf("%q names %q", shape, key.Name)
		case err != nil && (reset.AsError(err).Kind != reset.Unauthorized || strings.Contains(err.Error(), secret)):
			t.Errorf("%q is refused with %v", shape, err)
		}
	})
}
