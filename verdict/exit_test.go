package verdict

import (
	"testing"

	"github.com/cutover-dev/cutover/history"
)

func TestExitCodes(t *testing.T) {
	run := func(v Verdict) Run { return Run{Verdict: v} }
	control := func(v Verdict, met bool) Run {
		return Run{Verdict: v, Control: &ControlResult{Want: Invalid, Met: met}}
	}
	for _, row := range []struct {
		comment      string
		runs         []Run
		named, suite int
	}{
		{"nothing ran, nothing was shown", nil, 2, 2},
		{"a pass", []Run{run(Pass)}, 0, 0},
		{"a failed check", []Run{run(Fail)}, 1, 1},
		{"what could not be judged", []Run{run(Invalid)}, 2, 2},
		{"a broken harness", []Run{run(Error)}, 3, 3},
		{"a verdict that is not known is invalid", []Run{run("")}, 2, 2},
		{"a scenario asked for by name was skipped", []Run{run(Pass), run(Skipped)}, 2, 0},
		{"everything was skipped", []Run{run(Skipped), run(Skipped)}, 2, 2},
		{"a failure is worth more than a doubt", []Run{run(Invalid), run(Fail), run(Pass)}, 1, 1},
		{"a broken harness overrides a failure", []Run{run(Fail), run(Error)}, 3, 3},
		{"a control that was met is fine in a suite, and what it is by name", []Run{control(Invalid, true), run(Pass)}, 2, 0},
		{"a control that was not met is a failure of ours", []Run{control(Pass, false)}, 0, 1},
		{"a control on a broken harness is a broken harness", []Run{control(Error, false)}, 3, 3},
		{"a control that was skipped shows nothing", []Run{control(Skipped, false)}, 2, 2},
	} {
		if got := ExitCode(row.runs...); got != row.named {
			t.Errorf("%s: by name %d, want %d", row.comment, got, row.named)
		}
		if got := SuiteExitCode(row.runs...); got != row.suite {
			t.Errorf("%s: in a suite %d, want %d", row.comment, got, row.suite)
		}
	}
	if !control(Invalid, true).OK() || run(Invalid).OK() || !run(Pass).OK() || control(Pass, false).OK() {
		t.Error("OK is a pass or a control that was met")
	}
}

func TestControl(t *testing.T) {
	for _, row := range []struct {
		comment string
		control history.Control
		tell    *story
		met     bool
	}{
		{"the verdict it must get", history.Control{Verdict: "invalid"}, faulty(11).outage(8, 11, refused), true},
		{"from the check that must give it", history.Control{Verdict: "invalid", Check: "mttr"}, faulty(11).outage(8, 11, refused), true},
		{"from another check", history.Control{Verdict: "invalid", Check: "outcome"}, faulty(11).outage(8, 11, refused), false},
		{"from a check that there is not", history.Control{Verdict: "invalid", Check: "speed"}, faulty(11).outage(8, 11, refused), false},
		{"a pass where it must not pass", history.Control{Verdict: "fail"}, calm(), false},
		{"a failed check", history.Control{Verdict: "fail", Check: "outcome"}, calm().settles(12, 0), true},
		{"at the step where it must", history.Control{Verdict: "fail", Step: "weight-50"}, calm().settles(12, 0).outage(7, 9, refused), true},
		{"at another step", history.Control{Verdict: "fail", Step: "deploy-candidate"}, calm().settles(12, 0).outage(7, 9, refused), false},
		{"nobody was hurt: at the last step", history.Control{Verdict: "fail", Step: "weight-50"}, calm().settles(12, 0), true},
	} {
		row.tell.plan.Control = &row.control
		run := Judge(row.tell.tell())
		if run.Control == nil || run.Control.Met != row.met || string(run.Control.Want) != row.control.Verdict {
			t.Errorf("%s: got %+v of %s", row.comment, run.Control, run.Verdict)
		}
	}
}
