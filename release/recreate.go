package release

import "context"

var _ = register("recreate", strategy{
	routers: []string{routerGateway},
	inPlace: true,
	steps:   recreateSteps,
	build:   newRecreate,
})

const stepRecreate = "recreate"

// Recreate takes all pods down before the first new one comes up: nobody is served
// meanwhile, which is what the run then shows.
func newRecreate(_ Spec, steps []Step, deps Deps) Release {
	s := &inPlace{deps.Versions}
	return s.sequence(steps, map[string]func(context.Context) error{stepRecreate: then(s.update, s.all)})
}

func recreateSteps(Spec, App) ([]Step, error) {
	return []Step{
		// No gate: between the versions there is nothing that could pass one.
		{Name: stepRecreate, Weight: 100},
		{Name: StepPromote, Weight: 100, Gated: true},
		{Name: StepRollback, Weight: 0},
	}, nil
}
