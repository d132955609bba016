package release

import (
	"context"
	"errors"
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
	// Smoke asks every pod of a version, past the router, for what users will ask for.
	Smoke func(ctx context.Context, v history.Version) error
	// Live shows who answers.
	Live history.Live
	// Procedure is what a procedure is run with.
	Procedure ProcedureDeps
}

// Versions brings the two versions up and down; [Installation] does it.
type Versions interface {
	// Deploy asks for a version. In place of the other one, if they share a workload.
	Deploy(ctx context.Context, v history.Version) error
	// AwaitReady returns when all of the version's pods serve.
	AwaitReady(ctx context.Context, v history.Version) error
	// AwaitPods returns when n of the version's pods are ready.
	AwaitPods(ctx context.Context, v history.Version, n int) error
	// Replicas is how many pods a version has when it serves alone.
	Replicas(v history.Version) int
	// Partition lets the pods from an ordinal up have the version that was deployed
	// last, in a StatefulSet.
	Partition(ctx context.Context, ordinal int) error
	// Arrivals is how many times another candidate has taken the place of the one before.
	Arrivals() int
	// AwaitGone returns when no pod of a version is left: those that leave may still answer.
	AwaitGone(ctx context.Context, v history.Version) error
	// Retire takes a version down and returns when its pods are gone, drained.
	Retire(ctx context.Context, v history.Version) error
}

var _ Versions = (*Installation)(nil)

// strategy is a built-in way to release.
type strategy struct {
	takes   []string                         // keys of the spec that not every strategy takes
	routers []string                         // what may move its traffic, the default first
	kinds   []string                         // of workloads that it can release; a Deployment if nil
	inPlace bool                             // one workload changes its template; else each version has one
	steps   func(Spec, App) ([]Step, error)  // pure; refuses a spec that it cannot follow
	build   func(Spec, []Step, Deps) Release // of the steps that steps gave
}

var strategies = map[string]strategy{}

func register(name string, s strategy) struct{} {
	if _, taken := strategies[name]; taken {
		panic(fmt.Sprintf("release: strategy %q is registered twice", name))
	}
	strategies[name] = s
	return struct{}{}
}

// New makes the release that spec asks for.
func New(spec Spec, app App, deps Deps) (Release, error) {
	strategy, steps, err := plan(spec, app)
	if err != nil {
		return nil, err
	}
	return strategy.build(spec, steps, deps), nil
}

// StepNames lists the steps that spec leads to, in order, rollback last. It needs
// no cluster.
func StepNames(spec Spec, app App) ([]string, error) {
	_, steps, err := plan(spec, app)
	if err != nil {
		return nil, err
	}
	names := make([]string, len(steps))
	for i, step := range steps {
		names[i] = step.Name
	}
	return names, nil
}

// Validate says what keeps spec from being followed for app. The error begins with
// the key that is to blame.
func (s Spec) Validate(app App) error {
	_, _, err := plan(s, app)
	return err
}

// Held is how many steps the release stays at for the time of hold, at least. The
// last watch is none of them.
func (s Spec) Held(app App) int {
	_, steps, _ := plan(s, app)
	held := 0
	for _, step := range steps {
		if step.Gated && step.Name != StepPromote {
			held++
		}
	}
	return held
}

// names of the strategies that a scenario can ask for by name.
func names() []string {
	return slices.DeleteFunc(slices.Sorted(maps.Keys(strategies)), func(name string) bool { return name == StrategyProcedure })
}

// GatedSteps lists those of them that a gate judges.
func GatedSteps(spec Spec, app App) ([]string, error) {
	_, steps, err := plan(spec, app)
	var names []string
	for _, step := range steps {
		if step.Gated {
			names = append(names, step.Name)
		}
	}
	return names, err
}

// MirrorSteps lists those of them at which the candidate gets nothing but copies, which
// a gate judges, too.
func MirrorSteps(spec Spec, app App) []string {
	_, steps, _ := plan(spec, app)
	var names []string
	for _, step := range steps {
		if step.Mirror > 0 {
			names = append(names, step.Name)
		}
	}
	return names
}

func plan(spec Spec, app App) (strategy, []Step, error) {
	known := strings.Join(names(), ", ")
	s, ok := strategies[spec.Strategy]
	if !ok {
		return strategy{}, nil, fmt.Errorf("release.strategy: unknown strategy %q; known: %s", spec.Strategy, known)
	}
	if err := errors.Join(s.refuse(spec), s.cannot(spec, app)); err != nil {
		return strategy{}, nil, err
	}
	steps, err := s.steps(spec, app)
	if err == nil {
		err = spec.Supersede.refuse(steps)
	}
	return s, steps, err
}

// refuse says why the third version cannot arrive at its step.
func (s *Supersede) refuse(steps []Step) error {
	if s == nil {
		return nil
	}
	var names []string
	for _, step := range steps {
		if names = append(names, step.Name); step.Name == StepPromote {
			break // what comes after it has no way back
		}
	}
	if !slices.Contains(names, s.Step) {
		return fmt.Errorf("release.supersede.step: no step %q that a third version could arrive at; those: %s", s.Step, strings.Join(names, ", "))
	}
	return nil
}

// refuse says which keys are given that mean nothing to the strategy.
func (s strategy) refuse(spec Spec) error {
	var wrong []error
	for key, given := range map[string]bool{
		"steps":            len(spec.Steps) > 0,
		"match":            spec.Match != nil,
		"maxSurge":         spec.MaxSurge != nil,
		"maxUnavailable":   spec.MaxUnavailable != nil,
		"progressDeadline": spec.ProgressDeadline > 0,
		"partitions":       len(spec.Partitions) > 0,
		"mirrorWrites":     spec.MirrorWrites,
	} {
		if given && !slices.Contains(s.takes, key) {
			wrong = append(wrong, fmt.Errorf("release.%s: strategy %s has no use for it: leave it out", key, spec.Strategy))
		}
	}
	slices.SortFunc(wrong, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	return errors.Join(wrong...)
}

// cannot says what the strategy cannot do with the app or with the router asked for.
func (s strategy) cannot(spec Spec, app App) error {
	kinds := s.kinds
	if kinds == nil {
		kinds = []string{KindDeployment}
	}
	if kind := app.kind(); !slices.Contains(kinds, kind) {
		return fmt.Errorf("release.strategy: strategy %s cannot release a %s; strategies that can: %s", spec.Strategy, kind, strings.Join(releasing(kind), ", "))
	}
	if spec.Router != "" && !slices.Contains(s.routers, spec.Router) {
		return fmt.Errorf("release.router: strategy %s has no router %q; it has: %s", spec.Strategy, spec.Router, strings.Join(s.routers, ", "))
	}
	return nil
}

// releasing lists the strategies for a kind of workload.
func releasing(kind string) []string {
	return slices.DeleteFunc(names(), func(name string) bool {
		s := strategies[name]
		return !slices.Contains(s.kinds, kind) && (s.kinds != nil || kind != KindDeployment)
	})
}
