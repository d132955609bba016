package release

import (
	"context"
	"errors"
	"fmt"
)

var _ = register("shadow", strategy{
	takes:   []string{"steps", "mirrorWrites"},
	routers: []string{routerGateway},
	steps:   shadowSteps,
	build:   newShadow,
})

// A shadow gives the candidate copies of a rising share of the requests, while the
// baseline answers all users, and then all of the traffic at once.
func newShadow(spec Spec, steps []Step, deps Deps) Release {
	s := &sideBySide{deps: deps}
	own := map[string]func(context.Context) error{}
	for _, step := range steps {
		if step.Mirror > 0 {
			own[step.Name] = s.shift(Split{Mirror: &Mirror{Percent: step.Mirror, Writes: spec.MirrorWrites}})
		}
	}
	return s.sequence(steps, own)
}

func shadowSteps(spec Spec, _ App) ([]Step, error) {
	if len(spec.Steps) == 0 {
		return nil, errors.New("release.steps: strategy shadow: steps are missing: give the shares of the requests that are copied to the candidate, in per cent, such as [10, 100]")
	}
	steps := []Step{{Name: stepDeploy, Weight: NoWeight}}
	last := 0
	for _, percent := range spec.Steps {
		if percent <= last || percent > 100 {
			return nil, fmt.Errorf("release.steps: strategy shadow: step %d does not follow %d: steps are shares in per cent, rising, up to 100", percent, last)
		}
		steps = append(steps, Step{Name: fmt.Sprintf("mirror-%d", percent), Mirror: percent, Gated: true})
		last = percent
	}
	return append(steps,
		Step{Name: stepSwitch, Weight: 100, Gated: true},
		Step{Name: StepPromote, Weight: 100, Gated: true},
		Step{Name: StepRollback, Weight: 0},
	), nil
}
