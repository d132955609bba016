package verdict

import (
	"fmt"

	"github.com/cutover-dev/cutover/history"
)

// procedureCheck: the procedure ended as it was expected to. What it did to the
// traffic is the outcome's affair.
type procedureCheck struct{}

func (procedureCheck) Name() string { return "procedure" }

func (procedureCheck) Want(expect history.Expect) string {
	if expect.Procedure == nil {
		return ""
	}
	return exitCode(expect.Procedure.Exit)
}

func (procedureCheck) Assumes() []Assumption {
	return []Assumption{released, ranToItsEnd, steadyState, faultProven}
}

func (procedureCheck) Judge(e *Evidence) Finding {
	attempts := history.All[history.ProcedureEnded](e.Events)
	if len(attempts) == 0 {
		return Finding{Status: CheckUnjudged, Because: "no procedure came to an end"}
	}
	last := attempts[len(attempts)-1].Data
	got := exitCode(last.Exit)
	if last.Killed {
		got += ", killed"
	}
	because := "that is how it ended"
	if n := len(attempts); n > 1 {
		because = fmt.Sprintf("that is how attempt %d ended, after it had been killed", n)
	}
	return Finding{Status: passIf(last.Exit == e.Plan.Expect.Procedure.Exit && !last.Killed), Got: got, Because: because}
}

func exitCode(code int) string { return fmt.Sprintf("exit %d", code) }
