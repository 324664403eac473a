package sqldir

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/sparekey/sparekey/internal/directory/sqldir/mariadbtest"
	"github.com/sparekey/sparekey/internal/reset"
)

// startMaria starts a server that a test may stop.
func startMaria() (*mariadbtest.Server, error) { return mariadbtest.Start() }

// restarts resets the passwords of n users while the server comes and goes. Those of whom it is certain that
// nothing was changed are tried again.
func restarts(t *testing.T, server *mariadbtest.Server, n int) {
	name := server.Database(t)
	w := &world{dialect: mysqlDialect, admin: admin(t, "mysql", server.DSN(name)), url: server.URL(name)}
	w.users(t)
	w.exec(t, "CREATE TABLE sessions (user_id BIGINT, INDEX (user_id))")
	old := hashed(t, "the old password")
	users := make([]reset.User, n)
	for i := range users {
		email := fmt.Sprintf("user%d@example.test", i)
		users[i] = reset.User{ID: w.add(t, email, old), Email: address(t, email)}
	}
	w.exec(t, "INSERT INTO sessions SELECT id FROM users")
	c := w.config(t)
	c.Timeout, c.Connections = 2*time.Second, 8
	c.Statements.EndSessions = "DELETE FROM sessions WHERE user_id = :id"
	d := open(t, c)

	var next, done, refused, unsure atomic.Int64
	open := make([]bool, n) // of whom nobody knows
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				for tries := 0; ; tries++ {
					err := set(t, d, users[i], fmt.Sprintf("the new password of number %d", i))
					if err == nil {
						break
					}
					if _, ok := errors.AsType[*reset.Unchanged](err); !ok {
						unsure.Add(1)
						open[i] = true
						break
					}
					if refused.Add(1); tries > 10_000 {
						t.Errorf("number %d: %v", i, err)
						break
					}
				}
				done.Add(1)
			}
		})
	}
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for round, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL, syscall.SIGTERM} {
		for done.Load() < int64((round+1)*n/5) {
			<-tick.C
		}
		if err := server.Stop(sig); err != nil {
			t.Error(err)
		}
		if err := server.Restart(); err != nil {
			t.Error(err)
		}
	}
	wg.Wait()
	t.Logf("%d resets: %d refusals, %d that nobody knows of", n, refused.Load(), unsure.Load())
	if refused.Load() == 0 {
		t.Error("nobody noticed the restarts")
	}
	for i, u := range users {
		hash := w.hashByID(t, u.ID)
		changed := holds(t, hash, fmt.Sprintf("the new password of number %d", i))
		sessions := w.value(t, "SELECT count(*) FROM sessions WHERE user_id = "+u.ID)
		switch {
		case !changed && hash != old:
			t.Errorf("number %d has a password that nobody chose", i)
		case !changed && !open[i]:
			t.Errorf("number %d was told of a change that does not hold", i)
		case changed != (sessions == "0"):
			t.Errorf("number %d: the password was changed: %v, and there are %s sessions", i, changed, sessions)
		}
	}
}

func (w *world) hashByID(t *testing.T, id string) string {
	t.Helper()
	return w.value(t, "SELECT password FROM users WHERE id = "+id)
}
