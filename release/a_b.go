package release

import (
	"context"
	"errors"
)

var _ = register("a-b", strategy{
	takes:   []string{"match"},
	routers: []string{routerGateway},
	steps:   abSteps,
	build:   newAB,
})

const (
	stepSplit    = "split"
	stepEveryone = "everyone"
)

// A/B gives the candidate first to those whose requests carry a header or a cookie,
// and then to everyone.
func newAB(spec Spec, steps []Step, deps Deps) Release {
	s := &sideBySide{deps: deps}
	return s.sequence(steps, map[string]func(context.Context) error{
		stepSplit: s.shift(Split{Match: spec.Match}),
	})
}

func abSteps(spec Spec, _ App) ([]Step, error) {
	m := spec.Match
	if m == nil {
		return nil, errors.New("release.match: strategy a-b: missing: say whose requests the candidate gets, such as {header: X-Group, value: beta}")
	}
	if (m.Header == "") == (m.Cookie == "") || m.Value == "" {
		return nil, errors.New("release.match: strategy a-b: write a header or a cookie, and its value, such as {cookie: group, value: beta}")
	}
	return []Step{
		{Name: stepDeploy, Weight: NoWeight},
		{Name: stepSplit, Weight: 0, Gated: true},
		{Name: stepEveryone, Weight: 100, Gated: true},
		{Name: StepPromote, Weight: 100, Gated: true},
		{Name: StepRollback, Weight: 0},
	}, nil
}
