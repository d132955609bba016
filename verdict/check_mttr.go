package verdict

import (
	"fmt"

	"github.com/cutover-dev/cutover/history"
)

// mttrCheck: the longest incident was over within the promised time, because
// somebody reacted.
type mttrCheck struct{}

func (mttrCheck) Name() string { return "mttr" }

func (mttrCheck) Want(expect history.Expect) string { return atMost(expect.MTTR) }

func (mttrCheck) Assumes() []Assumption {
	return []Assumption{honestLoad, steadyState, faultProven, faultFollowed}
}

// Judge fails a censored MTTR that is over the target already, and cannot judge one
// that is not: how long the reaction would have taken was never seen.
func (mttrCheck) Judge(e *Evidence) Finding {
	if e.about == nil {
		return Finding{Status: CheckPass, Got: "no incident", Because: "no user-visible incident"}
	}
	total := duration(e.about.length())
	finding := Finding{Status: passIf(total <= e.Plan.Expect.MTTR.D()), Got: short(total)}
	switch {
	case e.mttr.RecoveredBy == "":
		finding.Got = "> " + finding.Got
		finding.Because = "it had not recovered when the record ended"
	case e.mttr.Censored:
		finding.Because = "nothing reacted before the fault ended"
	default:
		finding.Because = fmt.Sprintf("%d bad requests; ended by %s", e.about.bad, e.mttr.RecoveredBy)
	}
	if e.mttr.Censored && finding.Status == CheckPass {
		finding.Status = CheckUnjudged
	}
	return finding
}
