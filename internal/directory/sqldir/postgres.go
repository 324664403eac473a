package sqldir

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"net"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

const postgresForm = "write postgres://USER:PASSWORD@HOST:PORT/NAME, and percent-encode what is special in user and password"

// postgres is a database of PostgreSQL.
type postgres struct {
	pool *pgxpool.Pool
	// limits makes the server end by itself what nobody waits for any more, so that no user's row stays locked. It
	// is said in each transaction, since a pooler between may hand out one session to many.
	limits query
}

func openPostgres(c *Config) (database, error) {
	cfg, err := postgresConfig(c)
	if err != nil {
		return nil, err
	}
	cfg.MaxConns = int32(min(c.Connections, math.MaxInt16)) //nolint:gosec // far below
	cfg.ConnConfig.ConnectTimeout = c.Timeout
	cfg.ConnConfig.RuntimeParams["application_name"] = "sparekey"
	pool, err := pgxpool.NewWithConfig(context.Background(), cfg)
	if err != nil {
		return nil, badURL(postgresForm, "the driver cannot use it")
	}
	ms := strconv.FormatInt(c.Timeout.Milliseconds(), 10)
	return &postgres{pool: pool, limits: query{
		text: `SELECT set_config('statement_timeout', $1, true), set_config('lock_timeout', $1, true), set_config('idle_in_transaction_session_timeout', $1, true)`,
		args: []any{ms},
	}}, nil
}

// postgresConfig reads the URL and settles how to speak TLS, which libpq's default leaves to the server.
func postgresConfig(c *Config) (*pgxpool.Config, error) {
	u, err := url.Parse(c.URL)
	if err != nil { // its text would repeat the password
		return nil, badURL(postgresForm, "it is no URL")
	}
	options := u.Query()
	host := u.Host
	if host == "" {
		host = options.Get("host")
	}
	switch {
	case u.Opaque != "" || host == "":
		return nil, badURL(postgresForm, "it names no host")
	case strings.Trim(u.Path, "/") == "":
		return nil, badURL(postgresForm, "it names no database after the host")
	case u.Fragment != "":
		return nil, badURL("write %23", "it has a # in it")
	}
	_, has := u.User.Password()
	if c.Password != "" {
		if has || options.Has("password") {
			return nil, badURL("leave the password out of the URL, or leave out password", "both have a password")
		}
		u.User = url.UserPassword(u.User.Username(), c.Password)
	}
	mode, err := tlsMode(c, host, options.Get("sslmode"))
	if err != nil {
		return nil, err
	}
	options.Set("sslmode", mode)
	if c.CA != nil {
		options.Set("sslrootcert", "") // nor one of the environment or of a home
	}
	u.RawQuery = options.Encode()
	cfg, err := pgxpool.ParseConfig(u.String())
	if err != nil { // its text holds parts of the URL
		return nil, badURL(postgresForm, "the driver cannot read it")
	}
	if c.CA != nil {
		believe(c.CA, cfg.ConnConfig)
	}
	return cfg, nil
}

// believe has each of the hosts asked for a certificate of these authorities.
func believe(authorities *x509.CertPool, cfg *pgx.ConnConfig) {
	if cfg.TLSConfig != nil {
		cfg.TLSConfig.RootCAs = authorities
	}
	for _, other := range cfg.Fallbacks {
		if other.TLSConfig != nil {
			other.TLSConfig.RootCAs = authorities
		}
	}
}

// tlsMode is the sslmode for one or more hosts.
func tlsMode(c *Config, hosts, asked string) (string, error) {
	local := true
	for host := range strings.SplitSeq(hosts, ",") {
		if name, _, err := net.SplitHostPort(host); err == nil {
			host = name
		}
		local = local && isLocal(host)
	}
	switch {
	case asked == "verify-full", asked == "" && (c.CA != nil || !local && !c.Plaintext):
		return "verify-full", nil
	case asked == "" || asked == "disable" && (local || c.Plaintext):
		return "disable", nil
	case asked == "disable":
		return "", badURL("leave out sslmode, or set plaintext if nobody can listen on the way", "sslmode=disable sends hashes and addresses to another machine in the clear")
	}
	return "", badURL("write sslmode=verify-full, or leave it out", "sslmode=%.20s does not check whom it talks to", asked)
}

// read implements database. Results come as texts, whatever their types.
func (p *postgres) read(ctx context.Context, q query, each func(row) error) error {
	rows, err := p.pool.Query(ctx, q.text, append([]any{pgx.QueryResultFormats{pgx.TextFormatCode}}, q.args...)...)
	if err != nil {
		return err
	}
	defer rows.Close()
	var r row
	for _, column := range rows.FieldDescriptions() {
		r.names = append(r.names, strings.ToLower(column.Name))
	}
	for rows.Next() {
		r.texts = make([]sql.NullString, len(r.names))
		for i, value := range rows.RawValues() {
			r.texts[i] = sql.NullString{String: string(value), Valid: value != nil}
		}
		if err := each(r); err != nil {
			return err
		}
	}
	return rows.Err()
}

// change implements database. Everything up to COMMIT goes out at once.
func (p *postgres) change(ctx context.Context, steps []query, verify func(rows []int64) error) error {
	conn, err := p.pool.Acquire(ctx)
	if err != nil {
		return err
	}
	defer conn.Release() // which closes one whose transaction is not over
	rows, err := p.steps(ctx, conn.Conn(), steps)
	if err == nil {
		err = verify(rows)
	}
	if err != nil {
		return p.abandon(ctx, conn.Conn(), steps, err)
	}
	tag, err := conn.Exec(ctx, "COMMIT")
	// An ERROR is the server's word that it has rolled back, and so is its answer ROLLBACK; FATAL and PANIC end
	// the session whatever had happened. The driver's own word that nothing was sent is not taken: of a
	// connection that was closed in between it says so too.
	if e, ok := errors.AsType[*pgconn.PgError](err); ok && e.SeverityUnlocalized == "ERROR" {
		return err
	}
	if err != nil {
		return &unsure{err}
	}
	if tag.String() != "COMMIT" {
		return fmt.Errorf("the server answered COMMIT with %s", tag)
	}
	return nil
}

// abandon rolls back after a failure, and says which statement failed if it was taken with the others.
func (p *postgres) abandon(ctx context.Context, conn *pgx.Conn, steps []query, failure error) error {
	if conn.IsClosed() {
		return failure
	}
	short, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	_, _ = conn.Exec(short, "ROLLBACK") // its own failure closes the connection, which ends the transaction as well
	if at, ok := errors.AsType[*atStep](failure); !ok || at.step >= 0 {
		return failure
	}
	for i, q := range steps { // they were compiled before the first of them was run
		if _, err := conn.PgConn().Prepare(short, "", q.text, nil); err != nil {
			return &atStep{i, err}
		}
	}
	return failure
}

// steps begins a transaction and runs the statements in it.
func (p *postgres) steps(ctx context.Context, conn *pgx.Conn, steps []query) (rows []int64, err error) {
	batch := &pgx.Batch{}
	batch.Queue("BEGIN")
	batch.Queue(p.limits.text, p.limits.args...)
	for _, q := range steps {
		batch.Queue(q.text, q.args...)
	}
	results := conn.SendBatch(ctx, batch)
	defer func() {
		if closing := results.Close(); err == nil {
			err = closing
		}
	}()
	for i := range batch.Len() {
		tag, err := results.Exec()
		if err != nil {
			return nil, &atStep{i - 2, err}
		}
		if i >= 2 {
			rows = append(rows, tag.RowsAffected())
		}
	}
	return rows, nil
}

// describe implements database.
func (p *postgres) describe(ctx context.Context) (line string, err error) {
	err = p.pool.AcquireFunc(ctx, func(c *pgxpool.Conn) error {
		pg := c.Conn().PgConn()
		how := "without TLS"
		if secure, ok := pg.Conn().(*tls.Conn); ok {
			how = "over " + tls.VersionName(secure.ConnectionState().Version)
		}
		cfg := c.Conn().Config()
		line = fmt.Sprintf("PostgreSQL %s at %s, the database %s, as %s, %s", pg.ParameterStatus("server_version"), place(cfg.Host, cfg.Port), cfg.Database, cfg.User, how)
		return c.Ping(ctx)
	})
	return line, err
}

func place(host string, port uint16) string {
	if strings.HasPrefix(host, "/") {
		return host
	}
	return net.JoinHostPort(host, strconv.Itoa(int(port)))
}

// close implements database.
func (p *postgres) close() error {
	p.pool.Close()
	return nil
}
