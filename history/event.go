package history

import (
	"encoding/json"
	"fmt"
)

// Event is one thing that happened, as it stands in events.ndjson. Readers ignore
// types and fields that they do not know.
type Event struct {
	At   Micros          `json:"atUs"`
	Type string          `json:"type"`
	Data json.RawMessage `json:"data,omitempty"`
}

// Payload is the typed content of an event. Its type name is part of the record's
// format and never changes its meaning.
type Payload interface{ EventType() string }

// NewEvent wraps a payload. Payloads are plain data: one that cannot be encoded is
// a programming error and panics.
func NewEvent(at Micros, payload Payload) Event {
	data, err := json.Marshal(payload)
	if err != nil {
		panic(fmt.Sprintf("history: event %s cannot be encoded: %v", payload.EventType(), err))
	}
	return Event{At: at, Type: payload.EventType(), Data: data}
}

// Decode returns the event's payload if it is of type P.
func Decode[P Payload](e Event) (P, bool) {
	var payload P
	if e.Type != payload.EventType() || json.Unmarshal(e.Data, &payload) != nil {
		return payload, false
	}
	return payload, true
}

// Stamped is a payload with the instant it happened at.
type Stamped[P Payload] struct {
	At   Micros
	Data P
}

// All returns every payload of type P, in order.
func All[P Payload](events []Event) []Stamped[P] {
	var found []Stamped[P]
	for _, e := range events {
		if payload, ok := Decode[P](e); ok {
			found = append(found, Stamped[P]{At: e.At, Data: payload})
		}
	}
	return found
}

// First returns the first payload of type P, and whether there is one.
func First[P Payload](events []Event) (Stamped[P], bool) {
	for _, e := range events {
		if payload, ok := Decode[P](e); ok {
			return Stamped[P]{At: e.At, Data: payload}, true
		}
	}
	return Stamped[P]{At: Never}, false
}

// Sink takes what happens, from any goroutine.
type Sink interface {
	Event(Event)
	Request(Request)
}
