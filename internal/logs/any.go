package logs

import (
	"encoding"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/url"
	"reflect"
	"strings"
	"time"
)

// maxNodes is how many parts of a value are followed. A value with more would
// keep the program busy, and a cycle would never end.
const maxNodes = 1000

// cut stands for what was not followed.
const cut = "…"

// redactAny turns a value of any type into one of plain texts, numbers, lists
// and maps, all cleaned. Whatever can say what it is (LogValue, Error, String,
// MarshalText, MarshalJSON) is taken at its word; of other structs the
// exported fields are taken, except that slog's own types keep their structure.
func redactAny(v any, keepUUID bool) slog.Value {
	w := walker{left: maxNodes}
	return slog.AnyValue(w.clean(v, keepUUID))
}

type walker struct{ left int }

// clean returns the cleaned form of v. A method of v that panics costs only its own value.
func (w *walker) clean(v any, keepUUID bool) (clean any) {
	defer func() {
		if recover() != nil {
			clean = unprintable(v)
		}
	}()
	w.left--
	if w.left < 0 {
		return cut
	}
	value := reflect.ValueOf(v)
	if v == nil || value.Kind() == reflect.Pointer && value.IsNil() {
		return nil
	}
	p := withPointerMethods(v)
	switch p := p.(type) {
	case *slog.Attr:
		return map[string]any{redactText(p.Key): w.named(p.Key, p.Value)}
	case *slog.Value:
		return w.value(*p, keepUUID)
	case slog.LogValuer:
		return w.value(slog.AnyValue(p), keepUUID)
	}
	if text, ok := ownWord(p); ok {
		return redactString(text, keepUUID)
	}
	if m, ok := p.(json.Marshaler); ok {
		return w.marshalled(m, keepUUID)
	}
	return w.walk(value, keepUUID)
}

// marshalled cleans what a value says of itself in JSON.
func (w *walker) marshalled(m json.Marshaler, keepUUID bool) any {
	text, err := m.MarshalJSON()
	if err != nil {
		return unprintable(m)
	}
	var v any
	if err := json.Unmarshal(text, &v); err != nil {
		return unprintable(m)
	}
	return w.clean(v, keepUUID)
}

// value cleans what slog keeps a value in.
func (w *walker) value(v slog.Value, keepUUID bool) any {
	v = v.Resolve()
	if v.Kind() != slog.KindGroup {
		return w.clean(v.Any(), keepUUID)
	}
	m := map[string]any{}
	for _, a := range v.Group() {
		m[redactText(a.Key)] = w.named(a.Key, a.Value)
	}
	return m
}

// named cleans a value that has a name.
func (w *walker) named(name string, v any) any {
	if isSecretKey(name) {
		return redacted
	}
	return w.clean(v, namesUUID(name))
}

// unprintable stands for a value that cannot be shown.
func unprintable(v any) string { return fmt.Sprintf("[%T]", v) }

// ownWord returns what a value says that it is. String goes before MarshalText:
// a type that hides a secret in one of them does so in the one for people.
func ownWord(v any) (string, bool) {
	switch v := v.(type) {
	case *url.Userinfo:
		return userGap, true
	case *time.Time:
		return v.Format(time.RFC3339Nano), true
	case error:
		return v.Error(), true
	case fmt.Stringer:
		return v.String(), true
	case encoding.TextMarshaler:
		text, err := v.MarshalText()
		return string(text), err == nil
	}
	return "", false
}

// withPointerMethods returns a pointer to a copy of v, unless v is a pointer
// already, so that methods on the pointer count too: String of *url.URL
// shows a URL as one word, in which the user part is found.
func withPointerMethods(v any) any {
	value := reflect.ValueOf(v)
	if value.Kind() == reflect.Pointer {
		return v
	}
	p := reflect.New(value.Type())
	p.Elem().Set(value)
	return p.Interface()
}

// walk cleans what has no word of its own.
func (w *walker) walk(v reflect.Value, keepUUID bool) any {
	switch v.Kind() {
	case reflect.String:
		return redactString(v.String(), keepUUID)
	case reflect.Bool, reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Float32, reflect.Float64:
		return v.Interface()
	case reflect.Pointer, reflect.Interface:
		if v.IsNil() {
			return nil
		}
		return w.clean(v.Elem().Interface(), keepUUID)
	case reflect.Slice, reflect.Array:
		return w.list(v, keepUUID)
	case reflect.Map:
		return w.entries(v)
	case reflect.Struct:
		return w.fields(v)
	default: // channels, functions, unsafe pointers, complex numbers
		return unprintable(v.Interface())
	}
}

// list cleans the elements of a list; bytes are taken for a text.
func (w *walker) list(v reflect.Value, keepUUID bool) any {
	if v.Type().Elem().Kind() == reflect.Uint8 {
		b := make([]byte, v.Len())
		reflect.Copy(reflect.ValueOf(b), v)
		return redactString(string(b), keepUUID)
	}
	elements := []any{}
	for i := range v.Len() {
		if w.left <= 0 {
			elements = append(elements, cut)
			break
		}
		elements = append(elements, w.clean(v.Index(i).Interface(), keepUUID))
	}
	return elements
}

// entries cleans the keys and values of a map.
func (w *walker) entries(v reflect.Value) any {
	m := map[string]any{}
	for key, value := range v.Seq2() {
		if w.left <= 0 {
			m[cut] = cut
			break
		}
		name := fmt.Sprint(w.clean(key.Interface(), false))
		m[name] = w.named(name, value.Interface())
	}
	return m
}

// fields cleans the exported fields of a struct, by the names that JSON gives them.
func (w *walker) fields(v reflect.Value) any {
	m := map[string]any{}
	for i := range v.NumField() {
		f := v.Type().Field(i)
		if !f.IsExported() {
			continue
		}
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name == "-" {
			continue
		}
		if name == "" {
			name = f.Name
		}
		if isSecretKey(f.Name) {
			m[name] = redacted
			continue
		}
		m[name] = w.named(name, v.Field(i).Interface())
	}
	return m
}
