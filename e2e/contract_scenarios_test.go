package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/sparekey/sparekey/internal/puzzle/puzzletest"
)

// state is what a server has been through before it is called.
type state string

const (
	well   state = "well"
	strict state = "over its limits" // this client has asked, and guessed, too often
	broken state = "broken"          // tables are gone
	busy   state = "busy"            // it has as much to do as it takes on
	// puzzled servers want work of callers without a key.
	puzzled state = "demanding puzzles"
	// elsewhere is a server that is called by a name that is none of its own, and answers at those alone.
	elsewhere state = "called by another name"
)

// scenario is one way to a status of an operation.
type scenario struct {
	operation string
	status    int
	code      int // of the ErrorModel; 0 for a success
	state     state
	// call is made anew for each client, since an id works once.
	call func(t *testing.T, s *subject) call
	// data is what a success must tell; nil: the document's word is enough.
	data func(c call) map[string]any
	// http is an exchange that the clients cannot be brought to make.
	http *exchange
}

func (c scenario) String() string {
	return fmt.Sprintf("%s_%d_%d_%s", c.operation, c.status, c.code, c.state)
}

// exchange is a call below the clients.
type exchange struct {
	method, path, body, contentType string
	key                             func(s *subject) string
	// prepare, if set, makes the body.
	prepare func(t *testing.T, s *subject) string
}

const (
	requestOp  = "resetPasswordRequestPost"
	metadataOp = "resetPasswordMetadataIdGet"
	resetOp    = "resetPasswordResetIdPost"
	jobOp      = "jobStatusIdGet"
	documentOp = "openapiYamlGet"

	challengeOp = "resetPasswordChallengeGet"

	nobodysID = "0b0f8a52-8a3c-4c53-9d43-4be2ce4a3a10"
	wrongKey  = "spk_this_is_nobodys_key"
)

// paths has a path of each operation.
var paths = map[string]string{
	requestOp: "/reset-password/request", metadataOp: "/reset-password/metadata/" + nobodysID,
	resetOp: "/reset-password/reset/" + nobodysID, jobOp: "/job/status/" + nobodysID, documentOp: "/openapi.yaml",
	challengeOp: "/reset-password/challenge",
}

func scenarios() []scenario {
	var all []scenario
	all = append(all, successes()...)
	all = append(all, refusals()...)
	all = append(all, unwell()...)
	all = append(all, withPuzzles()...)
	return append(all, belowTheClients()...)
}

func ask(*testing.T, *subject) call {
	return call{Op: "request", Email: []string{person(0), "nobody@example.test"}}
}

func bulk(key func(*subject) string) func(*testing.T, *subject) call {
	return func(_ *testing.T, s *subject) call {
		return call{Op: "bulk", Key: key(s), Email: []string{person(0), "nobody@example.test"}}
	}
}

func look(id func(*testing.T, *subject) string, key func(*subject) string) func(*testing.T, *subject) call {
	return func(t *testing.T, s *subject) call {
		t.Helper()
		return call{Op: "metadata", Key: key(s), ID: id(t, s)}
	}
}

func use(id func(*testing.T, *subject) string, key func(*subject) string, password string) func(*testing.T, *subject) call {
	return func(t *testing.T, s *subject) call {
		t.Helper()
		return call{Op: "reset", Key: key(s), ID: id(t, s), Password: password}
	}
}

func job(id func(*testing.T, *subject) string, key func(*subject) string) func(*testing.T, *subject) call {
	return func(t *testing.T, s *subject) call {
		t.Helper()
		return call{Op: "job", Key: key(s), ID: id(t, s)}
	}
}

// The keys that callers have.
func adminKey(s *subject) string { return s.admin }
func resetKey(s *subject) string { return s.key }
func badKey(*subject) string     { return wrongKey }
func noKey(*subject) string      { return "" }

// The ids that callers have.
func openID(t *testing.T, s *subject) string { t.Helper(); return s.mailed(t) }
func nobodys(*testing.T, *subject) string    { return nobodysID }
func malformed(*testing.T, *subject) string  { return "id_example" }
func startedJob(t *testing.T, s *subject) string {
	t.Helper()
	return fmt.Sprint(rawDriver{}.do(t, s.base(), bulk(adminKey)(t, s)).Data["job_id"])
}

func usedID(t *testing.T, s *subject) string {
	t.Helper()
	id := s.mailed(t)
	if status := s.reset(id); status != http.StatusOK {
		t.Fatalf("a reset answered %d", status)
	}
	return id
}

func expiredID(t *testing.T, s *subject) string {
	t.Helper()
	id := s.mailed(t)
	s.db.exec(t, `UPDATE requests SET expires_at = created_at`)
	return id
}

func successes() []scenario {
	return []scenario{
		{operation: requestOp, status: 200, state: well, call: ask, data: func(c call) map[string]any {
			return map[string]any{"email": []any{c.Email[0], c.Email[1]}}
		}},
		{operation: requestOp, status: 202, state: well, call: bulk(adminKey)},
		{operation: metadataOp, status: 200, state: well, call: look(openID, resetKey), data: func(c call) map[string]any {
			return map[string]any{"id": c.ID, "multiple_accounts": false}
		}},
		{operation: resetOp, status: 200, state: well, call: use(openID, resetKey, password), data: func(c call) map[string]any {
			return map[string]any{"id": c.ID}
		}},
		{operation: resetOp, status: 200, state: well, call: func(t *testing.T, s *subject) call {
			t.Helper()
			return call{Op: "reset", Key: s.key, Prefix: "Token", ID: s.mailed(t), Password: password}
		}},
		{operation: jobOp, status: 200, state: well, call: job(startedJob, adminKey)},
		{operation: documentOp, status: 200, state: well, http: &exchange{method: http.MethodGet}},
	}
}

func refusals() []scenario {
	return []scenario{
		{operation: requestOp, status: 400, code: 10, state: well, call: func(*testing.T, *subject) call {
			return call{Op: "request", Email: []string{"no address"}}
		}},
		{operation: requestOp, status: 400, code: 11, state: well, http: &exchange{method: http.MethodPost, body: `{}`}},
		{operation: requestOp, status: 401, code: 14, state: well, call: bulk(badKey)},
		{operation: requestOp, status: 401, code: 70, state: well, call: bulk(resetKey)},
		{operation: metadataOp, status: 401, code: 14, state: well, call: look(nobodys, resetKey)},
		{operation: metadataOp, status: 401, code: 14, state: well, call: look(malformed, resetKey)},
		{operation: metadataOp, status: 401, code: 14, state: well, call: look(openID, noKey)},
		{operation: metadataOp, status: 401, code: 14, state: well, call: look(openID, badKey)},
		{operation: metadataOp, status: 401, code: 60, state: well, call: look(expiredID, resetKey)},
		{operation: metadataOp, status: 401, code: 81, state: well, call: look(usedID, resetKey)},
		{operation: resetOp, status: 400, code: 10, state: well, call: use(openID, resetKey, "too short")},
		{operation: resetOp, status: 400, code: 11, state: well, http: &exchange{method: http.MethodPost, body: `{}`}},
		{operation: resetOp, status: 401, code: 14, state: well, call: use(nobodys, resetKey, password)},
		{operation: resetOp, status: 401, code: 60, state: well, call: use(expiredID, resetKey, password)},
		{operation: resetOp, status: 401, code: 81, state: well, call: use(usedID, resetKey, password)},
		{operation: jobOp, status: 401, code: 14, state: well, call: job(nobodys, badKey)},
		{operation: jobOp, status: 404, code: 20, state: well, call: job(nobodys, adminKey)},
		{operation: documentOp, status: 401, code: 14, state: well, http: &exchange{method: http.MethodGet, key: badKey}},
	}
}

// unwell has what every operation answers when the server is not well.
func unwell() []scenario {
	var all []scenario
	for in, want := range map[state]struct{ status, code int }{
		strict: {http.StatusTooManyRequests, 50}, broken: {http.StatusInternalServerError, -1}, busy: {http.StatusServiceUnavailable, -1},
		elsewhere: {http.StatusBadRequest, 12},
	} {
		for operation, c := range map[string]func(*testing.T, *subject) call{
			requestOp: ask, metadataOp: look(nobodys, resetKey), resetOp: use(nobodys, resetKey, password), jobOp: job(nobodys, adminKey),
		} {
			all = append(all, scenario{operation: operation, status: want.status, code: want.code, state: in, call: c})
		}
		for _, operation := range []string{documentOp, challengeOp} {
			all = append(all, scenario{operation: operation, status: want.status, code: want.code, state: in, http: &exchange{method: http.MethodGet, key: resetKey}})
		}
	}
	return all
}

// solve gets a challenge and asks with its solution.
func solve(t *testing.T, s *subject) string {
	t.Helper()
	status, challenge := rawDriver{}.http(t, http.MethodGet, s.base()+"/api/1.0"+paths[challengeOp], "", nil)
	if status != http.StatusOK {
		t.Fatalf("a challenge: %d %s", status, challenge)
	}
	return `{"email":["` + person(0) + `"],"altcha":"` + puzzletest.Solve(t, challenge).Text(t) + `"}`
}

// withPuzzles has what callers without a key meet where work is asked of them; the clients know nothing of it.
func withPuzzles() []scenario {
	return []scenario{
		{operation: challengeOp, status: 404, code: 20, state: well, http: &exchange{method: http.MethodGet}},
		{operation: challengeOp, status: 200, state: puzzled, http: &exchange{method: http.MethodGet}},
		{operation: challengeOp, status: 401, code: 14, state: puzzled, http: &exchange{method: http.MethodGet, key: badKey}},
		{operation: requestOp, status: 400, code: 11, state: puzzled, call: ask},
		{operation: requestOp, status: 400, code: 10, state: puzzled, http: &exchange{
			method: http.MethodPost, body: `{"email":["` + person(0) + `"],"altcha":"x"}`,
		}},
		{operation: requestOp, status: 200, state: puzzled, http: &exchange{method: http.MethodPost, prepare: solve}},
		{operation: requestOp, status: 202, state: puzzled, call: bulk(adminKey)},
	}
}

// belowTheClients has what a good client never does.
func belowTheClients() []scenario {
	var all []scenario
	for operation, path := range paths {
		all = append(all,
			scenario{operation: operation, status: 405, code: 21, state: well, http: &exchange{method: http.MethodDelete}},
			scenario{operation: operation, status: 404, code: 20, state: well, http: &exchange{method: http.MethodGet, path: path + "/"}})
	}
	for _, operation := range []string{requestOp, resetOp} {
		all = append(all,
			scenario{operation: operation, status: 413, code: 50, state: well, http: &exchange{method: http.MethodPost, body: `{"` + strings.Repeat("x", 1<<20) + `":1}`}},
			scenario{operation: operation, status: 415, code: 21, state: well, http: &exchange{method: http.MethodPost, body: `{}`, contentType: "text/plain"}})
	}
	return all
}
