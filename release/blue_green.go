package release

import (
	"context"
	"fmt"
	"time"

	"github.com/cutover-dev/cutover/history"
)

var _ = register("blue-green", strategy{
	routers: []string{routerService, routerGateway},
	steps:   blueGreenSteps,
	build:   newBlueGreen,
})

const (
	stepSmokeTest = "smoke-test"
	stepSwitch    = "switch"
	stepDrain     = "drain"
	stepRetire    = "retire"
)

// Blue-green brings up all of the candidate, asks each of its pods for what users
// will ask for, and moves all traffic at once: by the selector of the app's Service,
// or by the route. The baseline stays as it is until the watch has passed and its
// last answer is out.
func newBlueGreen(_ Spec, steps []Step, deps Deps) Release {
	s := &sideBySide{deps: deps}
	return s.sequence(steps, map[string]func(context.Context) error{
		stepSmokeTest: s.smokeTest,
		stepDrain:     s.drain,
		stepRetire:    s.retireBaseline,
	})
}

func blueGreenSteps(Spec, App) ([]Step, error) {
	return []Step{
		{Name: stepDeploy, Weight: NoWeight},
		{Name: stepSmokeTest, Weight: NoWeight},
		// Guarded: a Service carries no generation, so that a candidate which answers
		// nobody is never seen to serve.
		{Name: stepSwitch, Weight: 100, Gated: true, Guarded: true},
		{Name: StepPromote, Weight: 100, Gated: true},
		{Name: stepDrain, Weight: NoWeight},
		{Name: stepRetire, Weight: NoWeight},
		{Name: StepRollback, Weight: 0},
	}, nil
}

func (s *sideBySide) smokeTest(ctx context.Context) error {
	if err := s.deps.Smoke(ctx, history.Candidate); err != nil {
		return fmt.Errorf("%w: the smoke test failed: %w", ErrCandidateNotReady, err)
	}
	return nil
}

// quiet is how long a version must have answered nothing to count as drained.
const quiet = time.Second

// drain waits until the baseline answers nobody any more.
func (s *sideBySide) drain(ctx context.Context) error {
	began := s.deps.Live.Now()
	return await(ctx, func(context.Context) (string, error) {
		now := s.deps.Live.Now()
		from := now.After(-quiet)
		if from < began {
			return "the baseline was not watched for long enough", nil
		}
		if n := s.deps.Live.Window(from, now).Versions[history.Baseline].N; n > 0 {
			return fmt.Sprintf("the baseline answered %d requests in the last %s", n, quiet), nil
		}
		return "", nil
	})
}
