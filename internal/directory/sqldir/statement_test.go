package sqldir

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParameters(t *testing.T) {
	t.Parallel()
	everything := []string{"id", "hash", "email", "now"}
	verbs := []string{"SELECT", "UPDATE", "WITH"}
	pg, my, lite := postgresDialect, mysqlDialect, sqliteDialect
	for _, tc := range []struct {
		dialect *dialect
		text    string
		want    string // what the driver gets, or what the error says after "!"
	}{
		{pg, "UPDATE u SET p = :hash WHERE id = :id", "UPDATE u SET p = $1 WHERE id = $2"},
		{pg, "  update u set p=:hash where id=:id and x=:id ; -- done", "update u set p=$1 where id=$2 and x=$3 "},
		{my, "UPDATE u SET p = :hash WHERE id = :id;\n# :hash", "UPDATE u SET p = ? WHERE id = ?"},
		{lite, "UPDATE [a:id] SET `p:id` = :hash, \"x:now\" = ':id'", "UPDATE [a:id] SET `p:id` = ?, \"x:now\" = ':id'"},
		{pg, "SELECT 1::text, a[1:2], ':id', E'\\':id', \"a\"\":id\", $$ :id $$, $x$ $$ :id $x$ /* :id /* :id */ */ -- :id\n, :id", "SELECT 1::text, a[1:2], ':id', E'\\':id', \"a\"\":id\", $$ :id $$, $x$ $$ :id $x$ /* :id /* :id */ */ -- :id\n, $1"},
		{pg, `SELECT '\', :id`, `SELECT '\', $1`},
		{my, `SELECT '\', :id', ":id", 1--:id`, `SELECT '\', :id', ":id", 1--?`},
		{my, "SELECT @a:=5, :id", "SELECT @a:=5, ?"},
		{my, "SELECT 1 /* /* */ , :id", "SELECT 1 /* /* */ , ?"},
		{pg, "SELECT name$1x, né, 1e5 FROM u WHERE id=:id", "SELECT name$1x, né, 1e5 FROM u WHERE id=$1"},
		{pg, "", "!it must begin with SELECT or UPDATE or WITH"},
		{pg, "TRUNCATE u", "!it must begin with"},
		{my, "DROP TABLE u", "!it must begin with"},
		{pg, "COMMIT", "!it must begin with"},
		{pg, "SELECT 1; DROP TABLE u", "!more than one statement"},
		{pg, "SELECT ';'; ; ", "!more than one statement"},
		{pg, "SELECT 1; :id", "!more than one statement"},
		{pg, "SELECT 1; 'x'", "!more than one statement"},
		{pg, "SELECT :pasword", "!it names the parameter :pasword; there are :id, :hash, :email, :now"},
		{pg, "SELECT $1", "!placeholder without a name"},
		{my, "SELECT ?", "!placeholder without a name"},
		{lite, "SELECT ?1", "!placeholder without a name"},
		{my, "SELECT 1 /*!50000 , SLEEP(5) */", "!a comment that the server would run"},
		{my, "SELECT 1 /*M! , SLEEP(5) */", "!a comment that the server would run"},
		{pg, "SELECT 'x", "!has no end"},
		{pg, "SELECT $a$ x $b$", "!has no end"},
		{pg, "SELECT /* /* */ 1", "!has no end"},
		{lite, "SELECT [x", "!has no end"},
		{pg, "SELECT \x00", "!NUL"},
	} {
		s, err := tc.dialect.parse(tc.text, verbs, everything)
		var got string
		if err != nil {
			got = "!" + err.Error()
		} else {
			got = s.bind(tc.dialect, nil).text
		}
		if says, ok := strings.CutPrefix(tc.want, "!"); ok && strings.HasPrefix(got, "!") && strings.Contains(got, says) {
			continue
		}
		if diff := cmp.Diff(tc.want, got); diff != "" {
			t.Errorf("%s, %q: %s", tc.dialect.name, tc.text, diff)
		}
	}
}

// Names from the settings are names and nothing else, whatever is in them.
func TestNamesAreQuoted(t *testing.T) {
	t.Parallel()
	hostile := "a\"`'; DROP TABLE users; -- :id"
	for _, d := range []*dialect{postgresDialect, mysqlDialect, sqliteDialect} {
		g := generator{d, hostile, Columns{ID: hostile, Email: hostile, Password: hostile, ChangedAt: hostile}}
		for _, s := range []statement{g.find(3, table{}), g.findByID(), g.set()} {
			text := s.bind(d, nil).text
			text = strings.ReplaceAll(text, d.quote(hostile), "")
			if strings.ContainsAny(text, ";`\"-:") && d != postgresDialect || strings.Contains(text, "DROP") {
				t.Errorf("%s: what is left is %q", d.name, text)
			}
		}
	}
}

// Whatever an operator writes, the pieces are the statement, and what is a parameter is named.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{"SELECT :id", "SELECT ':id", "SELECT 1; x", "WITH a AS (SELECT $$:id$$) SELECT :email::text", "SELECT `:id`, [x:id], \"\"\"", "SELECT E'\\' /* -- */"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for _, d := range []*dialect{postgresDialect, mysqlDialect, sqliteDialect} {
			s, err := d.parse(text, []string{"SELECT", "WITH"}, setNames)
			if err != nil {
				continue
			}
			if len(s.parts) != len(s.names)+1 {
				t.Fatalf("%d parts, %d names", len(s.parts), len(s.names))
			}
			whole := s.parts[0]
			for i, name := range s.names {
				whole += ":" + name + s.parts[i+1]
			}
			if rest, ok := strings.CutPrefix(strings.TrimSpace(text), whole); !ok || rest != "" && rest[0] != ';' {
				t.Fatalf("%q became %q", text, whole)
			}
		}
	})
}
