package verdict

import (
	"fmt"
	"time"

	"github.com/cutover-dev/cutover/history"
)

// mttrCheck: the longest incident was over within the promised time, because
// somebody reacted.
type mttrCheck struct{}

func (mttrCheck) Name() string { return "mttr" }

func (mttrCheck) Want(expect history.Expect) string { return atMost(expect.MTTR) }

func (mttrCheck) Assumes() []Assumption { return ofUsers() }

// Judge fails a censored MTTR that is over the target already, and cannot judge one
// that is not: how long the reaction would have taken was never seen. Nor can it tell
// that there was no incident if nobody watched for a confirmation after the fault.
func (mttrCheck) Judge(e *Evidence) Finding {
	if e.about == nil {
		if watched := e.watchedAfterFaults(); watched < e.confirm()*99/100 {
			return Finding{Status: CheckUnjudged, Got: "no incident", Because: fmt.Sprintf(
				"the record ends %s after the last fault was applied, recover.confirm is %s", watched, e.confirm())}
		}
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

// watchedAfterFaults is how long users were counted after the last fault was applied,
// or after the release began if none was.
func (e *Evidence) watchedAfterFaults() time.Duration {
	from := e.period.from
	if n := len(e.faults); n > 0 {
		from = max(from, e.faults[n-1].applied)
	}
	return e.period.to.Sub(from)
}
