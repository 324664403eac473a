package sqldir

import (
	"context"
	"crypto/tls"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/go-sql-driver/mysql"
)

const mysqlForm = "write mysql://USER:PASSWORD@HOST:PORT/NAME, and percent-encode what is special in user and password"

// A connection that nobody uses is closed after mysqlIdle, long before the server, which is told to wait for
// mysqlPatience, ends it with whatever transaction it is in.
const mysqlIdle, mysqlPatience = 30 * time.Second, time.Minute

func openMySQL(c *Config) (database, error) {
	cfg, err := mysqlConfig(c)
	if err != nil {
		return nil, err
	}
	connector, err := mysql.NewConnector(cfg)
	if err != nil {
		return nil, badURL(mysqlForm, "the driver cannot use it")
	}
	db := sql.OpenDB(connector)
	db.SetMaxOpenConns(c.Connections)
	db.SetMaxIdleConns(c.Connections)
	db.SetConnMaxIdleTime(mysqlIdle)
	return &pool{db: db, begin: "START TRANSACTION", undone: undoneByMySQL, greet: func(ctx context.Context, db *sql.DB) (string, error) {
		var version, cipher string
		err := db.QueryRowContext(ctx, "SELECT VERSION(), COALESCE((SELECT VARIABLE_VALUE FROM information_schema.SESSION_STATUS WHERE VARIABLE_NAME = 'Ssl_version'), '')").Scan(&version, &cipher)
		if err != nil { // MySQL 8 keeps it elsewhere
			err = db.QueryRowContext(ctx, "SELECT VERSION(), COALESCE((SELECT VARIABLE_VALUE FROM performance_schema.session_status WHERE VARIABLE_NAME = 'Ssl_version'), '')").Scan(&version, &cipher)
		}
		how := "without TLS"
		if cipher != "" {
			how = "over " + strings.Replace(cipher, "TLSv", "TLS ", 1)
		}
		return fmt.Sprintf("%s at %s, the database %s, as %s, %s", serverName(version), cfg.Addr, cfg.DBName, cfg.User, how), err
	}}, nil
}

func serverName(version string) string {
	if number, _, ok := strings.Cut(version, "-MariaDB"); ok {
		return "MariaDB " + number
	}
	return "MySQL " + version
}

// mysqlConfig reads the URL. The driver's own options stay as they are set here: several statements in one
// and files of this machine for the server are things that nobody needs to be able to ask for.
func mysqlConfig(c *Config) (*mysql.Config, error) {
	u, err := url.Parse(c.URL)
	if err != nil { // its text would repeat the password
		return nil, badURL(mysqlForm, "it is no URL")
	}
	options := u.Query()
	name, socket, host := strings.Trim(u.Path, "/"), options.Get("socket"), u.Hostname()
	for option := range options {
		if option != "socket" && option != "tls" {
			return nil, badURL("leave it out", "it has the parameter %.40q; there are socket and tls", option)
		}
	}
	switch {
	case u.Opaque != "" || host == "" && socket == "":
		return nil, badURL(mysqlForm, "it names no host")
	case name == "" || strings.Contains(name, "/"):
		return nil, badURL(mysqlForm, "it names no database after the host")
	case u.Fragment != "":
		return nil, badURL("write %23", "it has a # in it")
	}
	cfg := mysql.NewConfig()
	cfg.User, cfg.DBName = u.User.Username(), name
	cfg.Net, cfg.Addr = "tcp", u.Host
	if u.Port() == "" {
		cfg.Addr = net.JoinHostPort(host, "3306")
	}
	if socket != "" {
		cfg.Net, cfg.Addr, host = "unix", socket, "localhost"
	}
	var has bool
	if cfg.Passwd, has = u.User.Password(); c.Password != "" {
		if has {
			return nil, badURL("leave the password out of the URL, or leave out password", "both have a password")
		}
		cfg.Passwd = c.Password
	}
	if cfg.TLS, err = mysqlTLS(c, host, options.Get("tls")); err != nil {
		return nil, err
	}
	cfg.Timeout, cfg.ReadTimeout, cfg.WriteTimeout = c.Timeout, c.Timeout, c.Timeout
	cfg.ClientFoundRows = true   // a row that has the very hash already counts too
	cfg.InterpolateParams = true // one way to the server and back instead of three
	cfg.Collation = "utf8mb4_general_ci"
	cfg.ConnectionAttributes = "program_name:sparekey"
	cfg.Logger = &mysql.NopLogger{}
	cfg.Params = map[string]string{
		"sql_mode":                 "CONCAT(@@sql_mode, ',STRICT_ALL_TABLES')", // otherwise a hash that is too long for its column is cut
		"time_zone":                "'+00:00'",
		"innodb_lock_wait_timeout": strconv.Itoa(max(1, int(c.Timeout.Seconds()))),
		"wait_timeout":             strconv.Itoa(int(mysqlPatience.Seconds())),
	}
	return cfg, nil
}

// mysqlTLS settles how to speak TLS; nil: not at all.
func mysqlTLS(c *Config, host, asked string) (*tls.Config, error) {
	switch {
	case asked == "true", asked == "" && (c.CA != nil || !isLocal(host) && !c.Plaintext):
		return &tls.Config{ServerName: host, RootCAs: c.CA, MinVersion: tls.VersionTLS12}, nil
	case asked == "" || asked == "false" && (isLocal(host) || c.Plaintext):
		return nil, nil //nolint:nilnil // the driver means no TLS by nil
	case asked == "false":
		return nil, badURL("leave out tls, or set plaintext if nobody can listen on the way", "tls=false sends hashes and addresses to another machine in the clear")
	}
	return nil, badURL("write tls=true or tls=false, or leave it out", "it has another value of tls")
}

// undoneByMySQL knows the errors of COMMIT that say that a cluster took another transaction.
func undoneByMySQL(err error) bool {
	e, ok := errors.AsType[*mysql.MySQLError](err)
	return ok && (e.Number == mysqlDeadlock || e.Number == mysqlGroupRollback)
}
