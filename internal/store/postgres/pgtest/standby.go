package pgtest

import (
	"context"
	"errors"
	"strconv"
	"syscall"

	"github.com/sparekey/sparekey/internal/daemontest"
)

// Standby makes a second cluster that follows this one by streaming
// replication, and has this one wait for it with every commit: what a caller was
// answered is on both. The caller stops it with Close.
func (c *Cluster) Standby() (standby *Cluster, err error) {
	if standby, err = newCluster("", c.bin); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, standby.Close())
			standby = nil
		}
	}()
	if err := c.run("pg_basebackup", "--pgdata", standby.Dir, "--write-recovery-conf", "--checkpoint=fast",
		"--no-sync", "--dbname", c.URL("postgres")); err != nil {
		return standby, err
	}
	if standby.Port, err = daemontest.FreePort(); err != nil {
		return standby, err
	}
	if err := standby.configure("port = " + strconv.Itoa(standby.Port)); err != nil {
		return standby, err
	}
	if err := standby.Restart(); err != nil {
		return standby, err
	}
	return standby, c.order("ALTER SYSTEM SET synchronous_standby_names = '*'", "SELECT pg_reload_conf()")
}

// Promote makes a standby the one that takes writes. The one that it followed
// is ended as a power cut would end it.
func (c *Cluster) Promote(primary *Cluster) error {
	if err := primary.Stop(syscall.SIGQUIT); err != nil {
		return err
	}
	return c.order("SELECT pg_promote()")
}

func (c *Cluster) order(statements ...string) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	return c.say(ctx, "postgres", statements...)
}
