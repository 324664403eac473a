// Package logs makes the logger. What it writes has been cleaned of addresses,
// ids, keys and passwords (OWASP ASVS 16.2.5), whatever a caller hands in: the
// second line of defence, for the first is not to log them.
package logs

import (
	"context"
	"io"
	"log/slog"
	"slices"
)

// New returns a logger that writes lines of that level and above to w: as JSON,
// or as key=value if format is "text". Lines are written one at a time.
//
// In the message and in all attributes mail addresses, UUIDs, keys, password
// hashes and the user part of URLs are replaced (see redact.go), and
// attributes named like secrets lose their value. Control characters are
// escaped, so that no value can begin a line of its own (ASVS 16.4.1).
func New(w io.Writer, format string, level slog.Level) *slog.Logger {
	options := &slog.HandlerOptions{Level: level}
	if format == "text" {
		return slog.New(&handler{inner: slog.NewTextHandler(w, options)})
	}
	return slog.New(&handler{inner: slog.NewJSONHandler(w, options)})
}

// requestIDKey is the attribute that names the HTTP request.
const requestIDKey = "request_id"

type requestIDContext struct{}

// WithRequestID returns a context whose log lines carry the id as request_id.
// The id must not be a UUID: that would be taken for the secret of a link and
// replaced. crypto/rand.Text makes one that serves.
func WithRequestID(ctx context.Context, id string) context.Context {
	return context.WithValue(ctx, requestIDContext{}, id)
}

// RequestID returns the id that the context carries, or "".
func RequestID(ctx context.Context) string {
	id, _ := ctx.Value(requestIDContext{}).(string)
	return id
}

// handler cleans records and passes them on.
type handler struct {
	inner slog.Handler
	// groups are the open groups, outermost first. They are kept here instead
	// of in inner so that request_id stays outside of them.
	groups []group
	// secret says that an open group is named like a secret.
	secret bool
}

// group is a group with the attributes that were added while it was the innermost.
type group struct {
	name  string
	attrs []slog.Attr
}

// Enabled reports whether the level is logged.
func (h *handler) Enabled(ctx context.Context, level slog.Level) bool {
	return h.inner.Enabled(ctx, level)
}

// Handle cleans the record and writes it.
func (h *handler) Handle(ctx context.Context, r slog.Record) error {
	out := slog.NewRecord(r.Time, r.Level, redactText(r.Message), r.PC)
	if id := RequestID(ctx); id != "" {
		out.AddAttrs(slog.String(requestIDKey, redactText(id)))
	}
	var space [16]slog.Attr // enough for most records without a place on the heap
	attrs := space[:0]
	r.Attrs(func(a slog.Attr) bool {
		attrs = append(attrs, h.redact(a))
		return true
	})
	for _, g := range slices.Backward(h.groups) {
		attrs = []slog.Attr{{Key: g.name, Value: slog.GroupValue(slices.Concat(g.attrs, attrs)...)}}
	}
	out.AddAttrs(attrs...)
	return h.inner.Handle(ctx, out)
}

// WithAttrs returns a handler that adds the attributes, cleaned once and for all.
func (h *handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	if len(attrs) == 0 {
		return h
	}
	clean := make([]slog.Attr, len(attrs))
	for i, a := range attrs {
		clean[i] = h.redact(a)
	}
	if len(h.groups) == 0 {
		return &handler{inner: h.inner.WithAttrs(clean), secret: h.secret}
	}
	groups := slices.Clone(h.groups)
	innermost := &groups[len(groups)-1]
	innermost.attrs = slices.Concat(innermost.attrs, clean)
	return &handler{inner: h.inner, groups: groups, secret: h.secret}
}

// WithGroup returns a handler that puts further attributes into a group.
func (h *handler) WithGroup(name string) slog.Handler {
	if name == "" {
		return h
	}
	groups := append(slices.Clone(h.groups), group{name: redactText(name)})
	return &handler{inner: h.inner, groups: groups, secret: h.secret || isSecretKey(name)}
}

// redact cleans one attribute.
func (h *handler) redact(a slog.Attr) slog.Attr {
	if h.secret {
		return slog.String(redactText(a.Key), redacted)
	}
	return redactAttr(a)
}
