package logs_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/sparekey/sparekey/internal/logs"
	"github.com/sparekey/sparekey/internal/reset"
)

const (
	someUUID = "0f8fad5b-d9cb-469f-a165-70867728950e"
	someKey  = "spk_Zm9v-YmFy_YmF6cXV4"
	someHash = "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHQ$aGFzaGhhc2hoYXNo"
)

func TestSecretsInTextAreReplaced(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, in, want string }{
		{"nothing to hide", "12 mails in 3.5s - 40% of 30, costs 5$", "12 mails in 3.5s - 40% of 30, costs 5$"},
		{"address", "to jane.doe+x@mail.example.com now", "to [address] now"},
		{"address in angle brackets", `550 <jane@example.test>: no such user`, "550 <[address]>: no such user"},
		{"two addresses", "jane@example.test,joe@example.test", "[address],[address]"},
		{"address of another script", "jürgen@müller.test", "[address]"},
		{"quoted local part", `"jane doe"@example.test`, "[address]"},
		{"odd local part", "o'brien=/{}|~!#$%&*`?^_-x@example.test", "[address]"},
		{"address in a query", "GET /forgot?email=jane%40example.test&x=1", "GET [address]"},
		{"address escaped twice", "jane%2540example.test", "[address]"},
		{"percent escapes without a secret stay", "/a%20b%2Fc%zz%", "/a%20b%2Fc%zz%"},
		{"uuid", "GET /reset/" + someUUID + " 200", "GET /reset/[uuid] 200"},
		{"uuid in capitals, in braces", "{" + strings.ToUpper(someUUID) + "}", "{[uuid]}"},
		{"uuid between other digits", "ab" + someUUID + "12", "ab[uuid]12"},
		{"uuid escaped", strings.ReplaceAll(someUUID, "-", "%2D"), "[uuid]"},
		{"key", "X-Auth-Token: app " + someKey + ".", "X-Auth-Token: app [key]."},
		{"hash", "stored " + someHash + " for 7", "stored [hash] for 7"},
		{"hash of another kind", "$2b$12$abcdefghijklmnopqrstuv", "[hash]"},
		{"user and password in a URL", "dial smtp://joe:p@ss/w:rd@mx.example.test:25/x?a=b", "dial smtp://[hidden]@mx.example.test:25/x?a=b"},
		{"several", someKey + " " + someUUID + " " + someHash + " a@b.test", "[key] [uuid] [hash] [address]"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var out bytes.Buffer
			log := logs.New(&out, "json", slog.LevelInfo)
			log.Info(tt.in, "text", tt.in, "err", errors.New(tt.in), slog.Group("g", slog.Any("list", []string{tt.in})))
			want := map[string]any{
				"level": "INFO", "msg": tt.want, "text": tt.want, "err": tt.want,
				"g": map[string]any{"list": []any{tt.want}},
			}
			if diff := cmp.Diff(want, parse(t, out.Bytes())); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestJobsAndUsersKeepTheirIDs(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	log := logs.New(&out, "json", slog.LevelInfo).With("job_id", someUUID)
	log.Info("", slog.Group("g", "user_id", someUUID), "request_id", someUUID, "user", map[string]string{"user_id": someUUID, "id": someUUID})
	want := map[string]any{
		"level": "INFO", "msg": "", "job_id": someUUID, "request_id": "[uuid]",
		"g":    map[string]any{"user_id": someUUID},
		"user": map[string]any{"user_id": someUUID, "id": "[uuid]"},
	}
	if diff := cmp.Diff(want, parse(t, out.Bytes())); diff != "" {
		t.Error(diff)
	}
	out.Reset()
	logs.New(&out, "json", slog.LevelInfo).Info("", "user_id", "jane@example.test", "job_id", someKey)
	if line := parse(t, out.Bytes()); line["user_id"] != "[address]" || line["job_id"] != "[key]" {
		t.Errorf("an id is more than a UUID: %v", line)
	}
}

func TestAttributesNamedLikeSecretsLoseTheirValue(t *testing.T) {
	t.Parallel()
	// Negative, because the digits alone turn up in the nanoseconds of a line's time now and then.
	const number = -424242
	for _, key := range []string{
		"password", "Password", "new_password", "secret", "ClientSecret", "token", "X-Auth-Token", "x-auth-token",
		"Authorization", "Proxy-Authorization", "cookie", "Set-Cookie",
	} {
		for _, value := range []any{
			"canary", number,
			[]string{"canary"},
			errors.New("canary"),
			slog.GroupValue(slog.String("a", "canary"), slog.Int("b", number)),
			http.Header{"A": {"canary"}},
		} {
			var out bytes.Buffer
			log := logs.New(&out, "json", slog.LevelInfo)
			log.Info("", key, value)
			log.With(key, value).Info("")
			log.WithGroup(key).Info("", "inner", value)
			log.WithGroup(key).With("inner", value).WithGroup("deeper").Info("", "inner", value)
			log.Info("", slog.Group("g", key, value))
			log.Info("", "any", map[string]any{key: value})
			if got := out.String(); strings.Contains(got, "canary") || strings.Contains(got, strconv.Itoa(number)) {
				t.Errorf("%s: a value survives:\n%s", key, got)
			}
			if n := strings.Count(out.String(), "[redacted]"); n < 6 {
				t.Errorf("%s: only %d times redacted:\n%s", key, n, out.String())
			}
		}
	}
	var out bytes.Buffer
	logs.New(&out, "json", slog.LevelInfo).Info("", "keys", 3, "tokens", 4, "passwords_hashed", 5, "secretary", "x")
	if strings.Contains(out.String(), "[redacted]") {
		t.Errorf("names that only resemble those of secrets: %s", out.String())
	}
}

// Types that hide, or show, what they hold in various ways.
type (
	stringer  struct{ s string }
	ptrString struct{ S string }
	marshaler struct{ s string }
	valuer    struct{ s string }
	panicker  struct{}
	record    struct {
		Name     string `json:"name"`
		Bytes    []byte
		Password string
		Renamed  string `json:"token,omitempty"`
		Token    string `json:"t"`
		Skipped  string `json:"-"`
		private  string
		Inner    any
	}
	ring struct{ Next *ring }
)

func (s stringer) String() string   { return s.s }
func (p *ptrString) String() string { return "hidden" }
func (m marshaler) MarshalJSON() ([]byte, error) {
	return json.Marshal(map[string]string{"password": m.s})
}
func (v valuer) LogValue() slog.Value { return slog.GroupValue(slog.String("password", v.s)) }
func (panicker) String() string       { panic("no") }

func TestValuesOfAnyTypeAreCleaned(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	cycle := &ring{}
	cycle.Next = cycle
	tests := []struct {
		name string
		in   any
		want any
	}{
		{"nil", nil, nil},
		{"nil pointer", (*ptrString)(nil), nil},
		{"numbers", []any{1, 2.5, true, at, time.Second}, []any{1.0, 2.5, true, "2026-01-02T03:04:05Z", "1s"}},
		{"bytes", []byte("a@b.test"), "[address]"},
		{"array of bytes", [8]byte([]byte("a@b.test")), "[address]"},
		{"error in a list", []error{errors.New("a@b.test")}, []any{"[address]"}},
		{"stringer", stringer{"a@b.test"}, "[address]"},
		{"String on the pointer", ptrString{"a@b.test"}, "hidden"},
		{"MarshalJSON", marshaler{"canary"}, map[string]any{"password": "[redacted]"}},
		{"raw JSON", json.RawMessage(`{"secret":1,"n":2}`), map[string]any{"secret": "[redacted]", "n": 2.0}},
		{"LogValue in a list", []any{valuer{"canary"}}, []any{map[string]any{"password": "[redacted]"}}},
		{"attribute in a list", []any{slog.String("password", "canary")}, []any{map[string]any{"password": "[redacted]"}}},
		{"URL", url.URL{Scheme: "https", User: url.UserPassword("a", "canary"), Host: "b.test"}, "https://[hidden]@b.test"},
		{"userinfo", url.UserPassword("a", "canary"), "[hidden]"},
		{"key of a map", map[string]int{"a@b.test": 1}, map[string]any{"[address]": 1.0}},
		{"header", http.Header{"Authorization": {"canary"}, "Accept": {"*/*"}}, map[string]any{"Authorization": "[redacted]", "Accept": []any{"*/*"}}},
		{
			"struct", &record{Name: someKey, Bytes: []byte(someUUID), Password: "canary", Renamed: "canary", Token: "canary", Skipped: "canary", private: "canary", Inner: stringer{someHash}},
			map[string]any{"name": "[key]", "Bytes": "[uuid]", "Password": "[redacted]", "token": "[redacted]", "t": "[redacted]", "Inner": "[hash]"},
		},
		{"panics", []any{panicker{}, 1}, []any{"[logs_test.panicker]", 1.0}},
		{"channel", make(chan int), "[chan int]"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var out bytes.Buffer
			logs.New(&out, "json", slog.LevelInfo).Info("", "v", tt.in)
			if diff := cmp.Diff(tt.want, parse(t, out.Bytes())["v"]); diff != "" {
				t.Error(diff)
			}
		})
	}
	var out bytes.Buffer
	logs.New(&out, "text", slog.LevelInfo).Info("", "cycle", cycle, "wide", make([]int, 1<<20))
	if !strings.Contains(out.String(), "…") || out.Len() > 1<<14 {
		t.Errorf("a cycle and a long list came to %d bytes", out.Len())
	}
}

// planted draws a secret: the text that holds it and the part that must not survive.
func planted(t *rapid.T) (text, secret string) {
	word := rapid.StringMatching(`[a-z][a-z0-9]{7,11}`)
	switch rapid.IntRange(0, 4).Draw(t, "sort") {
	case 0:
		secret = rapid.StringMatching(`[A-Za-z0-9!#$%&'*+/=?^_{|}~-]{6,12}`).Draw(t, "local")
		return secret + "@" + word.Draw(t, "domain") + ".test", secret
	case 1:
		secret = rapid.StringMatching(`[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}`).Draw(t, "uuid")
		return secret, secret
	case 2:
		secret = rapid.StringMatching(`[A-Za-z0-9_-]{43}`).Draw(t, "key")
		return "spk_" + secret, secret
	case 3:
		secret = rapid.StringMatching(`[A-Za-z0-9+/]{22}\$[A-Za-z0-9+/]{43}`).Draw(t, "hash")
		return "$argon2id$v=19$m=19456,t=2,p=1$" + secret, secret
	default:
		secret = rapid.StringMatching(`[A-Za-z0-9:/?#@!$&'()*+,;=._~-]{8,16}`).Draw(t, "password")
		return "smtp://user:" + secret + "@" + word.Draw(t, "host") + ".test:587", secret
	}
}

// hide puts a text somewhere into a value.
func hide(t *rapid.T, text string, depth int) any {
	if depth == 0 {
		switch rapid.IntRange(0, 7).Draw(t, "leaf") {
		case 0:
			return errors.New(text)
		case 1:
			return fmt.Errorf("dial: %w", errors.New(text))
		case 2:
			return stringer{text}
		case 3:
			return []byte(text)
		case 4:
			return record{Name: text, Bytes: []byte(text), Password: text}
		case 5:
			return valuer{text}
		case 6:
			return marshaler{text}
		default:
			return text
		}
	}
	inner := hide(t, text, depth-1)
	switch rapid.IntRange(0, 5).Draw(t, "around") {
	case 0:
		return slog.GroupValue(slog.Any("a", inner), slog.Int("n", 1))
	case 1:
		return []any{1, inner}
	case 2:
		return map[string]any{"k": inner}
	case 3:
		return &record{Inner: inner}
	case 4:
		return slog.AnyValue(inner)
	default:
		return []slog.Attr{slog.Any("a", inner)}
	}
}

func TestPlantedSecretsNeverSurvive(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		text, secret := planted(t)
		around := rapid.StringMatching(`[ (<"]?`).Draw(t, "before")
		text = around + text
		var out bytes.Buffer
		log := logs.New(&out, rapid.SampledFrom([]string{"json", "text"}).Draw(t, "format"), slog.LevelInfo)
		ctx := logs.WithRequestID(t.Context(), text)
		for range rapid.IntRange(0, 3).Draw(t, "steps") {
			switch rapid.IntRange(0, 2).Draw(t, "step") {
			case 0:
				log = log.WithGroup(rapid.SampledFrom([]string{"g", "h", text}).Draw(t, "group"))
			case 1:
				log = log.With("w", hide(t, text, rapid.IntRange(0, 3).Draw(t, "depth")))
			default:
				log = log.With(text, 1)
			}
		}
		log.InfoContext(ctx, "about "+text, "v", hide(t, text, rapid.IntRange(0, 3).Draw(t, "depth")),
			"password", hide(t, text, 1), "n", 7)
		// What an escape in the output hides would be no comfort.
		plain := strings.NewReplacer(`\"`, `"`, `\\`, `\`, `\u0026`, "&", `\u003c`, "<", `\u003e`, ">").Replace(out.String())
		if strings.Contains(plain, secret) {
			t.Fatalf("%q survives in\n%s", secret, plain)
		}
	})
}

func FuzzRedaction(f *testing.F) {
	for _, seed := range []string{"", "@", "a@b", "://@", "spk_", "$a$", "%", "%4", "%40", "%25%34%30", "----", someUUID, someKey, someHash, `"@"@"`, "\xff@\xff"} {
		f.Add(seed)
	}
	key := regexp.MustCompile(`spk_[A-Za-z0-9]`)
	f.Fuzz(func(t *testing.T, s string) {
		var out bytes.Buffer
		logs.New(&out, "json", slog.LevelInfo).Info(s)
		msg, ok := parse(t, out.Bytes())["msg"].(string)
		if !ok {
			t.Fatalf("no message in %s", out.String())
		}
		if key.MatchString(msg) {
			t.Errorf("a key survives in %q", msg)
		}
		for i := range max(0, len(msg)-35) {
			if _, ok := reset.ParseID(msg[i : i+36]); ok {
				t.Errorf("an id survives in %q", msg)
			}
		}
		for word := range strings.FieldsSeq(msg) {
			if _, err := reset.ParseAddress(word); err == nil {
				t.Errorf("an address survives in %q", msg)
			}
		}
	})
}
