package sqldir

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/sparekey/sparekey/internal/reset"
)

// factsFor is how long it is believed what a table was like.
const factsFor = time.Minute

// facts are remembered of the table.
type facts struct {
	mu    sync.Mutex
	until time.Time
	known table
}

// table is what matters of the table besides its names.
type table struct {
	// folds: the column of addresses has a collation of MySQL's that takes A to Z and a to z for the same.
	folds              bool
	charset, collation string
	// counts: the column for the time of the change holds numbers.
	counts bool
	// engine is MySQL's: InnoDB can roll back, MyISAM cannot. Empty: unknown, or another database.
	engine string
	// room is how many characters the column of passwords holds; 0: any number, or unknown.
	room int64
	// slow is about how many users are looked through for each address, if that is a matter.
	slow int64
}

// transactional answers an error if the table's engine rolls nothing back.
func (t table) transactional() error {
	switch strings.ToLower(t.engine) {
	case "myisam", "aria", "memory", "csv", "archive":
		return &reset.Misset{
			Setting: "table", Fix: "ALTER TABLE … ENGINE=InnoDB",
			Cause: fmt.Errorf("the engine %s knows no transactions, so nothing could be taken back", t.engine),
		}
	}
	return nil
}

// table answers what is known of the table, and finds it out anew once a minute or when it must be fresh.
func (d *Directory) table(ctx context.Context, fresh bool) (table, error) {
	ask := map[*dialect]func(context.Context) (table, error){mysqlDialect: d.askMySQL, postgresDialect: d.askPostgres}[d.dialect]
	if ask == nil || d.config.Table == "" || d.dialect == postgresDialect && !fresh {
		return table{}, nil
	}
	d.facts.mu.Lock()
	defer d.facts.mu.Unlock()
	if now := d.config.Now(); fresh || now.After(d.facts.until) {
		t, err := ask(ctx)
		if err != nil {
			return table{}, err
		}
		d.facts.known, d.facts.until = t, now.Add(factsFor)
	}
	return d.facts.known, nil
}

// nameForm is that of MySQL's character sets and collations.
var nameForm = regexp.MustCompile(`^[A-Za-z0-9_]+$`)

// askMySQL reads what MySQL says of the table. Most collations find all spellings of an address; binary ones do
// not, nor does the Turkish one, whose i is not I.
func (d *Directory) askMySQL(ctx context.Context) (t table, err error) {
	schema, name, ok := strings.Cut(d.config.Table, ".")
	if !ok {
		schema, name = "", schema
	}
	const where = ` WHERE c.TABLE_SCHEMA = COALESCE(NULLIF(?, ''), DATABASE()) AND c.TABLE_NAME = ?`
	err = d.db.read(ctx, query{
		`SELECT c.COLUMN_NAME, c.CHARACTER_SET_NAME, c.COLLATION_NAME, c.CHARACTER_MAXIMUM_LENGTH, c.NUMERIC_PRECISION IS NOT NULL, t.ENGINE FROM information_schema.COLUMNS c` +
			` JOIN information_schema.TABLES t ON t.TABLE_SCHEMA = c.TABLE_SCHEMA AND t.TABLE_NAME = c.TABLE_NAME` + where,
		[]any{schema, name},
	}, func(r row) error {
		switch column := r.texts[0].String; {
		case strings.EqualFold(column, d.config.Columns.Email):
			t.charset, t.collation = r.texts[1].String, r.texts[2].String
		case strings.EqualFold(column, d.config.Columns.Password):
			t.room, _ = strconv.ParseInt(r.texts[3].String, 10, 64) // NULL: it is no text
		case strings.EqualFold(column, d.config.Columns.ChangedAt):
			t.counts = truth(r.texts[4].String)
		}
		t.engine = r.texts[5].String
		return nil
	})
	if err != nil || !nameForm.MatchString(t.charset) || !nameForm.MatchString(t.collation) {
		return t, err
	}
	const capitals, small = "ABCDEFGHIJKLMNOPQRSTUVWXYZ", "abcdefghijklmnopqrstuvwxyz"
	text := fmt.Sprintf("SELECT CONVERT('%s' USING %s) COLLATE %s = CONVERT('%s' USING %s)", capitals, t.charset, t.collation, small, t.charset)
	err = d.db.read(ctx, query{text: text}, func(r row) error {
		t.folds = truth(r.texts[0].String)
		return nil
	})
	return t, err
}

// muchWork is how many users can be looked through for each address without anybody noticing.
const muchWork = 10_000

// askPostgres reads what PostgreSQL says of the table.
func (d *Directory) askPostgres(ctx context.Context) (t table, err error) {
	from := generator{d.dialect, d.config.Table, d.config.Columns}.from()
	err = d.db.read(ctx, query{
		// A length of varchar and char is kept with 4 added.
		`SELECT (SELECT a.atttypmod - 4 FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = $2 AND a.atttypid IN (1042, 1043) AND a.atttypmod > 4), c.reltuples::bigint,` +
			` EXISTS (SELECT FROM pg_index i WHERE i.indrelid = c.oid AND pg_get_indexdef(i.indexrelid) LIKE '%lower(%COLLATE "C"%')` +
			` FROM pg_class c WHERE c.oid = $1::regclass`,
		[]any{from, d.config.Columns.Password},
	}, func(r row) error {
		if len(r.texts) != 3 {
			return errors.New("the catalogue answers otherwise than it should")
		}
		t.room, _ = strconv.ParseInt(r.texts[0].String, 10, 64)
		if users, _ := strconv.ParseInt(r.texts[1].String, 10, 64); users > muchWork && !truth(r.texts[2].String) && d.config.Statements.Find == "" {
			t.slow = users
		}
		return nil
	})
	return t, err
}
