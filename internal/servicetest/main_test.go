// Tests of the whole service that need a real database of either kind.
package servicetest_test

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/sparekey/sparekey/internal/directory/directorytest"
	"github.com/sparekey/sparekey/internal/servicetest"
	"github.com/sparekey/sparekey/internal/store/postgres/pgtest"
)

const (
	ada = "ada@example.test"

	oldPassword = "correct horse battery staple"
)

// cluster is shared by all tests; each has a database of its own in it.
var cluster *pgtest.Cluster

func TestMain(m *testing.M) {
	var err error
	if cluster, err = pgtest.Start(); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
	code := m.Run()
	if err := cluster.Close(); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		code = 1
	}
	if err := goleak.Find(); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// onBoth runs a test on a World of either database, in which hashing costs nothing.
func onBoth(t *testing.T, test func(t *testing.T, open func(...servicetest.Option) *servicetest.World)) {
	t.Helper()
	for name, options := range map[string]func(t *testing.T) []servicetest.Option{
		"SQLite": func(*testing.T) []servicetest.Option { return nil },
		"PostgreSQL": func(t *testing.T) []servicetest.Option {
			return []servicetest.Option{servicetest.OnPostgres(cluster.Database(t))}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, func(more ...servicetest.Option) *servicetest.World {
				return servicetest.New(t, append(append(options(t), servicetest.WithHasher(plain{})), more...)...)
			})
		})
	}
}

// plain keeps passwords as they are.
type plain struct{}

func (plain) Hash(_ context.Context, password string, _ func(context.Context) error) (string, error) {
	return "$plain$" + password, nil
}

func (plain) Verify(_ context.Context, password, encoded string) (bool, error) {
	return encoded == "$plain$"+password, nil
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func same(t testing.TB, what string, got, want any) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

// atOnce runs the functions at the same moment and waits for them.
func atOnce(fns ...func()) {
	var wg sync.WaitGroup
	gate := make(chan struct{})
	for _, fn := range fns {
		wg.Go(func() {
			<-gate
			fn()
		})
	}
	close(gate)
	wg.Wait()
}

// notices counts the notices of a changed password to a user that wait in a real outbox.
func notices(t testing.TB, w *servicetest.World, userID string) (n int) {
	t.Helper()
	for line := range strings.Lines(w.Dump(t)) {
		if strings.HasPrefix(line, "river_job ") && strings.Contains(line, "notice") &&
			strings.Contains(line, userID) && !strings.Contains(line, "matter") {
			n++
		}
	}
	return n
}

// The built-in directory keeps its promises on PostgreSQL as it does on SQLite.
func TestDirectoryOnPostgreSQL(t *testing.T) {
	t.Parallel()
	directorytest.Run(t, func(t *testing.T) directorytest.Fixture {
		return servicetest.New(t, servicetest.OnPostgres(cluster.Database(t)), servicetest.WithHasher(plain{})).Fixture()
	})
}
