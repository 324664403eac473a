package joint

import (
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/sparekey/sparekey/internal/reset"
)

// names is a directory of three parts that nobody is in.
func names(t interface{ Fatal(...any) }) *Directory {
	d, err := New([]Part{{Name: Builtin}, {Name: "crm"}, {Name: "c"}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// TestNamesOfUsers: for each ID of each directory there is one name, it leads back, and it can stand beside others.
func TestNamesOfUsers(t *testing.T) {
	t.Parallel()
	d := names(t)
	rapid.Check(t, func(t *rapid.T) {
		p := rapid.SampledFrom(d.parts[1:]).Draw(t, "part")
		id := rapid.OneOf(rapid.String(), rapid.StringMatching(`[%.,a-z0-9=@ /]{1,20}`)).Draw(t, "id")
		name, err := p.encode(id)
		if (err != nil) != (id == "" || len(escape(id)) > maxID) {
			t.Fatalf("%q: %v", id, err)
		}
		if err != nil {
			return
		}
		if strings.ContainsAny(name, ", \x00") || len(name) > 300 {
			t.Fatalf("%q is named %q", id, name)
		}
		if back, again := d.decode(name); back != p || again != id {
			t.Fatalf("%q leads to %q of %v", name, again, back)
		}
		other := rapid.SampledFrom(d.parts[1:]).Draw(t, "another part")
		second := rapid.String().Draw(t, "another id")
		if twin, err := other.encode(second); err == nil && (twin == name) != (other == p && second == id) {
			t.Fatalf("%q and %q of %s have one name", id, second, other.Name)
		}
	})
}

// FuzzDecode: whatever is decoded is named like that, and like nothing else.
func FuzzDecode(f *testing.F) {
	for _, s := range []string{"crm.17", "5b1f3a52-7f0c-4b44-9a3e-0d8f4f1c2a11", "crm.%2C", "crm.%2c", "c.rm.1", "builtin.x", "", ".", "crm.", "%", "crm.%", "crm.a,c.b"} {
		f.Add(s)
	}
	d := names(f)
	f.Fuzz(func(t *testing.T, s string) {
		for _, one := range reset.UserIDs(s) {
			p, id := d.decode(one)
			if p == nil || p.Name == Builtin {
				continue
			}
			if again, err := p.encode(id); err != nil || again != one {
				t.Errorf("%q is %q of %s, which is named %q, %v", one, id, p.Name, again, err)
			}
		}
	})
}
