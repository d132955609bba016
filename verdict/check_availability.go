package verdict

import (
	"fmt"

	"github.com/cutover-dev/cutover/history"
)

// availabilityCheck: enough of all answers were good, from the start of the release
// to the end of confirmation.
type availabilityCheck struct{}

func (availabilityCheck) Name() string { return "availability" }

func (availabilityCheck) Want(expect history.Expect) string {
	if expect.Availability == nil {
		return ""
	}
	return ">= " + expect.Availability.String()
}

func (availabilityCheck) Assumes() []Assumption { return ofUsers() }

func (availabilityCheck) Judge(e *Evidence) Finding {
	availability := e.availability()
	if availability == nil {
		return Finding{Status: CheckUnjudged, Because: "no request was due after the start of a release"}
	}
	return Finding{
		Status:  passIf(*availability >= float64(*e.Plan.Expect.Availability)),
		Got:     floor(*availability),
		Because: fmt.Sprintf("%s of %s requests were bad", count(e.requests.Bad), count(e.requests.Good+e.requests.Bad)),
	}
}
