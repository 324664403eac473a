package config_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sparekey/sparekey/internal/config"
)

func TestReadBrand(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		file string
		want map[string]string
		// faults are what is said, without what each begins with.
		faults []string
	}{
		"everything": {
			"display_name: 'Acme: Ltd'\nlogo: a.png\naccent: '#663399'\nbackground: '#fff'\nsender: Acme <a@acme.test>\nreply_to: b@acme.test\n" +
				"support: https://acme.test\nlink_base: https://r.acme.test\nhosts: [a.acme.test, b.acme.test]\n",
			map[string]string{
				"display_name": "Acme: Ltd", "logo": "a.png", "accent": "#663399", "background": "#fff", "sender": "Acme <a@acme.test>",
				"reply_to": "b@acme.test", "support": "https://acme.test", "link_base": "https://r.acme.test", "hosts": "a.acme.test,b.acme.test",
			},
			nil,
		},
		"nothing":          {"", map[string]string{}, nil},
		"what is empty":    {"support:\nlogo: ''\nhosts: a.acme.test, b.acme.test", map[string]string{"hosts": "a.acme.test, b.acme.test"}, nil},
		"a typing mistake": {"suppport: x", nil, []string{"suppport is not of a brand; the nearest is support"}},
		"a setting":        {"mail: {from: x}", nil, []string{"mail is not of a brand; see docs/branding.md for all there are"}},
		"a lost colour":    {"accent: #639", nil, []string{"accent has no value, since # begins a comment; put the colour into quotes: '#1d4f91'"}},
		"a number":         {"display_name: 12", nil, []string{"display_name is a number instead of text (perhaps it needs quotes); write one text"}},
		"a text for hosts": {"hosts: [1]", nil, []string{"hosts has an entry that is not text; write names with commas, or a list of them"}},
		"twice":            {"support: a@acme.test\nsupport: b@acme.test", nil, []string{"line 2 repeats a key of line 1; keep one of the two"}},
		"two documents":    {"support: a@acme.test\n---\nlogo: x", nil, []string{"the file has a second document after ---; put everything into the first"}},
		"no mapping":       {"Acme", nil, []string{"the file is not a YAML mapping of settings (near line 1); check indentation, colons and quotes there"}},
	} {
		got, err := config.ReadBrand([]byte(c.file), "acme.yaml")
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		var said []string
		if e, ok := errors.AsType[*config.Error](err); ok {
			for _, f := range e.Faults {
				said = append(said, strings.TrimPrefix(f.String(), "file acme.yaml: "))
			}
		}
		if diff := cmp.Diff(c.faults, said); diff != "" {
			t.Errorf("%s: faults (-want +got):\n%s", name, diff)
		}
	}
}
