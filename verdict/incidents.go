package verdict

import (
	"fmt"

	"github.com/cutover-dev/cutover/history"
)

// incident is a stretch in which users got bad answers.
type incident struct {
	span
	onset     history.Micros
	recovered history.Micros // Never if the record does not show it
	until     history.Micros // recovered, or the end of the period
	bad       int
	relapses  int
	fault     *occurrence // that caused it; nil if none did
	step      string      // current at the onset; "" if none was

	// Each of these holds the truth with a chance of 95 %.
	onsetWithin, recoveredWithin, lengthWithin within
}

// cause is the incident's cause as the record writes it.
func (i incident) cause() string {
	switch {
	case i.fault != nil:
		return fmt.Sprintf("fault:%d", i.fault.index)
	case i.step != "":
		return "step:" + i.step
	}
	return "unknown"
}

// length is how long the incident lasted, as far as it was watched.
func (i incident) length() history.Micros { return i.until - i.onset }

// findIncidents joins the violating spans that are less than a confirmation apart.
func (e *Evidence) findIncidents() []incident {
	var found []incident
	violations := e.series.violations(e.confirm())
	for i, violation := range violations {
		if n := len(found); n > 0 && e.series.recoveredFor(found[n-1].span, violation) < e.confirm() {
			found[n-1].last = violation.last
			found[n-1].relapses++
		} else {
			found = append(found, incident{span: violation})
		}
		next := len(e.series.arrivals)
		if i+1 < len(violations) {
			next = violations[i+1].first
		}
		latest := &found[len(found)-1]
		latest.last = e.series.settle(latest.last, next, e.confirm())
	}
	for i := range found {
		e.describe(&found[i])
	}
	for i := range found {
		found[i].onsetWithin, found[i].recoveredWithin = e.instantsWithin(found, i, missed)
		found[i].lengthWithin = e.lengthWithin(found, i)
	}
	return found
}

// describe places the incident in time and names what caused it.
func (e *Evidence) describe(i *incident) {
	i.onset = e.series.at(i.first)
	i.bad = len(e.series.badIn(i.first, i.last+1))
	i.recovered, i.until = history.Never, e.period.to
	// Confirmed from the last bad arrival on, as who waits for it online would.
	confirmed := e.period.to.Sub(e.series.at(i.last)) >= e.confirm()*99/100
	if next := i.last + 1; confirmed && next < len(e.series.arrivals) {
		i.recovered, i.until = e.series.at(next), e.series.at(next)
	}
	i.fault = e.faultAt(i.onset)
	i.step = e.stepAt(i.onset)
}

// early reports whether the incident was over before the first fault. One that was
// still on is not: what the fault did then is part of it.
func (e *Evidence) early(i incident) bool {
	return len(e.faults) > 0 && i.onset.After(e.slack()) < e.faults[0].applied && i.until < e.faults[0].applied
}

// longest is the incident that the MTTR is about: the longest that was not over
// before the first fault, or any after the release began if no fault was applied.
// One that never recovered is longer than any that did.
func (e *Evidence) longest() *incident {
	var longest *incident
	for i := range e.incidents {
		candidate := &e.incidents[i]
		if e.early(*candidate) {
			continue
		}
		if longest == nil || !candidate.recovered.Happened() || candidate.length() > longest.length() {
			longest = candidate
		}
	}
	return longest
}
