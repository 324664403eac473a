package postgres

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
	"github.com/riverqueue/river/rivermigrate"
)

//go:embed migrations/*.sql
var migrations embed.FS

// riverVersion is the version of River's own tables that the outbox's release
// of River works with. A newer River gets a further goose migration.
const riverVersion = 8

// Migrate brings the tables up to date and says which migrations it applied.
// Any number of replicas may call it at once: a session lock lets one work
// while the others wait. With nothing to do it reads one table.
func (s *Store) Migrate(ctx context.Context) (applied []string, err error) {
	db := stdlib.OpenDBFromPool(s.pool)
	defer func() { err = errors.Join(err, db.Close()) }()
	p, err := s.migrator(db)
	if err != nil {
		return nil, err
	}
	results, err := p.Up(ctx)
	if e, ok := errors.AsType[*pgconn.PgError](err); ok && e.Code == insufficientPrivilege {
		return nil, fmt.Errorf("this role may not change the tables, which are older than this build; migrate as the role that owns them: sparekey migrate (%w)", err)
	}
	if err != nil {
		return nil, fmt.Errorf("migrate the database: %w", translate(err))
	}
	for _, r := range results {
		applied = append(applied, fmt.Sprintf("%05d", r.Source.Version))
	}
	return applied, nil
}

// Pending reports whether Migrate would do anything.
func (s *Store) Pending(ctx context.Context) (pending bool, err error) {
	db := stdlib.OpenDBFromPool(s.pool)
	defer func() { err = errors.Join(err, db.Close()) }()
	p, err := s.migrator(db)
	if err != nil {
		return false, err
	}
	pending, err = p.HasPending(ctx)
	return pending, translate(err)
}

func (s *Store) migrator(db *sql.DB) (*goose.Provider, error) {
	sub, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return nil, err
	}
	// Those who wait ask again every second for five minutes; goose's own five seconds would
	// have the last of ten replicas start after most of a minute.
	locker, err := lock.NewPostgresSessionLocker(lock.WithLockTimeout(1, 300))
	if err != nil {
		return nil, err
	}
	river := goose.NewGoMigration(2, &goose.GoFunc{RunDB: s.migrateRiver}, nil)
	p, err := goose.NewProvider(goose.DialectPostgres, db, sub,
		goose.WithGoMigrations(river), goose.WithSessionLocker(locker), goose.WithSlog(s.log))
	if err != nil {
		return nil, fmt.Errorf("read the migrations: %w", err)
	}
	return p, nil
}

// migrateRiver makes the outbox's tables with River's own migrations, in the
// same sequence of versions as ours. They use transactions of their own, for
// indexes that are built concurrently; each may run again after a crash.
func (s *Store) migrateRiver(ctx context.Context, _ *sql.DB) error {
	m, err := rivermigrate.New(s.RiverDriver(), &rivermigrate.Config{Logger: s.log})
	if err != nil {
		return err
	}
	_, err = m.Migrate(ctx, rivermigrate.DirectionUp, &rivermigrate.MigrateOpts{TargetVersion: riverVersion})
	return err
}
