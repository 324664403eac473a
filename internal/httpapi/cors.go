package httpapi

import (
	"net/http"
	"strings"

	"github.com/rs/cors"
)

// corsMaxAge is how long, in seconds, a browser may remember a preflight.
const corsMaxAge = 600

// withCORS lets pages of the listed origins call the API (Fetch standard, 3.2).
// Credentials are never allowed: keys go in a header, and there are no cookies.
// An origin is answered only when it was compared whole with one of the list,
// so neither "*" nor a suffix of another's name can get in (OWASP ASVS 3.4.2).
func withCORS(next http.Handler, origins []string) http.Handler {
	allowed := make(map[string]bool, len(origins))
	for _, o := range origins {
		// A page in a sandbox of anybody's has the origin "null".
		if o != "null" && !strings.Contains(o, "*") {
			allowed[strings.ToLower(o)] = true
		}
	}
	return cors.New(cors.Options{
		AllowOriginVaryRequestFunc: func(r *http.Request, origin string) (bool, []string) {
			return len(r.Header["Origin"]) == 1 && allowed[origin], nil
		},
		AllowedMethods: []string{http.MethodGet, http.MethodPost},
		AllowedHeaders: []string{"X-Auth-Token", "Content-Type"},
		ExposedHeaders: []string{"Retry-After", "RateLimit", "RateLimit-Policy", "X-Request-Id"},
		MaxAge:         corsMaxAge,
	}).Handler(next)
}
