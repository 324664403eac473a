package logs_test

import (
	"errors"
	"io"
	"log/slog"
	"testing"

	"github.com/sparekey/sparekey/internal/logs"
)

// BenchmarkHandler compares the logger with slog's own, on a line with nothing
// to hide and on one with something in each value.
func BenchmarkHandler(b *testing.B) {
	clean := []any{"event", "http.request", "method", "POST", "path", "/api/1.0/reset-password/request", "status", 200, "ms", 1.25}
	dirty := []any{"to", "jane@example.test", "id", someUUID, "err", errors.New("550 <jane@example.test>"), "key", someKey}
	plain := slog.New(slog.NewJSONHandler(io.Discard, nil))
	ours := logs.New(io.Discard, "json", slog.LevelInfo)
	for _, bench := range []struct {
		name string
		log  *slog.Logger
		args []any
	}{
		{"slog/clean", plain, clean},
		{"logs/clean", ours, clean},
		{"slog/dirty", plain, dirty},
		{"logs/dirty", ours, dirty},
	} {
		b.Run(bench.name, func(b *testing.B) {
			ctx := logs.WithRequestID(b.Context(), "Q4TIJVC7HJSTQK3JKAQ2L4WOFC")
			b.ReportAllocs()
			for b.Loop() {
				bench.log.InfoContext(ctx, "a request was answered", bench.args...)
			}
		})
	}
}
