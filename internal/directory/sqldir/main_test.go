package sqldir

import (
	"fmt"
	"os"
	"testing"

	"github.com/go-sql-driver/mysql"
	"go.uber.org/goleak"

	"github.com/sparekey/sparekey/internal/directory/sqldir/mariadbtest"
	"github.com/sparekey/sparekey/internal/reset"
	"github.com/sparekey/sparekey/internal/store/postgres/pgtest"
)

var (
	_ reset.Inspected = (*Directory)(nil)
	_ reset.Distant   = change{}
)

// The servers that all tests share; each test has a database of its own in one of them.
var (
	cluster *pgtest.Cluster
	maria   *mariadbtest.Server
)

func TestMain(m *testing.M) {
	_ = mysql.SetLogger(&mysql.NopLogger{}) // it would tell of each connection that a test cuts
	code := 1
	var err error
	if cluster, err = pgtest.Start(); err == nil {
		if maria, err = mariadbtest.Start(); err == nil {
			code = m.Run()
			err = maria.Close()
		}
		if stopped := cluster.Close(); err == nil {
			err = stopped
		}
	}
	if err == nil && code == 0 {
		err = goleak.Find()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		code = 1
	}
	os.Exit(code)
}
