package api_test

import (
	"slices"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/google/go-cmp/cmp"

	"github.com/sparekey/sparekey/api"
)

// TestModels holds the document's models against those of the published
// Quatrix clients, by name: their fields and types, and what is required.
func TestModels(t *testing.T) {
	t.Parallel()
	doc, err := openapi3.NewLoader().LoadFromData(api.OpenAPI)
	if err != nil {
		t.Fatal(err)
	}
	type fields map[string]string
	for name, want := range map[string]struct {
		fields   fields
		required []string
	}{
		"ResetPasswordRequestReq":   {fields{"email": "array", "altcha": "string"}, []string{"email"}},
		"Challenge":                 {fields{"parameters": "object", "signature": "string"}, []string{"parameters", "signature"}},
		"ResetPasswordRequestResp":  {fields{"email": "array"}, []string{"email"}},
		"ResetPasswordMetadataResp": {fields{"id": "string", "multiple_accounts": "boolean"}, []string{"id", "multiple_accounts"}},
		"ResetPasswordResetReq":     {fields{"password": "string"}, []string{"password"}},
		"IdResp":                    {fields{"id": "string"}, []string{"id"}},
		"JobResp":                   {fields{"job_id": "string"}, []string{"job_id"}},
		"JobStatusResp": {
			fields{"job_id": "string", "state": "string", "total": "integer", "sent": "integer", "unknown": "integer", "failed": "integer"},
			[]string{"failed", "job_id", "sent", "state", "total", "unknown"},
		},
		"ErrorModel": {fields{"msg": "string", "code": "integer", "details": "object"}, []string{"code", "msg"}},
	} {
		schema := doc.Components.Schemas[name]
		if schema == nil {
			t.Errorf("the document has no %s", name)
			continue
		}
		got := fields{}
		for field, property := range schema.Value.Properties {
			got[field] = property.Value.Type.Slice()[0]
		}
		if diff := cmp.Diff(want.fields, got); diff != "" {
			t.Errorf("%s: fields:\n%s", name, diff)
		}
		if got := slices.Sorted(slices.Values(schema.Value.Required)); !slices.Equal(got, want.required) {
			t.Errorf("%s: required are %q, want %q", name, got, want.required)
		}
	}
	if n := len(doc.Components.Schemas); n != 9 {
		t.Errorf("the document has %d models, and this test knows 9", n)
	}
}
