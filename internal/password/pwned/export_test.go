package pwned

import (
	"bytes"
	"net/http"
)

// UsesProxy says whether the service is asked by way of a proxy.
func UsesProxy(s *Service) bool {
	t, ok := s.client.Transport.(*http.Transport)
	return !ok || t.Proxy != nil
}

// Search is search.
func Search(body []byte, rest string) (bool, error) { return search(bytes.NewReader(body), rest) }
