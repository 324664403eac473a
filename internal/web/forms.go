package web

import (
	"bytes"
	"errors"
	"mime"
	"net/http"
	"net/url"
	"unicode/utf8"
)

// maxForm is how long a form's body may be, in bytes: the longest password
// (4,096 characters), percent-encoded, and room to spare.
const maxForm = 64 << 10

var (
	errFormType  = &pageError{status: http.StatusUnsupportedMediaType, page: "formtype"}
	errFormSize  = &pageError{status: http.StatusRequestEntityTooLarge, page: "toolarge"}
	errFormShape = &pageError{status: http.StatusBadRequest, page: "badform"}
)

// field reads one field of a form, as typed. The field must be there exactly
// once; what else the form holds is ignored, and so is the query.
func field(w http.ResponseWriter, r *http.Request, name string) (string, error) {
	values, err := form(w, r)
	if err != nil {
		return "", err
	}
	return only(values, name)
}

// only is the value of the field of that name, which must be there exactly once.
func only(values url.Values, name string) (string, error) {
	if len(values[name]) != 1 || !utf8.ValidString(values[name][0]) {
		return "", errFormShape
	}
	return values[name][0], nil
}

// form reads the fields of a form.
func form(w http.ResponseWriter, r *http.Request) (url.Values, error) {
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || kind != "application/x-www-form-urlencoded" {
		return nil, errFormType
	}
	// As in the API: one buffer, cleared once its fields were copied out.
	buffer := bytes.NewBuffer(make([]byte, 0, min(max(r.ContentLength, 0), maxForm)+bytes.MinRead))
	_, err = buffer.ReadFrom(http.MaxBytesReader(w, r.Body, maxForm))
	body := buffer.Bytes()
	defer clear(body)
	if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
		return nil, errFormSize
	}
	if err != nil {
		return nil, errFormShape
	}
	values, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, errFormShape
	}
	return values, nil
}
