package release

import (
	"context"
	"errors"
	"fmt"

	"github.com/cutover-dev/cutover/history"
)

var _ = register("canary", strategy{
	takes:   []string{"steps"},
	routers: []string{routerGateway, routerReplicas},
	steps:   canarySteps,
	build:   newCanary,
})

// A canary gives the candidate a rising share of the traffic, and all of it in the
// end.
func newCanary(_ Spec, steps []Step, deps Deps) Release {
	s := &sideBySide{deps: deps}
	return s.sequence(steps, map[string]func(context.Context) error{})
}

func canarySteps(spec Spec, app App) ([]Step, error) {
	if len(spec.Steps) == 0 {
		return nil, errors.New("release.steps: strategy canary: steps are missing: give the candidate's shares in per cent, such as [5, 25, 50, 100]")
	}
	// By the number of pods a share is there once they are, and may never be.
	byPods := spec.Router == routerReplicas
	steps := []Step{{Name: stepDeploy, Weight: NoWeight}}
	last := 0
	for _, weight := range spec.Steps {
		if weight <= last || weight > 100 {
			return nil, fmt.Errorf("release.steps: strategy canary: step %d does not follow %d: steps are shares in per cent, rising, the last one 100", weight, last)
		}
		steps = append(steps, Step{Name: fmt.Sprintf("weight-%d", weight), Weight: weight, Gated: true, Guarded: byPods})
		last = weight
	}
	if last != 100 {
		return nil, fmt.Errorf("release.steps: strategy canary: the last step is %d: it must be 100, or the release never ends", last)
	}
	if byPods {
		if err := sharesOfPods(spec.Steps, int(app.replicas(history.Baseline))); err != nil {
			return nil, err
		}
	}
	return append(steps,
		Step{Name: StepPromote, Weight: 100, Gated: true},
		Step{Name: StepRollback, Weight: 0},
	), nil
}
