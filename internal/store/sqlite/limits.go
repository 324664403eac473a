package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"time"

	"github.com/sparekey/sparekey/internal/reset"
)

// Take implements reset.Tx with the generic cell rate algorithm: per limit one
// time, the theoretical arrival time (tat) of the next event at the steady
// rate. An event conforms when tat is at most Per-interval ahead of now. The
// guarded upsert decides and counts in one statement; what does not conform
// writes nothing, so a flood of refused calls costs no disk.
func (t *tx) Take(ctx context.Context, key string, n int, rate reset.Rate, now time.Time) (time.Duration, error) {
	cost := rate.Interval().Microseconds() * int64(n)
	ahead := rate.Per.Microseconds() - cost // how far tat may be ahead of now
	at := now.UnixMicro()
	changed, err := t.exec(ctx, `INSERT INTO limits (name, tat) VALUES (?1, ?2 + ?3)
		ON CONFLICT (name) DO UPDATE SET tat = max(tat, ?2) + ?3 WHERE tat <= ?2 + ?4`, key, at, cost, ahead)
	if err != nil || changed == 1 {
		return 0, err
	}
	var tat int64
	err = t.row(ctx, `SELECT tat FROM limits WHERE name = ?`, key).Scan(&tat)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, nil
	}
	if err != nil {
		return 0, translate(err)
	}
	return time.Duration(tat-ahead-at) * time.Microsecond, nil
}

// ForgetLimits implements reset.Tx.
func (t *tx) ForgetLimits(ctx context.Context, names []string) (int, error) {
	if names == nil {
		n, err := t.exec(ctx, `DELETE FROM limits`)
		return int(n), err
	}
	n, err := t.exec(ctx, `DELETE FROM limits WHERE name IN (SELECT value FROM json_each(?))`, jsonList(names))
	return int(n), err
}

// Limits implements reset.Store.
func (s *Store) Limits(ctx context.Context, names []string) (map[string]time.Time, error) {
	return pairs(ctx, s.read, time.UnixMicro, `SELECT name, tat FROM limits WHERE name IN (SELECT value FROM json_each(?))`, jsonList(names))
}

// LimitKinds implements reset.Store.
func (s *Store) LimitKinds(ctx context.Context, now time.Time) (map[string]int, error) {
	return pairs(ctx, s.read, func(n int64) int { return int(n) },
		`SELECT substr(name, 1, instr(name || ':', ':') - 1), count(*) FROM limits WHERE tat > ? GROUP BY 1`, now.UnixMicro())
}

// pairs runs a query for names and numbers.
func pairs[T any](ctx context.Context, db querier, to func(int64) T, query string, args ...any) (map[string]T, error) {
	type pair struct {
		name   string
		number int64
	}
	list, err := collect(ctx, db, func(row interface{ Scan(...any) error }) (p pair, err error) {
		return p, translate(row.Scan(&p.name, &p.number))
	}, query, args...)
	m := make(map[string]T, len(list))
	for _, p := range list {
		m[p.name] = to(p.number)
	}
	return m, err
}

// jsonList is a list as SQLite's json_each takes it.
func jsonList[T string | int64](list []T) string {
	text, _ := json.Marshal(list) // texts and numbers always can be
	return string(text)
}
