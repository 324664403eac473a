package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
)

const (
	// aliveEvery is how often a serving process shows that it is alive and looks who is not.
	aliveEvery = 2 * time.Second
	// aliveSeed keeps these advisory locks apart from others' of the same names.
	aliveSeed = 7239
)

// Serving is a process that works the outbox. While it lives it holds a lock
// in a session of its own, which the server lets go of the moment that the process is gone; so
// the others need not wait for its leases to end to take its entries over.
type Serving struct {
	store *Store
	stop  context.CancelFunc
	done  chan struct{}
}

// ID names this process to the others: River writes it on what it leases.
func (s *Store) ID() string { return s.id }

// Serve makes this process one that works the outbox, until Close. It answers how many
// entries of dead ones are available again; those that die later are seen to every two seconds.
func (s *Store) Serve(ctx context.Context) (*Serving, int, error) {
	conn, err := s.show(ctx)
	if err != nil {
		return nil, 0, err
	}
	n, err := s.reclaim(ctx, conn)
	if err != nil {
		conn.Release()
		return nil, 0, err
	}
	whole, stop := context.WithCancel(context.WithoutCancel(ctx))
	serving := &Serving{store: s, stop: stop, done: make(chan struct{})}
	go func() {
		defer close(serving.done)
		serving.run(whole, conn)
	}()
	return serving, n, nil
}

// Close ends it; call it when the outbox has stopped.
func (s *Serving) Close() {
	s.stop()
	<-s.done
}

func (s *Serving) run(ctx context.Context, conn *pgxpool.Conn) {
	defer func() { drop(conn) }()
	ticker := time.NewTicker(aliveEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		n, err := 0, error(nil)
		if conn == nil {
			conn, err = s.store.show(ctx)
		}
		if err == nil {
			n, err = s.store.reclaim(ctx, conn)
		}
		switch {
		case ctx.Err() != nil:
		case err != nil:
			// The session may be gone and the lock with it: a new one is due.
			drop(conn)
			conn = nil
			s.store.log.WarnContext(ctx, "the database did not answer; trying again", "event", "database.lost", "error", err)
		case n > 0:
			s.store.log.InfoContext(ctx, "taking up what another process left", "event", "outbox.reclaimed", "entries", n)
		}
	}
}

// drop ends a session, and its lock with it.
func drop(conn *pgxpool.Conn) {
	if conn == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = conn.Conn().Close(ctx)
	conn.Release()
}

// show takes the lock that says that this process is alive.
func (s *Store) show(ctx context.Context) (*pgxpool.Conn, error) {
	conn, err := s.acquire(ctx)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	if _, err := conn.Exec(ctx, `SELECT pg_advisory_lock(hashtextextended($1, $2))`, s.id, aliveSeed); err != nil {
		drop(conn)
		return nil, translate(err)
	}
	return conn, nil
}

// reclaim makes entries available again whose process holds no lock any more.
func (s *Store) reclaim(ctx context.Context, conn *pgxpool.Conn) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	tag, err := conn.Exec(ctx, `UPDATE river_job AS j SET state = 'available'
		WHERE j.state = 'running' AND NOT EXISTS (
			SELECT 1 FROM pg_locks AS l
			WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1
				AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
				AND (l.classid::bigint << 32 | l.objid::bigint) = hashtextextended(j.attempted_by[array_upper(j.attempted_by, 1)], $1))`, aliveSeed)
	return int(tag.RowsAffected()), translate(err)
}
