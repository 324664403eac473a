package sqldir

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"strings"
	"time"
)

// pool is a database behind Go's own database/sql.
type pool struct {
	db    *sql.DB
	begin string // the statement that begins a transaction
	// undone reports whether an error of COMMIT says that the transaction was rolled back.
	undone func(err error) bool
	// greet describes the connection.
	greet func(ctx context.Context, db *sql.DB) (string, error)
}

// read implements database.
func (p *pool) read(ctx context.Context, q query, each func(row) error) (err error) {
	rows, err := p.db.QueryContext(ctx, q.text, q.args...)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	names, err := rows.Columns()
	if err != nil {
		return err
	}
	for i, name := range names {
		names[i] = strings.ToLower(name)
	}
	for rows.Next() {
		r := row{names: names, texts: make([]sql.NullString, len(names))}
		into := make([]any, len(names))
		for i := range r.texts {
			into[i] = &r.texts[i]
		}
		if err := rows.Scan(into...); err != nil {
			return err
		}
		if err := each(r); err != nil {
			return err
		}
	}
	return rows.Err()
}

// change implements database. BEGIN and COMMIT are plain statements here: so they have a deadline, and it is
// known which of them failed.
func (p *pool) change(ctx context.Context, steps []query, verify func(rows []int64) error) error {
	conn, err := p.db.Conn(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	rows, err := p.steps(ctx, conn, steps)
	if err == nil {
		err = verify(rows)
	}
	if err != nil {
		p.rollback(ctx, conn)
		return err
	}
	_, err = conn.ExecContext(ctx, "COMMIT")
	switch {
	case err == nil:
		return nil
	case errors.Is(err, driver.ErrBadConn), p.undone(err): // the first says that nothing was sent
		p.rollback(ctx, conn)
		return err
	}
	p.rollback(ctx, conn)
	return &unsure{err}
}

func (p *pool) steps(ctx context.Context, conn *sql.Conn, steps []query) (rows []int64, err error) {
	if _, err := conn.ExecContext(ctx, p.begin); err != nil {
		return nil, err
	}
	for i, q := range steps {
		result, err := conn.ExecContext(ctx, q.text, q.args...)
		if err != nil {
			return nil, &atStep{i, err}
		}
		n, err := result.RowsAffected()
		if err != nil {
			return nil, err
		}
		rows = append(rows, n)
	}
	return rows, nil
}

// rollback ends the transaction, if need be with its connection.
func (p *pool) rollback(ctx context.Context, conn *sql.Conn) {
	short, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	if _, err := conn.ExecContext(short, "ROLLBACK"); err != nil {
		_ = conn.Raw(func(any) error { return driver.ErrBadConn })
	}
}

// describe implements database.
func (p *pool) describe(ctx context.Context) (string, error) { return p.greet(ctx, p.db) }

// close implements database.
func (p *pool) close() error { return p.db.Close() }
