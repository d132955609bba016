package verdict

import (
	"fmt"
	"strings"

	"github.com/cutover-dev/cutover/history"
)

// remarks are what else is worth knowing, for people. No verdict hangs on them.
func (e *Evidence) remarks() []string {
	var said []string
	for _, remark := range []string{
		e.onRelease(), e.onIncidents(), e.onEarlyIncidents(), e.onStrayErrors(), e.onCensoring(),
		e.onAttribution(), e.onDiff(), e.onStalls(), e.onHost(), e.onSafety(), e.onControl(),
	} {
		if remark != "" {
			said = append(said, remark)
		}
	}
	return append(append(said, e.onEscapes()...), e.onEndState()...)
}

// onRelease: the release's own word against what the traffic shows.
func (e *Evidence) onRelease() string {
	ended, ok := history.First[history.ReleaseEnded](e.Events)
	switch {
	case !e.period.released || e.outcome == nil:
		return ""
	case !ok:
		return "the release never returned"
	case ended.Data.Err != "" && *e.outcome == Promoted:
		return "the release reported an error although the traffic was promoted: " + ended.Data.Err
	case ended.Data.Err == "" && e.byProcedure() && *e.outcome != Promoted:
		return fmt.Sprintf("the procedure ended with exit code 0 although it is %s: %s", *e.outcome, explain(*e.outcome))
	case ended.Data.Err == "" && (*e.outcome == Stuck || *e.outcome == Failed):
		return fmt.Sprintf("the release reported no error although it is %s: %s", *e.outcome, explain(*e.outcome))
	case ended.Data.Err != "":
		return "the release reported: " + ended.Data.Err
	}
	return ""
}

// onEndState: what a procedure that was killed left, against what it leaves otherwise.
func (e *Evidence) onEndState() []string {
	end, ok := history.First[history.EndState](e.Events)
	switch {
	case !ok:
		return nil
	case !end.Data.Compared:
		return []string{"what the procedure left could not be compared with what it leaves undisturbed: " + end.Data.Because}
	}
	var said []string
	for _, difference := range end.Data.Differences {
		said = append(said, "after its kill the procedure left another end state than undisturbed: "+difference)
	}
	return said
}

// byProcedure reports whether the release was the user's own procedure.
func (e *Evidence) byProcedure() bool {
	_, ran := history.First[history.ProcedureBegan](e.Events)
	return ran
}

func (e *Evidence) onIncidents() string {
	switch {
	case e.about == nil:
		return ""
	case e.about.relapses > 0:
		return "the incident had " + plural(int64(e.about.relapses), "relapse") + " before it was over"
	case len(e.faults) > 0 && e.about.fault == nil:
		return fmt.Sprintf("the longest incident was not caused by a fault but by %s", e.about.cause())
	}
	return ""
}

func (e *Evidence) onEarlyIncidents() string {
	early := int64(0)
	for _, i := range e.incidents {
		if e.early(i) {
			early++
		}
	}
	if early == 0 {
		return ""
	}
	return plural(early, "incident") + " before the first fault: the release itself hurt users"
}

// onStrayErrors: bad requests outside of every incident.
func (e *Evidence) onStrayErrors() string {
	stray := e.requests.Bad
	for _, i := range e.incidents {
		stray -= int64(i.bad)
	}
	if stray == 0 {
		return ""
	}
	return fmt.Sprintf("%s outside of every incident: the SLO of %s allows that many", plural(stray, "bad request"), e.Plan.SLO.Availability)
}

func (e *Evidence) onCensoring() string {
	switch {
	case e.mttr == nil || !e.mttr.Censored:
		return ""
	case e.mttr.RecoveredBy == "":
		return "the incident was not over when the record ended: its time is a lower bound"
	}
	return "nothing reacted before the fault ended: the time to recovery measures the fault, not the release"
}

func (e *Evidence) onAttribution() string {
	if e.requests.Unattributed == 0 {
		return ""
	}
	return plural(e.requests.Unattributed, "answer") + " did not tell which version gave them"
}

// onDiff: what differs, whether or not anybody expects that nothing does.
func (e *Evidence) onDiff() string {
	if e.diff == nil || len(e.diff.Differing) == 0 {
		return ""
	}
	return "the versions answer differently: " + strings.Join(differing(e.diff), ", ")
}

func (e *Evidence) onStalls() string {
	if e.series.voided == 0 {
		return ""
	}
	return plural(int64(e.series.voided), "request") + " void, for the load generator itself stalled when they were due"
}

// onSafety: what was neither rehearsed nor looked for.
func (e *Evidence) onSafety() string {
	for _, drill := range history.All[history.Drill](e.Events) {
		if !drill.Data.OK {
			return fmt.Sprintf("the drill of %s went wrong: %s", drill.Data.Kind, drill.Data.Because)
		}
	}
	if e.period.released && e.residue() == nil {
		return "the record holds no scan for residue"
	}
	return ""
}

func (e *Evidence) onControl() string {
	control := e.Plan.Control
	if control == nil {
		return ""
	}
	by := ""
	if control.Check != "" {
		by = " by the check " + control.Check
	}
	return fmt.Sprintf("this scenario is a control: its verdict must be %s%s", control.Verdict, by)
}

// onEscapes: pods that the fault did not follow, too few of them to matter or not.
func (e *Evidence) onEscapes() []string {
	var said []string
	for _, o := range e.faults {
		if x := e.escapes(o); len(x.pods) > 0 {
			said = append(said, fmt.Sprintf("fault %d was escaped by %s of its target's requests: %s",
				o.index, percent(x.share()), strings.Join(x.pods, ", ")))
		}
	}
	return said
}
