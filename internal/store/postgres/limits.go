package postgres

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/sparekey/sparekey/internal/reset"
)

// Take implements reset.Tx with the generic cell rate algorithm: per limit one
// time, the theoretical arrival time (tat) of the next event at the steady
// rate, in Unix microseconds. An event conforms when tat is at most
// Per-interval ahead of now. The guarded upsert decides and counts in one
// statement, whatever other replicas do; what does not conform writes nothing.
func (t *tx) Take(ctx context.Context, key string, n int, rate reset.Rate, now time.Time) (time.Duration, error) {
	cost := rate.Interval().Microseconds() * int64(n)
	ahead := rate.Per.Microseconds() - cost // how far tat may be ahead of now
	at := now.UnixMicro()
	changed, err := t.exec(ctx, `INSERT INTO limits AS l (name, tat) VALUES ($1, $2::bigint + $3::bigint)
		ON CONFLICT (name) DO UPDATE SET tat = greatest(l.tat, $2) + $3 WHERE l.tat <= $2 + $4::bigint`, key, at, cost, ahead)
	if err != nil || changed == 1 {
		return 0, err
	}
	var tat int64
	err = t.row(ctx, `SELECT tat FROM limits WHERE name = $1`, key).Scan(&tat)
	if errors.Is(err, pgx.ErrNoRows) {
		return 0, nil
	}
	if err != nil {
		return 0, keep(err)
	}
	return time.Duration(tat-ahead-at) * time.Microsecond, nil
}

// ForgetLimits implements reset.Tx.
func (t *tx) ForgetLimits(ctx context.Context, names []string) (int, error) {
	if names == nil {
		n, err := t.exec(ctx, `DELETE FROM limits`)
		return int(n), err
	}
	n, err := t.exec(ctx, `DELETE FROM limits WHERE name = ANY($1)`, names)
	return int(n), err
}

// Limits implements reset.Store.
func (s *Store) Limits(ctx context.Context, names []string) (map[string]time.Time, error) {
	return pairs(ctx, s, time.UnixMicro, `SELECT name, tat FROM limits WHERE name = ANY($1)`, names)
}

// LimitKinds implements reset.Store.
func (s *Store) LimitKinds(ctx context.Context, now time.Time) (map[string]int, error) {
	return pairs(ctx, s, func(n int64) int { return int(n) },
		`SELECT split_part(name, ':', 1), count(*) FROM limits WHERE tat > $1 GROUP BY 1`, now.UnixMicro())
}

// pairs runs a query for names and numbers.
func pairs[T any](ctx context.Context, s *Store, to func(int64) T, query string, args ...any) (map[string]T, error) {
	return read(ctx, s, func(ctx context.Context, db querier) (map[string]T, error) {
		rows, err := db.Query(ctx, query, args...)
		if err != nil {
			return nil, keep(err)
		}
		m := make(map[string]T)
		var (
			name   string
			number int64
		)
		_, err = pgx.ForEachRow(rows, []any{&name, &number}, func() error {
			m[name] = to(number)
			return nil
		})
		return m, keep(err)
	})
}
