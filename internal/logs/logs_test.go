package logs_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/slogtest"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/sparekey/sparekey/internal/logs"
)

// parse returns the one JSON line that was written, without its time.
func parse(t *testing.T, written []byte) map[string]any {
	t.Helper()
	var line map[string]any
	if err := json.Unmarshal(written, &line); err != nil {
		t.Fatalf("not one JSON value: %v\n%s", err, written)
	}
	delete(line, "time")
	return line
}

func TestHandlerKeepsTheRulesOfSlog(t *testing.T) {
	t.Parallel()
	var out *bytes.Buffer
	slogtest.Run(t, func(*testing.T) slog.Handler {
		out = &bytes.Buffer{}
		return logs.New(out, "json", slog.LevelInfo).Handler()
	}, func(t *testing.T) map[string]any {
		var line map[string]any
		if err := json.Unmarshal(out.Bytes(), &line); err != nil {
			t.Fatal(err)
		}
		return line
	})
}

func TestLinesBelowTheLevelAreNotWritten(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	log := logs.New(&out, "json", slog.LevelWarn)
	log.Info("small talk")
	if out.Len() != 0 {
		t.Errorf("written: %s", out.String())
	}
	log.Warn("weighty")
	if parse(t, out.Bytes())["msg"] != "weighty" {
		t.Errorf("written: %s", out.String())
	}
}

func TestFormatIsTextOrJSON(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	logs.New(&out, "text", slog.LevelInfo).Info("hello", "n", 1)
	if got := out.String(); !strings.HasSuffix(got, "level=INFO msg=hello n=1\n") {
		t.Errorf("text format wrote %q", got)
	}
}

func TestRequestIDIsOnEveryLineOutsideOfGroups(t *testing.T) {
	t.Parallel()
	ctx := logs.WithRequestID(t.Context(), "R1")
	if got := logs.RequestID(ctx); got != "R1" {
		t.Errorf("RequestID = %q", got)
	}
	if got := logs.RequestID(context.Background()); got != "" {
		t.Errorf("RequestID of a plain context = %q", got)
	}
	var out bytes.Buffer
	log := logs.New(&out, "json", slog.LevelInfo).With("a", 1).WithGroup("g").With("b", 2)
	log.WithGroup("h").InfoContext(ctx, "hello", "c", 3)
	want := map[string]any{
		"level": "INFO", "msg": "hello", "request_id": "R1", "a": 1.0,
		"g": map[string]any{"b": 2.0, "h": map[string]any{"c": 3.0}},
	}
	if diff := cmp.Diff(want, parse(t, out.Bytes())); diff != "" {
		t.Error(diff)
	}
}

func TestLoggersFromOneParentDoNotShareAttributes(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	parent := logs.New(&out, "json", slog.LevelInfo).WithGroup("g").With("a", 1)
	one, two := parent.With("b", 1), parent.With("b", 2)
	one.Info("")
	line := parse(t, out.Bytes())
	out.Reset()
	two.Info("")
	if cmp.Equal(line["g"], parse(t, out.Bytes())["g"]) {
		t.Errorf("the second logger overwrote the first: %v", line)
	}
}

// A value cannot begin a line of its own, whatever is in it (ASVS 16.4.1).
func TestUserAgentCannotForgeALine(t *testing.T) {
	t.Parallel()
	forged := "curl/8\r\n{\"level\":\"INFO\",\"msg\":\"password changed\"}\ntime=2026 level=INFO msg=forged\u2028\x1b[2J\x00"
	for _, format := range []string{"json", "text"} {
		var out bytes.Buffer
		logs.New(&out, format, slog.LevelInfo).Info(forged, "user_agent", forged, "err", errors.New(forged),
			"any", map[string]string{forged: forged}, forged, 1)
		got := out.String()
		if strings.Count(got, "\n") != 1 || strings.ContainsAny(got, "\r\x00\x1b\u2028") {
			t.Errorf("%s: control characters survive: %q", format, got)
		}
	}
}

func TestOneRecordIsOneLine(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		format := rapid.SampledFrom([]string{"json", "text"}).Draw(t, "format")
		var out bytes.Buffer
		log := logs.New(&out, format, slog.LevelInfo).With(rapid.String().Draw(t, "key"), rapid.String().Draw(t, "value"))
		log = log.WithGroup(rapid.String().Draw(t, "group"))
		log.Info(rapid.String().Draw(t, "msg"), "a", rapid.String().Draw(t, "a"), "b", rapid.SliceOf(rapid.Byte()).Draw(t, "b"))
		if n := bytes.Count(out.Bytes(), []byte("\n")); n != 1 {
			t.Fatalf("%d lines: %q", n, out.String())
		}
		if format == "json" && !json.Valid(out.Bytes()) {
			t.Fatalf("not JSON: %q", out.String())
		}
	})
}
