package release

import (
	"context"
	"errors"
)

// Step is a named point of a cutover that faults can be pinned to.
type Step struct {
	Name string
	// Weight is the candidate's share of traffic in per cent once the step is
	// live; NoWeight if the step does not move traffic.
	Weight int
	// Mirror is the share of the users' requests, in per cent, that are copied to the
	// candidate while the step is live. Nobody gets what it answers to these.
	Mirror int
	// Gated steps hold, and are judged by the gate, before the next one.
	Gated bool
	// Guarded steps are judged by the gate while they are performed, too: they take
	// their time, or may never be live, and users meet the candidate meanwhile.
	Guarded bool
}

// NoWeight is the weight of a step that does not move traffic.
const NoWeight = -1

// Decision is what becomes of the release after a step.
type Decision string

// The decisions.
const (
	Proceed  Decision = "proceed"
	Rollback Decision = "rollback"
)

// Release is one way to move traffic from baseline to candidate.
type Release interface {
	// Steps lists the steps in order, rollback last, and whether that is all of
	// them (a procedure's are discovered as it writes).
	Steps() (known []Step, complete bool)
	// Run performs the release and returns when it is promoted or rolled back. An
	// error means that it could do neither.
	Run(ctx context.Context, stepper Stepper) error
	// Abort brings all traffic back to the baseline, from any state, also after
	// Run was cancelled.
	Abort(ctx context.Context) error
}

// Stepper is told of each step. do performs the step and returns once its effect
// is observed, not merely accepted. The answer says whether to go on.
type Stepper interface {
	Step(ctx context.Context, step Step, do func(context.Context) error) (Decision, error)
}

// ErrCandidateNotReady says that a step ended because the candidate does not come
// up, or is not what it should be.
var ErrCandidateNotReady = errors.New("the candidate did not become ready")

// Split is a division of traffic.
type Split struct {
	Candidate int     // per cent, 0 to 100
	Match     *Match  // whose requests go to the candidate whatever its share; nil for nobody's
	Mirror    *Mirror // what the candidate gets copies of while it has no share; nil for nothing
}

// Mirror says which requests are copied.
type Mirror struct {
	Percent int  // of them, 1 to 100
	Writes  bool // all of them are; otherwise only those that are safe to be made twice
}

// Generation numbers the states of a route, from 1.
type Generation int64

// Router divides traffic between the versions. Asking is not observing: Shift
// returns when the split is accepted, Serving when answers obey it.
type Router interface {
	Shift(ctx context.Context, split Split) (Generation, error)
	Serving(ctx context.Context, generation Generation) error
}
