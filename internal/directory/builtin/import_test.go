package builtin_test

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/sparekey/sparekey/internal/directory/builtin"
	"github.com/sparekey/sparekey/internal/reset"
	"github.com/sparekey/sparekey/internal/servicetest"
)

// goodHash stands for a hash that the hasher can verify.
const goodHash = "$good$"

func checkHash(encoded string) error {
	if encoded != goodHash {
		return reset.Invalidf("this hash cannot be used")
	}
	return nil
}

func TestReadImport(t *testing.T) {
	t.Parallel()
	full := builtin.NewUser{Email: ada, Name: "Ada", Accounts: []string{"Acme", "Globex"}, Locale: "de", PasswordHash: goodHash}
	for what, c := range map[string]struct {
		file string
		want []builtin.ImportUser
	}{
		"all columns":         {"email,name,accounts,locale,password_hash\n" + ada + ",Ada,Acme;Globex,de," + goodHash + "\n", []builtin.ImportUser{{NewUser: full, Line: 2}}},
		"in another order":    {"email,password_hash,locale,accounts,name\n" + ada + "," + goodHash + ",de,Acme;Globex,Ada", []builtin.ImportUser{{NewUser: full, Line: 2}}},
		"email alone":         {"email\n" + ada + "\n" + bob + "\n", []builtin.ImportUser{{builtin.NewUser{Email: ada}, 2}, {builtin.NewUser{Email: bob}, 3}}},
		"capitals and spaces": {" Email , NAME \n " + ada + " ,  Ada \n", []builtin.ImportUser{{builtin.NewUser{Email: ada, Name: "Ada"}, 2}}},
		"a byte order mark":   {"\ufeffemail,name\n" + ada + ",Ada\n", []builtin.ImportUser{{builtin.NewUser{Email: ada, Name: "Ada"}, 2}}},
		"a byte order mark before quotes": {
			"\ufeff\"email\",\"name\"\n\"" + ada + "\",\"Ada\"\n", []builtin.ImportUser{{builtin.NewUser{Email: ada, Name: "Ada"}, 2}},
		},
		"CR LF":               {"email,name\r\n" + ada + ",Ada\r\n", []builtin.ImportUser{{builtin.NewUser{Email: ada, Name: "Ada"}, 2}}},
		"blank lines":         {"\nemail\n\n" + ada + "\n\n\n" + bob + "\n\n", []builtin.ImportUser{{builtin.NewUser{Email: ada}, 4}, {builtin.NewUser{Email: bob}, 7}}},
		"a quoted comma":      {"email,name\n" + ada + ",\"Lovelace, \"\"Ada\"\"\"\n", []builtin.ImportUser{{builtin.NewUser{Email: ada, Name: `Lovelace, "Ada"`}, 2}}},
		"odd semicolons":      {"email,accounts\n" + ada + ", ;Acme;; Globex ; \n", []builtin.ImportUser{{builtin.NewUser{Email: ada, Accounts: []string{"Acme", "Globex"}}, 2}}},
		"nobody":              {"email,name\n", nil},
		"a header and no end": {"email", nil},
	} {
		users, err := builtin.ReadImport(strings.NewReader(c.file), checkHash)
		if err != nil {
			t.Errorf("%s: %v", what, err)
		}
		same(t, what, users, c.want)
	}
}

func TestReadImportRefuses(t *testing.T) {
	t.Parallel()
	for what, c := range map[string]struct {
		file  string
		lines []int
		words []string // of the messages, in their order
	}{
		"nothing":                    {"", []int{1}, []string{"empty"}},
		"blank lines":                {"\n\n\n", []int{1}, []string{"empty"}},
		"a byte order mark alone":    {"\ufeff", []int{1}, []string{"empty"}},
		"no header":                  {ada + ",Ada\n", []int{1}, []string{"header"}},
		"no email":                   {"name,locale\nAda,de\n", []int{1}, []string{"email"}},
		"email not first":            {"name,email\nAda," + ada + "\n", []int{1}, []string{"first column"}},
		"an unknown column":          {"email,colour\n" + ada + ",Ada\n", []int{1}, []string{"colour"}},
		"a column without a name":    {"email,\n" + ada + ",\n", []int{1}, []string{"no column"}},
		"a column twice":             {"email,name,Name\n", []int{1}, []string{"twice"}},
		"semicolons as separators":   {"email;name\n" + ada + ";Ada\n", []int{1}, []string{"email;name"}},
		"a bad header further down":  {"\n\nemail,x\n", []int{3}, []string{"x"}},
		"a broken header":            {"email,\"name\n" + ada, []int{1}, []string{"CSV"}},
		"bad addresses":              {"email\nx\n" + ada + "\n\"\"\nAda <" + bob + ">\n", []int{2, 4, 5}, []string{"@", "empty", "space"}},
		"two addresses in one":       {"email\n\"" + ada + "," + bob + "\"\n", []int{2}, []string{"exactly one @"}},
		"the same address twice":     {"email\n" + ada + "\n" + bob + "\n" + strings.ToUpper(ada) + "\n" + ada + "\n", []int{4, 5}, []string{"line 2", "line 2"}},
		"bad hashes":                 {"email,password_hash\n" + ada + ",secret\n" + bob + "," + goodHash + "x\n", []int{2, 3}, []string{"hash", "hash"}},
		"a bad name":                 {"email,name\n" + ada + ",\"A\nda\"\n", []int{2}, []string{"control"}},
		"a bad locale":               {"email,locale\n" + ada + ",\"de\nx\"\n", []int{2}, []string{"locale"}},
		"a bad account":              {"email,accounts\n" + ada + ",\"A,B\"\n", []int{2}, []string{"comma"}},
		"a field too few":            {"email,name\n" + ada + "\n" + bob + ",Bob\n", []int{2}, []string{"number of fields"}},
		"a field too many":           {"email\n" + ada + "\n" + bob + ",Bob\n", []int{3}, []string{"number of fields"}},
		"Latin-1":                    {"email,name\n" + ada + ",Ad\xe9\n", []int{2}, []string{"UTF-8"}},
		"a bare quote":               {"email,name\n" + ada + ",A\"da\n" + bob + ",Bob\n", []int{2}, []string{"CSV"}},
		"a quote that never ends":    {"email,name\n" + ada + ",Ada\n" + bob + ",\"Bob\nmore\nand more\n", []int{3}, []string{"CSV"}},
		"all faults, not the first":  {"email,name\nx,\n" + ada + "\ny,\n" + bob + ",\"b\n", []int{2, 3, 4, 5}, []string{"@", "fields", "@", "CSV"}},
		"after quoted line breaks":   {"email,name\n\"" + ada + "\",\"A\n\nda\"\nx,\n" + bob + "\n", []int{2, 5, 6}, []string{"control", "@", "fields"}},
		"a quoted break in a header": {"email,\"na\nme\"\n", []int{1}, []string{"no column"}},
	} {
		users, err := builtin.ReadImport(strings.NewReader(c.file), checkHash)
		faults, ok := errors.AsType[builtin.ImportErrors](err)
		if !ok || users != nil {
			t.Errorf("%s: %v, %v; want ImportErrors", what, users, err)
			continue
		}
		var lines []int
		for i, f := range faults {
			lines = append(lines, f.Line)
			if i < len(c.words) && !strings.Contains(f.Message, c.words[i]) {
				t.Errorf("%s: line %d: %q does not say %q", what, f.Line, f.Message, c.words[i])
			}
			if strings.Contains(f.Message, "secret") || strings.Contains(f.Message, bob) {
				t.Errorf("%s: the message repeats what the file holds: %q", what, f.Message)
			}
		}
		same(t, what+": lines", lines, c.lines)
		if s := err.Error(); !strings.HasPrefix(s, fmt.Sprintf("line %d: ", c.lines[0])) || !strings.Contains(s, "nothing was imported") {
			t.Errorf("%s: the error is %q", what, s)
		}
	}
}

func TestReadImportOfAFileThatCannotBeRead(t *testing.T) {
	t.Parallel()
	broken := errors.New("the disk said no")
	for _, begun := range []string{"", "email\n", "email\n" + ada + "\n"} {
		users, err := builtin.ReadImport(io.MultiReader(strings.NewReader(begun), iotest.ErrReader(broken)), checkHash)
		if err == nil || users != nil || !strings.Contains(err.Error(), broken.Error()) {
			t.Errorf("after %q: %v, %v", begun, users, err)
		}
	}
}

func FuzzReadImport(f *testing.F) {
	for _, s := range []string{
		"", "email\n", "\ufeffemail,name\n" + ada + ",Ada\n", "\ufeff\"email\"\n" + ada, "email,name\n\"" + ada + "\",\"A\n\nda\"\nx,\n",
		"email,accounts\n" + ada + ",;A;;B\n", "email,password_hash\n" + ada + "," + goodHash + "\n", "email\n" + ada + "\n" + ada + "\n", "email,\"", "email\n\"", "\n\r\n,,,\n",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, file string) {
		users, err := builtin.ReadImport(strings.NewReader(file), checkHash)
		lines := strings.Count(file, "\n") + 1
		if err != nil {
			faults, ok := errors.AsType[builtin.ImportErrors](err)
			if !ok || len(faults) == 0 || users != nil {
				t.Fatalf("%v, %#v", users, err)
			}
			last := 1
			for _, f := range faults {
				if f.Line < last || f.Line > lines || f.Message == "" {
					t.Fatalf("a fault %+v after line %d of %d", f, last, lines)
				}
				last = f.Line
			}
			return
		}
		seen, last := map[string]bool{}, 1
		for _, u := range users {
			a, err := reset.ParseAddress(u.Email)
			if err != nil || seen[a.Key()] || u.Line <= last || u.Line > lines || u.PasswordHash != "" && u.PasswordHash != goodHash {
				t.Fatalf("%+v was taken, after line %d of %d (%v)", u, last, lines, err)
			}
			seen[a.Key()], last = true, u.Line
		}
	})
}

func TestImport(t *testing.T) {
	t.Parallel()
	w := servicetest.New(t)
	w.AddUser(t, "old@example.test", "", "Acme")
	users, err := builtin.ReadImport(strings.NewReader("email,name,accounts,locale\n"+ada+",Ada,acme;Globex,de\n"+bob+",,,\n"), checkHash)
	must(t, err)
	added := 0
	must(t, w.Users.Import(t.Context(), users, func() { added++ }))
	same(t, "progress", added, 2)
	list, err := w.Users.List(t.Context())
	must(t, err)
	var got []string
	for _, u := range list {
		got = append(got, fmt.Sprintf("%s %s %s %s", u.Email.Raw(), u.Name, u.Locale, names(u.Accounts)))
	}
	same(t, "the users", got, []string{ada + " Ada de [Acme Globex]", bob + "   []", "old@example.test   [Acme]"})
	must(t, w.Users.Import(t.Context(), nil, nil))
}

// Nothing is half-imported: if one user is there already nobody is added, and
// every such line is named.
func TestImportIsAllOrNothing(t *testing.T) {
	t.Parallel()
	w := servicetest.New(t)
	w.AddUser(t, ada, "", "Acme")
	w.AddUser(t, bob, "")
	before := w.Dump(t)
	file := "email,name,accounts\nnew1@example.test,\"New\",Initech\nADA@example.test,,\nnew2@example.test,,Globex\n\n" + bob + ",,\nnew3@example.test,,Acme\n"
	users, err := builtin.ReadImport(strings.NewReader(file), checkHash)
	must(t, err)
	faults, ok := errors.AsType[builtin.ImportErrors](w.Users.Import(t.Context(), users, nil))
	if !ok {
		t.Fatal("it was imported")
	}
	var lines []int
	for _, f := range faults {
		lines = append(lines, f.Line)
		if !strings.Contains(f.Message, "already") || strings.Contains(f.Message, "@") {
			t.Errorf("line %d: %s", f.Line, f.Message)
		}
	}
	same(t, "lines", lines, []int{3, 6})
	same(t, "the database", w.Dump(t), before)

	users = slices.DeleteFunc(users, func(u builtin.ImportUser) bool { return slices.Contains(lines, u.Line) })
	must(t, w.Users.Import(t.Context(), users, nil))
	list, err := w.Users.List(t.Context())
	must(t, err)
	same(t, "users once those lines are gone", len(list), 5)

	before = w.Dump(t)
	bad := []builtin.ImportUser{{NewUser: builtin.NewUser{Email: "new4@example.test"}, Line: 2}, {NewUser: builtin.NewUser{Email: "x"}, Line: 3}}
	refused(t, "users who were never checked", w.Users.Import(t.Context(), bad, nil), reset.Invalid)
	same(t, "the database", w.Dump(t), before)
}
