package hookdir_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/sparekey/sparekey/internal/directory/hookdir"
	"github.com/sparekey/sparekey/internal/reset"
)

// serve is an application that answers everything in one way.
func serve(t testing.TB, answer http.HandlerFunc) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(answer)
	t.Cleanup(s.Close)
	return s
}

// silence reads the call and answers nothing.
func silence(_ http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body) // only then is it noticed that the caller has gone
	<-r.Context().Done()
}

func named(names ...string) (accounts []reset.Account) {
	for _, n := range names {
		accounts = append(accounts, reset.Account{Name: n})
	}
	return accounts
}

// TestUsersOfAnAnswer: what is found is the users of the answer whose address is the same, and no others.
func TestUsersOfAnAnswer(t *testing.T) {
	t.Parallel()
	full := reset.User{ID: "17", Email: address(t, "Ada@Example.test"), Name: "Ada Lovelace", Locale: "en-GB", Standing: reset.Standing{
		Disabled: true, Accounts: named("Acme", "Globex"),
	}}
	least := reset.User{ID: "17", Email: address(t, ada)}
	with := func(change func(*reset.User)) reset.User { u := least; change(&u); return u }
	for name, c := range map[string]struct {
		body string
		want reset.User
		err  error
	}{
		"all of it":                   {`{"users":[{"id":"17","email":"Ada@Example.test","name":"Ada Lovelace","locale":"en-GB","accounts":["Globex","Acme"],"disabled":true}]}`, full, nil},
		"the least":                   {`{"users":[{"id":"17","email":"ada@example.test"}]}`, least, nil},
		"nulls":                       {`{"users":[{"id":"17","email":"ada@example.test","name":null,"locale":null,"accounts":null}]}`, least, nil},
		"nobody":                      {`{"users":[]}`, reset.User{}, reset.ErrNoUser},
		"somebody else":               {`{"users":[{"id":"17","email":"bob@example.test"}]}`, reset.User{}, reset.ErrNoUser},
		"a Kelvin sign":               {`{"users":[{"id":"17","email":"ada@\u212aexample.test"},{"id":"18","email":"\u00e1da@example.test"}]}`, reset.User{}, reset.ErrNoUser},
		"among others":                {`{"users":[{"id":"1","email":"ada@example.test.test"},{"id":"17","email":"ada@example.test"}]}`, least, nil},
		"two of them":                 {`{"users":[{"id":"17","email":"ada@example.test"},{"id":"18","email":"ADA@example.test"}]}`, reset.User{}, reset.ErrAmbiguous},
		"no address":                  {`{"users":[{"id":"17","email":null},{"id":"18"},{"id":"19","email":""}]}`, reset.User{}, reset.ErrNoUser},
		"no address that is one":      {`{"users":[{"id":"17","email":"Ada <ada@example.test>"},{"id":"18","email":"ada@example.test\r\nBcc: x@example.test"}]}`, reset.User{}, reset.ErrNoUser},
		"a name that breaks lines":    {`{"users":[{"id":"17","email":"ada@example.test","name":" Ada\r\nBcc: x\u2028\u001b[31m "}]}`, with(func(u *reset.User) { u.Name = "Ada Bcc: x [31m" }), nil},
		"a long name":                 {`{"users":[{"id":"17","email":"ada@example.test","name":"` + strings.Repeat("é", 500) + `"}]}`, with(func(u *reset.User) { u.Name = strings.Repeat("é", 100) }), nil},
		"a name in two pieces":        {`{"users":[{"id":"17","email":"ada@example.test","name":"Ame\u0301lie"}]}`, with(func(u *reset.User) { u.Name = "Am\u00e9lie" }), nil},
		"a locale that is none":       {`{"users":[{"id":"17","email":"ada@example.test","locale":"../../etc"}]}`, least, nil},
		"an account twice":            {`{"users":[{"id":"17","email":"ada@example.test","accounts":["Globex"," Acme","Globex"]}]}`, with(func(u *reset.User) { u.Accounts = named("Acme", "Globex") }), nil},
		"an id that is not a number":  {`{"users":[{"id":"Ünï/..?q#","email":"ada@example.test"}]}`, with(func(u *reset.User) { u.ID = "Ünï/..?q#" }), nil},
		"not disabled":                {`{"users":[{"id":"17","email":"ada@example.test","disabled":false}]}`, least, nil},
		"blanks around it":            {" \n{\"users\": [ ] }\n", reset.User{}, reset.ErrNoUser},
		"an address as a quoted word": {`{"users":[{"id":"17","email":"\"ada\"@example.test"}]}`, reset.User{}, reset.ErrNoUser},
	} {
		s := serve(t, answering(http.StatusOK, c.body))
		got, err := open(t, hookdir.Config{URL: s.URL}).UserByAddress(t.Context(), address(t, ada))
		if !errors.Is(err, c.err) {
			t.Errorf("%s: %v, want %v", name, err, c.err)
		}
		if diff := cmp.Diff(c.want, got, cmpopts.EquateComparable(reset.Address{}), cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// TestAnswersThatAreNone: what is not as the document says says nothing about who is there.
func TestAnswersThatAreNone(t *testing.T) {
	t.Parallel()
	one := func(members string) string {
		return `{"users":[{"id":"17","email":"ada@example.test"` + members + `}]}`
	}
	for name, c := range map[string]struct{ media, body, words string }{
		"HTML":                         {"text/html", `<form>`, "is not application/json"},
		"no type":                      {"", `{"users":[]}`, "is not application/json"},
		"two types":                    {"application/json, text/html", `{"users":[]}`, "is not application/json"},
		"an error's type":              {"application/problem+json", `{"users":[]}`, "is not application/json"},
		"nothing":                      {"", ``, ""},
		"half":                         {"", `{"users":[{"id":"17","email":"ada@exam`, ""},
		"two of them":                  {"", `{"users":[]}{"users":[]}`, ""},
		"a list":                       {"", `[]`, ""},
		"null":                         {"", `null`, "has no users"},
		"no users":                     {"", `{}`, "has no users"},
		"users that are null":          {"", `{"users":null}`, "has no users"},
		"one user, not a list":         {"", `{"users":{"id":"17","email":"ada@example.test"}}`, "at /users"},
		"a null for a user":            {"", `{"users":[null]}`, "a user without an id"},
		"a text for a user":            {"", `{"users":["ada@example.test"]}`, "at /users/0"},
		"an id that is a number":       {"", `{"users":[{"id":17,"email":"ada@example.test"}]}`, "at /users/0/id"},
		"an id that is null":           {"", `{"users":[{"id":null,"email":"ada@example.test"}]}`, "without an id"},
		"an id that is empty":          {"", `{"users":[{"id":"","email":"ada@example.test"}]}`, "has an id"},
		"an id with a line break":      {"", `{"users":[{"id":"1\n7","email":"ada@example.test"}]}`, "has an id"},
		"an id that is long":           {"", `{"users":[{"id":"` + strings.Repeat("1", 256) + `","email":"ada@example.test"}]}`, "has an id"},
		"an id twice":                  {"", `{"users":[{"id":"17","email":"ada@example.test"},{"id":"17","email":"ada@example.test"}]}`, "a user twice"},
		"a name twice":                 {"", one(`,"email":"bob@example.test"`), ""},
		"a misspelt disabled":          {"", one(`,"dissabled":true`), "at /users/0/dissabled"},
		"disabled in capitals":         {"", one(`,"Disabled":true`), "at /users/0/Disabled"},
		"disabled that is a text":      {"", one(`,"disabled":"true"`), "neither true nor false"},
		"disabled that is a number":    {"", one(`,"disabled":1`), "neither true nor false"},
		"disabled that is null":        {"", one(`,"disabled":null`), "neither true nor false"},
		"a name that is a number":      {"", one(`,"name":1`), "at /users/0/name"},
		"an account without a name":    {"", one(`,"accounts":["Acme"," "]`), "has an account"},
		"an account that is null":      {"", one(`,"accounts":["Acme",null]`), "has an account"},
		"an account with a line break": {"", one(`,"accounts":["Ac\nme"]`), "has an account"},
		"an account that is long":      {"", one(`,"accounts":["` + strings.Repeat("a", 201) + `"]`), "has an account"},
		"too many accounts":            {"", one(`,"accounts":[` + strings.Repeat(`"a",`, 100) + `"a"]`), "more than 100 accounts"},
		"not UTF-8":                    {"", one(",\"name\":\"\xe9\""), ""},
		"half a character":             {"", one(`,"name":"\ud83d"`), ""},
		"a member nobody should see":   {"", one(`,"canary <b>":true`), "is no JSON as it should be"},
		"too long":                     {"", `{"users":[` + strings.Repeat(" ", 64<<10) + `]}`, "more than 65536 bytes"},
	} {
		if c.media == "" && name != "no type" {
			c.media = "application/json"
		}
		s := serve(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header()["Content-Type"] = nil
			if c.media != "" {
				w.Header().Set("Content-Type", c.media)
			}
			_, _ = w.Write([]byte(c.body))
		})
		d := open(t, hookdir.Config{URL: s.URL})
		for _, find := range []func() (reset.User, error){
			func() (reset.User, error) { return d.UserByAddress(t.Context(), address(t, ada)) },
			func() (reset.User, error) { return d.UserByID(t.Context(), "17") },
		} {
			u, err := find()
			if errors.Is(err, reset.ErrNoUser) || errors.Is(err, reset.ErrAmbiguous) || u.ID != "" {
				t.Errorf("%s: %q, %v", name, u.ID, err)
			}
			later(t, name, err)
			names(t, name, err, "url", c.words)
			if strings.Contains(err.Error(), "canary") {
				t.Errorf("%s: the error repeats what was answered: %v", name, err)
			}
		}
	}
}

// TestByID: an id finds the very user, and what no id can be is not asked for.
func TestByID(t *testing.T) {
	t.Parallel()
	var calls atomic.Int64
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		calls.Add(1)
		answering(http.StatusOK, `{"users":[{"id":"x","email":"ada@example.test"},{"id":"y","email":null}]}`)(w, r)
	})
	d := open(t, hookdir.Config{URL: s.URL})
	if u, err := d.UserByID(t.Context(), "x"); err != nil || u.ID != "x" {
		t.Errorf("%v, %v", u.ID, err)
	}
	for _, id := range []string{"X", "x ", "y", "z"} { // y could not be mailed
		if _, err := d.UserByID(t.Context(), id); !errors.Is(err, reset.ErrNoUser) {
			t.Errorf("%q: %v, want ErrNoUser", id, err)
		}
	}
	asked := calls.Load()
	for _, id := range []string{"", "x\n", "\x00", "\xff", strings.Repeat("x", 256)} {
		if _, err := d.UserByID(t.Context(), id); !errors.Is(err, reset.ErrNoUser) {
			t.Errorf("%q: %v, want ErrNoUser", id, err)
		}
		if _, err := d.Prepare(t.Context(), reset.User{ID: id}, newPassword, nil); !errors.Is(err, reset.ErrNoUser) {
			t.Errorf("a change for %q: %v, want ErrNoUser", id, err)
		}
	}
	if n := calls.Load(); n != asked {
		t.Errorf("the application was asked %d times for what no id can be", n-asked)
	}
}

func TestSpellings(t *testing.T) {
	t.Parallel()
	for typed, want := range map[string][]string{
		"Ada.L@EXAMPLE.test":            {"ada.l@example.test"},
		"Ünal@Exämple.TEST":             {"Ünal@xn--exmple-cua.test", "Ünal@exämple.test"},
		"ada@XN--exmple-CUA.test":       {"ada@xn--exmple-cua.test", "ada@exämple.test"},
		"ada@ä.xn--exmple-cua.test":     {"ada@xn--4ca.xn--exmple-cua.test", "ada@ä.exämple.test"},
		"ada@straße.test":               {"ada@xn--strae-oqa.test", "ada@straße.test"},
		"o'hara*_%@example.test":        {"o'hara*_%@example.test"},
		"ada@xn--strae-oqa.example.com": {"ada@xn--strae-oqa.example.com", "ada@straße.example.com"},
	} {
		if diff := cmp.Diff(want, hookdir.Spellings(address(t, typed))); diff != "" {
			t.Errorf("%s (-want +got):\n%s", typed, diff)
		}
	}
}

// TestAskingIsTriedOnceMore when the connection broke off, and not when there was an answer or none in time.
func TestAskingIsTriedOnceMore(t *testing.T) {
	t.Parallel()
	fine := answering(http.StatusOK, `{"users":[{"id":"17","email":"ada@example.test"}]}`)
	for name, c := range map[string]struct {
		answers []http.HandlerFunc
		calls   int64
		setting string // empty: it is found
	}{
		"at once":        {[]http.HandlerFunc{fine}, 1, ""},
		"hung up":        {[]http.HandlerFunc{hangUp, fine}, 2, ""},
		"half an answer": {[]http.HandlerFunc{half(200), fine}, 2, ""},
		"hung up twice":  {[]http.HandlerFunc{hangUp, hangUp, fine}, 2, "url"},
		"503":            {[]http.HandlerFunc{answering(503, "{}"), fine}, 1, "url"},
		"401":            {[]http.HandlerFunc{answering(401, "{}"), fine}, 1, "secrets"},
		"404":            {[]http.HandlerFunc{answering(404, "{}"), fine}, 1, "url"},
		"204":            {[]http.HandlerFunc{answering(204, ""), fine}, 1, "url"},
		"silence":        {[]http.HandlerFunc{silence, fine}, 1, "timeout"},
	} {
		var calls atomic.Int64
		s := serve(t, func(w http.ResponseWriter, r *http.Request) {
			n := calls.Add(1)
			c.answers[min(int(n), len(c.answers))-1](w, r)
		})
		timeout := 30 * time.Second
		if c.setting == "timeout" {
			timeout = 300 * time.Millisecond
		}
		u, err := open(t, hookdir.Config{URL: s.URL, Timeout: timeout}).UserByAddress(t.Context(), address(t, ada))
		if c.setting == "" && (err != nil || u.ID != "17") {
			t.Errorf("%s: %q, %v", name, u.ID, err)
		}
		if c.setting != "" {
			later(t, name, err)
			names(t, name, err, c.setting)
		}
		if n := calls.Load(); n != c.calls {
			t.Errorf("%s: %d calls, want %d", name, n, c.calls)
		}
	}
}

// TestCallsAtOnce: no more calls are under way than there may be; others wait within their time.
func TestCallsAtOnce(t *testing.T) {
	t.Parallel()
	begun, end := make(chan struct{}), make(chan struct{})
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		select {
		case begun <- struct{}{}:
		case <-r.Context().Done(): // nobody waits for a second one
			return
		}
		<-end
		answering(http.StatusOK, `{"users":[]}`)(w, r)
	})
	d := open(t, hookdir.Config{URL: s.URL, Connections: 1})
	first := make(chan error, 1)
	go func() { _, err := d.UserByID(t.Context(), "17"); first <- err }()
	<-begun
	hookdir.SetTimeout(d, 100*time.Millisecond)
	_, err := d.UserByID(t.Context(), "17")
	later(t, "a second call", err)
	names(t, "a second call", err, "connections", "too many calls")
	err = set(t.Context(), d, "17", newPassword)
	certainly(t, "a change", err)
	names(t, "a change", err, "connections")
	close(end)
	if err := <-first; !errors.Is(err, reset.ErrNoUser) {
		t.Error(err)
	}
}
