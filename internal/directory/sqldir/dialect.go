package sqldir

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// dialect is what of SQL differs between databases, as far as it is needed here.
type dialect struct {
	name        string // "PostgreSQL"
	placeholder func(i int) string
	quote       func(name string) string
	// text makes an expression of whatever type a text that can be compared byte by byte.
	text func(expression string) string
	// folded is text, in small letters as far as A to Z goes; it may fold more.
	folded func(expression string) string

	// What its literals look like: backslashes escape in strings (and # begins a comment), names may be in
	// backticks or brackets, strings may be in $tag$, and a bare ? is a parameter.
	backslash, backtick, bracket, dollar, numberless bool

	// time writes a time in UTC for columns of that kind, and for such without a zone; number writes a number.
	time   func(time.Time) any
	number func(int64) any

	// The verbs that can find users, change a password and end sessions, in a transaction.
	finds, sets, ends []string
}

func doubled(quote string) func(string) string {
	return func(name string) string { return quote + strings.ReplaceAll(name, quote, quote+quote) + quote }
}

func questionMark(int) string { return "?" }

var postgresDialect = &dialect{
	name:        "PostgreSQL",
	placeholder: func(i int) string { return "$" + strconv.Itoa(i) },
	quote:       doubled(`"`),
	// In the collation "C" lower() changes A to Z alone, whatever the database's own is: in Turkish, lower('I') is no i.
	text:   func(e string) string { return "(" + e + `::text COLLATE "C")` },
	folded: func(e string) string { return "lower(" + e + `::text COLLATE "C")` },
	// Texts go to the server as they are, whatever the type: so there is no column that they do not suit.
	time:   func(t time.Time) any { return t.Format("2006-01-02 15:04:05.000000Z07:00") },
	number: func(n int64) any { return strconv.FormatInt(n, 10) },
	dollar: true,
	finds:  []string{"SELECT", "WITH"},
	sets:   []string{"UPDATE", "WITH"},
	ends:   []string{"DELETE", "UPDATE", "INSERT", "WITH", "SELECT"},
}

// MySQL and MariaDB end a transaction by themselves before statements that change tables (TRUNCATE, for one), so verbs matter here.
var mysqlDialect = &dialect{
	name: "MySQL", placeholder: questionMark, quote: doubled("`"),
	// As bytes: even to utf8mb4_bin a space at the end is nothing.
	text:   func(e string) string { return "CAST(CONVERT(" + e + " USING utf8mb4) AS BINARY)" },
	folded: func(e string) string { return "LOWER(CONVERT(" + e + " USING utf8mb4) COLLATE utf8mb4_bin)" },
	// Without a fraction, which a column that has no room for it would round up, into the future.
	time:      func(t time.Time) any { return t.Format("2006-01-02 15:04:05") },
	number:    func(n int64) any { return n },
	backslash: true, backtick: true, numberless: true,
	finds: []string{"SELECT", "WITH"},
	sets:  []string{"UPDATE", "WITH"},
	ends:  []string{"DELETE", "UPDATE", "INSERT", "REPLACE", "WITH"},
}

// SQLite takes "name" for a text if there is no such column, and so does not find a slip in it; `name` it does not.
var sqliteDialect = &dialect{
	name: "SQLite", placeholder: questionMark, quote: doubled("`"),
	text:     func(e string) string { return "CAST(" + e + " AS TEXT) COLLATE BINARY" },
	folded:   func(e string) string { return "lower(" + e + ")" },                     // which knows A to Z alone
	time:     func(t time.Time) any { return t.Format("2006-01-02 15:04:05.000000") }, // as most keep it, CURRENT_TIMESTAMP with a fraction
	number:   func(n int64) any { return n },
	backtick: true, bracket: true, numberless: true,
	finds: []string{"SELECT", "WITH"},
	sets:  []string{"UPDATE", "WITH"},
	ends:  []string{"DELETE", "UPDATE", "INSERT", "REPLACE", "WITH"},
}

// The parameters that statements may name.
var (
	findNames   = []string{"address", "address_unicode"}
	byIDNames   = []string{"id"}
	changeNames = []string{"id", "email", "now", "now_unix", "now_unix_ms"}
	setNames    = append([]string{"hash"}, changeNames...)
)

// generator writes statements for a table and its columns.
type generator struct {
	*dialect
	table   string // as configured: "users", "app.users"
	columns Columns
}

// from is the table with each part of its name quoted.
func (g generator) from() string {
	parts := strings.Split(g.table, ".")
	for i, part := range parts {
		parts[i] = g.quote(part)
	}
	return strings.Join(parts, ".")
}

// selects lists the columns that make a user, under the names that a full statement gives them.
func (g generator) selects() string {
	var list []string
	for _, c := range []struct{ column, as string }{
		{g.columns.ID, "id"},
		{g.columns.Email, "email"},
		{g.columns.Name, "name"},
		{g.columns.Locale, "locale"},
		{g.columns.Account, "account"},
		{g.columns.Disabled, "disabled"},
		{g.columns.Active, "active"},
	} {
		if c.column != "" {
			list = append(list, g.quote(c.column)+" AS "+c.as)
		}
	}
	return "SELECT " + strings.Join(list, ", ") + " FROM " + g.from()
}

// find looks for n spellings of an address, :s1, :s2 and so on. Where the column's own collation takes small and
// capital letters for the same, it is used as it is, so that an index is of use; what it finds too much is sorted out by whoever asks.
func (g generator) find(n int, t table) statement {
	spellings := make([]string, n)
	for i := range spellings {
		spellings[i] = ":s" + strconv.Itoa(i+1)
		if t.folds { // to the column's own set: otherwise the server refuses to compare what that does not have
			spellings[i] = "CONVERT(" + spellings[i] + " USING " + t.charset + ") COLLATE " + t.collation
		}
	}
	column := g.quote(g.columns.Email)
	if !t.folds {
		column = g.folded(column)
	}
	return g.own(fmt.Sprintf("%s WHERE %s IN (%s)", g.selects(), column, strings.Join(spellings, ", ")))
}

// theUser picks the row of an id: by the column as it is, for the sake of an index, and then byte by byte,
// since to some collations and types "5", "05" and "5x" are the same.
func (g generator) theUser() string {
	id := g.quote(g.columns.ID)
	return " WHERE " + id + " = :id AND " + g.text(id) + " = :id"
}

func (g generator) findByID() statement { return g.own(g.selects() + g.theUser()) }

func (g generator) set() statement {
	list := g.quote(g.columns.Password) + " = :hash"
	if g.columns.ChangedAt != "" {
		list += ", " + g.quote(g.columns.ChangedAt) + " = :now"
	}
	return g.own("UPDATE " + g.from() + " SET " + list + g.theUser())
}

// own takes apart what was written here; the names in it are quoted, so it always can be.
func (g generator) own(text string) statement {
	p := parser{dialect: g.dialect, text: text}
	if err := p.run(); err != nil {
		panic("sqldir: " + err.Error()) // names without an end were refused by New
	}
	return p.out
}
