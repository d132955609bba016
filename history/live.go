package history

import "time"

// Live is the view of a run while it goes on. Gates read it.
type Live interface {
	// Now is the present instant on the run's clock.
	Now() Micros
	// Window tallies, by version, the requests that became known in [from, to):
	// answered and attributed, or overdue against the SLO, whichever came first. A
	// request is known once, so adjoining windows never count one twice, and never
	// becomes known before the present, so windows up to Now never miss one.
	Window(from, to Micros) Window
	// Serving waits until an answer has carried route generation gen or a later one.
	Serving(gen int64) <-chan struct{}
}

// Window is a tally of a stretch of time.
type Window struct {
	From, To Micros
	// Versions holds a tally for baseline, candidate and Unattributed.
	Versions map[Version]Tally
}

// Tally counts requests.
type Tally struct {
	N      int // known requests
	Errors int // failed or answered against expectation, or overdue and still unanswered
	Bad    int // Errors plus those slower than the SLO
	// Unanswered ones are overdue Errors whose latency is only what they have
	// waited so far: the real one is longer.
	Unanswered int
	// Latencies of the N requests, in no order, from intended arrival. An overdue
	// one counts with the time that it has waited so far.
	Latencies []time.Duration
}

// Add returns the sum of two tallies.
func (t Tally) Add(o Tally) Tally {
	t.N += o.N
	t.Errors += o.Errors
	t.Bad += o.Bad
	t.Unanswered += o.Unanswered
	t.Latencies = append(append([]time.Duration(nil), t.Latencies...), o.Latencies...)
	return t
}
