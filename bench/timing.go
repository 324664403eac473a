package main

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"time"
)

// timing asks for links to known and unknown addresses in random order, one at
// a time, and tells the two apart by time if that can be done: Welch's t of the
// two samples. Beyond 4.5 the difference counts as proven (Goodwill et al., 2011).
func (b *bench) timing(ctx context.Context) error {
	c, err := dial(ctx, b.service.addr)
	if err != nil {
		return err
	}
	defer func() { _ = c.conn.Close() }()
	var known, unknown sample
	for start, i := time.Now(), 0; time.Since(start) < b.period; i++ {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		of, address := &known, email(rand.IntN(users))
		if rand.IntN(2) == 0 {
			of, address = &unknown, fmt.Sprintf("noon%04d@example.test", i%users)
		}
		body := `{"email":["` + address + `"]}`
		at := time.Now()
		if err := c.do("POST", requestPath, "", body); err != nil {
			return err
		}
		of.add(time.Since(at).Seconds())
	}
	b.rows = append(b.rows, row{
		what:   fmt.Sprintf("known or unknown address, told apart by time (Welch's t of %d)", int(known.n+unknown.n)),
		figure: math.Abs(welch(known, unknown)), unit: "", most: 4.5,
	})
	return b.drained(ctx)
}

// sample keeps a mean and a variance as values come in (Welford, 1962).
type sample struct{ n, mean, m2 float64 }

func (s *sample) add(x float64) {
	s.n++
	d := x - s.mean
	s.mean += d / s.n
	s.m2 += d * (x - s.mean)
}

func (s *sample) variance() float64 { return s.m2 / (s.n - 1) }

func welch(a, b sample) float64 {
	return (a.mean - b.mean) / math.Sqrt(a.variance()/a.n+b.variance()/b.n)
}
