package sqldir

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/sparekey/sparekey/internal/reset"
)

// Whatever the collation takes for the same, an address finds its own user alone, in every spelling.
func TestCollations(t *testing.T) {
	t.Parallel()
	for _, column := range []struct {
		make  func(t testing.TB) *world
		type_ string
	}{
		{newPostgres, `text COLLATE "C"`},
		{newPostgres, `text COLLATE "tr-x-icu"`},
		{newPostgres, `citext`},
		{newPostgres, `text COLLATE blind`},
		{newMaria, "VARCHAR(300) CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci"},
		{newMaria, "VARCHAR(300) CHARACTER SET utf8mb4 COLLATE utf8mb4_turkish_ci"},
		{newMaria, "VARCHAR(300) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin"},
		{newMaria, "VARBINARY(600)"},
		{newMaria, "VARCHAR(300) CHARACTER SET latin1 COLLATE latin1_swedish_ci"},
		{newMaria, "VARCHAR(300) CHARACTER SET ucs2 COLLATE ucs2_general_ci"},
		{newSQLite, "TEXT COLLATE NOCASE"},
		{newSQLite, "TEXT COLLATE RTRIM"},
	} {
		t.Run(column.type_, func(t *testing.T) {
			t.Parallel()
			w := column.make(t)
			if w.dialect == postgresDialect {
				w.exec(t, `CREATE EXTENSION citext`)
				w.exec(t, `CREATE COLLATION blind (provider = icu, locale = 'und-u-ks-level1', deterministic = false)`)
			}
			w.exec(t, "CREATE TABLE people (id VARCHAR(40) PRIMARY KEY, email "+column.type_+", password VARCHAR(255))")
			w.grant(t, "SELECT, UPDATE ON people")
			d := open(t, Config{URL: w.url, Table: "people", Hasher: hasher(t, "ssha512"), Now: now})
			stored := []string{"kim@example.test", "kím@example.test", "IDA.INN@Exämple.test", "jim@xn--exmple-cua.test", "Straße@example.test", "strasse@example.test"}
			for i, email := range stored {
				w.exec(t, "INSERT INTO people VALUES (?, ?, '')", fmt.Sprint(i), email)
			}
			for typed, want := range map[string]string{
				"KIM@EXAMPLE.TEST": stored[0], "KíM@example.test": stored[1], "ida.inn@exämple.test": stored[2], "ida.inn@xn--exmple-cua.test": stored[2],
				"IDA.INN@exämple.test": stored[2], "Jim@exämple.test": stored[3], "sTRAßE@example.test": stored[4], "STRASSE@example.test": stored[5],
				"\u212aim@example.test": "", "kım@example.test": "", "ida.ınn@exämple.test": "", "kim@example.test.test": "", "ida.inn@example.test": "", "漢字@example.test": "",
			} {
				u, err := d.UserByAddress(t.Context(), address(t, typed))
				if want == "" {
					if !errors.Is(err, reset.ErrNoUser) {
						t.Errorf("%s found %q, %v", typed, u.Email.Raw(), err)
					}
					continue
				}
				if err != nil || u.Email.Raw() != want {
					t.Errorf("%s found %q, %v; want %q", typed, u.Email.Raw(), err, want)
				}
			}
		})
	}
}

// Of a domain with several labels that can be written in two ways every mixture is found.
func TestSpellings(t *testing.T) {
	t.Parallel()
	for email, want := range map[string][]string{
		"Ada@Example.test":   {"ada@example.test", "ada@example.test"},
		"ada@ä.example.test": {"ada@xn--4ca.example.test", "ada@ä.example.test"},
		"ada@xn--4ca.ö.test": {"ada@xn--4ca.xn--nda.test", "ada@ä.ö.test", "ada@xn--4ca.ö.test", "ada@ä.xn--nda.test"},
		"ada@ä.ä.ä.ä.ä.test": {"ada@xn--4ca.xn--4ca.xn--4ca.xn--4ca.xn--4ca.test", "ada@ä.ä.ä.ä.ä.test"},
	} {
		got := spellings(address(t, email))
		if diff := cmp.Diff(want, got, cmpopts.SortSlices(strings.Compare)); diff != "" || got[0] != want[0] || got[1] != want[1] {
			t.Errorf("%s: %s", email, diff)
		}
	}
	every(t, func(t *testing.T, w *world) {
		w.users(t)
		d := open(t, w.config(t))
		w.add(t, "Ada@xn--4ca.ö.test", "")
		for _, typed := range []string{"ada@ä.ö.test", "ADA@xn--4ca.xn--nda.test", "ada@ä.xn--nda.test"} {
			if u, err := d.UserByAddress(t.Context(), address(t, typed)); err != nil {
				t.Errorf("%s: %q, %v", typed, u.Email.Raw(), err)
			}
		}
	})
}

// What databases say of yes and no, of names and of nothing.
func TestRows(t *testing.T) {
	t.Parallel()
	every(t, func(t *testing.T, w *world) {
		flag := map[*dialect]string{postgresDialect: "boolean", mysqlDialect: "BIT(1)", sqliteDialect: "BOOLEAN"}[w.dialect]
		w.exec(t, "CREATE TABLE people (id VARCHAR(40) PRIMARY KEY, email VARCHAR(300), password VARCHAR(255), name TEXT, locale TEXT, account TEXT, gone TIMESTAMP NULL, act "+flag+")")
		w.grant(t, "SELECT, UPDATE ON people")
		d := open(t, Config{
			URL: w.url, Table: "people", Hasher: hasher(t, "ssha512"), Now: now,
			Columns: Columns{Name: "name", Locale: "locale", Account: "account", Disabled: "gone", Active: "act"},
		})
		yes, no := map[bool]string{true: "true", false: "1"}[w.dialect == postgresDialect], map[bool]string{true: "false", false: "0"}[w.dialect == postgresDialect]
		for _, values := range []string{
			"'1', 'a@example.test', '', ' Ada\nL ', 'pt_BR', 'Acme', NULL, " + yes,
			"'2', 'b@example.test', '', NULL, 'no language', '', '2026-01-01 00:00:00', " + yes,
			"'3', 'c@example.test', '', NULL, NULL, NULL, NULL, " + no,
			"'4', 'd@example.test', '', NULL, NULL, NULL, NULL, NULL",
			"'5', NULL, '', NULL, NULL, NULL, NULL, " + yes,
			"'6', 'no address', '', NULL, NULL, NULL, NULL, " + yes,
		} {
			w.exec(t, "INSERT INTO people VALUES ("+values+")")
		}
		standing := func(disabled bool, accounts ...reset.Account) reset.Standing {
			return reset.Standing{Disabled: disabled, Accounts: accounts}
		}
		for id, want := range map[string]reset.User{
			"1": {Email: address(t, "a@example.test"), Name: "Ada L", Locale: "pt-BR", Standing: standing(false, reset.Account{Name: "Acme"})},
			"2": {Email: address(t, "b@example.test"), Standing: standing(true)},
			"3": {Email: address(t, "c@example.test"), Standing: standing(true)},
			"4": {Email: address(t, "d@example.test"), Standing: standing(true)},
			"5": {}, "6": {}, "05": {}, "1 ": {}, "'1": {}, "7": {},
		} {
			got, err := d.UserByID(t.Context(), id)
			if want.Email == (reset.Address{}) {
				if !errors.Is(err, reset.ErrNoUser) {
					t.Errorf("%q is %q, %v", id, got.Email.Raw(), err)
				}
				continue
			}
			want.ID = id
			if diff := cmp.Diff(want, got, cmpopts.EquateComparable(reset.Address{}), cmpopts.EquateEmpty()); diff != "" || err != nil {
				t.Errorf("%s: %v\n%s", id, err, diff)
			}
		}
	})
}

// Full statements find what they find, read by the names of their columns.
func TestFullStatements(t *testing.T) {
	t.Parallel()
	every(t, func(t *testing.T, w *world) {
		for _, text := range []string{
			"CREATE TABLE people (nr INTEGER PRIMARY KEY, state VARCHAR(10), pw VARCHAR(255), at_ms BIGINT)",
			"CREATE TABLE addresses (person INTEGER, address VARCHAR(300))",
			"CREATE TABLE members (person INTEGER, org VARCHAR(40))",
			"CREATE TABLE tokens (person INTEGER, mail VARCHAR(300))",
			"INSERT INTO people VALUES (17, 'active', 'old', 0), (18, 'gone', 'old', 0)",
			"INSERT INTO addresses VALUES (17, 'Ada@Example.test'), (18, 'bob@example.test'), (18, 'second@example.test')",
			"INSERT INTO members VALUES (17, 'Globex'), (17, 'Acme'), (17, 'Acme')",
			"INSERT INTO tokens VALUES (17, 'x'), (17, 'x'), (18, 'x'), (NULL, 'Ada@Example.test')",
		} {
			w.exec(t, text)
		}
		for _, rights := range []string{"SELECT, UPDATE ON people", "SELECT ON addresses", "SELECT ON members", "SELECT, DELETE ON tokens"} {
			w.grant(t, rights)
		}
		const from = "SELECT p.nr AS ID, a.address AS email, p.state <> 'active' AS disabled, m.org AS account FROM people p JOIN addresses a ON a.person = p.nr LEFT JOIN members m ON m.person = p.nr "
		c := Config{URL: w.url, Hasher: hasher(t, "ssha512"), Now: now, Statements: Statements{
			Find:        from + "WHERE lower(a.address) IN (:address, :address_unicode) -- :id is not meant here",
			FindByID:    from + "WHERE p.nr = :id",
			Accounts:    "SELECT 'Initech' FROM people WHERE nr = :id",
			Set:         "UPDATE people SET pw = :hash, at_ms = :now_unix_ms WHERE nr = :id;",
			EndSessions: "DELETE FROM tokens WHERE person = :id OR mail = :email",
		}}
		d := open(t, c)
		u, err := d.UserByAddress(t.Context(), address(t, "ada@example.test"))
		if err != nil {
			t.Fatal(err)
		}
		want := reset.User{ID: "17", Email: address(t, "Ada@Example.test"), Standing: reset.Standing{Accounts: []reset.Account{{Name: "Acme"}, {Name: "Globex"}, {Name: "Initech"}}}}
		if diff := cmp.Diff(want, u, cmpopts.EquateComparable(reset.Address{})); diff != "" {
			t.Error(diff)
		}
		if bob, err := d.UserByAddress(t.Context(), address(t, "bob@example.test")); err != nil || !bob.Disabled {
			t.Errorf("%+v, %v", bob, err)
		}
		for _, other := range []string{"17x", "017", " 17", "17 ", "17.0"} { // which some databases take for 17
			if u, err := d.UserByID(t.Context(), other); !errors.Is(err, reset.ErrNoUser) {
				t.Errorf("%q found %q, %v", other, u.ID, err)
			}
		}
		_, err = d.UserByID(t.Context(), "18") // two addresses, and which is meant is not said
		misset(t, err, "statements.find_by_id")
		if err := d.Check(t.Context(), func(string) {}); err != nil {
			t.Error(err)
		}
		if err := set(t, d, u, "a new password of hers"); err != nil {
			t.Fatal(err)
		}
		if hash := w.value(t, "SELECT pw FROM people WHERE nr = 17"); !holds(t, hash, "a new password of hers") {
			t.Errorf("the hash is %s", hash)
		}
		for text, want := range map[string]string{
			"SELECT pw FROM people WHERE nr = 18": "old", "SELECT at_ms FROM people WHERE nr = 17": "1795437296789", "SELECT count(*) FROM tokens": "1",
		} {
			if got := w.value(t, text); got != want {
				t.Errorf("%s: %s, want %s", text, got, want)
			}
		}
		plan, err := d.Plan(t.Context(), u)
		if err != nil || len(plan) != 2 || !strings.Contains(plan[0], "SET pw = [a hash: ssha512], at_ms = [now") || !strings.Contains(plan[1], "mail = 'Ada@Example.test'") {
			t.Errorf("%q, %v", plan, err)
		}
		c.Statements.Find = "SELECT nr AS id, nr FROM people WHERE nr = 17 AND :address <> ''"
		_, err = open(t, c).UserByAddress(t.Context(), u.Email)
		misset(t, err, "statements.find")
	})
}

// What is a user's id is not what the database takes for the same.
func TestIDsAreExact(t *testing.T) {
	t.Parallel()
	every(t, func(t *testing.T, w *world) {
		kind := map[*dialect]string{postgresDialect: "uuid", mysqlDialect: "BIGINT UNSIGNED", sqliteDialect: "INTEGER"}[w.dialect]
		id := map[*dialect]string{postgresDialect: "5b1f3a52-7f0c-4b44-9a3e-0d8f4f1c2a11", mysqlDialect: "18446744073709551615", sqliteDialect: "9007199254740993"}[w.dialect]
		w.exec(t, "CREATE TABLE people (id "+kind+" PRIMARY KEY, email VARCHAR(300), password VARCHAR(255))")
		w.exec(t, "INSERT INTO people VALUES ('"+id+"', 'ada@example.test', '')")
		w.grant(t, "SELECT, UPDATE ON people")
		d := open(t, Config{URL: w.url, Table: "people", Hasher: hasher(t, "ssha512"), Now: now})
		u, err := d.UserByID(t.Context(), id)
		if err != nil || u.ID != id {
			t.Fatalf("%+v, %v", u, err)
		}
		for _, other := range []string{strings.ToUpper(id) + " ", " " + id, "{" + id + "}", id + "x", "+" + id, "0" + id, id[:len(id)-1], "0"} {
			if u, err := d.UserByID(t.Context(), other); !errors.Is(err, reset.ErrNoUser) {
				t.Errorf("%q found %q, %v", other, u.ID, err)
			}
			if err := set(t, d, reset.User{ID: other, Email: u.Email}, "a new password of hers"); err == nil {
				t.Errorf("%q changed a password", other)
			}
		}
		if err := set(t, d, u, "a new password of hers"); err != nil {
			t.Error(err)
		}
		if hash := w.value(t, "SELECT password FROM people"); !holds(t, hash, "a new password of hers") {
			t.Errorf("the hash is %s", hash)
		}
	})
}

func TestTruth(t *testing.T) {
	t.Parallel()
	for _, s := range []string{"", "0", "f", "FALSE", " n ", "no", "off", "\x00", "0000-00-00 00:00:00"} {
		if truth(s) {
			t.Errorf("%q is true", s)
		}
	}
	for _, s := range []string{"1", "t", "true", "\x01", "2026-01-01", "suspended", "-1"} {
		if !truth(s) {
			t.Errorf("%q is false", s)
		}
	}
	if slices.Contains([]string{cleanName("\xff"), cleanName(strings.Repeat("é", 200))}, "\xff") || len(cleanName(strings.Repeat("é", 200))) != 200 {
		t.Error("names are not cleaned")
	}
}
