package hookdir

import (
	"cmp"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"golang.org/x/net/idna"
	"golang.org/x/text/unicode/norm"

	"github.com/sparekey/sparekey/internal/reset"
)

// Bounds of what an application answers, in bytes but for counts.
const (
	maxID          = 255
	maxName        = 200
	maxAccounts    = 100
	maxReasons     = 10
	maxMessage     = 300
	maxParams      = 10
	maxParam       = 1_000_000
	maxApplication = 100
)

var (
	// localeForm is the form of a language tag (RFC 5646, 2.1, without its few grandfathered ones), at most six parts.
	localeForm = regexp.MustCompile(`^[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8}){0,5}$`)
	codeForm   = regexp.MustCompile(`^[a-z][a-z0-9_]{0,63}$`)
	// pointerForm is where in an answer something is wrong, if that can be shown: an application's member names are short and plain.
	pointerForm = regexp.MustCompile(`^[A-Za-z0-9_/-]{1,80}$`)
)

// spellings are what an address is looked for by: its domain in ASCII, and in Unicode if that is another.
func spellings(a reset.Address) []string {
	list := []string{a.Key()}
	local, domain, _ := strings.Cut(a.Key(), "@")
	if unicoded, err := idna.New().ToUnicode(domain); err == nil && unicoded != domain {
		if b, err := reset.ParseAddress(local + "@" + unicoded); err == nil && b.Key() == a.Key() {
			list = append(list, b.Raw())
		}
	}
	return list
}

// checkID answers an error unless an id is one that an application can have: it is kept with requests and shown to operators.
func checkID(id string) error {
	if id == "" || len(id) > maxID || !utf8.ValidString(id) || strings.ContainsFunc(id, breaks) {
		return errors.New("has an id that is empty, longer than 255 bytes, or has control characters")
	}
	return nil
}

// breaks reports whether a character could begin a line or steer a terminal.
func breaks(r rune) bool { return unicode.IsControl(r) || r == '\u2028' || r == '\u2029' }

// user is a user as an application answers it.
type user struct {
	ID       *string        `json:"id"`
	Email    *string        `json:"email"`
	Name     string         `json:"name"`
	Locale   string         `json:"locale"`
	Accounts []string       `json:"accounts"`
	Disabled jsontext.Value `json:"disabled"`
}

// parseUsers reads an answer to find. Users whose address is none are left out: nobody could be mailed.
func parseUsers(a answer) ([]reset.User, error) {
	var body struct {
		Users *[]user `json:"users"`
	}
	if err := parse(a, &body, json.RejectUnknownMembers(true)); err != nil {
		return nil, err
	}
	if body.Users == nil {
		return nil, errors.New("has no users")
	}
	ids := make(map[string]bool, len(*body.Users))
	var users []reset.User
	for _, u := range *body.Users {
		got, err := u.user()
		switch {
		case err != nil:
			return nil, err
		case ids[got.ID]:
			return nil, errors.New("has a user twice")
		}
		ids[got.ID] = true
		if got.Email.Key() != "" {
			users = append(users, got)
		}
	}
	return users, nil
}

// user checks one user; its address is zero if it has none that is one.
func (u user) user() (reset.User, error) {
	if u.ID == nil {
		return reset.User{}, errors.New("has a user without an id")
	}
	if err := checkID(*u.ID); err != nil {
		return reset.User{}, err
	}
	got := reset.User{ID: strings.Clone(*u.ID), Name: line(u.Name, maxName)}
	switch disabled := string(u.Disabled); disabled {
	case "", "false":
	case "true":
		got.Disabled = true
	default: // null too: who knows what is meant by it
		return reset.User{}, errors.New("has disabled that is neither true nor false")
	}
	if u.Email != nil {
		if a, err := reset.ParseAddress(*u.Email); err == nil {
			got.Email = a
		}
	}
	if localeForm.MatchString(u.Locale) {
		got.Locale = u.Locale
	}
	if len(u.Accounts) > maxAccounts {
		return reset.User{}, fmt.Errorf("has a user with more than %d accounts", maxAccounts)
	}
	for _, name := range u.Accounts {
		// An account that was cut or left out could be the one that is suspended.
		name = norm.NFC.String(strings.TrimSpace(name))
		if name == "" || len(name) > maxName || strings.ContainsFunc(name, breaks) {
			return reset.User{}, errors.New("has an account whose name is empty, longer than 200 bytes, or has control characters")
		}
		got.Accounts = append(got.Accounts, reset.Account{Name: name})
	}
	slices.SortFunc(got.Accounts, func(a, b reset.Account) int { return cmp.Compare(a.Name, b.Name) })
	got.Accounts = slices.Compact(got.Accounts)
	return got, nil
}

// health is an answer to health.
type health struct {
	Idempotent  bool
	Application string
}

func parseHealth(a answer) (health, error) {
	var body struct {
		Idempotent  *bool  `json:"idempotent"`
		Application string `json:"application"`
	}
	if err := parse(a, &body); err != nil {
		return health{}, err
	}
	if body.Idempotent == nil {
		return health{}, errors.New("does not say whether it is idempotent")
	}
	return health{*body.Idempotent, line(body.Application, maxApplication)}, nil
}

// outcome is what an answer to set says besides its status.
type outcome struct {
	changed *bool
	reasons []reason
}

type reason struct {
	Code    string                    `json:"code"`
	Message string                    `json:"message"`
	Params  map[string]jsontext.Value `json:"params"`
}

// parseOutcome reads an answer to set. What cannot be read says nothing.
func parseOutcome(a answer) outcome {
	if !a.json(true) {
		return outcome{}
	}
	var said struct {
		Changed *bool `json:"changed"`
	}
	if json.Unmarshal(a.body, &said) != nil {
		return outcome{}
	}
	var why struct {
		Reasons []reason `json:"reasons"`
	}
	if json.Unmarshal(a.body, &why) != nil {
		why.Reasons = nil
	}
	return outcome{said.Changed, why.Reasons}
}

// refusals are the reasons that can be shown. They are the application's words: bounded, in
// one line each, and without the password, which would otherwise be in answers and logs.
func (o outcome) refusals(password string) (list []reset.Refusal) {
	for _, r := range o.reasons[:min(len(o.reasons), maxReasons)] {
		refusal := reset.Refusal{Code: r.Code, Message: line(r.Message, maxMessage)}
		if !codeForm.MatchString(r.Code) || strings.Contains(r.Code, password) {
			refusal.Code = "refused"
		}
		if refusal.Message == "" || repeats(refusal.Message, password) || repeats(r.Message, password) {
			refusal.Message = "Use another password: the directory does not take this one."
		}
		refusal.Params = numbers(r.Params, password)
		list = append(list, refusal)
	}
	return list
}

// numbers are those params that are numbers as the document has them.
func numbers(params map[string]jsontext.Value, password string) map[string]any {
	list := map[string]any{}
	for name, value := range params {
		n, err := strconv.Atoi(string(value))
		if err == nil && n >= 0 && n <= maxParam && codeForm.MatchString(name) && !strings.Contains(name, password) && len(list) < maxParams {
			list[name] = n
		}
	}
	if len(list) == 0 {
		return nil
	}
	return list
}

// repeats reports whether a text has the password in it, in whatever case.
func repeats(text, password string) bool {
	return strings.Contains(text, password) || strings.Contains(strings.ToLower(text), strings.ToLower(password)) ||
		strings.Contains(text, line(password, maxMessage))
}

// parse reads one JSON value and nothing after it. Its errors repeat nothing that was answered but names of members.
func parse(a answer, into any, options ...json.Options) error {
	if !a.json(false) {
		return errors.New("is not application/json")
	}
	err := json.Unmarshal(a.body, into, options...)
	var where jsontext.Pointer
	if e, ok := errors.AsType[*json.SemanticError](err); ok {
		where = e.JSONPointer
	} else if e, ok := errors.AsType[*jsontext.SyntacticError](err); ok {
		where = e.JSONPointer
	}
	switch {
	case err == nil:
		return nil
	case pointerForm.MatchString(string(where)):
		return fmt.Errorf("is not as it should be at %s", where)
	}
	return errors.New("is no JSON as it should be")
}

// line makes a text one line of at most so many bytes, without what could steer a terminal.
func line(s string, most int) string {
	s = strings.Join(strings.FieldsFunc(norm.NFC.String(s), func(r rune) bool { return breaks(r) || unicode.IsSpace(r) }), " ")
	if len(s) <= most {
		return s
	}
	for !utf8.RuneStart(s[most]) {
		most--
	}
	return strings.TrimSpace(s[:most])
}
