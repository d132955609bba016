package verdict

import "github.com/cutover-dev/cutover/history"

// Check judges one thing a scenario may expect.
type Check interface {
	// Name is the key of the expectation in the scenario.
	Name() string
	// Want is what the scenario expects, for people; "" if it expects nothing here.
	Want(history.Expect) string
	// Assumes lists what must have held for the answer to mean anything.
	Assumes() []Assumption
	// Judge gives status, got and because. It is asked even when an assumption is
	// broken, for what was measured is of use all the same.
	Judge(*Evidence) Finding
}

// checks are all there are, in the order that reports show them. A new check is a
// file of its own and a line here.
var checks = []Check{
	outcomeCheck{},
	mttrCheck{},
	detectionCheck{},
	availabilityCheck{},
	recoverAfterFaultCheck{},
	procedureCheck{},
	lostWritesCheck{},
	diffCheck{},
}

// judgeChecks asks the checks that the scenario has an expectation for.
func judgeChecks(e *Evidence) []Finding {
	findings := []Finding{}
	for _, check := range checks {
		want := check.Want(e.Plan.Expect)
		if want == "" {
			continue
		}
		finding := check.Judge(e)
		finding.Name, finding.Want = check.Name(), want
		for _, assumption := range check.Assumes() {
			if reason := assumption.Broken(e); reason != "" {
				finding.Status, finding.Because = CheckUnjudged, assumption.Name+": "+reason
				break
			}
		}
		findings = append(findings, finding)
	}
	return findings
}

// passIf is the status of a check that could be judged.
func passIf(met bool) string {
	if met {
		return CheckPass
	}
	return CheckFail
}
