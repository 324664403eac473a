package httpapi_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	contract "github.com/sparekey/sparekey/api"
	"github.com/sparekey/sparekey/internal/reset"
	"github.com/sparekey/sparekey/internal/servicetest"
)

func decode(t *testing.T, body string, v any) {
	t.Helper()
	if err := json.Unmarshal([]byte(body), v); err != nil {
		t.Fatalf("%v in %q", err, body)
	}
}

// passwordBody is the body of a reset.
func passwordBody(t *testing.T, password string) string {
	t.Helper()
	b, err := json.Marshal(map[string]string{"password": password})
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestOneResetFromAskingToTheNewPassword(t *testing.T) {
	t.Parallel()
	a := serve(t, servicetest.New(t))
	a.AddUser(t, "ann@example.com", "Ann")

	a.do(t, "POST", askPath, `{"email":["ann@example.com"]}`).is(t, 200, `{"email":["ann@example.com"]}`)
	a.WorkOutbox(t)
	id := servicetest.ID(a.Links()[0])
	a.do(t, "GET", metadataPath+id, "").is(t, 200, `{"id":"`+id+`","multiple_accounts":false}`)
	a.do(t, "POST", resetPath+id, passwordBody(t, goodPassword)).is(t, 200, `{"id":"`+id+`"}`)

	if !a.VerifyPassword(t, "ann@example.com", goodPassword) {
		t.Error("the new password does not work")
	}
	a.do(t, "POST", resetPath+id, passwordBody(t, "another long sentence")).failed(t, 401, reset.CodeInactive)
	a.do(t, "GET", metadataPath+id, "").failed(t, 401, reset.CodeInactive)
	if !a.VerifyPassword(t, "ann@example.com", goodPassword) {
		t.Error("a used link changed the password again")
	}
}

// TestChangedElsewhere: where the password lives elsewhere, 503 says plainly what became of it, and clients do not call again by themselves.
func TestChangedElsewhere(t *testing.T) {
	t.Parallel()
	cause := errors.New("row 17 of users")
	for name, c := range map[string]struct {
		err    error
		status int
		has    string
		next   int // what a look answers then
	}{
		"unsure": {cause, 503, `"details":{"outcome":"unsure"}`, 401},
		"partly": {
			&reset.Partly{Done: []string{"Acme"}, Failed: []string{"Globex"}, DoneID: "a.1", RestID: "b.1", Cause: cause}, 503,
			`"msg":"the password was changed in Acme, and not yet in Globex; a mail with a link for the rest follows","code":-1,"details":{"changed":["Acme"],"outcome":"partly","unchanged":["Globex"]}`, 401,
		},
		"away":    {&reset.Unchanged{Cause: reset.Busy("away", time.Second, cause)}, 503, `{"msg":"away","code":-1}`, 200},
		"refused": {&reset.Unchanged{Cause: reset.Refused([]reset.Refusal{{Code: "history", Message: "not that one"}})}, 400, `"details":{"password":[{"code":"history","message":"not that one"}]}`, 200},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := serve(t, servicetest.New(t, servicetest.WithDirectory(func(d reset.Directory) reset.Directory { return farDirectory{d, c.err} })))
			a.AddUser(t, "ann@example.com", "Ann")
			id := a.MailedID(t, "ann@example.com")
			got := a.do(t, "POST", resetPath+id, passwordBody(t, goodPassword))
			if got.Status != c.status || !strings.Contains(got.Body, c.has) || strings.Contains(got.Body, "row 17") {
				t.Errorf("%d %s", got.Status, got.Body)
			}
			wait, _ := strconv.Atoi(got.Header.Get("Retry-After"))
			if waits := c.next == 401; got.Status == 503 && (wait > 10) != waits {
				t.Errorf("Retry-After is %d", wait)
			}
			if next := a.do(t, "GET", metadataPath+id, ""); next.Status != c.next {
				t.Errorf("then the id is answered %d %s", next.Status, next.Body)
			}
		})
	}
}

// farDirectory has its passwords set elsewhere, with an error.
type farDirectory struct {
	reset.Directory
	err error
}

func (f farDirectory) Prepare(context.Context, reset.User, string, func(context.Context) error) (reset.Change, error) {
	return farChange{err: f.err}, nil
}

type farChange struct {
	reset.NoApply
	err error
}

func (f farChange) Set(context.Context) error { return f.err }

func TestTheAnswerRepeatsTheAddressesAsSent(t *testing.T) {
	t.Parallel()
	a := serve(t, servicetest.New(t))
	a.do(t, "POST", askPath, ` {"email" : ["Bob+x@Example.COM","ann@example.com","ann@example.com"], "more": {"a":[1]}} `).
		is(t, 200, `{"email":["Bob+x@Example.COM","ann@example.com","ann@example.com"]}`)
}

func TestMetadataTellsOfSeveralAccounts(t *testing.T) {
	t.Parallel()
	a := serve(t, servicetest.New(t))
	a.AddUser(t, "two@example.com", "Two", "acme", "globex")
	a.AddUser(t, "one@example.com", "One", "acme")
	for address, several := range map[string]bool{"two@example.com": true, "one@example.com": false} {
		id := a.MailedID(t, address)
		a.do(t, "GET", metadataPath+id, "").is(t, 200, fmt.Sprintf(`{"id":"%s","multiple_accounts":%t}`, id, several))
	}
}

func TestReadingHasNoEffect(t *testing.T) {
	t.Parallel()
	a := serve(t, servicetest.New(t))
	a.AddUser(t, "ann@example.com", "Ann")
	id := a.MailedID(t, "ann@example.com")
	before := a.Dump(t)
	for range 10 {
		a.do(t, "GET", metadataPath+id+"?_=1700000000000", "")
		got := a.do(t, "HEAD", metadataPath+id, "")
		if got.Status != 200 || got.Body != "" || got.Header.Get("Content-Length") == "" {
			t.Fatalf("HEAD answered %+v", got)
		}
		a.do(t, "GET", resetPath+id, "").failed(t, 405, reset.CodeNotSupported)
		a.do(t, "HEAD", resetPath+id, "")
	}
	a.untouched(t, before)
	a.do(t, "POST", resetPath+id, passwordBody(t, goodPassword)).is(t, 200, `{"id":"`+id+`"}`)
}

func TestLinksThatNoLongerWork(t *testing.T) {
	t.Parallel()
	a := serve(t, servicetest.New(t))
	a.AddUser(t, "ann@example.com", "Ann")
	replaced := a.MailedID(t, "ann@example.com")
	expired := a.MailedID(t, "ann@example.com")
	for _, step := range []struct {
		name, id string
		wait     time.Duration
		code     reset.Code
	}{
		{"replaced by a newer one", replaced, 0, reset.CodeInactive},
		{"at the moment of its expiry", expired, time.Hour, reset.CodeExpired},
	} {
		a.Clock.Advance(step.wait)
		a.do(t, "GET", metadataPath+step.id, "").failed(t, 401, step.code)
		a.do(t, "POST", resetPath+step.id, passwordBody(t, goodPassword)).failed(t, 401, step.code)
		if a.VerifyPassword(t, "ann@example.com", goodPassword) {
			t.Errorf("a link that was %s changed the password", step.name)
		}
	}
}

func TestBothGenerationsOfClients(t *testing.T) {
	t.Parallel()
	w := servicetest.New(t)
	a, strict := serve(t, w), serve(t, w, requireKey)
	w.AddUser(t, "ann@example.com", "Ann")
	key := w.NewKey(t, "app", reset.ScopeReset, "")
	for _, c := range []struct {
		name string
		api  *api
		key  []string
		ok   bool
	}{
		{"no key, none needed", a, nil, true},
		{"a key, none needed", a, []string{"X-Auth-Token", key}, true},
		{"no key, one needed", strict, nil, false},
		{"a key, one needed", strict, []string{"X-Auth-Token", key}, true},
		{"a key with a prefix", strict, []string{"X-Auth-Token", "Token " + key}, true},
		{"a key with another prefix", strict, []string{"X-Auth-Token", "Bearer " + key}, true},
		{"a key in the wrong header", strict, []string{"Authorization", "Bearer " + key}, false},
		{"a key in the address", strict, nil, false},
	} {
		// Not parallel: a newer link would close the older one.
		id := w.MailedID(t, "ann@example.com")
		query := ""
		if c.name == "a key in the address" {
			query = "?X-Auth-Token=" + key + "&api_key=" + key
		}
		look := c.api.do(t, "GET", metadataPath+id+query, "", c.key...)
		set := c.api.do(t, "POST", resetPath+id+query, passwordBody(t, goodPassword), c.key...)
		if !c.ok {
			look.failed(t, 401, reset.CodeNotAuthorized)
			set.failed(t, 401, reset.CodeNotAuthorized)
			continue
		}
		if look.Status != 200 || set.Status != 200 {
			t.Errorf("%s: metadata %d, reset %d, want 200: %s", c.name, look.Status, set.Status, set.Body)
		}
	}
	// Asking needs no key, whatever the setting.
	strict.do(t, "POST", askPath, `{"email":["ann@example.com"]}`).is(t, 200, `{"email":["ann@example.com"]}`)
}

func TestABulkJobFromAskingToDone(t *testing.T) {
	t.Parallel()
	a := serve(t, servicetest.New(t))
	a.AddUser(t, "ann@example.com", "Ann")
	a.AddUser(t, "bob@example.com", "Bob")
	admin := a.NewKey(t, "admin", reset.ScopeAdmin, "")
	other := a.NewKey(t, "other", reset.ScopeAdmin, "")
	plain := a.NewKey(t, "plain", reset.ScopeReset, "")

	got := a.do(t, "POST", askPath, `{"email":["ann@example.com","nobody@example.com","bob@example.com","ann@example.com"]}`, "X-Auth-Token", "Token "+admin)
	var job struct {
		ID string `json:"job_id"`
	}
	decode(t, got.Body, &job)
	got.is(t, 202, `{"job_id":"`+job.ID+`"}`)
	status := func(state string, sent, unknown int) string {
		return fmt.Sprintf(`{"job_id":"%s","state":"%s","total":3,"sent":%d,"unknown":%d,"failed":0}`, job.ID, state, sent, unknown)
	}
	a.do(t, "GET", jobPath+job.ID, "", "X-Auth-Token", admin).is(t, 200, status("queued", 0, 0))
	if err := a.Work(t.Context(), a.Pending()[0]); err != nil {
		t.Fatal(err)
	}
	a.do(t, "GET", jobPath+job.ID, "", "X-Auth-Token", admin).is(t, 200, status("running", 1, 0))
	a.WorkOutbox(t)
	a.do(t, "GET", jobPath+job.ID, "", "X-Auth-Token", admin).is(t, 200, status("done", 2, 1))

	a.do(t, "GET", jobPath+job.ID, "").failed(t, 401, reset.CodeNotAuthorized)
	a.do(t, "GET", jobPath+job.ID, "", "X-Auth-Token", plain).failed(t, 401, reset.CodeNotAllowed)
	a.do(t, "GET", jobPath+job.ID, "", "X-Auth-Token", other).failed(t, 404, reset.CodeNotFound)
	a.do(t, "GET", jobPath+unknownID, "", "X-Auth-Token", admin).failed(t, 404, reset.CodeNotFound)
	a.do(t, "GET", jobPath+"1", "", "X-Auth-Token", admin).failed(t, 404, reset.CodeNotFound)
	a.do(t, "POST", askPath, `{"email":["ann@example.com"]}`, "X-Auth-Token", plain).failed(t, 401, reset.CodeNotAllowed)
}

func TestOfManyResetsWithOneIDOneSucceeds(t *testing.T) {
	t.Parallel()
	a := serve(t, servicetest.New(t))
	a.AddUser(t, "ann@example.com", "Ann")
	id := a.MailedID(t, "ann@example.com")
	statuses := make([]int, 12)
	var wg sync.WaitGroup
	for i := range statuses {
		wg.Go(func() {
			statuses[i] = a.do(t, "POST", resetPath+id, passwordBody(t, fmt.Sprintf("the long sentence %d", i))).Status
		})
	}
	wg.Wait()
	winner := -1
	for i, status := range statuses {
		switch {
		case status == http.StatusOK && winner < 0:
			winner = i
		case status != http.StatusUnauthorized:
			t.Errorf("call %d was answered %d", i, status)
		}
	}
	if winner < 0 || !a.VerifyPassword(t, "ann@example.com", fmt.Sprintf("the long sentence %d", winner)) {
		t.Errorf("the password is not that of the one call that succeeded (%d)", winner)
	}
}

func TestTheDocumentIsServedAsItIs(t *testing.T) {
	t.Parallel()
	a := serve(t, servicetest.New(t), requireKey)
	got := a.do(t, "GET", "/api/1.0/openapi.yaml", "", "Content-Type", "")
	got.is(t, 200, string(contract.OpenAPI))
	if ct := got.Header.Get("Content-Type"); ct != "application/yaml" {
		t.Errorf("Content-Type is %q", ct)
	}
}
