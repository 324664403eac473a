package sqlite

import (
	"context"
	"database/sql"
	"embed"
	"fmt"
	"io/fs"

	"github.com/pressly/goose/v3"
	"github.com/riverqueue/river/rivermigrate"
)

//go:embed migrations/*.sql
var migrations embed.FS

// riverVersion is the version of River's own tables that the outbox's release
// of River works with. A newer River gets a further goose migration.
const riverVersion = 8

// Migrate brings the file's tables up to date and says which migrations it
// applied. It is safe to call at every start: with nothing to do it reads one table.
func (s *Store) Migrate(ctx context.Context) (applied []string, err error) {
	p, err := s.migrator()
	if err != nil {
		return nil, err
	}
	results, err := p.Up(ctx)
	if err != nil {
		return nil, fmt.Errorf("migrate the database: %w", translate(err))
	}
	for _, r := range results {
		applied = append(applied, fmt.Sprintf("%05d", r.Source.Version))
	}
	return applied, nil
}

// Pending reports whether Migrate would do anything.
func (s *Store) Pending(ctx context.Context) (bool, error) {
	p, err := s.migrator()
	if err != nil {
		return false, err
	}
	pending, err := p.HasPending(ctx)
	return pending, translate(err)
}

func (s *Store) migrator() (*goose.Provider, error) {
	sub, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return nil, err
	}
	river := goose.NewGoMigration(2, &goose.GoFunc{RunTx: s.migrateRiver}, nil)
	p, err := goose.NewProvider(goose.DialectSQLite3, s.write, sub, goose.WithGoMigrations(river), goose.WithSlog(s.log))
	if err != nil {
		return nil, fmt.Errorf("read the migrations: %w", err)
	}
	return p, nil
}

// migrateRiver makes the outbox's tables with River's own migrations, in the
// same sequence of versions as ours.
func (s *Store) migrateRiver(ctx context.Context, tx *sql.Tx) error {
	m, err := rivermigrate.New(s.RiverDriver(), &rivermigrate.Config{Logger: s.log})
	if err != nil {
		return err
	}
	//nolint:staticcheck // deprecated for PostgreSQL's concurrent indexes; on SQLite one transaction is right, and goose's is the one
	_, err = m.MigrateTx(ctx, tx, rivermigrate.DirectionUp, &rivermigrate.MigrateOpts{TargetVersion: riverVersion})
	return err
}
