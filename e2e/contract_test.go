package e2e

import (
	"fmt"
	"net/http"
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sparekey/sparekey/internal/httpapi/contracttest"
)

// subject is a server in a state.
type subject struct {
	*world
	admin string // a key of the scope admin
	next  int    // the person who asks next
}

func (s *subject) base() string { return "http://" + s.addr }

// mailed answers the id of a new link, of somebody who has asked for none before.
func (s *subject) mailed(t *testing.T) string {
	t.Helper()
	s.next++
	who := person(s.next)
	s.ask(t, who)
	var ids []string
	until(t, "the mail", patience, func() bool {
		ids = s.links(t)[who]
		return len(ids) > 0
	})
	return ids[0]
}

// newSubject brings a server on that database into the state.
func newSubject(t *testing.T, db database, in state) *subject {
	t.Helper()
	s := &subject{world: newWorldOn(t, db, 100)}
	s.admin = must(t, s.env, "", "key", "create", "admin", "--scope", "admin")
	switch in {
	case strict, broken:
		s.env = append(s.env, "SPAREKEY_THROTTLE_ENABLED=true", "SPAREKEY_THROTTLE_CLIENT=1", "SPAREKEY_THROTTLE_GUESSES=1")
	case busy:
		s.env = append(s.env, "SPAREKEY_HTTP_MAX_IN_FLIGHT=1")
	case puzzled:
		s.env = append(s.env, "SPAREKEY_PUZZLE_ENABLED=true", "SPAREKEY_PUZZLE_DIFFICULTY=50")
	case elsewhere:
		s.env = append(s.env, "SPAREKEY_HTTP_STRICT_HOSTS=true")
	case well:
	}
	s.start(t)
	switch in {
	case strict:
		for _, c := range []call{ask(t, s), look(nobodys, badKey)(t, s), look(nobodys, badKey)(t, s)} {
			rawDriver{}.do(t, s.base(), c)
		}
	case broken:
		for _, table := range []string{"limits", "keys", "requests"} {
			s.db.exec(t, "ALTER TABLE "+table+" RENAME TO gone_"+table)
		}
	case busy:
		s.begin(t, nobodysID) // waits for a body that does not come
	case well, puzzled, elsewhere:
	}
	return s
}

// TestContract makes every operation of the document answer every status that
// the document has for it, on every database, called by HTTP, by the Go client and
// by the JavaScript client. What each reports must be the same.
func TestContract(t *testing.T) {
	t.Parallel()
	for name, open := range databases {
		for _, in := range []state{well, strict, broken, busy, puzzled, elsewhere} {
			t.Run(fmt.Sprintf("%s/%s", name, in), func(t *testing.T) {
				t.Parallel()
				// Before the state, since a busy server is not busy for long.
				drivers := map[string]driver{"HTTP": rawDriver{}, "Go": goDriver{}, "JavaScript": startJS(t)}
				s := newSubject(t, open(t), in)
				for _, c := range scenarios() {
					if c.state != in {
						continue
					}
					t.Run(c.String(), func(t *testing.T) { // one after the other: they share the server
						if c.http != nil {
							c.exchange(t, s)
							return
						}
						c.calls(t, s, drivers)
					})
				}
			})
		}
	}
}

// calls makes the call with each client.
func (c scenario) calls(t *testing.T, s *subject, drivers map[string]driver) {
	t.Helper()
	msgs := map[string]string{}
	for name, d := range drivers {
		made := c.call(t, s)
		got := d.do(t, s.base(), made)
		if got.OK != (c.code == 0) || got.Code != c.code || got.Status != c.status && !got.OK {
			t.Errorf("%s: %+v, want status %d and code %d", name, got, c.status, c.code)
		}
		if c.data != nil {
			if diff := cmp.Diff(c.data(made), got.Data); diff != "" {
				t.Errorf("%s: what it tells:\n%s", name, diff)
			}
		}
		msgs[name] = got.Msg
	}
	if msgs["Go"] != msgs["HTTP"] || msgs["JavaScript"] != msgs["HTTP"] {
		t.Errorf("the clients report different messages: %q", msgs)
	}
}

// exchange makes an exchange that is not for clients.
func (c scenario) exchange(t *testing.T, s *subject) {
	t.Helper()
	path, body, headers := c.http.path, c.http.body, map[string]string{"Content-Type": "application/json"}
	if path == "" {
		path = paths[c.operation]
	}
	if c.http.prepare != nil {
		body = c.http.prepare(t, s)
	}
	if c.http.contentType != "" {
		headers["Content-Type"] = c.http.contentType
	}
	key := s.key
	if c.operation == requestOp || c.operation == challengeOp {
		key = ""
	}
	if c.http.key != nil {
		key = c.http.key(s)
	}
	if key != "" {
		headers["X-Auth-Token"] = key
	}
	status, answer := rawDriver{}.http(t, c.http.method, s.base()+"/api/1.0"+path, body, headers)
	var model struct{ Code int }
	if status >= http.StatusMultipleChoices {
		decode(t, answer, &model)
	}
	if status != c.status || model.Code != c.code {
		t.Errorf("answered %d, code %d, want %d, %d: %s", status, model.Code, c.status, c.code, last(string(answer), 300))
	}
}

// TestContractIsCovered: there is a scenario for every status of every
// operation of the document, and none for what it does not have.
func TestContractIsCovered(t *testing.T) {
	t.Parallel()
	doc, err := contracttest.Document()
	if err != nil {
		t.Fatal(err)
	}
	open := map[string]bool{} // by operation and status: is a scenario missing?
	for path, item := range doc.Paths.Map() {
		for method, operation := range item.Operations() {
			for status := range operation.Responses.Map() {
				open[operation.OperationID+" "+status] = true
			}
			if paths[operation.OperationID] == "" {
				t.Errorf("%s %s is not tried", method, path)
			}
		}
	}
	tried := map[string]bool{}
	for _, s := range scenarios() {
		pair := s.operation + " " + strconv.Itoa(s.status)
		if !open[pair] && !tried[pair] {
			t.Errorf("the document does not have %s", pair)
		}
		tried[pair] = true
		delete(open, pair)
	}
	for pair := range open {
		t.Errorf("no scenario for %s", pair)
	}
}
