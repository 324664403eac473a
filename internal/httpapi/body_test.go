package httpapi_test

import (
	"encoding/json"
	"errors"
	"regexp"
	"slices"
	"testing"
	"unicode/utf8"

	"github.com/sparekey/sparekey/internal/httpapi"
	"github.com/sparekey/sparekey/internal/reset"
)

// ownWords are all that may be said about a body.
var ownWords = regexp.MustCompile(`^(there is no body; it must be a JSON object|` +
	`the body (has a name twice in one object|is not valid JSON in UTF-8)(, at byte [0-9]+)?|` +
	`email must be an array of strings|password must be a string|the body must be a JSON object)$`)

// What is accepted must be UTF-8 in which a laxer reader, such as one in a
// proxy, finds the same; what is refused must be refused in words of our own.
func FuzzBodies(f *testing.F) {
	for _, seed := range []string{
		`{"email":["ann@example.com"]}`, `{"email":[]}`, `{"email":null}`, `{"email":"x"}`, `{"email":[null]}`, `{"email":[["x"]]}`,
		`{"password":"a rather long sentence"}`, `{"password":"\ud83d\ude00"}`, `{"password":"\ud800"}`, `{"password":null}`, `{"password":1}`,
		`{"email":["a"],"email":["b"]}`, `{"email":["a"],"\u0065mail":["b"]}`, `{"email":["a"],"EMAIL":["b"]}`, `{"emaıl":["b"]}`,
		`{"email":["a"]} x`, `{"email":["a"]}{}`, `{"x":{"y":1,"y":2}}`, "{\"password\":\"\xff\"}", "\ufeff{}", ``, ` `, `null`, `[]`, `{`, `{"a":1e999}`,
		deep(10_000), deep(10_001), `{"email":` + deep(9_999) + `}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		email, emailErr := httpapi.ParseRequest(body)
		password, passwordErr := httpapi.ParseReset(body)
		// A map is used because encoding/json would match a struct's names in any case.
		var lax map[string]json.RawMessage
		laxErr := json.Unmarshal(body, &lax)
		if emailErr == nil {
			agrees(t, body, laxErr, lax["email"], email, slices.Equal)
		}
		if passwordErr == nil {
			agrees(t, body, laxErr, lax["password"], password, func(a, b *string) bool {
				return a == nil && b == nil || a != nil && b != nil && *a == *b
			})
		}
		for _, err := range []error{emailErr, passwordErr} {
			if err == nil {
				continue
			}
			e, ok := errors.AsType[*reset.Error](err)
			if !ok || e.Kind != reset.Invalid || e.Cause != nil || !ownWords.MatchString(e.Message) {
				t.Errorf("%q was refused with %#v", body, err)
			}
		}
	})
}

func agrees[T any](t *testing.T, body []byte, laxErr error, raw json.RawMessage, strict T, equal func(a, b T) bool) {
	t.Helper()
	var lax T
	if raw != nil {
		laxErr = errors.Join(laxErr, json.Unmarshal(raw, &lax))
	}
	if !utf8.Valid(body) || laxErr != nil || !equal(strict, lax) {
		t.Errorf("accepted %q as %v, which another reader takes for %v (%v)", body, strict, lax, laxErr)
	}
}
