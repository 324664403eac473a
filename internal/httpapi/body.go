package httpapi

import (
	"bytes"
	"errors"
	"mime"
	"net/http"
	"os"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/sparekey/sparekey/internal/reset"
)

// maxBody is the longest body that is read, in bytes: room for a bulk request
// of some tens of thousands of addresses.
const maxBody = 1 << 20

// roomForPassword is how long a body with a password is at most, in bytes, if
// its characters are not escaped.
const roomForPassword = 16 << 10

var (
	errTooLarge  = &failure{status: http.StatusRequestEntityTooLarge, code: reset.CodeRestriction, message: "the body is longer than 1 MiB", closes: true}
	errNotJSON   = &failure{status: http.StatusUnsupportedMediaType, code: reset.CodeNotSupported, message: "the body must be sent as Content-Type: application/json, in UTF-8"}
	errEncoded   = &failure{status: http.StatusUnsupportedMediaType, code: reset.CodeNotSupported, message: "the body must be sent without Content-Encoding"}
	errSlowBody  = &failure{status: http.StatusBadRequest, code: reset.CodeBadValue, message: "the body did not arrive in time", closes: true}
	errShortBody = &failure{status: http.StatusBadRequest, code: reset.CodeBadValue, message: "the body did not arrive whole", closes: true}
)

func missing(message string) error {
	return &reset.Error{Kind: reset.Invalid, Code: reset.CodeMissing, Message: message}
}

// readJSON reads the body of a call into the struct that v points to.
func readJSON(w http.ResponseWriter, r *http.Request, v any) error {
	body, err := readBody(w, r)
	defer clear(body) // what was read of it may be a password, and parsing has copied it
	if err != nil {
		return err
	}
	return parse(body, v)
}

// readBody reads the body of a call, which must be one of JSON. Whatever its
// headers tell against it is said before a byte of it is read.
func readBody(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	switch {
	case r.ContentLength == 0:
		return nil, errNoBody()
	case r.ContentLength > maxBody:
		return nil, errTooLarge
	case !isPlain(r.Header["Content-Encoding"]):
		return nil, errEncoded
	case !isJSON(r.Header["Content-Type"]):
		return nil, errNotJSON
	}
	// With room for a password from the start, so that growing leaves no copy of one behind.
	body := bytes.NewBuffer(make([]byte, 0, min(max(r.ContentLength, 0), roomForPassword)+bytes.MinRead))
	if _, err := body.ReadFrom(http.MaxBytesReader(w, r.Body, maxBody)); err != nil {
		return body.Bytes(), bodyError(err)
	}
	return body.Bytes(), nil
}

func errNoBody() error { return missing("there is no body; it must be a JSON object") }

func bodyError(err error) error {
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return errTooLarge
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return errSlowBody
	}
	return errShortBody
}

// isPlain reports whether no content coding is named but identity.
func isPlain(codings []string) bool {
	for _, c := range codings {
		if c != "" && !strings.EqualFold(c, "identity") {
			return false
		}
	}
	return true
}

// isJSON reports whether the one Content-Type is application/json, with no
// parameter but charset=utf-8, which changes nothing (RFC 8259, 8.1 and 11).
func isJSON(types []string) bool {
	if len(types) != 1 {
		return false
	}
	if types[0] == "application/json" {
		return true
	}
	media, params, err := mime.ParseMediaType(types[0])
	if err != nil || media != "application/json" {
		return false
	}
	for name, value := range params {
		if name != "charset" || !strings.EqualFold(value, "utf-8") {
			return false
		}
	}
	return true
}

// parse reads one JSON object strictly: in valid UTF-8, no name twice, nothing
// behind it, names matched in their own case (RFC 8259; OWASP ASVS 4.1, 1.5).
// Members that v does not have are ignored. The message says what is wrong and
// where, and repeats nothing of the body.
func parse(body []byte, v any) error {
	err := json.Unmarshal(body, v)
	if err == nil {
		return nil
	}
	if s, ok := errors.AsType[*json.SemanticError](err); ok {
		return wrongType(s)
	}
	s, ok := errors.AsType[*jsontext.SyntacticError](err)
	switch {
	case len(strings.TrimSpace(string(body))) == 0:
		return errNoBody()
	case errors.Is(err, jsontext.ErrDuplicateName):
		return reset.Invalidf("the body has a name twice in one object, at byte %d", s.ByteOffset)
	case ok:
		return reset.Invalidf("the body is not valid JSON in UTF-8, at byte %d", s.ByteOffset)
	default:
		return reset.Invalidf("the body is not valid JSON in UTF-8")
	}
}

// wrongType says which member has a value of the wrong type. The first name in
// the pointer is one of our own, since other members are not looked at.
func wrongType(s *json.SemanticError) error {
	for member := range s.JSONPointer.Tokens() {
		switch member {
		case "email":
			return reset.Invalidf("email must be an array of strings")
		case "altcha":
			return reset.Invalidf("altcha must be a string")
		case "password":
			return reset.Invalidf("password must be a string")
		}
		break
	}
	return reset.Invalidf("the body must be a JSON object")
}
