package httpserver

import "time"

// SetReadTimeout bounds a request's reading, which takes seconds otherwise.
func (s *Server) SetReadTimeout(d time.Duration) {
	s.http.ReadHeaderTimeout, s.http.ReadTimeout = d, d
}
