package verdict

import (
	"time"

	"github.com/cutover-dev/cutover/history"
)

// What can end an incident.
const (
	byRollback  = "rollback"
	byPromotion = "promotion"
	bySelf      = "self"
	byFaultEnd  = "fault-end"
)

// observing is how much later than it happened the end of a fault may be seen: those
// who report it poll about every second.
const observing = time.Second

// instants are the raw instants of the run, Never if they did not happen.
type instants struct {
	applied, proven, onset, detected, decided, actuated, recovered, faultEnded history.Micros
}

// readInstants collects what happened, with an incident or without one: a masked
// fault was applied all the same, and a needless rollback was decided.
func (e *Evidence) readInstants() instants {
	never := history.Never
	i := instants{never, never, never, never, never, never, never, never}
	if fault := e.faultInQuestion(); fault != nil {
		_, i.proven = e.proof(fault.index)
		i.applied, i.faultEnded = fault.applied, fault.ended
	}
	if e.about != nil {
		i.onset, i.recovered = e.about.onset, e.about.recovered
	}
	decision := e.rollback()
	i.detected, i.decided = decision.Data.First, decision.At
	i.actuated = e.actuated(decision.At)
	return i
}

// faultInQuestion is the one that caused the incident, or the first one if there was
// no incident.
func (e *Evidence) faultInQuestion() *occurrence {
	switch {
	case e.about != nil:
		return e.about.fault
	case len(e.faults) > 0:
		return &e.faults[0]
	}
	return nil
}

// actuated is the instant the candidate was out of service: of its last answer, by
// intended arrival, and not before the decision. It is Never without a decision, and
// as long as the candidate still serves.
func (e *Evidence) actuated(decided history.Micros) history.Micros {
	if !decided.Happened() || e.shares(e.finalStretch())[history.Candidate].n > 0 {
		return history.Never
	}
	if last := e.lastAnswer(history.Candidate); last >= 0 {
		return max(decided, e.series.at(last))
	}
	return decided
}

// lastAnswer is the index of the last arrival that a version answered; -1 if none.
func (e *Evidence) lastAnswer(version history.Version) int {
	for i := len(e.series.arrivals) - 1; i >= 0; i-- {
		if e.series.arrivals[i].Version == version {
			return i
		}
	}
	return -1
}

// measure cuts the incident into its segments: detected, decided and actuated are
// taken in order, each clamped between the cut before it and the recovery. The
// segment of an instant that never was is null, and its time is in the next.
func (e *Evidence) measure() *MTTR {
	if e.about == nil {
		return nil
	}
	m := &MTTR{Relapses: e.about.relapses, RecoveredBy: e.recoveredBy()}
	m.Censored = m.RecoveredBy == "" || m.RecoveredBy == byFaultEnd
	m.TotalMs = *e.about.length().Millis()
	m.TotalMsCI = e.about.lengthWithin.millis()
	if e.about.fault != nil {
		m.LagMs = (e.about.onset - e.about.fault.applied).Millis()
	}
	cut, end := e.about.onset, e.about.until
	segment := func(instant history.Micros) *float64 {
		if !instant.Happened() {
			return nil
		}
		from := cut
		cut = min(max(instant, cut), end)
		return (cut - from).Millis()
	}
	m.Segments.DetectMs = segment(e.instants.detected)
	m.Segments.DecideMs = segment(e.instants.decided)
	m.Segments.ActuateMs = segment(e.instants.actuated)
	m.Segments.RecoverMs = segment(end)
	return m
}

// recoveredBy says what ended the incident; "" if nothing did. A rollback that was
// decided before the recovery takes precedence over a promotion that took effect with
// it, and that over the end of the fault that caused it.
func (e *Evidence) recoveredBy() string {
	switch fault := e.about.fault; {
	case !e.about.recovered.Happened():
		return ""
	case e.instants.decided.Happened() && e.instants.decided <= e.about.recovered:
		return byRollback
	case e.promotedAt(e.about.recovered):
		return byPromotion
	case fault != nil && fault.ended >= e.about.onset && fault.ended <= e.about.recovered.After(e.slack()+observing):
		return byFaultEnd
	}
	return bySelf
}

// promotedAt reports whether the candidate took over for good at an instant: whether
// its first answer after the baseline's last came then. The slack is for a last good
// answer of the baseline, and for a candidate that warms up.
func (e *Evidence) promotedAt(at history.Micros) bool {
	last := e.lastAnswer(history.Baseline)
	if e.outcome == nil || *e.outcome != Promoted || last < 0 {
		return false
	}
	for _, r := range e.series.arrivals[last+1:] {
		if r.Version == history.Candidate {
			return r.Intended.Sub(at).Abs() <= e.slack()
		}
	}
	return false
}

// millis are the instants as the summary holds them.
func (e *Evidence) millis() Instants {
	i := e.instants
	m := Instants{
		AppliedMs: i.applied.Millis(), ProvenMs: i.proven.Millis(), OnsetMs: i.onset.Millis(),
		DetectedMs: i.detected.Millis(), DecidedMs: i.decided.Millis(), ActuatedMs: i.actuated.Millis(),
		RecoveredMs: i.recovered.Millis(), FaultEndedMs: i.faultEnded.Millis(),
	}
	if e.about != nil {
		m.OnsetMsCI, m.RecoveredMsCI = e.about.onsetWithin.millis(), e.about.recoveredWithin.millis()
	}
	if e.period.released {
		m.ReleaseMs, m.EndMs = e.period.from.Millis(), e.period.to.Millis()
	}
	return m
}
