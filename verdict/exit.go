package verdict

// Exit codes of the command.
const (
	ExitPass    = 0
	ExitFail    = 1 // a judged check failed
	ExitInvalid = 2 // not judged, or nothing could run
	ExitError   = 3 // the harness broke
	ExitUsage   = 4 // the command was called wrongly; nothing ran
)

// ExitCode is for scenarios that were asked for by name: each counts by its own
// verdict, and one that was skipped is not what the caller asked for. Without any
// run nothing was shown.
func ExitCode(runs ...Run) int {
	code := ExitPass
	for _, run := range runs {
		code = Worse(code, run.Verdict.exitCode())
	}
	if len(runs) == 0 {
		return ExitInvalid
	}
	return code
}

// SuiteExitCode is for a directory or a suite: a control counts as passed if it got
// the verdict it must get and as failed if not, and a skipped scenario does not count
// unless all of them were skipped.
func SuiteExitCode(runs ...Run) int {
	code, ran := ExitPass, 0
	for _, run := range runs {
		if run.Verdict == Skipped && !run.Met() {
			continue
		}
		ran++
		code = Worse(code, run.suiteExitCode())
	}
	if ran == 0 {
		return ExitInvalid
	}
	return code
}

// Met reports whether the run is a control that got the verdict it must get.
func (r Run) Met() bool { return r.Control != nil && r.Control.Met }

// OK reports whether the run is as it should be in a suite: a pass, or a control
// that was met.
func (r Run) OK() bool { return r.suiteExitCode() == ExitPass }

// suiteExitCode is ExitFail for a control that was not met, whatever its verdict: a
// control that passes means that the tester cannot be trusted.
func (r Run) suiteExitCode() int {
	switch {
	case r.Met():
		return ExitPass
	case r.Control != nil && r.Verdict != Error && r.Verdict != Skipped:
		return ExitFail
	}
	return r.Verdict.exitCode()
}

// exitCode is the exit code of one run. What is not known is invalid.
func (v Verdict) exitCode() int {
	switch v {
	case Pass:
		return ExitPass
	case Fail:
		return ExitFail
	case Error:
		return ExitError
	}
	return ExitInvalid
}

// Worse is the exit code that stands for two: 3 > 1 > 2 > 0. A broken harness must
// be looked at first, and a failure is worth more than a doubt.
func Worse(a, b int) int {
	for _, code := range []int{ExitUsage, ExitError, ExitFail, ExitInvalid} {
		if a == code || b == code {
			return code
		}
	}
	return ExitPass
}
