package hookdir_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/sparekey/sparekey/internal/directory/hookdir"
	"github.com/sparekey/sparekey/internal/reset"
)

// FuzzUsers: whatever an application answers to find, what is taken from it is bounded, in one line each, and was there.
func FuzzUsers(f *testing.F) {
	for _, seed := range []string{
		``, `null`, `{}`, `{"users":null}`, `{"users":[]}`, `{"users":[{"id":"17","email":"ada@example.test"}]}`,
		`{"users":[{"id":"17","email":"Ada@exämple.test","name":"A\u0301\r\n","locale":"de","accounts":["b","a","a"],"disabled":true}]}`,
		`{"users":[{"id":"1","email":"a@b.test"},{"id":"1","email":"a@b.test"}]}`, `{"users":[{"id":1}]}`, `{"users":[{"id":"1","id":"2"}]}`,
		`{"users":[{"id":"1","disabled":null}]}`, `{"users":[{"id":"\ud800"}]}`, "{\"users\":[{\"id\":\"\xff\"}]}", `{"users":[]}{}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		users, err := hookdir.ParseUsers(body)
		if err != nil {
			if users != nil || len(err.Error()) > 300 || strings.ContainsAny(err.Error(), "\r\n") {
				t.Errorf("%v, %v", users, err)
			}
			return
		}
		if !json.Valid(body) {
			t.Error("what is no JSON was taken")
		}
		ids := map[string]bool{}
		for _, u := range users {
			texts := []string{u.ID, u.Name, u.Locale}
			for i, a := range u.Accounts {
				texts = append(texts, a.Name)
				if a.Name == "" || a.ID != 0 || a.Suspended || i > 0 && u.Accounts[i-1].Name >= a.Name {
					t.Errorf("the accounts are %v", u.Accounts)
				}
			}
			for _, s := range texts {
				if len(s) > 255 || !utf8.ValidString(s) || strings.ContainsAny(s, "\r\n\x00\x1b\u2028") {
					t.Errorf("%q was taken", s)
				}
			}
			if u.ID == "" || ids[u.ID] || u.Email.Key() == "" {
				t.Errorf("a user %q at %q", u.ID, u.Email.Raw())
			}
			ids[u.ID] = true
		}
	})
}

// FuzzOutcome: whatever an application answers to set, only 204, and 200 that says so, mean that the password was changed.
func FuzzOutcome(f *testing.F) {
	for _, seed := range []string{``, `{"changed":true}`, `{"changed":false}`, `{"changed":null}`, `{"reasons":[{"code":"a","message":"b","params":{"min":1}}]}`, `{"reasons":{}}`, `[`} {
		for _, status := range []int{200, 204, 302, 401, 404, 422, 500, 503} {
			f.Add(status, []byte(seed), "a quiet harbour")
		}
	}
	f.Fuzz(func(t *testing.T, status int, body []byte, password string) {
		if len(password) < 4 {
			return
		}
		err := hookdir.Outcome(status, body, password)
		var said struct{ Changed *bool }
		known := json.Unmarshal(body, &said) == nil && said.Changed != nil
		if err == nil && status != 204 && (status != 200 || !known || !*said.Changed) {
			t.Errorf("%d %s was taken for a change", status, body)
		}
		_, unchanged := errors.AsType[*reset.Unchanged](err)
		if unchanged && status >= 500 && (!known || *said.Changed) {
			t.Errorf("%d %s was taken for no change", status, body)
		}
		e, ok := errors.AsType[*reset.Error](err)
		if !ok || e.Kind != reset.Invalid {
			return
		}
		refusals, _ := e.Details["password"].([]reset.Refusal)
		if len(refusals) == 0 || len(refusals) > 10 || status != 422 {
			t.Errorf("%d reasons for %d", len(refusals), status)
		}
		for _, r := range refusals {
			if r.Message == "" || len(r.Message) > 300 || !utf8.ValidString(r.Message) || strings.ContainsAny(r.Message+r.Code, "\r\n\x00\x1b\u2028") || len(r.Code) > 64 {
				t.Errorf("%+v was taken", r)
			}
			if replaced := "Use another password: the directory does not take this one."; r.Message != replaced && strings.Contains(r.Message, password) {
				t.Errorf("%q repeats %q", r.Message, password)
			}
		}
	})
}

// FuzzHealth: whatever an application answers to health, it is idempotent only if it says so.
func FuzzHealth(f *testing.F) {
	for _, seed := range []string{``, `{}`, `{"idempotent":true}`, `{"idempotent":null}`, `{"idempotent":false,"application":"a\nb"}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		idempotent, application, err := hookdir.ParseHealth(body)
		if (idempotent || application != "") && (err != nil || !json.Valid(body)) || len(application) > 100 || strings.ContainsAny(application, "\r\n\x1b") {
			t.Errorf("%v, %q, %v", idempotent, application, err)
		}
	})
}
