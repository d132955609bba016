package history

import "time"

// Version says which of the two versions under release answered.
type Version string

// The two versions; Unattributed marks an answer that nobody could place, and a
// request that nobody answered.
const (
	Baseline     Version = "baseline"
	Candidate    Version = "candidate"
	Unattributed Version = ""
)

// Request is one planned arrival and what became of it. Every arrival of the plan
// has exactly one, sent or not.
type Request struct {
	Seq      int64  `json:"seq"`  // place in the arrival plan, from 0
	Name     string `json:"name"` // method and path as the scenario wrote them: "GET /cart"
	Write    bool   `json:"write,omitempty"`
	Intended Micros `json:"intendedUs"` // when the plan says it arrives; latency counts from here
	Sent     Micros `json:"sentUs"`     // when it was handed to the connection; Never if it was not
	Done     Micros `json:"doneUs"`     // when the answer was complete or the attempt failed; Never while pending
	Status   int    `json:"status,omitempty"`
	Expected bool   `json:"expected"`             // answered, and as the scenario expects
	Err      string `json:"err,omitempty"`        // why there was no answer
	Attempts int    `json:"attempts,omitempty"`   // connections it was tried on; the client retries nothing by itself
	Body     string `json:"body,omitempty"`       // the start of an unexpected answer, for the report's samples
	ID       string `json:"id,omitempty"`         // X-Request-Id it carried
	Gen      int64  `json:"generation,omitempty"` // route generation that served it; 0 if unknown

	Version    Version `json:"version,omitempty"`
	Attributed string  `json:"attributed,omitempty"` // how: "header", "json", "access-log"; "" if not
	Pod        string  `json:"pod,omitempty"`        // which pod answered; "" if unknown
}

// Latency counts from the intended arrival, so that a late sender cannot hide a
// slow server. It is negative for a request still pending.
func (r Request) Latency() time.Duration {
	if !r.Done.Happened() {
		return -1
	}
	return r.Done.Sub(r.Intended)
}

// Bad reports whether a user would call the answer bad: none came, a wrong one
// came, or it came later than slo after the intended arrival.
func (r Request) Bad(slo time.Duration) bool {
	return !r.Done.Happened() || !r.Expected || r.Latency() > slo
}

// BadAt is the instant at which the request is known to be bad; Never if it is good.
func (r Request) BadAt(slo time.Duration) Micros {
	if !r.Bad(slo) {
		return Never
	}
	overdue := r.Intended.After(slo)
	if r.Done.Happened() && r.Done < overdue {
		return r.Done
	}
	return overdue
}
