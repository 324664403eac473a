package httpapi_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/sparekey/sparekey/internal/reset"
	"github.com/sparekey/sparekey/internal/servicetest"
)

// deep is a value nested n deep.
func deep(n int) string { return strings.Repeat("[", n) + strings.Repeat("]", n) }

func TestBadRequestsForLinks(t *testing.T) {
	t.Parallel()
	a := serve(t, servicetest.New(t))
	a.AddUser(t, "known@example.com", "Known")
	before := a.Dump(t)
	const bad, missing = reset.CodeBadValue, reset.CodeMissing
	for _, c := range []struct {
		name, body string
		code       reset.Code
	}{
		{"no body", "", missing},
		{"only spaces", " \n\t", missing},
		{"not JSON", "email=known@example.com", bad},
		{"half of it", `{"email":["known@example.com"`, bad},
		{"garbage behind it", `{"email":["known@example.com"]} canary`, bad},
		{"a second value behind it", `{"email":["known@example.com"]}{"email":["canary@example.com"]}`, bad},
		{"a comment", `{"email":["known@example.com"]/* canary */}`, bad},
		{"a comma too many", `{"email":["known@example.com",]}`, bad},
		{"single quotes", `{'email':['known@example.com']}`, bad},
		{"a byte order mark", "\ufeff" + `{"email":["known@example.com"]}`, bad},
		{"UTF-16", "{\x00\"\x00e\x00m\x00a\x00i\x00l\x00\"\x00:\x00[\x00]\x00}\x00", bad},
		{"a key twice", `{"email":["known@example.com"],"email":["canary@example.com"]}`, bad},
		{"a key twice, once escaped", `{"email":["known@example.com"],"\u0065mail":["canary@example.com"]}`, bad},
		{"an unknown key twice", `{"email":["known@example.com"],"canary":1,"canary":2}`, bad},
		{"a key twice further down", `{"email":["known@example.com"],"more":{"canary":1,"canary":2}}`, bad},
		{"invalid UTF-8 in the address", "{\"email\":[\"canary\xff@example.com\"]}", bad},
		{"invalid UTF-8 elsewhere", "{\"email\":[\"known@example.com\"],\"x\":\"canary\xc3\x28\"}", bad},
		{"null", `null`, missing},
		{"an array", `["known@example.com"]`, bad},
		{"a string", `"known@example.com"`, bad},
		{"nothing in it", `{}`, missing},
		{"email in capitals", `{"EMAIL":["known@example.com"]}`, missing},
		{"emails", `{"emails":["known@example.com"]}`, missing},
		{"email null", `{"email":null}`, missing},
		{"email empty", `{"email":[]}`, bad},
		{"email a string", `{"email":"known@example.com"}`, bad},
		{"email an object", `{"email":{"0":"known@example.com"}}`, bad},
		{"email a number", `{"email":1}`, bad},
		{"email true", `{"email":true}`, bad},
		{"email with an array in it", `{"email":[["known@example.com"]]}`, bad},
		{"email with an object in it", `{"email":[{"email":"known@example.com"}]}`, bad},
		{"email with null in it", `{"email":[null]}`, bad},
		{"email with null behind a good one", `{"email":["known@example.com",null]}`, bad},
		{"email with a number in it", `{"email":[1]}`, bad},
		{"email with an empty string in it", `{"email":["known@example.com",""]}`, bad},
		{"10,000 entries", `{"email":["` + strings.Repeat(`known@example.com","`, 9_999) + `known@example.com"]}`, reset.CodeRestriction},
		{"eleven entries", `{"email":["` + strings.Repeat(`known@example.com","`, 10) + `known@example.com"]}`, reset.CodeRestriction},
		{"an entry of 10 KB", `{"email":["` + strings.Repeat("canary", 1_700) + `@example.com"]}`, bad},
		{"nested 10,000 deep", deep(10_000), bad},
		{"email nested 10,000 deep", `{"email":` + deep(10_000) + `}`, bad},
		{"something else nested 10,000 deep", `{"email":["known@example.com"],"x":` + deep(10_000) + `}`, bad},
		{"nested 400,000 deep and never closed", strings.Repeat(`[`, 400_000), bad},
		{"objects nested 10,000 deep", strings.Repeat(`{"email":`, 10_000) + "1" + strings.Repeat("}", 10_000), bad},
		{"a newline", `{"email":["known@example.com\ncc: canary@evil.test"]}`, bad},
		{"a newline at the end", `{"email":["known@example.com\n"]}`, bad},
		{"CR LF", `{"email":["known@example.com\r\nBcc: canary@evil.test"]}`, bad},
		{"an escape of a mail header", `{"email":["known@example.com%0acc:canary@evil.test"]}`, bad},
		{"a NUL", `{"email":["known@example.com\u0000canary"]}`, bad},
		{"a raw newline", "{\"email\":[\"known@example.com\n\"]}", bad},
		{"a display name", `{"email":["Canary <known@example.com>"]}`, bad},
		{"brackets", `{"email":["<known@example.com>"]}`, bad},
		{"a comment in it", `{"email":["known(canary)@example.com"]}`, bad},
		{"a quoted name", `{"email":["\"canary known\"@example.com"]}`, bad},
		{"an IP literal", `{"email":["canary@[192.0.2.1]"]}`, bad},
		{"an IP address", `{"email":["canary@192.0.2.1"]}`, bad},
		{"two at-signs", `{"email":["known@example.com@canary.test"]}`, bad},
		{"no at-sign", `{"email":["canary.example.com"]}`, bad},
		{"a second address after a comma", `{"email":["known@example.com,canary@evil.test"]}`, bad},
		{"a second address after a semicolon", `{"email":["known@example.com;canary@evil.test"]}`, bad},
		{"a second address after a space", `{"email":["known@example.com canary@evil.test"]}`, bad},
		{"a space around it", `{"email":[" known@example.com"]}`, bad},
		{"a lone surrogate", `{"email":["canary\ud800@example.com"]}`, bad},
		{"a bad one behind a good one", `{"email":["known@example.com","canary"]}`, bad},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := a.do(t, "POST", askPath, c.body)
			got.failed(t, 400, c.code)
			echoesNothing(t, got)
		})
	}
	a.untouched(t, before)
}

func echoesNothing(t *testing.T, got answer) {
	t.Helper()
	for _, input := range []string{"canary", "Canary", "known@", "evil.test"} {
		if strings.Contains(got.Body, input) {
			t.Errorf("the answer repeats the input: %s", got.Body)
		}
	}
}

func TestBadPasswords(t *testing.T) {
	t.Parallel()
	a := serve(t, servicetest.New(t))
	a.AddUser(t, "ann.of.the.long.name@example.com", "Ann")
	id := a.MailedID(t, "ann.of.the.long.name@example.com")
	before := a.Dump(t)
	for _, c := range []struct {
		name, body string
		status     int
		code       reset.Code
		reason     string // of the policy; empty if the body was at fault
	}{
		{"no body", "", 400, reset.CodeMissing, ""},
		{"missing", `{}`, 400, reset.CodeMissing, ""},
		{"null", `{"password":null}`, 400, reset.CodeMissing, ""},
		{"in capitals", `{"Password":"canary canary canary"}`, 400, reset.CodeMissing, ""},
		{"a number", `{"password":123456789012345}`, 400, reset.CodeBadValue, ""},
		{"an array", `{"password":["canary canary canary"]}`, 400, reset.CodeBadValue, ""},
		{"an object", `{"password":{"canary":"canary canary"}}`, 400, reset.CodeBadValue, ""},
		{"twice", `{"password":"canary canary canary","password":"canary canary canari"}`, 400, reset.CodeBadValue, ""},
		{"empty", `{"password":""}`, 400, reset.CodeBadValue, "too_short"},
		{"14 characters", `{"password":"canary canary "}`, 400, reset.CodeBadValue, "too_short"},
		{"14 characters of 4 bytes", `{"password":"` + strings.Repeat("😀", 14) + `"}`, 400, reset.CodeBadValue, "too_short"},
		{"1,025 characters", `{"password":"` + strings.Repeat("c", 1025) + `"}`, 400, reset.CodeBadValue, "too_long"},
		{"1 MB", `{"password":"` + strings.Repeat("canary ", 149_000) + `"}`, 400, reset.CodeBadValue, "too_long"},
		{"2 MB", `{"password":"` + strings.Repeat("canary ", 300_000) + `"}`, 413, reset.CodeRestriction, ""},
		{"invalid UTF-8", "{\"password\":\"canary canary \xff canary\"}", 400, reset.CodeBadValue, ""},
		{"a lone surrogate", `{"password":"canary canary \ud800 canary"}`, 400, reset.CodeBadValue, ""},
		{"a NUL inside", `{"password":"canary canary \u0000 canary"}`, 400, reset.CodeBadValue, "control_character"},
		{"15 spaces", `{"password":"` + strings.Repeat(" ", 15) + `"}`, 400, reset.CodeBadValue, "common"},
		{"what everybody takes", `{"password":"passwordpassword"}`, 400, reset.CodeBadValue, "common"},
		{"the address itself", `{"password":"ann.of.the.long.name@example.com"}`, 400, reset.CodeBadValue, "context"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := a.do(t, "POST", resetPath+id, c.body)
			got.failed(t, c.status, c.code)
			echoesNothing(t, got)
			var model struct {
				Details struct {
					Password []reset.Refusal `json:"password"`
				} `json:"details"`
			}
			decode(t, got.Body, &model)
			refusals := model.Details.Password
			if (len(refusals) > 0) != (c.reason != "") || c.reason != "" && refusals[0].Code != c.reason {
				t.Errorf("the reasons are %v, want %q", refusals, c.reason)
			}
		})
	}
	a.untouched(t, before)
	a.do(t, "POST", resetPath+id, passwordBody(t, goodPassword)).is(t, 200, `{"id":"`+id+`"}`)
}

func TestGoodPasswords(t *testing.T) {
	t.Parallel()
	a := serve(t, servicetest.New(t))
	a.AddUser(t, "ann@example.com", "Ann")
	for name, password := range map[string]string{
		"15 characters":                  "fifteen letters",
		"1,024 characters of 4 bytes":    ideographs(1024),
		"spaces at both ends":            "  a rather long one  ",
		"what JSON escapes":              `"\/<>&` + "\u2028 and a little more",
		"the one that is set already":    goodPassword,
		"the one that is set, once more": goodPassword,
	} {
		id := a.MailedID(t, "ann@example.com")
		a.do(t, "POST", resetPath+id, passwordBody(t, password)).is(t, 200, `{"id":"`+id+`"}`)
		if !a.VerifyPassword(t, "ann@example.com", password) {
			t.Errorf("%s: does not work", name)
		}
	}
}

// ideographs is a text of n different characters of four bytes each.
func ideographs(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteRune('\U00020000' + rune(i))
	}
	return b.String()
}

func TestContentTypesAndCodings(t *testing.T) {
	t.Parallel()
	a := serve(t, servicetest.New(t))
	const body = `{"email":["ann@example.com"]}`
	for _, good := range []string{"application/json", "application/json; charset=utf-8", "application/json;charset=UTF-8", `Application/JSON; charset="utf-8"`} {
		a.do(t, "POST", askPath, body, "Content-Type", good).is(t, 200, body)
	}
	a.do(t, "POST", askPath, body, "Content-Encoding", "identity").is(t, 200, body)
	a.WorkOutbox(t)
	before := a.Dump(t)
	for _, headers := range [][]string{
		{"Content-Type", ""},
		{"Content-Type", "text/plain"},
		{"Content-Type", "text/json"},
		{"Content-Type", "application/x-www-form-urlencoded"},
		{"Content-Type", "multipart/form-data; boundary=x"},
		{"Content-Type", "application/jsonx"},
		{"Content-Type", "application/vnd.api+json"},
		{"Content-Type", "application/json; charset=iso-8859-1"},
		{"Content-Type", "application/json; charset=utf-16"},
		{"Content-Type", "application/json; version=1"},
		{"Content-Type", "application/json, text/plain"},
		{"Content-Type", "application/json; charset"},
		{"Content-Type", "application/json", "content-type", "application/json"},
		{"Content-Encoding", "gzip"},
		{"Content-Encoding", "deflate"},
		{"Content-Encoding", "br"},
		{"Content-Encoding", "identity, gzip"},
		{"Content-Encoding", "identity", "Content-Encoding", "gzip"},
	} {
		t.Run(strings.Join(headers, " "), func(t *testing.T) {
			got := a.do(t, "POST", askPath, body, headers...)
			got.failed(t, 415, reset.CodeNotSupported)
		})
	}
	form := a.do(t, "POST", askPath+"?email=ann@example.com", "email=ann@example.com", "Content-Type", "application/x-www-form-urlencoded")
	form.failed(t, 415, reset.CodeNotSupported)
	a.untouched(t, before)
}

func TestKeysThatAreNotGood(t *testing.T) {
	t.Parallel()
	w := servicetest.New(t)
	a := serve(t, w)
	w.AddUser(t, "ann@example.com", "Ann")
	id := w.MailedID(t, "ann@example.com")
	good := w.NewKey(t, "good", reset.ScopeAdmin, "")
	revoked := w.NewKey(t, "revoked", reset.ScopeAdmin, "")
	if err := w.Keys.Revoke(t.Context(), "revoked"); err != nil {
		t.Fatal(err)
	}
	expired, err := w.Keys.Create(t.Context(), "expired", reset.ScopeAdmin, 0, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	w.Clock.Advance(time.Minute)
	swapped := strings.Map(func(r rune) rune {
		switch {
		case 'a' <= r && r <= 'z':
			return r - 32
		case 'A' <= r && r <= 'Z':
			return r + 32
		}
		return r
	}, good)
	before := a.Dump(t)
	for _, c := range []struct {
		name    string
		headers []string
	}{
		{"unknown", []string{"X-Auth-Token", "spk_canary"}},
		{"revoked", []string{"X-Auth-Token", revoked}},
		{"expired", []string{"X-Auth-Token", expired}},
		{"empty", []string{"X-Auth-Token", ""}},
		{"only spaces", []string{"X-Auth-Token", "   "}},
		{"a prefix alone", []string{"X-Auth-Token", "Token "}},
		{"two prefixes", []string{"X-Auth-Token", "Token Token " + good}},
		{"something behind it", []string{"X-Auth-Token", "Token " + good + " x"}},
		{"a space in it", []string{"X-Auth-Token", good[:20] + " " + good[20:]}},
		{"two spaces before it", []string{"X-Auth-Token", "Token  " + good}},
		{"in the other case", []string{"X-Auth-Token", swapped}},
		{"a letter short", []string{"X-Auth-Token", good[:len(good)-1]}},
		{"quoted", []string{"X-Auth-Token", `"` + good + `"`}},
		{"twice", []string{"X-Auth-Token", good, "X-Auth-Token", good}},
		{"a good one before a bad one", []string{"X-Auth-Token", good, "X-Auth-Token", "x"}},
		{"600 bytes", []string{"X-Auth-Token", strings.Repeat("k", 600)}},
		{"100 KB", []string{"X-Auth-Token", strings.Repeat("k", 100_000)}},
		{"its digest", []string{"X-Auth-Token", fmt.Sprintf("%x", reset.Digest{})}},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, got := range []answer{
				a.do(t, "POST", askPath, `{"email":["ann@example.com"]}`, c.headers...),
				a.do(t, "GET", metadataPath+id, "", c.headers...),
				a.do(t, "POST", resetPath+id, passwordBody(t, goodPassword), c.headers...),
				a.do(t, "GET", jobPath+unknownID, "", c.headers...),
				a.do(t, "GET", "/api/1.0/openapi.yaml", "", c.headers...),
			} {
				got.failed(t, 401, reset.CodeNotAuthorized)
				echoesNothing(t, got)
			}
		})
	}
	a.untouched(t, before)
}
