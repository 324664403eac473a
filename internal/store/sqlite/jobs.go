package sqlite

import (
	"context"
	"database/sql"
	"errors"

	"github.com/sparekey/sparekey/internal/reset"
)

// Job implements reset.Store. The counts are counted, never kept, so an entry
// that runs twice cannot be counted twice.
func (s *Store) Job(ctx context.Context, id string) (reset.Job, error) {
	var (
		j       = reset.Job{ID: id}
		created sql.NullInt64
	)
	err := s.read.QueryRowContext(ctx, `SELECT j.key_id, j.created_at, count(*),
			count(*) FILTER (WHERE e.outcome = 'sent'),
			count(*) FILTER (WHERE e.outcome = 'unknown'),
			count(*) FILTER (WHERE e.outcome = 'failed')
		FROM jobs j JOIN job_entries e ON e.job_id = j.id
		WHERE j.id = ? GROUP BY j.id`, id).Scan(&j.KeyID, &created, &j.Total, &j.Sent, &j.Unknown, &j.Failed)
	if errors.Is(err, sql.ErrNoRows) {
		return reset.Job{}, reset.ErrNoJob
	}
	if err != nil {
		return reset.Job{}, translate(err)
	}
	j.CreatedAt = fromMS(created)
	return j, nil
}

// AddJob implements reset.Tx.
func (t *tx) AddJob(ctx context.Context, j reset.Job) error {
	if _, err := t.exec(ctx, `INSERT INTO jobs (id, key_id, created_at) VALUES (?, ?, ?)`, j.ID, j.KeyID, ms(j.CreatedAt)); err != nil {
		return err
	}
	_, err := t.exec(ctx, `WITH RECURSIVE n(position) AS (SELECT 0 UNION ALL SELECT position + 1 FROM n WHERE position + 1 < ?2)
		INSERT INTO job_entries (job_id, position, outcome) SELECT ?1, position, 'pending' FROM n`, j.ID, j.Total)
	return err
}

// SetOutcome implements reset.Tx. A job that was purged meanwhile is no error.
func (t *tx) SetOutcome(ctx context.Context, job string, position int, o reset.Outcome) error {
	_, err := t.exec(ctx, `UPDATE job_entries SET outcome = ? WHERE job_id = ? AND position = ?`, o, job, position)
	return err
}
