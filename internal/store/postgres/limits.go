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
func (t *tx) Take(ctx context.Context, key string, rate reset.Rate, now time.Time) (time.Duration, error) {
	interval := rate.Per.Microseconds() / int64(rate.Count)
	ahead := rate.Per.Microseconds() - interval // how far tat may be ahead of now
	at := now.UnixMicro()
	n, err := t.exec(ctx, `INSERT INTO limits AS l (name, tat) VALUES ($1, $2::bigint + $3::bigint)
		ON CONFLICT (name) DO UPDATE SET tat = greatest(l.tat, $2) + $3 WHERE l.tat <= $2 + $4::bigint`, key, at, interval, ahead)
	if err != nil || n == 1 {
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
