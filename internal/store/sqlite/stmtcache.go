package sqlite

import (
	"context"
	"database/sql/driver"
	"errors"
	"strings"
)

// maxCachedStatements bounds the compiled statements kept per connection. River
// and this package together use fewer than half as many different texts.
const maxCachedStatements = 128

// cachingConnector opens connections that keep their compiled statements.
//
// River sends its statements as text each time. Compiling one takes SQLite
// about 150 µs, several times as long as running it, and marking jobs as
// completed does it once per job while holding the only writer connection; a
// profile showed three quarters of the outbox's time there. The driver has no
// cache of its own, so this one sits between it and database/sql.
type cachingConnector struct{ driver.Connector }

func (c cachingConnector) Connect(ctx context.Context) (driver.Conn, error) {
	inner, err := c.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	full, ok := inner.(fullConn)
	if !ok {
		return nil, errors.Join(errors.New("the SQLite driver lacks an interface that the statement cache needs"), inner.Close())
	}
	return &cachingConn{fullConn: full, cached: make(map[string]*cachedStmt)}, nil
}

// fullConn is what database/sql may ask of a connection of the driver.
type fullConn interface {
	driver.Conn
	driver.ConnBeginTx
	driver.ConnPrepareContext
	driver.ExecerContext
	driver.QueryerContext
	driver.Pinger
	driver.SessionResetter
	driver.Validator
}

// cachingConn is used by one goroutine at a time, as database/sql promises,
// but one statement may still have open rows when the next is sent.
type cachingConn struct {
	fullConn
	cached map[string]*cachedStmt
}

type cachedStmt struct {
	driver.Stmt
	query driver.StmtQueryContext
	exec  driver.StmtExecContext
	busy  bool // its rows are being read
}

// statement returns a compiled statement that is free, or nil if the text
// should go to the driver as it is.
func (c *cachingConn) statement(ctx context.Context, text string) *cachedStmt {
	if s, ok := c.cached[text]; ok {
		if s.busy {
			return nil
		}
		return s
	}
	if len(c.cached) >= maxCachedStatements || !cacheable(text) {
		return nil
	}
	inner, err := c.PrepareContext(ctx, text)
	if err != nil {
		return nil // the driver, sent the same text, says what is wrong
	}
	s := &cachedStmt{Stmt: inner}
	var isQuery, isExec bool
	s.query, isQuery = inner.(driver.StmtQueryContext)
	s.exec, isExec = inner.(driver.StmtExecContext)
	if !isQuery || !isExec {
		_ = inner.Close()
		return nil
	}
	c.cached[text] = s
	return s
}

// cacheable reports whether the text is one statement that reads or writes
// rows. Schema changes, pragmas and scripts run once and are not worth keeping.
func cacheable(text string) bool {
	text = strings.TrimRight(text, " \t\r\n;")
	if strings.Contains(text, ";") {
		return false
	}
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "--") {
			continue
		}
		verb, _, _ := strings.Cut(line, " ")
		switch strings.ToUpper(verb) {
		case "SELECT", "INSERT", "UPDATE", "DELETE", "WITH", "SAVEPOINT", "RELEASE", "ROLLBACK":
			return true
		}
		return false
	}
	return false
}

// QueryContext runs a query with the kept statement where there is one.
//
// A kept statement is not interrupted when ctx ends. It takes microseconds,
// while the driver would start a goroutine and a progress handler to watch ctx;
// and an interrupted write would roll everybody's transaction back. Waiting for
// another process's lock is bounded by busy_timeout.
func (c *cachingConn) QueryContext(ctx context.Context, text string, args []driver.NamedValue) (driver.Rows, error) {
	s := c.statement(ctx, text)
	if s == nil {
		return c.fullConn.QueryContext(ctx, text, args)
	}
	rows, err := s.query.QueryContext(context.WithoutCancel(ctx), args)
	if err != nil {
		return nil, err
	}
	s.busy = true
	return &cachedRows{Rows: rows, of: s}, nil
}

// ExecContext runs a statement with the kept one where there is one; see QueryContext.
func (c *cachingConn) ExecContext(ctx context.Context, text string, args []driver.NamedValue) (driver.Result, error) {
	s := c.statement(ctx, text)
	if s == nil {
		return c.fullConn.ExecContext(ctx, text, args)
	}
	return s.exec.ExecContext(context.WithoutCancel(ctx), args)
}

// Close finalises the kept statements before the connection.
func (c *cachingConn) Close() error {
	var errs []error
	for _, s := range c.cached {
		errs = append(errs, s.Close())
	}
	return errors.Join(append(errs, c.fullConn.Close())...)
}

// cachedRows frees the statement when the reading ends.
type cachedRows struct {
	driver.Rows
	of *cachedStmt
}

func (r *cachedRows) Close() error {
	r.of.busy = false
	return r.Rows.Close()
}
