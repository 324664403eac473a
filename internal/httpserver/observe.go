package httpserver

import (
	"crypto/rand"
	"encoding/hex"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strings"
	"time"
)

// headerRequestID carries the id by which an operator finds a call's log lines.
const headerRequestID = "X-Request-Id"

// hsts keeps a browser to https for a year (RFC 6797; OWASP ASVS 3.4.1). It is
// said for this host alone: those below it are other people's business.
const hsts = "max-age=31536000"

// observed gives each request an id, logs how it went and keeps a panic that
// nobody caught from tearing the connection without an answer. The id is
// always made here: one from outside could forge or spoil log lines.
func (s *Server) observed(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start := s.o.Now()
		id := newRequestID()
		w.Header().Set(headerRequestID, id)
		if s.o.Secure {
			w.Header().Set("Strict-Transport-Security", hsts)
		}
		if s.draining.Load() {
			w.Header().Set("Connection", "close")
		}
		rec := &recorder{ResponseWriter: w}
		r = r.WithContext(s.o.WithRequestID(r.Context(), id))
		defer func() {
			p := recover()
			if p != nil && p != http.ErrAbortHandler { //nolint:errorlint // net/http compares it the same way
				s.o.Log.ErrorContext(r.Context(), "panic", "event", "panic", "panic", p, "stack", string(debug.Stack()))
				if rec.status == 0 {
					http.Error(rec, "something went wrong on our side; please try again", http.StatusInternalServerError)
				}
				p = http.ErrAbortHandler
			}
			s.log(r, rec.status, start)
			if p != nil {
				panic(p)
			}
		}()
		next.ServeHTTP(rec, r)
	})
}

// log notes how a request went: failures of ours always, others for who debugs.
func (s *Server) log(r *http.Request, status int, start time.Time) {
	level := slog.LevelDebug
	if status >= http.StatusInternalServerError {
		level = slog.LevelWarn
	}
	if !s.o.Log.Enabled(r.Context(), level) {
		return
	}
	s.o.Log.LogAttrs(r.Context(), level, "http request",
		slog.String("event", "http.request"), slog.String("method", r.Method), slog.String("path", shortened(r.URL.Path)),
		slog.Int("status", status), slog.Duration("took", s.o.Now().Sub(start)))
}

func newRequestID() string {
	var b [8]byte
	_, _ = rand.Read(b[:])
	return hex.EncodeToString(b[:])
}

// shortened cuts the long parts of a path: one of them may be a secret id, in
// whatever spelling it was sent.
func shortened(path string) string {
	const longest = 20 // "reset-password" and the like stay whole
	parts := strings.SplitN(path, "/", 9)
	for i, p := range parts {
		if len(p) > longest || i == 8 {
			parts[i] = "…"
		}
	}
	return strings.Join(parts, "/")
}

// recorder remembers the status.
type recorder struct {
	http.ResponseWriter
	status int
}

// Unwrap lets http.ResponseController reach the connection.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }

func (r *recorder) WriteHeader(status int) {
	if r.status == 0 && status >= http.StatusOK {
		r.status = status
	}
	r.ResponseWriter.WriteHeader(status)
}

func (r *recorder) Write(b []byte) (int, error) {
	if r.status == 0 {
		r.status = http.StatusOK
	}
	return r.ResponseWriter.Write(b)
}
