package e2e

import (
	"net/http"
	"testing"
)

// TestNotReadyBeforeItsMigrations: a replica whose tables are older than its
// build, such as after a backup was restored under it, says that it is not ready.
func TestNotReadyBeforeItsMigrations(t *testing.T) {
	t.Parallel()
	for name, open := range databases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorldOn(t, open(t), 1)
			w.start(t)
			const last = `(SELECT max(version_id) FROM goose_db_version)`
			w.db.exec(t, `UPDATE goose_db_version SET version_id = 1000 + version_id WHERE version_id = `+last)
			until(t, "/readyz to say no", patience, func() bool { return w.ready(t) == http.StatusServiceUnavailable })
			w.db.exec(t, `UPDATE goose_db_version SET version_id = version_id - 1000 WHERE version_id = `+last)
			until(t, "/readyz to say yes", patience, func() bool { return w.ready(t) == http.StatusOK })
		})
	}
}

func (w *world) ready(t *testing.T) int {
	t.Helper()
	status, _, err := w.call(http.MethodGet, "/readyz", "")
	if err != nil {
		t.Fatal(err)
	}
	return status
}
