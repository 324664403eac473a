package e2e

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
)

// long says that the faults last as long as an operator's bad day: `make faults`.
// Otherwise they are short, as a part of `make test`.
var long = os.Getenv("SPAREKEY_FAULTS") == "long"

// size is n in the long form, and few otherwise.
func size(few, n int) int {
	if long {
		return n
	}
	return few
}

// fault is something that goes wrong while people ask and reset.
type fault struct {
	name string
	// on are the databases that it makes sense on.
	on []string
	// run lets it happen. It answers what it came to.
	run func(t *testing.T, db string) balance
	// longOnly are those that take too long, or too many rights, for every run of the tests.
	longOnly bool
}

const (
	onSQLite   = "SQLite"
	onPostgres = "PostgreSQL"
)

var both = []string{onSQLite, onPostgres}

var faults = []fault{
	{name: "kill -9 of one replica, then of all", on: both, run: killed},
	{name: "mail server down, slow, dropping, refusing", on: both, run: badMailServer, longOnly: true},
	{name: "database restarted", on: []string{onPostgres}, run: databaseRestarted},
	{name: "database connections cut and stalled", on: []string{onPostgres}, run: connectionsCut},
	{name: "fail-over to a promoted standby", on: []string{onPostgres}, run: failedOver},
	{name: "200 resets of one id at once", on: both, run: stampede},
	{name: "disk full", on: both, run: diskFull, longOnly: true},
	{name: "clocks two minutes apart", on: []string{onPostgres}, run: clocksApart},
	{name: "rolling restart with a migration", on: []string{onPostgres}, run: rollingRestart},
	{name: "power cut", on: []string{onSQLite}, run: powerCut},
}

// TestFaults holds the promises of the service while what it depends on fails,
// on every database, and prints what was promised and what came of it.
func TestFaults(t *testing.T) {
	t.Parallel()
	var (
		mu    sync.Mutex
		table []balance
	)
	t.Cleanup(func() { printBalances(table) })
	// Two at a time: with more of them on a small machine a fault would be over before anybody has met it.
	slots := make(chan struct{}, 2)
	for _, f := range faults {
		if f.longOnly && !long {
			continue
		}
		for _, db := range f.on {
			t.Run(f.name+"/"+db, func(t *testing.T) {
				t.Parallel()
				slots <- struct{}{}
				defer func() { <-slots }()
				b := f.run(t, db)
				b.scenario, b.database = f.name, db
				if b.acked == 0 || b.lost+b.twice+b.unnoticed+b.secrets > 0 {
					t.Errorf("what was promised was not kept: %+v", b)
				}
				mu.Lock()
				defer mu.Unlock()
				table = append(table, b)
			})
		}
	}
}

func printBalances(table []balance) {
	slices.SortFunc(table, func(a, b balance) int { return strings.Compare(a.scenario+a.database, b.scenario+b.database) })
	rows := []string{
		"| scenario | database | acknowledged | mailed | reset | 503 | no answer | lost | worked twice | unnoticed | secrets |",
		"| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |",
	}
	for _, b := range table {
		rows = append(rows, fmt.Sprintf("| %s | %s | %d | %d | %d | %d | %d | %d | %d | %d | %d |",
			b.scenario, b.database, b.acked, b.delivered, b.resets, b.refused, b.failed, b.lost, b.twice, b.unnoticed, b.secrets))
	}
	_, _ = fmt.Fprintln(os.Stdout, strings.Join(rows, "\n"))
}
