package verdict

import (
	"cmp"
	"fmt"
	"time"

	"github.com/cutover-dev/cutover/history"
)

// Limits beyond which an assumption is broken.
const (
	maxVoided       = 0.10 // of the arrivals, due while the load generator stalled
	maxEscaped      = 0.01 // of the target's requests, answered by pods without the fault
	maxUnattributed = 0.01 // of the good answers, by nobody knows which version
)

// Assumption is something that must have held in a run for a check to mean anything.
type Assumption struct {
	Name string
	// Broken says why it did not hold; "" if it did.
	Broken func(*Evidence) string
}

// The assumptions that checks name.
var (
	released          = Assumption{"release began", releaseBroken}
	ranToItsEnd       = Assumption{"ran to its end", interruptedBroken}
	honestLoad        = Assumption{"honest load", loadBroken}
	fairMachine       = Assumption{"fair machine", hostBroken}
	steadyState       = Assumption{"steady state", steadyStateBroken}
	faultProven       = Assumption{"fault proven", faultBroken}
	faultFollowed     = Assumption{"no escapes", escapesBroken}
	answersAttributed = Assumption{"answers attributed", attributionBroken}
)

// ofUsers is what every check rests on that judges what users were answered, and whatever
// else one needs.
func ofUsers(more ...Assumption) []Assumption {
	return append([]Assumption{released, ranToItsEnd, honestLoad, fairMachine, steadyState, faultProven, faultFollowed}, more...)
}

// releaseBroken: without a release nothing was put to the test.
func releaseBroken(e *Evidence) string {
	if !e.period.released {
		return "no release began"
	}
	return ""
}

// interruptedBroken: what ended did so by itself, and not because the run was ended.
func interruptedBroken(e *Evidence) string {
	if ended, _ := history.First[history.RunEnded](e.Events); ended.Data.Interrupted {
		return "the run was interrupted"
	}
	return ""
}

// loadBroken: every arrival of the plan is accounted for, and the generator was on
// time. Its lateness counts as the release's latency, so it must stay well below the
// SLO's.
func loadBroken(e *Evidence) string {
	books, closed := history.First[history.LoadEnded](e.Events)
	arrivals := len(e.series.arrivals) + e.series.voided
	switch {
	case !closed:
		return "the load was never brought to an end, so requests may be missing"
	case arrivals == 0:
		return "no request was due while users were counted"
	case books.Data.Planned != books.Data.Sent+books.Data.Unsent:
		return fmt.Sprintf("the load's books do not balance: %s planned, %s sent, %s unsent",
			count(books.Data.Planned), count(books.Data.Sent), count(books.Data.Unsent))
	case books.Data.Planned != int64(len(e.Requests)):
		return fmt.Sprintf("%s requests were planned, %s are in the record", count(books.Data.Planned), count(int64(len(e.Requests))))
	case float64(e.series.voided) > maxVoided*float64(arrivals):
		return fmt.Sprintf("the load generator itself stalled for %s of %s requests", count(int64(e.series.voided)), count(int64(arrivals)))
	case books.Data.ReleaseErrorP99Us > e.Plan.SLO.Latency.D().Microseconds()/2:
		return fmt.Sprintf("the load generator was late: p99 %s, more than half of the SLO's %s",
			time.Duration(books.Data.ReleaseErrorP99Us)*time.Microsecond, e.Plan.SLO.Latency)
	}
	return ""
}

func steadyStateBroken(e *Evidence) string {
	steady, measured := history.First[history.SteadyState](e.Events)
	switch {
	case !measured:
		return "the steady state was not measured before the release"
	case steady.Data.Rejected:
		return "the baseline did not meet the SLO before anything was touched: " +
			cmp.Or(steady.Data.Because, fmt.Sprintf("%d of %d requests were bad", steady.Data.Bad, steady.Data.N))
	}
	return ""
}

func faultBroken(e *Evidence) string {
	for index, fault := range e.Plan.Faults {
		if proof, _ := e.proof(index); !proof.Proven {
			return fmt.Sprintf("fault %d (%s) was not proven at its target: %s", index, fault.Name, cmp.Or(proof.Because, e.unproven(index)))
		}
	}
	return ""
}

// unproven says how far a fault got that nobody measured.
func (e *Evidence) unproven(index int) string {
	for _, o := range e.faults {
		if o.index == index {
			return "it was applied, but its effect was never measured"
		}
	}
	return "it was never applied"
}

func escapesBroken(e *Evidence) string {
	for _, o := range e.faults {
		if x := e.escapes(o); x.share() > maxEscaped {
			return fmt.Sprintf("fault %d was escaped by %s of its target's requests", o.index, percent(x.share()))
		}
	}
	return ""
}

func attributionBroken(e *Evidence) string {
	good, unknown := 0, 0
	for _, r := range e.series.arrivals {
		if r.Expected && r.Done.Happened() {
			good++
			if r.Version == history.Unattributed {
				unknown++
			}
		}
	}
	if float64(unknown) > maxUnattributed*float64(good) {
		return fmt.Sprintf("%s of %s good answers did not tell which version gave them", count(int64(unknown)), count(int64(good)))
	}
	return ""
}
