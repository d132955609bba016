package faults

import (
	"encoding/json"

	"github.com/cutover-dev/cutover/history"
)

// Spec is one entry of a scenario's faults section.
type Spec struct {
	At     At               `yaml:"at" json:"at"`
	For    history.Duration `yaml:"for,omitempty" json:"for,omitempty"` // of a lasting fault; an error on a one-shot one
	Target string           `yaml:"target" json:"target"`               // candidate, baseline or both
	Chaos  Chaos            `yaml:"chaos" json:"chaos"`
}

// At pins a fault to an instant of the cutover: to a step, to a procedure's write, to
// an offset from the release's start, or to an event.
type At struct {
	Step  string            `yaml:"step,omitempty" json:"step,omitempty"`
	Write int               `yaml:"write,omitempty" json:"write,omitempty"` // the n-th write of a procedure that takes effect, from 1
	When  string            `yaml:"when,omitempty" json:"when,omitempty"`   // before, begin or live (default); with step and write only
	After *history.Duration `yaml:"after,omitempty" json:"after,omitempty"`
	Event string            `yaml:"event,omitempty" json:"event,omitempty"` // rollback
}

// Chaos is a Chaos Mesh object: its kind and its spec, verbatim, as JSON.
type Chaos struct {
	Kind string          `json:"kind"`
	Spec json.RawMessage `json:"spec"`
}
