package verdict

import (
	"cmp"
	"slices"
	"time"

	"github.com/cutover-dev/cutover/history"
)

// Evidence is a record with what several checks need of it, read once.
type Evidence struct {
	history.History

	period    period
	series    series
	faults    []occurrence
	incidents []incident
	about     *incident // the one that the MTTR is about; nil if there is none
	outcome   *Outcome
	instants  instants
	mttr      *MTTR
	requests  Requests
	diff      *Diff // nil unless answers were compared
}

// examine reads a record. The order is that of dependence.
func examine(h history.History) *Evidence {
	e := &Evidence{History: inOrder(h)}
	e.period = periodOf(e.History)
	e.series = newSeries(e.History, e.period)
	e.faults = occurrences(e.History)
	e.incidents = e.findIncidents()
	e.about = e.longest()
	e.outcome = e.readOutcome()
	e.instants = e.readInstants()
	e.mttr = e.measure()
	e.requests = e.count()
	e.diff = e.readDiff()
	return e
}

// inOrder returns the record with its requests in order of intended arrival, as
// they should be; a log that many goroutines wrote may differ by a hair.
func inOrder(h history.History) history.History {
	byArrival := func(a, b history.Request) int { return cmp.Compare(a.Intended, b.Intended) }
	if !slices.IsSortedFunc(h.Requests, byArrival) {
		h.Requests = slices.Clone(h.Requests)
		slices.SortStableFunc(h.Requests, byArrival)
	}
	return h
}

// period is the stretch [from, to) that users are counted over.
type period struct {
	from, to history.Micros
	released bool // the release began; without one there is no availability
}

// periodOf is the period from the start of the release, or of the whole load if
// there was no release, to the start of healing, or to the end of the load.
func periodOf(h history.History) period {
	p := period{from: history.Never, to: history.Never}
	if len(h.Requests) > 0 {
		p.from, p.to = h.Requests[0].Intended, h.Requests[len(h.Requests)-1].Intended+1
	}
	if began, ok := history.First[history.ReleaseBegan](h.Events); ok {
		p.from, p.released = began.At, true
	}
	for _, phase := range history.All[history.Phase](h.Events) {
		if phase.Data.Name == "heal" && phase.At >= p.from {
			// The load may have ended first; nobody was watching after it did.
			p.to = min(p.to, phase.At)
			break
		}
	}
	return p
}

// confirm is how long the SLO must hold for an incident to be over. Under a second
// it could not tell a recovery from a gap between two arrivals.
func (e *Evidence) confirm() time.Duration {
	return max(e.Plan.Recover.Confirm.D(), time.Second)
}

// slack is how much before its own effect on arrivals an event may be stamped: the
// age that a request under way can have without being bad already.
func (e *Evidence) slack() time.Duration { return e.Plan.SLO.Latency.D() }
