package sqldir

import (
	"context"
	"fmt"
	"net/url"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/sparekey/sparekey/internal/reset"
)

// Resets per second against the same UPDATE in a loop, by the same driver on as many connections: the metric
// "ratio". Hashing is left out of both.
func BenchmarkSet(b *testing.B) {
	const connections, users = 8, 1000
	for _, kind := range databases {
		b.Run(kind.name, func(b *testing.B) {
			w := kind.make(b)
			w.users(b)
			c := w.config(b)
			c.Columns.ChangedAt = ""
			c.Connections = connections
			ids := make([]string, users)
			for i := range ids {
				ids[i] = w.add(b, fmt.Sprintf("user%d@example.test", i), "old")
			}
			if w.proxy != nil { // it would be measured too
				c.URL = direct(b, w)
			}
			hash := hashed(b, "a new password of theirs")
			d := open(b, c)
			changes := func(i int64) error {
				u := reset.User{ID: ids[i%users]}
				return change{directory: d, user: u, hash: fmt.Sprint(hash, i)}.Set(context.Background()) // one that is there already is not written
			}
			raw := w.raw(b, c, connections)
			rates := map[string]float64{}
			for _, side := range []struct {
				name string
				do   func(i int64) error
			}{{"raw", func(i int64) error { return raw(fmt.Sprint(hash, i), ids[i%users]) }}, {"sparekey", changes}} {
				b.Run(side.name, func(b *testing.B) {
					var n atomic.Int64
					b.SetParallelism(connections)
					b.RunParallel(func(pb *testing.PB) {
						for pb.Next() {
							if err := side.do(n.Add(1)); err != nil {
								b.Error(err)
								return
							}
						}
					})
					rates[side.name] = float64(b.N) / b.Elapsed().Seconds()
					b.ReportMetric(rates[side.name], "changes/s")
					if rates["raw"] > 0 {
						b.ReportMetric(rates[side.name]/rates["raw"], "ratio")
					}
				})
			}
		})
	}
}

// direct is the address without the proxy.
func direct(b *testing.B, w *world) string {
	b.Helper()
	u, err := url.Parse(w.url)
	if err != nil {
		b.Fatal(err)
	}
	u.Host = w.proxy.to
	return u.String()
}

// raw is the same UPDATE as an application writes it.
func (w *world) raw(b *testing.B, c Config, connections int) func(hash, id string) error {
	b.Helper()
	if w.dialect == postgresDialect {
		cfg, err := pgxpool.ParseConfig(c.URL)
		if err != nil {
			b.Fatal(err)
		}
		cfg.MaxConns = int32(connections)
		p, err := pgxpool.NewWithConfig(b.Context(), cfg)
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(p.Close)
		return func(hash, id string) error {
			_, err := p.Exec(context.Background(), "UPDATE users SET password = $1 WHERE id = $2", hash, id)
			return err
		}
	}
	db := w.admin
	db.SetMaxOpenConns(connections)
	db.SetMaxIdleConns(connections)
	return func(hash, id string) error {
		_, err := db.Exec("UPDATE users SET password = ? WHERE id = ?", hash, id)
		return err
	}
}
