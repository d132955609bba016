package verdict

import (
	"time"

	"github.com/cutover-dev/cutover/history"
)

// The final stretch is as long as the confirmation, within these bounds: long enough
// to hold some answers, short enough to be the end.
const (
	shortestEnd = 2 * time.Second
	longestEnd  = 5 * time.Second
)

// share is how many requests a version answered, and how many of them were bad.
type share struct{ n, bad int }

// readOutcome reads what the release did from the traffic of the final stretch. It
// is nil if the release never began or nobody could tell who answered.
//
// A bad request that no version answered counts against the candidate, as it does
// in the gates, or against the baseline once that serves alone.
func (e *Evidence) readOutcome() *Outcome {
	from := e.finalStretch()
	if !e.period.released || from == len(e.series.arrivals) {
		return nil
	}
	final := e.shares(from)
	baseline, candidate, nobody := final[history.Baseline], final[history.Candidate], final[history.Unattributed]
	if baseline.n == 0 && candidate.n == 0 && nobody.bad < nobody.n {
		return nil
	}
	charged := &candidate
	if candidate.n == 0 {
		charged = &baseline
	}
	if charged.n > 0 {
		charged.n, charged.bad = charged.n+nobody.bad, charged.bad+nobody.bad
	}
	outcome := Stuck
	switch {
	case !e.holds(baseline) && !e.holds(candidate):
		outcome = Failed
	case baseline.n == 0:
		outcome = Promoted
	case candidate.n == 0 && (e.shares(0)[history.Candidate].n > 0 || e.rollback().At.Happened() || e.gaveUp()):
		outcome = RolledBack
	}
	return &outcome
}

// gaveUp reports whether a procedure ended by itself and said that it had failed: it
// has decided to leave things as they were, or to bring them back.
func (e *Evidence) gaveUp() bool {
	gave := false
	for _, ended := range history.All[history.ProcedureEnded](e.Events) {
		gave = ended.Data.Exit != 0 && !ended.Data.Killed
	}
	return gave
}

// finalStretch is the index of its first arrival: the last seconds of the period,
// but none from before the release returned, when traffic may still have been moving.
func (e *Evidence) finalStretch() int {
	length := min(max(e.confirm(), shortestEnd), longestEnd)
	from := e.series.index(e.period.to.After(-length))
	if ended, ok := history.First[history.ReleaseEnded](e.Events); ok {
		if after := e.series.index(ended.At); after < len(e.series.arrivals) {
			from = max(from, after)
		}
	}
	return from
}

// shares counts the requests from an index on, by version.
func (e *Evidence) shares(from int) map[history.Version]share {
	counted := map[history.Version]share{}
	for i := from; i < len(e.series.arrivals); i++ {
		version := e.series.arrivals[i].Version
		s := counted[version]
		s.n++
		if e.series.bad[i] {
			s.bad++
		}
		counted[version] = s
	}
	return counted
}

// holds reports whether a version that served at all met the SLO.
func (e *Evidence) holds(s share) bool {
	return s.n > 0 && !rejects(s.bad, s.n, e.series.allowed)
}

// rollback is the first decision to roll back; At is Never if there was none.
func (e *Evidence) rollback() history.Stamped[history.Decision] {
	for _, decision := range history.All[history.Decision](e.Events) {
		if decision.Data.Action == "rollback" {
			return decision
		}
	}
	return history.Stamped[history.Decision]{At: history.Never, Data: history.Decision{First: history.Never}}
}
