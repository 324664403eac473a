package postgres

import (
	"context"
	"sync"
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

	mu      sync.Mutex
	conn    *pgxpool.Conn // nil while there is none
	session int           // counts them
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
	serving := &Serving{store: s, stop: stop, done: make(chan struct{}), conn: conn}
	s.serving.Store(serving)
	go func() {
		defer close(serving.done)
		serving.run(whole)
	}()
	return serving, n, nil
}

// Close ends it; call it when the outbox has stopped.
func (s *Serving) Close() {
	s.stop()
	<-s.done
}

func (s *Serving) run(ctx context.Context) {
	defer s.lose()
	ticker := time.NewTicker(aliveEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		n, err := s.look(ctx)
		switch {
		case ctx.Err() != nil:
		case err != nil:
			s.store.log.WarnContext(ctx, "the database did not answer; trying again", "event", "database.lost", "error", err)
		case n > 0:
			s.store.log.InfoContext(ctx, "taking up what another process left", "event", "outbox.reclaimed", "entries", n)
		}
	}
}

// look shows that this process is alive and answers how many entries of dead ones it made available.
func (s *Serving) look(ctx context.Context) (n int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conn == nil {
		if s.conn, err = s.store.show(ctx); err != nil {
			return 0, err
		}
		s.session++
	}
	if n, err = s.store.reclaim(ctx, s.conn); err != nil {
		s.loseLocked()
	}
	return n, err
}

// lose gives the session up: it may be gone, and its locks with it.
func (s *Serving) lose() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.loseLocked()
}

func (s *Serving) loseLocked() {
	drop(s.conn)
	s.conn = nil
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
