package httpapi

import (
	"maps"
	"net/http"
	"path"
	"slices"
	"strings"

	"github.com/sparekey/sparekey/internal/reset"
)

// BasePath is in front of every path of the API.
const BasePath = "/api/1.0"

// keyRule says who may call an operation without a key.
type keyRule int

const (
	keyOptional keyRule = iota // everybody
	keyByOption                // everybody, unless Options.RequireKey
	keyRequired                // nobody
)

// operation answers one call, or returns an error and has written nothing.
type operation func(h *handler, w http.ResponseWriter, r *http.Request, c reset.Caller) error

// Route is one operation of the API as the OpenAPI document names it.
type Route struct {
	Method string
	// Path is the path below BasePath, with {id} for a variable part.
	Path string
	// OperationID is the operation's name in the OpenAPI document.
	OperationID string

	key   keyRule
	serve operation
}

var routes = []Route{
	{"POST", "/reset-password/request", "resetPasswordRequestPost", keyOptional, (*handler).request},
	{"GET", "/reset-password/challenge", "resetPasswordChallengeGet", keyOptional, (*handler).challenge},
	{"GET", "/reset-password/metadata/{id}", "resetPasswordMetadataIdGet", keyByOption, (*handler).metadata},
	{"POST", "/reset-password/reset/{id}", "resetPasswordResetIdPost", keyByOption, (*handler).resetPassword},
	{"GET", "/job/status/{id}", "jobStatusIdGet", keyRequired, (*handler).jobStatus},
	{"GET", "/openapi.yaml", "openapiYamlGet", keyOptional, (*handler).document},
}

// Routes lists every operation that the handler serves.
func Routes() []Route { return slices.Clone(routes) }

// endpoint is a path with its methods.
type endpoint struct {
	h       *handler
	methods map[string]Route
	allow   string
}

func (e *endpoint) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	route, ok := e.methods[r.Method]
	if !ok {
		w.Header().Set("Allow", e.allow)
		e.h.fail(w, r, errNoMethod)
		return
	}
	caller, err := e.h.caller(r, route.key)
	if err == nil {
		err = route.serve(e.h, w, r, caller)
	}
	if err != nil {
		e.h.fail(w, r, err)
	}
}

// caller tells who asks. A key that is sent has to be good, also where none is
// needed: it must never be silently anonymous.
func (h *handler) caller(r *http.Request, rule keyRule) (reset.Caller, error) {
	c := reset.Caller{Client: h.ClientOf(r)}
	if h.BrandOf != nil {
		c.Brand = h.BrandOf(r).Account
	}
	switch sent := r.Header["X-Auth-Token"]; {
	case len(sent) > 1:
		h.Keys.Refused(r.Context(), c, reset.EndInvalid)
		return c, errTwoKeys
	case len(sent) == 1:
		key, err := h.Keys.Authenticate(r.Context(), c.Client, sent[0])
		if err != nil {
			return c, err
		}
		c.Key = &key
	case rule == keyRequired, rule == keyByOption && h.RequireKey:
		h.Keys.Refused(r.Context(), c, reset.EndMissing)
		return c, errNoKey
	}
	return c, nil
}

// byPath groups routes by path; HEAD goes wherever GET does (RFC 9110, 9.3.2).
func byPath(routes []Route) map[string]map[string]Route {
	paths := make(map[string]map[string]Route)
	for _, route := range routes {
		if paths[route.Path] == nil {
			paths[route.Path] = make(map[string]Route)
		}
		paths[route.Path][route.Method] = route
		if route.Method == http.MethodGet {
			paths[route.Path][http.MethodHead] = route
		}
	}
	return paths
}

// allow is the value of the header Allow for these methods.
func allow(methods map[string]Route) string {
	return strings.Join(slices.Sorted(maps.Keys(methods)), ", ")
}

// clean reports whether a decoded path has no empty, "." or ".." segment and no
// slash at its end. What is clean decoded was clean as it was sent.
func clean(p string) bool { return strings.HasPrefix(p, "/") && path.Clean(p) == p }
