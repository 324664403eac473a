package httpapi_test

import (
	"bytes"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/sparekey/sparekey/internal/httpapi"
	"github.com/sparekey/sparekey/internal/reset"
	"github.com/sparekey/sparekey/internal/servicetest"
)

// mailedTo tells who was mailed, each with the id.
func mailedTo(t *testing.T, a *api) map[string]string {
	t.Helper()
	a.WorkOutbox(t)
	mailed := make(map[string]string)
	for _, link := range a.Links() {
		mailed[link.User.Email.Raw()] = servicetest.ID(link)
	}
	return mailed
}

// CVE-2023-7028: the second address of a list got the first one's link.
func TestTwoAddressesAreTwoRequests(t *testing.T) {
	t.Parallel()
	a := serve(t, servicetest.New(t))
	a.AddUser(t, "known@example.com", "Known")
	a.AddUser(t, "attacker@evil.test", "Attacker")
	a.do(t, "POST", askPath, `{"email":["known@example.com","attacker@evil.test","stranger@evil.test"]}`)
	mailed := mailedTo(t, a)
	if len(mailed) != 2 || mailed["known@example.com"] == mailed["attacker@evil.test"] {
		t.Fatalf("mailed %d users, with one id: %t", len(mailed), mailed["known@example.com"] == mailed["attacker@evil.test"])
	}
	a.do(t, "POST", resetPath+mailed["attacker@evil.test"], passwordBody(t, goodPassword))
	if a.VerifyPassword(t, "known@example.com", goodPassword) || !a.VerifyPassword(t, "attacker@evil.test", goodPassword) {
		t.Error("the attacker's link did not change the attacker's password alone")
	}
}

func TestOnlyTheMemberInItsOwnCaseCounts(t *testing.T) {
	t.Parallel()
	a := serve(t, servicetest.New(t))
	a.AddUser(t, "a@example.com", "A")
	a.AddUser(t, "b@example.com", "B")
	a.do(t, "POST", askPath+"?email=b@example.com&email[]=b@example.com",
		`{"email":["a@example.com"],"EMAIL":["b@example.com"],"Email":["b@example.com"],"emaıl":["b@example.com"],"to":"b@example.com"}`).
		is(t, 200, `{"email":["a@example.com"]}`)
	if mailed := mailedTo(t, a); len(mailed) != 1 || mailed["a@example.com"] == "" {
		t.Errorf("mailed %d users, want a alone", len(mailed))
	}
}

// The link is built from configuration alone (CVE-2025-64101 and its kin).
func TestForgedHostsLeaveTheLinkAlone(t *testing.T) {
	t.Parallel()
	a := serve(t, servicetest.New(t))
	a.AddUser(t, "ann@example.com", "Ann")
	const body = `{"email":["ann@example.com"]}`
	for _, c := range []struct{ name, target, headers string }{
		{"Host", askPath, "Host: evil.test"},
		{"X-Forwarded-Host", askPath, "Host: x\nX-Forwarded-Host: evil.test\nX-Forwarded-Proto: http\nX-Forwarded-Port: 81\nX-Forwarded-Prefix: /evil.test"},
		{"Forwarded", askPath, "Host: x\nForwarded: host=evil.test;proto=http\nX-Original-Host: evil.test\nX-Host: evil.test"},
		{"a Host of two", askPath, "Host: reset.example.com@evil.test"},
		{"a Host with a port", askPath, "Host: reset.example.com:@evil.test:80"},
		{"the absolute form", "http://evil.test" + askPath, "Host: reset.example.com"},
		{"Origin and Referer", askPath, "Host: x\nOrigin: https://evil.test\nReferer: https://evil.test/"},
	} {
		before := len(a.Links())
		got := a.raw(t, false, wire("POST "+c.target+" HTTP/1.1\n"+c.headers+"\nContent-Type: application/json\nContent-Length: 29\nConnection: close", body))
		a.WorkOutbox(t)
		links := a.Links()[before:]
		if got.Status == 400 && len(links) == 0 && strings.HasPrefix(c.name, "a Host") {
			continue // net/http takes it for no host at all
		}
		if got.Status != 200 || len(links) != 1 {
			t.Errorf("%s: %d %s, %d mails", c.name, got.Status, got.Body, len(links))
			continue
		}
		if want := servicetest.BaseURL + "/reset/" + servicetest.ID(links[0]); links[0].Link != want {
			t.Errorf("%s: the link does not begin with the configured base URL", c.name)
		}
	}
	got := a.raw(t, false, wire("POST "+askPath+" HTTP/1.1\nHost: x\nHost: evil.test\nContent-Type: application/json\nContent-Length: 29", body))
	if got.Status != 400 || len(a.Pending()) != 0 {
		t.Errorf("two Host headers: %d, %d entries", got.Status, len(a.Pending()))
	}
}

func TestAKeyOfAnotherAccountLearnsNothing(t *testing.T) {
	t.Parallel()
	a := serve(t, servicetest.New(t), requireKey)
	a.AddUser(t, "ann@example.com", "Ann", "acme")
	a.AddUser(t, "bob@example.com", "Bob", "globex")
	acme := a.NewKey(t, "acme", reset.ScopeAdmin, "acme")
	globex := a.NewKey(t, "globex", reset.ScopeAdmin, "globex")
	id := a.MailedID(t, "ann@example.com")
	body := passwordBody(t, goodPassword)

	want := a.do(t, "GET", metadataPath+unknownID, "", "X-Auth-Token", globex)
	want.failed(t, 401, reset.CodeNotAuthorized)
	before := a.Dump(t) // now, since a key's first use is noted
	same(t, "a look at another's id", want, a.do(t, "GET", metadataPath+id, "", "X-Auth-Token", globex))
	same(t, "a reset of another's id", want, a.do(t, "POST", resetPath+id, body, "X-Auth-Token", globex))
	a.untouched(t, before)

	// In bulk, users of another account are unknown to it.
	got := a.do(t, "POST", askPath, `{"email":["ann@example.com","bob@example.com"]}`, "X-Auth-Token", globex)
	var job struct {
		ID string `json:"job_id"`
	}
	decode(t, got.Body, &job)
	a.WorkOutbox(t)
	a.do(t, "GET", jobPath+job.ID, "", "X-Auth-Token", globex).
		is(t, 200, `{"job_id":"`+job.ID+`","state":"done","total":2,"sent":1,"unknown":1,"failed":0}`)
	a.do(t, "POST", resetPath+id, body, "X-Auth-Token", acme).is(t, 200, `{"id":"`+id+`"}`)
}

// The hidden fields of a form, or members of a body, do not say whose password it is (LTB #24).
func TestTheIDAloneSaysWhosePasswordItIs(t *testing.T) {
	t.Parallel()
	a := serve(t, servicetest.New(t))
	user := a.AddUser(t, "ann@example.com", "Ann")
	victim := a.AddUser(t, "victim@example.com", "Victim")
	id := a.MailedID(t, "ann@example.com")
	body, err := json.Marshal(map[string]any{
		"password": goodPassword, "email": "victim@example.com", "user_id": victim.ID, "id": unknownID, "login": "victim@example.com",
	})
	if err != nil {
		t.Fatal(err)
	}
	a.do(t, "POST", resetPath+id+"?email=victim@example.com&id="+unknownID, string(body)).is(t, 200, `{"id":"`+id+`"}`)
	if a.VerifyPassword(t, "victim@example.com", goodPassword) || !a.VerifyPassword(t, user.Email.Raw(), goodPassword) {
		t.Error("the reset did not change the password of the link's user alone")
	}
}

// Nobody but the mailbox's owner ever receives the secret, and no log has one.
func TestSecretsAreInNoOtherAnswerAndInNoLog(t *testing.T) {
	t.Parallel()
	a := serve(t, servicetest.New(t, servicetest.WithThrottle()))
	a.AddUser(t, "ann@example.com", "Ann")
	admin := a.NewKey(t, "admin", reset.ScopeAdmin, "")
	asked := a.do(t, "POST", askPath, `{"email":["ann@example.com"]}`, "X-Auth-Token", admin)
	id := mailedTo(t, a)["ann@example.com"]
	var job struct {
		ID string `json:"job_id"`
	}
	decode(t, asked.Body, &job)
	others := []answer{
		asked,
		a.do(t, "GET", jobPath+job.ID, "", "X-Auth-Token", admin),
		a.do(t, "POST", askPath, `{"email":["ann@example.com"]}`, "User-Agent", "x\tevent=forged"),
		a.do(t, "GET", resetPath+id, ""),
		a.do(t, "GET", metadataPath+id+"/", ""),
		a.do(t, "POST", resetPath+id, `{"password":"`+goodPassword[:14]+`"}`),
		a.do(t, "POST", resetPath+id, `{"password":"`+goodPassword),
		a.do(t, "GET", metadataPath+id, "", "X-Auth-Token", admin+"x"),
	}
	a.do(t, "POST", resetPath+id, passwordBody(t, goodPassword))
	others = append(others, a.do(t, "POST", resetPath+id, passwordBody(t, goodPassword)))
	for i, got := range others {
		for name, secret := range map[string]string{"id": id, "key": admin, "password": goodPassword[:14]} {
			if strings.Contains(got.Body, secret) || strings.Contains(headerText(got.Header), secret) {
				t.Errorf("answer %d has the %s", i, name)
			}
		}
	}
	for _, secret := range []string{id, admin, goodPassword[:14], "ann@example.com"} {
		if strings.Contains(a.log.String(), secret) {
			t.Errorf("the log has %q", secret)
		}
	}
}

func headerText(h http.Header) string {
	var b strings.Builder
	_ = h.Write(&b)
	return b.String()
}

// spy remembers the memory that a body was read into.
type spy struct {
	io.Reader
	into [][]byte
}

func (s *spy) Read(p []byte) (int, error) {
	n, err := s.Reader.Read(p)
	s.into = append(s.into, p[:n])
	return n, err
}

func (s *spy) Close() error { return nil }

// What a body with a password was read into is overwritten, however the call ends.
func TestThePasswordsBufferIsOverwritten(t *testing.T) {
	t.Parallel()
	w := servicetest.New(t)
	w.AddUser(t, "ann@example.com", "Ann")
	id := w.MailedID(t, "ann@example.com")
	h := httpapi.New(httpapi.Options{
		Service: w.Service, Keys: w.Keys, Log: slog.New(slog.DiscardHandler),
		ClientOf: func(*http.Request) string { return defaultClient },
	})
	for _, c := range []struct {
		body   string
		status int
	}{
		{`{"password":"` + goodPassword[:14] + `"}`, 400},
		{`{"password":"` + goodPassword + `"`, 400},
		{`{"password":"` + goodPassword + strings.Repeat(" ", 10_000) + `"}`, 400},
		{`{"password":"` + goodPassword + `"}`, 200},
	} {
		for _, length := range []int64{int64(len(c.body)), -1} { // told, or chunked
			body := &spy{Reader: strings.NewReader(c.body)}
			r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, resetPath+id, nil)
			r.Header.Set("Content-Type", "application/json")
			r.Body, r.ContentLength = body, length
			answer := httptest.NewRecorder()
			h.ServeHTTP(answer, r)
			if answer.Code != c.status && (c.status != 200 || length != -1) { // the link works once
				t.Errorf("answered %d %s, want %d", answer.Code, answer.Body, c.status)
			}
			for _, p := range body.into {
				if length > 0 && len(bytes.Trim(p, "\x00")) > 0 {
					t.Errorf("it was left in memory: %q", p)
				}
			}
			if last := body.into[len(body.into)-1]; len(bytes.Trim(last, "\x00")) > 0 {
				t.Errorf("the last of it was left in memory: %q", last)
			}
		}
	}
}
