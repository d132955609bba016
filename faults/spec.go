package faults

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/cutover-dev/cutover/apiproxy"
	"github.com/cutover-dev/cutover/history"
)

// Spec is one entry of a scenario's faults section.
type Spec struct {
	At     At               `yaml:"at" json:"at"`
	For    history.Duration `yaml:"for,omitempty" json:"for,omitempty"` // of a lasting fault; an error on a one-shot one
	Target string           `yaml:"target" json:"target"`               // candidate, baseline or both; procedure or apiserver for kinds of our own
	Chaos  Chaos            `yaml:"chaos" json:"chaos"`
}

// At pins a fault to an instant of the cutover: to a step, to a procedure's write or
// any request of it, to an offset from the release's start, or to an event.
type At struct {
	Step    string   `yaml:"step,omitempty" json:"step,omitempty"`
	Write   int      `yaml:"write,omitempty" json:"write,omitempty"` // the n-th write of a procedure that takes effect, from 1
	When    string   `yaml:"when,omitempty" json:"when,omitempty"`   // before, begin or live (default) with step and write; before (default) or after with request
	Request *Request `yaml:"request,omitempty" json:"request,omitempty"`

	After *history.Duration `yaml:"after,omitempty" json:"after,omitempty"`
	Event string            `yaml:"event,omitempty" json:"event,omitempty"` // rollback
}

// Request is one request of a procedure to the API server: the nth that is all that
// is given.
type Request struct {
	Verb string `yaml:"verb,omitempty" json:"verb,omitempty"` // get, list, watch, create, update, patch, delete, deletecollection; exec, attach, port-forward, proxy
	Kind string `yaml:"kind,omitempty" json:"kind,omitempty"` // of the object: Service
	Name string `yaml:"name,omitempty" json:"name,omitempty"` // of the object
	Nth  int    `yaml:"nth,omitempty" json:"nth,omitempty"`   // from 1, which is the default
}

// Matches reports whether a request is such a one, whichever it is of them.
func (q Request) Matches(r apiproxy.Request) bool {
	return (q.Verb == "" || q.Verb == r.Verb) && (q.Kind == "" || q.Kind == r.Kind) && (q.Name == "" || q.Name == r.Name)
}

// String is the request as people say it: "patch Service/shop, the 2nd".
func (q Request) String() string {
	words := strings.TrimSpace(q.Verb + " " + q.Kind)
	if q.Name != "" {
		words = strings.TrimSpace(words + "/" + q.Name)
	}
	if q.Nth > 1 {
		words += fmt.Sprintf(" (number %d)", q.Nth)
	}
	return words
}

// Chaos is a Chaos Mesh object: its kind and its spec, verbatim, as JSON.
type Chaos struct {
	Kind string          `json:"kind"`
	Spec json.RawMessage `json:"spec"`
}
