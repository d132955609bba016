package release

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/cutover-dev/cutover/history"
)

// Deps is what strategies work on.
type Deps struct {
	Versions Versions
	Router   Router
}

// Versions brings the two versions up and down; [Installation] does it.
type Versions interface {
	Deploy(ctx context.Context, v history.Version) error
	AwaitReady(ctx context.Context, v history.Version) error
	Retire(ctx context.Context, v history.Version) error
}

var _ Versions = (*Installation)(nil)

// strategy is a built-in way to release.
type strategy struct {
	steps func(Spec) ([]Step, error) // pure; refuses a spec that it cannot follow
	build func([]Step, Deps) Release
}

var strategies = map[string]strategy{}

// unbuilt are the strategies that the scenario format has words for and this
// program has not learned yet.
var unbuilt = []string{"a-b", "blue-green", "recreate", "rolling", "shadow"}

func register(name string, s strategy) struct{} {
	if _, taken := strategies[name]; taken {
		panic(fmt.Sprintf("release: strategy %q is registered twice", name))
	}
	strategies[name] = s
	return struct{}{}
}

// New makes the release that spec asks for.
func New(spec Spec, deps Deps) (Release, error) {
	strategy, steps, err := plan(spec)
	if err != nil {
		return nil, err
	}
	return strategy.build(steps, deps), nil
}

// StepNames lists the steps that spec leads to, in order, rollback last. It needs
// no cluster.
func StepNames(spec Spec) ([]string, error) {
	_, steps, err := plan(spec)
	if err != nil {
		return nil, err
	}
	names := make([]string, len(steps))
	for i, step := range steps {
		names[i] = step.Name
	}
	return names, nil
}

func plan(spec Spec) (strategy, []Step, error) {
	known := strings.Join(slices.Sorted(maps.Keys(strategies)), ", ")
	if slices.Contains(unbuilt, spec.Strategy) {
		return strategy{}, nil, fmt.Errorf("strategy %q is not supported yet; supported: %s", spec.Strategy, known)
	}
	s, ok := strategies[spec.Strategy]
	if !ok {
		return strategy{}, nil, fmt.Errorf("unknown strategy %q; known: %s; not supported yet: %s", spec.Strategy, known, strings.Join(unbuilt, ", "))
	}
	steps, err := s.steps(spec)
	if err != nil {
		return strategy{}, nil, fmt.Errorf("strategy %s: %w", spec.Strategy, err)
	}
	return s, steps, nil
}
