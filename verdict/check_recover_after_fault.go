package verdict

import (
	"fmt"

	"github.com/cutover-dev/cutover/history"
)

// recoverAfterFaultCheck: once the fault was off, users were served again within the
// promised time.
type recoverAfterFaultCheck struct{}

func (recoverAfterFaultCheck) Name() string { return "recoverAfterFault" }

func (recoverAfterFaultCheck) Want(expect history.Expect) string {
	return atMost(expect.RecoverAfterFault)
}

func (recoverAfterFaultCheck) Assumes() []Assumption { return ofUsers() }

func (recoverAfterFaultCheck) Judge(e *Evidence) Finding {
	target := e.Plan.Expect.RecoverAfterFault.D()
	switch {
	case e.about == nil:
		return Finding{Status: CheckPass, Got: "no incident", Because: "no user-visible incident"}
	case e.about.fault == nil:
		return Finding{Status: CheckUnjudged, Because: "no fault caused the incident"}
	case e.about.recovered.Happened() && !e.about.fault.ended.Happened() && !e.about.fault.oneShot:
		return Finding{Status: CheckPass, Got: "0s", Because: "it had recovered while the fault was still on"}
	case !e.about.fault.ended.Happened():
		return Finding{Status: CheckUnjudged, Because: "nobody saw the fault end"}
	}
	took := duration(max(e.about.until-e.about.fault.ended, 0))
	finding := Finding{Status: passIf(took <= target), Got: short(took), Because: fmt.Sprintf("the incident lasted %s", short(duration(e.about.length())))}
	if !e.about.recovered.Happened() {
		finding.Got, finding.Because = "> "+finding.Got, "it had not recovered when the record ended"
		if finding.Status == CheckPass {
			finding.Status = CheckUnjudged
		}
	}
	return finding
}
