package verdict

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/cutover-dev/cutover/history"
)

// Judge says what a record means.
func Judge(h history.History) Run {
	e := examine(h)
	run := Run{
		Schema:       Schema,
		Scenario:     h.Plan.Scenario,
		Seed:         h.Plan.Seed,
		PlanHash:     h.Plan.PlanHash,
		Provider:     h.Plan.Provider,
		Outcome:      e.outcome,
		MTTR:         e.mttr,
		Instants:     e.millis(),
		Incidents:    e.listIncidents(),
		Requests:     e.requests,
		Availability: e.availability(),
		Steps:        e.listSteps(),
		Faults:       e.listFaults(),
		Gate:         e.countReadings(),
		Diff:         e.diff,
		Residue:      e.residue(),
		Checks:       judgeChecks(e),
		Findings:     e.remarks(),
		Replay:       h.Plan.Replay,
	}
	var reason string
	run.Verdict, reason = decide(e, run)
	if run.Verdict == Fail {
		run.Step = e.wentWrongAt()
	}
	run.Because = sentence(e, run, reason)
	run.Control = judgeControl(h.Plan.Control, run)
	return run
}

// decide is the precedence of verdicts: a broken harness says nothing about the
// release, a failed check outweighs one that could not be judged, and a run without
// checks has shown nothing. The reason is "" for a pass.
func decide(e *Evidence, run Run) (Verdict, string) {
	if reason := e.harnessBroke(run.Residue); reason != "" {
		return Error, reason
	}
	if skipped, ok := history.First[history.Skipped](e.Events); ok {
		return Skipped, cmp.Or(skipped.Data.Because, "this cluster cannot run the scenario")
	}
	verdict, reason := Pass, ""
	for _, check := range run.Checks {
		switch {
		case check.Status == CheckFail:
			return Fail, fmt.Sprintf("the check %s failed: %s instead of %s (%s)", check.Name, check.Got, check.Want, check.Because)
		case check.Status != CheckPass && verdict == Pass:
			verdict, reason = Invalid, fmt.Sprintf("the check %s could not be judged: %s", check.Name, check.Because)
		}
	}
	if len(run.Checks) == 0 {
		return Invalid, "the scenario expects nothing, so nothing was judged"
	}
	return verdict, reason
}

// harnessBroke says what went wrong with the harness itself; "" if nothing did.
func (e *Evidence) harnessBroke(residue []string) string {
	if broken, ok := history.First[history.Broken](e.Events); ok {
		return cmp.Or(broken.Data.Because, "the harness broke without saying why")
	}
	for _, undone := range history.All[history.Undone](e.Events) {
		if undone.Data.Err != "" {
			return fmt.Sprintf("undoing %s failed: %s", undone.Data.Action, undone.Data.Err)
		}
	}
	if len(residue) > 0 {
		return "left behind: " + strings.Join(residue, ", ")
	}
	return ""
}

// residue is everything that the scans found; nil if nobody looked.
func (e *Evidence) residue() []string {
	var found []string
	for _, scan := range history.All[history.Residue](e.Events) {
		found = append(append([]string{}, found...), scan.Data.Items...)
	}
	return found
}

// listIncidents are the incidents as the summary holds them.
func (e *Evidence) listIncidents() []Incident {
	list := make([]Incident, 0, len(e.incidents))
	for _, i := range e.incidents {
		list = append(list, Incident{
			OnsetMs: i.onset.Millis(), OnsetMsCI: i.onsetWithin.millis(),
			RecoveredMs: i.recovered.Millis(), RecoveredMsCI: i.recoveredWithin.millis(),
			Bad: i.bad, Cause: i.cause(),
		})
	}
	return list
}
