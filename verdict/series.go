package verdict

import (
	"math"
	"slices"
	"sort"
	"time"

	"github.com/cutover-dev/cutover/history"
	"github.com/cutover-dev/cutover/stats"
)

// cutPenalty times ln n is the price of a change point. It is low, for what it finds
// is tested again: at 1.5 a burst of five in 60,000 arrivals is cut out, and one
// incident at a steady rate of errors stays one.
const cutPenalty = 1.5

// significance is the level at which a test rejects "the SLO holds".
const significance = 0.01

// series is the sequence of arrivals of the period, without the void ones.
type series struct {
	arrivals []*history.Request
	bad      []bool
	segments []stats.Segment // in each of which the rate of bad ones is the same
	allowed  float64         // rate of bad arrivals that the SLO allows
	voided   int
}

func newSeries(h history.History, p period) series {
	s := series{allowed: 1 - float64(h.Plan.SLO.Availability)}
	stalls := longStalls(h)
	for i := range h.Requests {
		r := &h.Requests[i]
		switch {
		case r.Intended < p.from || r.Intended >= p.to:
		case stalled(stalls, r.Intended):
			s.voided++
		default:
			s.arrivals = append(s.arrivals, r)
			s.bad = append(s.bad, r.Bad(h.Plan.SLO.Latency.D()))
		}
	}
	s.segments = stats.Segments(s.bad, cutPenalty*math.Log(float64(len(s.bad))))
	return s
}

// longStalls are the stretches in which the load generator was late by so much of
// the SLO that it could have made good answers bad. Shorter ones are in the latency,
// and harmless; to void what fell in them would hide bad answers.
func longStalls(h history.History) []history.Stall {
	const ofSLO = 10 // a tenth of it
	var long []history.Stall
	for _, stall := range history.All[history.Stall](h.Events) {
		if stall.Data.To.Sub(stall.Data.From) >= h.Plan.SLO.Latency.D()/ofSLO {
			long = append(long, stall.Data)
		}
	}
	return long
}

// stalled reports whether the load generator was late at an instant.
func stalled(stalls []history.Stall, at history.Micros) bool {
	return slices.ContainsFunc(stalls, func(s history.Stall) bool { return s.From <= at && at < s.To })
}

// at is the intended instant of arrival i.
func (s series) at(i int) history.Micros { return s.arrivals[i].Intended }

// index is the first arrival due at or after an instant.
func (s series) index(at history.Micros) int {
	return sort.Search(len(s.arrivals), func(i int) bool { return s.at(i) >= at })
}

// badIn are the bad arrivals in [from, to), by index.
func (s series) badIn(from, to int) []int {
	var found []int
	for i := from; i < to; i++ {
		if s.bad[i] {
			found = append(found, i)
		}
	}
	return found
}

// span is a stretch of arrivals that violates the SLO, by its first and last bad one.
type span struct{ first, last int }

// violations are the spans of the series, in order. Within one, no two neighbouring
// bad arrivals are apart or more from each other: an SLO of 100 % is violated by
// each bad arrival, not by the hour between two.
func (s series) violations(apart time.Duration) []span {
	var spans []span
	n := float64(len(s.bad))
	adjoins := false // to a violating segment just before
	for _, segment := range s.segments {
		violates := stats.BinomialTail(segment.Ones, segment.Len(), s.allowed) < significance/n
		if violates {
			for _, i := range s.badIn(segment.From, segment.To) {
				if adjoins && s.at(i).Sub(s.at(spans[len(spans)-1].last)) < apart {
					spans[len(spans)-1].last = i
				} else {
					spans = append(spans, span{first: i, last: i})
				}
				adjoins = true
			}
		}
		adjoins = violates
	}
	return spans
}

// recoveredFor is how long the SLO held between two spans.
func (s series) recoveredFor(one, next span) time.Duration {
	return s.at(next.first).Sub(s.at(one.last + 1))
}

// settle is the last bad arrival after which the SLO holds for the given time. It
// is last itself, unless the stretch that follows rejects the SLO. Arrivals from end
// on, where the next span begins, are not looked at.
func (s series) settle(last, end int, confirm time.Duration) int {
	for last+1 < end {
		from := last + 1
		to := min(s.index(s.at(from).After(confirm)), end)
		bad := s.badIn(from, to)
		if !rejects(len(bad), to-from, s.allowed) {
			break
		}
		last = bad[len(bad)-1]
	}
	return last
}

// rejects reports whether so many bad ones of n reject a rate of at most allowed.
func rejects(bad, n int, allowed float64) bool {
	return stats.BinomialTail(bad, n, allowed) < significance
}

// Void tells the instants at which the load generator itself was so late that what was
// due then counts neither as good nor as bad.
func Void(h history.History) func(at history.Micros) bool {
	stalls := longStalls(h)
	return func(at history.Micros) bool { return stalled(stalls, at) }
}
