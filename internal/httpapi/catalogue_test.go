package httpapi_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/sparekey/sparekey/internal/reset"
	"github.com/sparekey/sparekey/internal/servicetest"
)

// The attacks that others suffered, with the very bytes that are sent. Each is
// answered as it must be, and mails nobody but whom it may.

// victims are who has a user.
var victims = []string{"known@example.test", "attacker@evil.test", "a@x.test", "b@x.test", "admin@example.test", "k@example.test"}

func TestCatalogueOfRequests(t *testing.T) {
	t.Parallel()
	const (
		bad  = reset.CodeBadValue
		many = reset.CodeRestriction
	)
	same50 := make([]string, 50)
	for i := range same50 {
		same50[i] = spelled("known@example.test", i)
	}
	for _, c := range []struct {
		body    string
		headers []string
		status  int
		code    reset.Code
		mailed  []string
	}{
		// Several addresses: separate requests, each to its own user.
		{body: `{"email":["known@example.test","attacker@evil.test"]}`, status: 200, mailed: []string{"attacker@evil.test", "known@example.test"}},
		// Other shapes.
		{body: `{"email":"known@example.test"}`, status: 400, code: bad},
		{body: `{"email":{"0":"known@example.test"}}`, status: 400, code: bad},
		{body: `{"email":[["known@example.test"]]}`, status: 400, code: bad},
		{body: `{"email":[null]}`, status: 400, code: bad},
		{body: `{"email":[1]}`, status: 400, code: bad},
		// A second mailbox, or a header, in one address.
		{body: `{"email":["known@example.test,attacker@evil.test"]}`, status: 400, code: bad},
		{body: `{"email":["known@example.test;attacker@evil.test"]}`, status: 400, code: bad},
		{body: `{"email":["known@example.test attacker@evil.test"]}`, status: 400, code: bad},
		{body: `{"email":["known@example.test%0acc:attacker@evil.test"]}`, status: 400, code: bad},
		{body: `{"email":["known@example.test\ncc: attacker@evil.test"]}`, status: 400, code: bad},
		{body: `{"email":["known@example.test\u0000"]}`, status: 400, code: bad},
		// A member twice, in another case, or elsewhere than in the body.
		{body: `{"email":["a@x.test"],"email":["b@x.test"]}`, status: 400, code: bad},
		{body: `{"email":["a@x.test"],"EMAIL":["b@x.test"]}`, status: 200, mailed: []string{"a@x.test"}},
		{body: `email=b@x.test`, headers: []string{"Content-Type", "application/x-www-form-urlencoded"}, status: 415, code: reset.CodeNotSupported},
		// The same address over and over.
		{body: `{"email":["` + strings.Repeat(`known@example.test","`, 9_999) + `known@example.test"]}`, status: 400, code: many},
		{body: `{"email":["` + strings.Join(same50[:10], `","`) + `"]}`, status: 200, mailed: []string{"known@example.test"}},
		{body: `{"email":["` + strings.Join(same50, `","`) + `"]}`, status: 400, code: many},
		{body: `{"email":["kn.own@example.test","known+x@example.test","KNOWN@EXAMPLE.TEST"]}`, status: 200, mailed: []string{"known@example.test"}},
		// Look-alikes: refused, or somebody else's mailbox.
		{body: `{"email":["known@examplé.test"]}`, status: 200},
		{body: `{"email":["admın@example.test"]}`, status: 200},
		{body: `{"email":["ＡＤＭＩＮ@example.test"]}`, status: 200},
		{body: "{\"email\":[\"\u212a@example.test\"]}", status: 200},
		{body: "{\"email\":[\"known@\u212aexample.test\"]}", status: 400, code: bad},
	} {
		t.Run(fmt.Sprintf("%.80q", c.body), func(t *testing.T) {
			t.Parallel()
			a := serve(t, servicetest.New(t))
			for _, v := range victims {
				a.AddUser(t, v, "")
			}
			got := a.do(t, "POST", askPath+"?email=b@x.test", c.body, c.headers...)
			if c.status == 200 && got.Status == 200 {
				got.is(t, 200, got.Body)
			} else {
				got.failed(t, c.status, c.code)
			}
			if mailed := slices.Sorted(maps.Keys(mailedTo(t, a))); !slices.Equal(mailed, c.mailed) {
				t.Errorf("mailed %v, want %v", mailed, c.mailed)
			}
		})
	}
}

// spelled is an ASCII address with the letters in capitals that the bits of n name.
func spelled(s string, n int) string {
	b := []byte(s)
	for i := range b {
		if 'a' <= b[i] && b[i] <= 'z' && n>>i&1 == 1 {
			b[i] -= 'a' - 'A'
		}
	}
	return string(b)
}

func TestCatalogueOfIDs(t *testing.T) {
	t.Parallel()
	a := serve(t, servicetest.New(t))
	a.AddUser(t, "known@example.test", "")
	id := a.MailedID(t, "known@example.test")
	before := a.Dump(t)
	for path, status := range map[string]int{
		resetPath + "../reset/" + id:                       404,
		resetPath + id + "/":                               404,
		resetPath + id + "%00":                             401,
		resetPath + "%2e%2e":                               404,
		resetPath + strings.ToUpper(id):                    401,
		resetPath + "{" + id + "}":                         401,
		resetPath + "%7B" + id + "%7D":                     401,
		resetPath + "urn:uuid:" + id:                       401,
		resetPath + id + "%0a":                             401,
		resetPath + "%0d%0a" + id:                          401,
		resetPath + strings.ReplaceAll(id, "-", ""):        401,
		resetPath + "%20" + id:                             401,
		resetPath + "0":                                    401,
		resetPath + "null":                                 401,
		resetPath + id[:35]:                                401,
		resetPath + "00000000-0000-0000-0000-000000000000": 401,
	} {
		body := `{"password":"` + goodPassword + `"}`
		got := a.raw(t, false, wire(fmt.Sprintf("POST %s HTTP/1.1\nHost: x\nContent-Type: application/json\nContent-Length: %d\nConnection: close", path, len(body)), body))
		code := reset.CodeNotAuthorized
		if status == 404 {
			code = reset.CodeNotFound
		}
		if got.failed(t, status, code); t.Failed() {
			t.Fatal(strings.ReplaceAll(path, id, "ID"))
		}
	}
	a.untouched(t, before)
}

// What else is in the body of a reset is nobody's business.
func TestCatalogueOfResets(t *testing.T) {
	t.Parallel()
	a := serve(t, servicetest.New(t))
	a.AddUser(t, "known@example.test", "Known of the Long Name", "The Account's Name")
	a.AddUser(t, "v@x.test", "")
	id := a.MailedID(t, "known@example.test")
	before := a.Dump(t)
	for _, c := range []struct {
		password string // as it stands in the JSON
		status   int
		code     reset.Code
	}{
		{strings.Repeat("x", 1<<20-len(`{"password":""}`)), 400, reset.CodeBadValue},
		{strings.Repeat("x", 1<<20), 413, reset.CodeRestriction},
		{`a rather long\u0000 sentence`, 400, reset.CodeBadValue},
		{`a rather long \ud800 sentence`, 400, reset.CodeBadValue},
		{`known@example.test`, 400, reset.CodeBadValue},
		{`Known of the Long Name`, 400, reset.CodeBadValue},
		{`The Account's Name`, 400, reset.CodeBadValue},
		{`                `, 400, reset.CodeBadValue},                 // only spaces: a repetition
		{strings.Repeat("\U0001f54a", 1024), 400, reset.CodeBadValue}, // another
	} {
		a.do(t, "POST", resetPath+id, `{"password":"`+c.password+`"}`).failed(t, c.status, c.code)
	}
	a.untouched(t, before)
	var birds strings.Builder // 1,024 code points of 4 bytes
	for i := range 1024 {
		birds.WriteRune(rune(0x1f300 + i*i*31%500))
	}
	id = a.MailedID(t, "known@example.test")
	a.do(t, "POST", resetPath+id, `{"password":"`+birds.String()+`"}`).is(t, 200, `{"id":"`+id+`"}`)
	if !a.VerifyPassword(t, "known@example.test", birds.String()) {
		t.Errorf("%.40q is not the password now", birds.String())
	}
	id = a.MailedID(t, "known@example.test")
	a.do(t, "POST", resetPath+id, `{"password":"`+goodPassword+`","email":"v@x.test","user_id":1}`).is(t, 200, `{"id":"`+id+`"}`)
	if !a.VerifyPassword(t, "known@example.test", goodPassword) || a.VerifyPassword(t, "v@x.test", goodPassword) {
		t.Error("it changed another password than that of the link's user alone")
	}
	id = a.MailedID(t, "known@example.test") // the one that is set already is no secret to whoever sets it
	a.do(t, "POST", resetPath+id, `{"password":"`+goodPassword+`"}`).is(t, 200, `{"id":"`+id+`"}`)
}

func TestCatalogueOfKeys(t *testing.T) {
	t.Parallel()
	a := serve(t, servicetest.New(t), requireKey)
	a.AddUser(t, "known@example.test", "")
	id := a.MailedID(t, "known@example.test")
	key := a.NewKey(t, "good", reset.ScopeReset, "")
	for _, header := range []string{
		"X-Auth-Token: " + key, "X-Auth-Token: Token " + key,
		"X-Auth-Token: Bearer " + key, // a prefix that the client chose
		"x-auth-TOKEN: " + key + "  ", // what is around a value is no part of it (RFC 9110, 5.5)
	} {
		a.raw(t, false, wire("GET "+metadataPath+id+" HTTP/1.1\nHost: x\n"+header+"\nConnection: close", "")).
			is(t, 200, `{"id":"`+id+`","multiple_accounts":false}`)
	}
	for _, c := range []struct {
		header string
		status int
	}{
		{"X-Auth-Token:", 401},
		{"X-Auth-Token: Token ", 401},
		{"X-Auth-Token: " + key + "\nX-Auth-Token: " + key, 401},
		{"X-Auth-Token: " + key[:10] + " " + key[10:], 401},
		{"X-Auth-Token: " + strings.ToUpper(key), 401},
		{"X-Auth-Token: " + strings.ToLower(key), 401},
		{"Authorization: Bearer " + key, 401},
		{"X-Auth-Token: " + strings.Repeat("k", 1<<20), 401},
		{"X-Auth-Token: " + key + "\n \nX-Forged: 1", 401}, // CR LF inside, as a folded line
	} {
		got := a.raw(t, false, wire("GET "+metadataPath+id+" HTTP/1.1\nHost: x\n"+c.header+"\nConnection: close", ""))
		if got.Status != c.status && got.Status != 400 {
			t.Errorf("%.60q is answered %d, want %d", strings.ReplaceAll(c.header, key, "KEY"), got.Status, c.status)
		}
		if strings.Contains(got.Body, id) {
			t.Errorf("%.60q opens the request", c.header)
		}
	}
}
