// Package api holds the wire contract of Sparekey: the OpenAPI document of the
// Password Reset API, version 1.0. The server answers with it at
// /api/1.0/openapi.yaml, and the tests hold every exchange against it.
package api

import _ "embed"

// OpenAPI is the document itself, OpenAPI 3.1 as UTF-8 YAML. It is read-only.
//
//go:embed openapi.yaml
var OpenAPI []byte
