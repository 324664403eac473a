package client

import (
	"context"
	"time"
)

// WithPause replaces the waiting between attempts.
func WithPause(pause func(ctx context.Context, d time.Duration) error) Option {
	return func(c *Client) error { c.pause = pause; return nil }
}
