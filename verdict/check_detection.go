package verdict

import (
	"fmt"

	"github.com/cutover-dev/cutover/history"
)

// detectionCheck: the gate saw the incident within the promised time.
type detectionCheck struct{}

func (detectionCheck) Name() string { return "detection" }

func (detectionCheck) Want(expect history.Expect) string { return atMost(expect.Detection) }

func (detectionCheck) Assumes() []Assumption { return ofUsers(answersAttributed) }

// Judge takes the time from the onset to the first failing reading of the streak
// that led to the decision. An incident that nothing detected fails once it outlasted
// the target; one that was over sooner gave the gate no chance to.
func (detectionCheck) Judge(e *Evidence) Finding {
	target := e.Plan.Expect.Detection.D()
	switch {
	case e.about == nil:
		return Finding{Status: CheckPass, Got: "no incident", Because: "no user-visible incident"}
	case e.instants.detected.Happened():
		took := duration(max(e.instants.detected-e.about.onset, 0))
		return Finding{Status: passIf(took <= target), Got: short(took), Because: "first failing reading of the streak that led to the rollback"}
	case duration(e.about.length()) > target:
		return Finding{Status: CheckFail, Got: "not detected", Because: fmt.Sprintf("the incident lasted %s and no gate reading led to a rollback", short(duration(e.about.length())))}
	}
	return Finding{Status: CheckUnjudged, Got: "not detected", Because: fmt.Sprintf("the incident was over after %s, sooner than detection was due", short(duration(e.about.length())))}
}
