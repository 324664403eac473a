package api_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sparekey/sparekey/api"
)

// breaks answers what in the document would break a client that was written
// against an older one; empty if nothing would.
func breaks(t *testing.T, older, document string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute) // it may have to be compiled
	defer cancel()
	cmd := exec.CommandContext(ctx, "go", "tool", "-modfile=../tools/go.mod", "oasdiff", "breaking", older, document,
		"--fail-on", "WARN", "--severity-levels", "history/rules.txt")
	out, err := cmd.CombinedOutput()
	// 1 is its word for a change that breaks; with any other it has compared nothing.
	if exit, ok := errors.AsType[*exec.ExitError](err); ok && exit.ExitCode() == 1 {
		return string(out)
	}
	if err != nil {
		t.Fatalf("oasdiff: %v\n%s", err, out)
	}
	return ""
}

// TestCompatibleWithItsHistory: a client written against any contract that was
// released can live with today's. history/ has a copy of each, by release.
func TestCompatibleWithItsHistory(t *testing.T) {
	t.Parallel()
	released, err := filepath.Glob("history/*.yaml")
	if err != nil || len(released) == 0 {
		t.Fatalf("there is no history: %v", err)
	}
	for _, older := range released {
		if found := breaks(t, older, "openapi.yaml"); found != "" {
			t.Errorf("openapi.yaml breaks clients of %s:\n%s", older, found)
		}
	}
}

// TestChangesThatBreakAreFound shows that the check can fail, and lets pass what does no harm.
func TestChangesThatBreakAreFound(t *testing.T) {
	t.Parallel()
	const (
		notFound = `        "404": { $ref: "#/components/responses/NotFound" }` + "\n"
		tooLarge = `        "413": { $ref: "#/components/responses/TooLarge" }` + "\n"
		states   = "enum: [queued, running, done]"
		total    = "        total:\n          description: How many different addresses were listed.\n"
		jobID    = "        job_id: { type: string, format: uuid }\n"
		password = "      required: [password]\n      properties:\n"
	)
	for _, c := range []struct {
		name, from, to string
		want           string // the rule that finds it; empty if it is harmless
	}{
		{"a status is gone", tooLarge, "", "response-non-success-status-removed"},
		{"an operation is gone", "  /job/status/{id}:\n", "  /job/progress/{id}:\n", "api-path-removed-without-deprecation"},
		{"an operation's name changed", "operationId: jobStatusIdGet", "operationId: jobGet", "api-operation-id-removed"},
		{
			"a field of an answer is gone", "      required: [id]\n      properties:\n        id:\n          description: The id of the request just used.\n",
			"      properties:\n        ref:\n          description: The id of the request just used.\n", "response-required-property-removed",
		},
		{"a field of an answer may be missing", "required: [job_id, state,", "required: [job_id,", "response-property-became-optional"},
		{"a field's type changed", total + "          type: integer\n          minimum: 0\n", total + "          type: string\n", "response-property-type-changed"},
		{"a new value that old clients do not know", states, "enum: [queued, running, stuck, done]", "response-property-enum-value-added"},
		{"a value is gone", states, "enum: [queued, done]", "response-property-enum-value-removed"},
		{"a body needs more", password, "      required: [password, email]\n      properties:\n        email: { type: string }\n", "new-required-request-property"},
		{"a body may hold more", password, password + "        locale: { type: string }\n", ""},
		{
			"an answer holds more", jobID + "      additionalProperties: false\n      example: { job_id: 6d",
			jobID + "        eta: { type: integer }\n      additionalProperties: false\n      example: { job_id: 6d", "",
		},
		{"an answer may have a further status", notFound, notFound + `        "410": { $ref: "#/components/responses/NotFound" }` + "\n", ""},
		{"other words", "summary: Look at a request", "summary: See whether a request is open", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			changed := strings.Replace(string(api.OpenAPI), c.from, c.to, 1)
			if changed == string(api.OpenAPI) {
				t.Fatal("the document no longer has what this test changes")
			}
			file := filepath.Join(t.TempDir(), "openapi.yaml")
			if err := os.WriteFile(file, []byte(changed), 0o600); err != nil {
				t.Fatal(err)
			}
			found := breaks(t, "openapi.yaml", file)
			if (found == "") != (c.want == "") || !strings.Contains(found, c.want) {
				t.Errorf("found %q, want %q", found, c.want)
			}
		})
	}
}
