package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// growth asks at a steady rate on a small and on a large database in turn, and
// compares what the slowest in a hundred waited.
func (b *bench) growth(ctx context.Context) (err error) {
	c, err := b.cluster()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	sizes := []struct {
		name            string
		users, requests int
	}{{"small", 10_000, 1_000}, {"large", 10_000_000, 1_000_000}}
	services := make([]*bench, len(sizes))
	for i, size := range sizes {
		address, err := newDatabase(ctx, c, size.name)
		if err != nil {
			return err
		}
		if services[i], err = b.on(ctx, address); err != nil {
			return err
		}
		defer func() { services[i].service.stop() }()
		if err := execute(ctx, address, crowdOf(size.users, size.requests)...); err != nil {
			return fmt.Errorf("fill %s: %w", size.name, err)
		}
	}
	waits := make([][]float64, len(sizes))
	for range 10 { // rounds, so that whatever else the machine does hits both
		for i, s := range services {
			took, err := s.steadily(ctx, 200, b.period/5)
			if err != nil {
				return err
			}
			waits[i] = append(waits[i], took...)
		}
	}
	p99 := func(ms []float64) float64 { slices.Sort(ms); return ms[len(ms)*99/100] }
	small, large := p99(waits[0]), p99(waits[1])
	b.rows = append(b.rows, row{
		what:   fmt.Sprintf("request p99 with 10 million users and 1 million requests, against 10 and 1 thousand (%.2f ms, %.2f ms), PostgreSQL", large, small),
		figure: large / small, unit: "times", most: 1.3,
	})
	return errors.Join(services[0].drained(ctx), err)
}

// steadily asks so many times a second, and answers how many milliseconds each took.
func (b *bench) steadily(ctx context.Context, perSecond int, period time.Duration) (took []float64, err error) {
	c, err := dial(ctx, b.service.addr)
	if err != nil {
		return nil, err
	}
	defer func() { _ = c.conn.Close() }()
	tick := time.NewTicker(time.Second / time.Duration(perSecond))
	defer tick.Stop()
	for i := range int(period.Seconds() * float64(perSecond)) {
		<-tick.C
		method, path, key, body := b.ask(i)
		at := time.Now()
		if err := c.do(method, path, key, body); err != nil {
			return nil, err
		}
		took = append(took, float64(time.Since(at).Microseconds())/1000)
	}
	return took, ctx.Err()
}

// crowdOf fills the tables as they would be after years.
func crowdOf(users, requests int) []string {
	return []string{
		`SET statement_timeout = 0`,
		fmt.Sprintf(`INSERT INTO users (id, email, email_key, name, locale, created_at)
			SELECT gen_random_uuid()::text, 'crowd'||n||'@example.test', 'crowd'||n||'@example.test', 'Somebody '||n, 'en', now() FROM generate_series(1, %d) n`, users),
		`INSERT INTO memberships SELECT id, (SELECT min(id) FROM accounts) FROM users ON CONFLICT DO NOTHING`,
		fmt.Sprintf(`INSERT INTO requests (digest, user_id, state, created_at, expires_at, ended_at)
			SELECT sha256(n::text::bytea), gen_random_uuid()::text, CASE WHEN n %% 100 = 0 THEN 'open' ELSE 'used' END,
				now() - n %% 10000 * interval '1 minute', now() + interval '1 hour' - n %% 10000 * interval '1 minute', now() FROM generate_series(1, %d) n`, requests),
		`VACUUM ANALYZE`,
		`CHECKPOINT`,
	}
}
