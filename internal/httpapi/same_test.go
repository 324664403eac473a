package httpapi_test

import (
	"strings"
	"testing"

	"github.com/sparekey/sparekey/internal/servicetest"
)

// All kinds of address get one answer (OWASP Forgot Password Cheat Sheet, ASVS 6.3.8).
// The addresses are of one length, since the answer repeats them.
func TestEveryAddressIsAnsweredAlike(t *testing.T) {
	t.Parallel()
	a := serve(t, servicetest.New(t, servicetest.WithThrottle()))
	a.AddUser(t, "known0000@example.com", "Known")
	a.AddUser(t, "throttled@example.com", "Throttled")
	a.AddUser(t, "disabled0@example.com", "Disabled")
	a.AddUser(t, "suspended@example.com", "Suspended", "gone")
	a.AddUser(t, "halfgone0@example.com", "Half", "gone", "acme")
	a.AddUser(t, "severals0@example.com", "Several", "acme", "globex")
	if err := a.Users.Disable(t.Context(), "disabled0@example.com"); err != nil {
		t.Fatal(err)
	}
	if err := a.Users.Suspend(t.Context(), "gone"); err != nil {
		t.Fatal(err)
	}
	const ghost = "throttle2@example.com" // throttled, and nobody's
	for _, address := range []string{"throttled@example.com", ghost} {
		for range 2 {
			a.do(t, "POST", askPath, `{"email":["`+address+`"]}`, "Test-Client", "192.0.2.99")
		}
	}
	ask := func(address string) answer {
		got := a.do(t, "POST", askPath, `{"email":["`+address+`"]}`)
		got.Body = strings.ReplaceAll(got.Body, address, "ADDRESS")
		return got
	}
	want := ask("unknown00@example.com")
	want.is(t, 200, `{"email":["ADDRESS"]}`)
	for _, address := range []string{
		"known0000@example.com", "disabled0@example.com", "suspended@example.com", "halfgone0@example.com",
		"severals0@example.com", "throttled@example.com", ghost, "KNOWN0000@Example.COM",
	} {
		same(t, address, want, ask(address))
	}
	a.WorkOutbox(t)
	mailed := make(map[string]int)
	for _, link := range a.Links() {
		mailed[link.User.Email.Raw()]++
	}
	for address, mails := range map[string]int{
		"known0000@example.com": 1, "throttled@example.com": 1, "severals0@example.com": 1,
		"halfgone0@example.com": 1, "disabled0@example.com": 0, "suspended@example.com": 0,
	} {
		if mailed[address] != mails {
			t.Errorf("%s was mailed %d times, want %d", address, mailed[address], mails)
		}
	}
}

func TestAMailServerThatIsDownChangesNoAnswer(t *testing.T) {
	t.Parallel()
	a := serve(t, servicetest.New(t))
	a.AddUser(t, "ann@example.com", "Ann")
	want := a.do(t, "POST", askPath, `{"email":["ann@example.com"]}`)
	a.FailMail(errDown{})
	same(t, "while the mail server is down", want, a.do(t, "POST", askPath, `{"email":["ann@example.com"]}`))
	a.FailMail(nil)
	a.WorkOutbox(t)
	if n := len(a.Links()); n != 2 {
		t.Errorf("%d mails, want 2", n)
	}
}

type errDown struct{}

func (errDown) Error() string { return "connection refused" }

// An id that is malformed, one that is nobody's and one of another account tell nothing.
func TestEveryIDThatOpensNothingIsAnsweredAlike(t *testing.T) {
	t.Parallel()
	a := serve(t, servicetest.New(t))
	a.AddUser(t, "ann@example.com", "Ann")
	id := a.MailedID(t, "ann@example.com")
	body := passwordBody(t, goodPassword)
	look, set := a.do(t, "GET", metadataPath+unknownID, ""), a.do(t, "POST", resetPath+unknownID, body)
	look.is(t, 401, `{"msg":"this id opens nothing; please ask for a new link","code":14}`)
	same(t, "a reset", look, set)
	before := a.Dump(t)
	for _, bad := range malformed(id) {
		same(t, bad, look, a.do(t, "GET", metadataPath+bad, ""))
		same(t, bad, look, a.do(t, "POST", resetPath+bad, body))
	}
	a.untouched(t, before)
}

// malformed are ways to write an id that are not the one way.
func malformed(id string) []string {
	return []string{
		strings.ToUpper(id), "%7B" + id + "%7D", "{" + id + "}", "urn:uuid:" + id, strings.ReplaceAll(id, "-", ""),
		id + "%00", id + "%0a", "%0a" + id, id + "%20", "%20" + id, id + "%2500", strings.Replace(id, "-", "%252d", 1),
		strings.ReplaceAll(id, id[:1], "%25"+hex(id[0])), id[1:], id + "0", id + "," + id, id + ";x", id + "%2f" + id,
		"0", "null", "undefined", "true", "%00", "*", "%25", "00000000-0000-0000-0000-000000000000", "..%00",
		strings.Replace(id, "-", "%E2%80%90", 1), "%ff%fe", strings.Repeat("a", 60_000), "' OR 1=1 --%20",
	}
}

func hex(b byte) string {
	const digits = "0123456789abcdef"
	return string([]byte{digits[b>>4], digits[b&15]})
}
