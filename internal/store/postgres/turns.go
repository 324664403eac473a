package postgres

import (
	"context"
	"errors"
	"time"
)

const (
	// turnSeed keeps the locks of turns apart from other advisory locks.
	turnSeed = 7240
	// turnPause is how long to wait before asking again for a turn that another replica has.
	turnPause = 50 * time.Millisecond
)

var errTurnLost = errors.New("the session that held the turn is gone")

// Take implements reset.Turns with advisory locks of the session that says that this
// process is alive: when it dies they end with it, and nobody waits for a lease to run out.
func (s *Store) Take(ctx context.Context, name string) (release func() error, err error) {
	serving := s.serving.Load()
	if serving == nil {
		return nil, errors.New("turns are for processes that serve")
	}
	pause := time.NewTicker(turnPause)
	defer pause.Stop()
	for {
		session, ok, err := serving.try(ctx, name)
		if err != nil {
			return nil, err
		}
		if ok {
			return func() error { return serving.release(ctx, name, session) }, nil
		}
		select {
		case <-pause.C:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// try takes the turn if nobody has it, and answers in which session.
func (s *Serving) try(ctx context.Context, name string) (session int, ok bool, err error) {
	return s.lock(ctx, `SELECT pg_try_advisory_lock(hashtextextended($1, $2))`, name)
}

// release ends the turn. It answers an error if it had been lost before.
func (s *Serving) release(ctx context.Context, name string, session int) error {
	now, ok, err := s.lock(ctx, `SELECT pg_advisory_unlock(hashtextextended($1, $2))`, name)
	if err == nil && (!ok || now != session) {
		err = errTurnLost
	}
	return err
}

// lock takes or ends a lock in the session of this process. Whoever asked going
// away must not interrupt it, since that would end the session and everybody's turns.
func (s *Serving) lock(ctx context.Context, statement, name string) (session int, ok bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conn == nil {
		return 0, false, unavailable(errTurnLost)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), connectTimeout)
	defer cancel()
	if err = s.conn.QueryRow(ctx, statement, name, turnSeed).Scan(&ok); err != nil {
		s.loseLocked()
	}
	return s.session, ok, translate(err)
}
