package verdict

import "github.com/cutover-dev/cutover/history"

// outcomeCheck: the release did what it was expected to do.
type outcomeCheck struct{}

func (outcomeCheck) Name() string { return "outcome" }

func (outcomeCheck) Want(expect history.Expect) string { return expect.Outcome }

func (outcomeCheck) Assumes() []Assumption { return ofUsers(answersAttributed) }

func (outcomeCheck) Judge(e *Evidence) Finding {
	if e.outcome == nil {
		return Finding{Status: CheckUnjudged, Because: "the traffic at the end does not tell what the release did"}
	}
	got := string(*e.outcome)
	return Finding{Status: passIf(got == e.Plan.Expect.Outcome), Got: got, Because: explain(*e.outcome)}
}

// explain says what the traffic at the end looked like.
func explain(outcome Outcome) string {
	switch outcome {
	case Promoted:
		return "at the end the candidate answered everything"
	case RolledBack:
		return "at the end the baseline answered everything"
	case Failed:
		return "at the end no version met the SLO"
	}
	return "at the end the cutover was unfinished"
}
