package scenarios

import _ "embed"

// It does not end in .yaml, or it would be one of the shipped scenarios.
//
//go:embed first.yaml.txt
var first []byte

// First is the text of a scenario to begin with. It runs anywhere: its image is
// built from a published module.
func First() []byte { return first }
