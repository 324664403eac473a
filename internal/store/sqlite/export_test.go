package sqlite

import (
	"context"
	"errors"
	"fmt"
	"runtime"
)

// Synchronous asks the writing connection how it waits for the disk.
func Synchronous(ctx context.Context, s *Store) (level int, err error) {
	err = s.write.QueryRowContext(ctx, `PRAGMA synchronous`).Scan(&level)
	return level, err
}

// LimitPages makes SQLite behave as if the disk had room for so many pages and no more.
func LimitPages(ctx context.Context, s *Store, pages int) error {
	var now int
	return s.write.QueryRowContext(ctx, fmt.Sprintf(`PRAGMA max_page_count = %d`, pages)).Scan(&now)
}

// NestedReads sends one text in a transaction while its earlier rows are open.
func NestedReads(ctx context.Context, s *Store, depth int) error {
	sqlTx, err := s.write.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = sqlTx.Rollback() }()
	const text = `SELECT value FROM json_each(?)`
	var open []interface{ Close() error }
	for i := range depth {
		rows, err := sqlTx.QueryContext(ctx, text, fmt.Sprintf("[%d,%d]", i, i+1)) //nolint:sqlclosecheck // closed below, after all were opened
		if err != nil {
			return err
		}
		open = append(open, rows)
		var got int
		if !rows.Next() {
			return errors.New("no row")
		}
		if err := rows.Scan(&got); err != nil {
			return err
		}
		if err := rows.Err(); err != nil {
			return err
		}
		if got != i {
			return fmt.Errorf("nested read %d got %d", i, got)
		}
	}
	var errs []error
	for _, rows := range open {
		errs = append(errs, rows.Close())
	}
	return errors.Join(errs...)
}

// WaitQueued waits until so many transactions wait for the writer.
func WaitQueued(s *Store, n int) {
	for len(s.writer.ops) < n {
		runtime.Gosched()
	}
}
