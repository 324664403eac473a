package postgres

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/sparekey/sparekey/internal/reset"
)

// Job implements reset.Store. The counts are counted, never kept, so an entry
// that runs twice cannot be counted twice.
func (s *Store) Job(ctx context.Context, id string) (reset.Job, error) {
	return read(ctx, s, func(ctx context.Context, db querier) (reset.Job, error) {
		var (
			j       = reset.Job{ID: id}
			created *time.Time
		)
		err := db.QueryRow(ctx, `SELECT j.key_id, j.created_at, count(*),
				count(*) FILTER (WHERE e.outcome = 'sent'),
				count(*) FILTER (WHERE e.outcome = 'unknown'),
				count(*) FILTER (WHERE e.outcome = 'failed')
			FROM jobs j JOIN job_entries e ON e.job_id = j.id
			WHERE j.id = $1 GROUP BY j.id`, id).Scan(&j.KeyID, &created, &j.Total, &j.Sent, &j.Unknown, &j.Failed)
		if errors.Is(err, pgx.ErrNoRows) {
			return reset.Job{}, reset.ErrNoJob
		}
		j.CreatedAt = restored(created)
		return j, err
	})
}

// AddJob implements reset.Tx.
func (t *tx) AddJob(_ context.Context, j reset.Job) error {
	t.later(`INSERT INTO jobs (id, key_id, created_at) VALUES ($1, $2, $3)`, j.ID, j.KeyID, stored(j.CreatedAt))
	t.later(`INSERT INTO job_entries (job_id, position, outcome)
		SELECT $1, n, 'pending' FROM generate_series(0, $2::integer - 1) AS n`, j.ID, j.Total)
	return nil
}

// SetOutcome implements reset.Tx. A job that was purged meanwhile is no error.
func (t *tx) SetOutcome(_ context.Context, job string, position int, o reset.Outcome) error {
	t.later(`UPDATE job_entries SET outcome = $1 WHERE job_id = $2 AND position = $3`, o, job, position)
	return nil
}
