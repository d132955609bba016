package verdict

import "github.com/cutover-dev/cutover/history"

// judgeControl says whether a scenario that must not pass got the verdict it must
// get, from the check that must give it and at the step that must be to blame; nil if
// it is no control.
func judgeControl(control *history.Control, run Run) *ControlResult {
	if control == nil {
		return nil
	}
	want := Verdict(control.Verdict)
	return &ControlResult{Want: want, Met: run.Verdict == want && saidBy(control.Check, want, run.Checks) &&
		(control.Step == "" || control.Step == run.Step)}
}

// saidBy reports whether the named check has the status that leads to the verdict.
// An error or a skipped run is nobody's check, so there the name does not matter.
func saidBy(name string, verdict Verdict, checks []Finding) bool {
	status, ok := map[Verdict]string{Fail: CheckFail, Invalid: CheckUnjudged, Pass: CheckPass}[verdict]
	if name == "" || !ok {
		return true
	}
	for _, check := range checks {
		if check.Name == name {
			return check.Status == status
		}
	}
	return false
}
