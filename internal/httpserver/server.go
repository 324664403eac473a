// Package httpserver is the listener that the API and the pages share: limits,
// request ids, the client's address, health and graceful shutdown.
//
// It knows neither the API nor the pages; they are handed in as handlers,
// together with how each of them says that the server is full.
package httpserver

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/sparekey/sparekey/internal/reset"
)

// The limits on a connection (OWASP ASVS 4: slow and endless senders). A
// reader of the pages on a bad line needs seconds, not minutes.
const (
	// readTimeout bounds a request from its first byte to its last. It bounds the
	// headers alone as well: a second limit would be a second timer to set for every request.
	readTimeout    = 10 * time.Second
	writeTimeout   = 30 * time.Second
	idleTimeout    = 75 * time.Second
	maxHeaderBytes = 16 << 10
	// maxStreams is how many requests one connection of HTTP/2 may have under way; browsers need a handful.
	maxStreams = 100
)

// Surface is one face of the service.
type Surface struct {
	http.Handler
	// Refuse writes an error in the surface's own form.
	Refuse func(http.ResponseWriter, *http.Request, error)
}

// Options are how to serve.
type Options struct {
	API, Pages Surface
	// Dev, if not nil, serves /dev/.
	Dev http.Handler
	// BasePath is the path of the base URL, such as "/auth", or empty. Requests
	// are taken with it and without, since some proxies strip it and some do not.
	BasePath string
	// Secure says that people reach the service by https: every answer then tells
	// browsers to come by nothing else.
	Secure bool
	// TLS, if not nil, is how to speak TLS; nil to speak HTTP to a proxy in front.
	TLS *tls.Config
	// Delay is for how long Serve goes on serving after its context has ended.
	// Meanwhile /readyz says no and every answer ends its connection, so that a
	// proxy in front turns to other replicas and has no connection left that could
	// be closed under a request. 0: there are no others.
	Delay time.Duration
	// MaxInFlight is how many requests are worked on at once; beyond it they are refused with 503.
	MaxInFlight int
	// Ready answers why the service cannot work now, or nil.
	Ready func(context.Context) error
	// WithRequestID puts a request's id into its context, where the log finds it.
	WithRequestID func(ctx context.Context, id string) context.Context
	Now           reset.Clock
	Log           *slog.Logger
}

// Server serves the API and the pages.
type Server struct {
	o        Options
	inFlight chan struct{}
	draining atomic.Bool
	http     *http.Server
}

// New makes a server.
func New(o Options) *Server {
	s := &Server{o: o, inFlight: make(chan struct{}, o.MaxInFlight)}
	s.http = newHTTPServer(s.Handler(), o.Log)
	s.http.TLSConfig = o.TLS
	return s
}

// newHTTPServer makes a server with the limits on connections. They bound TLS
// handshakes as well, and HTTP/2, which comes with TLS.
func newHTTPServer(h http.Handler, log *slog.Logger) *http.Server {
	return &http.Server{
		Handler:           h,
		ReadHeaderTimeout: readTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		HTTP2:             &http.HTTP2Config{MaxConcurrentStreams: maxStreams},
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
}

// Serve serves until ctx ends, and for the delay after it; then it takes no more
// connections but those that have begun, waits for the requests under way, until grace ends, and returns nil. It returns an error if
// it had to cut requests off, with the cause of grace's end, or could not serve.
func (s *Server) Serve(ctx, grace context.Context, l net.Listener) error {
	failed := make(chan error, 1)
	go func() {
		if s.o.TLS != nil {
			failed <- s.http.ServeTLS(l, "", "")
			return
		}
		failed <- s.http.Serve(l)
	}()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	s.draining.Store(true)
	delay := time.NewTimer(s.o.Delay)
	defer delay.Stop()
	select {
	case err := <-failed:
		return err
	case <-delay.C:
	case <-grace.Done():
	}
	s.closeDoor(grace, l)
	return shutDown(grace, s.http, failed)
}

// shutDown ends a server whose Serve answers on failed.
func shutDown(grace context.Context, h *http.Server, failed <-chan error) error {
	err := h.Shutdown(grace)
	if err != nil {
		if grace.Err() != nil {
			err = fmt.Errorf("requests under way were cut off: %w", context.Cause(grace))
		}
		err = errors.Join(err, h.Close())
	}
	if served := <-failed; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	return err
}

// Handler returns what Serve serves.
func (s *Server) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", s.health)
	mux.HandleFunc("GET /readyz", s.ready)
	route := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch path := r.URL.Path; {
		case path == "/healthz" || path == "/readyz":
			mux.ServeHTTP(w, r)
		case path == "/api" || strings.HasPrefix(path, "/api/"):
			s.bounded(w, r, s.o.API)
		case s.o.Dev != nil && strings.HasPrefix(path, "/dev/"):
			s.o.Dev.ServeHTTP(w, r)
		default:
			s.bounded(w, r, s.o.Pages)
		}
	})
	return s.observed(s.stripped(route))
}

// bounded refuses what would be too many requests at once. Each holds at most
// one body, so this bounds memory too.
func (s *Server) bounded(w http.ResponseWriter, r *http.Request, to Surface) {
	select {
	case s.inFlight <- struct{}{}:
		defer func() { <-s.inFlight }()
		to.ServeHTTP(w, r)
	default:
		to.Refuse(w, r, reset.Busy("Sparekey is very busy just now; please try again in a moment", time.Second, nil))
	}
}

// stripped takes the base path off.
func (s *Server) stripped(next http.Handler) http.Handler {
	if s.o.BasePath == "" {
		return next
	}
	strip := http.StripPrefix(s.o.BasePath, next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == s.o.BasePath || strings.HasPrefix(r.URL.Path, s.o.BasePath+"/") {
			strip.ServeHTTP(w, r)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func (s *Server) health(w http.ResponseWriter, _ *http.Request) { answer(w, http.StatusOK, "ok\n") }

// ready tells a load balancer whether to send requests here.
func (s *Server) ready(w http.ResponseWriter, r *http.Request) {
	if s.draining.Load() {
		answer(w, http.StatusServiceUnavailable, "shutting down\n")
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), 2*time.Second)
	defer cancel()
	if err := s.o.Ready(ctx); err != nil {
		s.o.Log.WarnContext(ctx, "not ready", "event", "not_ready", "error", err)
		answer(w, http.StatusServiceUnavailable, "the database cannot be read; the log has the reason\n")
		return
	}
	answer(w, http.StatusOK, "ready\n")
}

func answer(w http.ResponseWriter, status int, text string) {
	h := w.Header()
	h.Set("Content-Type", "text/plain; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	if status == http.StatusServiceUnavailable {
		h.Set("Retry-After", "1")
	}
	w.WriteHeader(status)
	_, _ = w.Write([]byte(text))
}
