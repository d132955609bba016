package scenarios

import _ "embed"

//go:embed schema.json
var schema []byte

// Schema is the JSON Schema (2020-12) of a scenario file, for editors. It knows the
// shape and the words; what goes beyond them, such as whether a step exists, only
// [Decode] checks. The file is made from the types: go test ./scenarios -update.
func Schema() []byte { return schema }
