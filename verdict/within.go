package verdict

import (
	"sort"

	"github.com/cutover-dev/cutover/history"
	"github.com/cutover-dev/cutover/stats"
)

// missed is the chance that an interval does not hold what it is of.
const missed = 0.05

// within is an interval of an instant, or of a length of time: after from, and not after to.
type within struct{ from, to history.Micros }

// noInterval is the interval of what did not happen.
var noInterval = within{from: history.Never, to: history.Never}

// millis are the interval as the summary holds it; nil of what did not happen.
func (w within) millis() *Bounds {
	if !w.to.Happened() {
		return nil
	}
	return &Bounds{*w.from.Millis(), *w.to.Millis()}
}

// instantsWithin are intervals of the true onset and recovery of an incident, wrong with a
// chance of alpha each. There is none for a recovery that did not happen.
//
// Each is a change of the rate of bad arrivals, looked at in the stretch in which it is the
// only one: from the change before it to the change after it.
func (e *Evidence) instantsWithin(incidents []incident, index int, alpha float64) (onset, recovered within) {
	i, s := incidents[index], e.series
	after, before := 0, len(s.arrivals) // where the neighbours end and begin
	if index > 0 {
		after = incidents[index-1].last + 1
	}
	if index+1 < len(incidents) {
		before = incidents[index+1].first
	}

	at := s.segment(i.first)
	from, to := s.segments[at].From, min(s.segments[at].To, i.last+1)
	if from == i.first && at > 0 {
		from = s.segments[at-1].From
	}
	onset = e.changeWithin(max(from, after), i.first, to, alpha)
	if !i.recovered.Happened() {
		return onset, noInterval
	}

	at = s.segment(i.last)
	from, to = max(s.segments[at].From, i.first), s.segments[at].To
	if to == i.last+1 && at+1 < len(s.segments) {
		to = s.segments[at+1].To
	}
	return onset, e.changeWithin(from, i.last+1, min(to, before), alpha)
}

// segment is the index of the segment that arrival i is in.
func (s series) segment(i int) int {
	return sort.Search(len(s.segments), func(at int) bool { return s.segments[at].To > i })
}

// changeWithin is the interval of the instant at which the rate of bad arrivals in [from, to),
// by index, changes, given that arrival cut is the likeliest to be the first after it.
//
// If an arrival is the first after the change, then the one before it was due before the
// change. And the change came before the arrival itself did, which set out when it was due, or
// when it had its connection: if that took longer than the SLO allows, it was bad before.
func (e *Evidence) changeWithin(from, cut, to int, alpha float64) within {
	s := e.series
	first, last := cut, cut
	if from < cut && cut < to { // or nothing on one side could tell
		low, high := stats.ChangeBounds(s.bad[from:to], alpha)
		first, last = min(from+low, cut), max(from+high, cut)
	}
	w := within{from: e.period.from, to: e.period.to}
	if first > 0 {
		w.from = s.at(first - 1)
	}
	if last < len(s.arrivals) {
		due := s.at(last)
		w.to = max(due, min(s.arrivals[last].Sent, due.After(e.slack())))
	}
	return w
}

// lengthWithin is the interval of how long an incident lasted: from the latest onset to the
// earliest recovery, and from the earliest to the latest. Both instants are within their
// intervals with a chance of 95 % if each interval is wrong with half of the chance
// (Bonferroni), whatever the two have to do with each other.
func (e *Evidence) lengthWithin(incidents []incident, index int) within {
	onset, recovered := e.instantsWithin(incidents, index, missed/2)
	if recovered == noInterval {
		return noInterval
	}
	return within{from: max(recovered.from-onset.to, 0), to: recovered.to - onset.from}
}
