package pgtest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"syscall"

	"github.com/jackc/pgx/v5"
)

// Standby makes a second cluster that follows this one by streaming
// replication, and has this one wait for it with every commit: what a caller was
// answered is on both. The caller stops it with Close.
func (c *Cluster) Standby() (standby *Cluster, err error) {
	dir, err := os.MkdirTemp("", "sparekey-pg-")
	if err != nil {
		return nil, err
	}
	standby = &Cluster{Dir: filepath.Join(dir, "data"), bin: c.bin, as: c.as}
	defer func() {
		if err != nil {
			err = errors.Join(err, standby.Close())
			standby = nil
		}
	}()
	if err := standby.owner(dir); err != nil {
		return standby, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	out, err := c.command(ctx, "pg_basebackup", "--pgdata", standby.Dir, "--write-recovery-conf", "--checkpoint=fast",
		"--no-sync", "--dbname", c.URL("postgres")).CombinedOutput()
	if err != nil {
		return standby, fmt.Errorf("pg_basebackup: %w\n%s", err, out)
	}
	if standby.Port, err = freePort(); err != nil {
		return standby, err
	}
	if err := standby.configure("port = " + strconv.Itoa(standby.Port)); err != nil {
		return standby, err
	}
	if err := standby.Restart(); err != nil {
		return standby, err
	}
	return standby, c.say("ALTER SYSTEM SET synchronous_standby_names = '*'", "SELECT pg_reload_conf()")
}

// Promote makes a standby the one that takes writes. The one that it followed
// is ended as a power cut would end it.
func (c *Cluster) Promote(primary *Cluster) error {
	if err := primary.Stop(syscall.SIGQUIT); err != nil {
		return err
	}
	return c.say("SELECT pg_promote()")
}

// say runs statements as the superuser, one by one.
func (c *Cluster) say(statements ...string) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	conn, err := pgx.Connect(ctx, c.URL("postgres"))
	if err != nil {
		return err
	}
	for _, statement := range statements {
		if _, err = conn.Exec(ctx, statement); err != nil {
			break
		}
	}
	return errors.Join(err, conn.Close(ctx))
}
