package release

import (
	"context"
	"errors"
	"fmt"

	"github.com/cutover-dev/cutover/history"
)

var _ = register("rolling", strategy{
	takes:   []string{"maxSurge", "maxUnavailable", "progressDeadline", "partitions"},
	routers: []string{routerGateway},
	kinds:   []string{KindDeployment, KindStatefulSet},
	inPlace: true,
	steps:   rollingSteps,
	build:   newRolling,
})

const (
	stepUpdate  = "update"
	stepHalfway = "halfway"
	stepUpdated = "updated"
)

// A rolling update replaces the pods of the workload one after the other. A
// Deployment's controller does so at its own pace, which maxSurge and maxUnavailable
// set; the gate is asked all the while, and a failing one, or a rollout without
// progress, brings the old template back. A StatefulSet is updated from its highest
// ordinal down to one partition after the other, each of which is held and judged.
func newRolling(spec Spec, steps []Step, deps Deps) Release {
	s := &inPlace{deps.Versions}
	replicas := deps.Versions.Replicas(history.Candidate)
	own := map[string]func(context.Context) error{
		stepUpdate:  then(s.update, s.pods(1)),
		stepHalfway: s.pods((replicas + 1) / 2),
		stepUpdated: s.all,
	}
	for n, ordinal := range spec.Partitions {
		lower := func(ctx context.Context) error { return notReady(s.versions.Partition(ctx, ordinal)) }
		do := then(lower, s.pods(replicas-ordinal))
		if n == 0 {
			do = then(s.update, do)
		}
		own[partition(ordinal)] = do
	}
	return s.sequence(steps, own)
}

func partition(ordinal int) string { return fmt.Sprintf("partition-%d", ordinal) }

func rollingSteps(spec Spec, app App) ([]Step, error) {
	var steps []Step
	if app.kind() == KindStatefulSet {
		partitions, err := partitionSteps(spec, int(app.replicas(history.Candidate)))
		if err != nil {
			return nil, err
		}
		steps = partitions
	} else {
		if len(spec.Partitions) > 0 {
			return nil, errors.New("release.partitions: only a StatefulSet has partitions: leave them out, or set app.kind")
		}
		if spec.MaxSurge != nil && spec.MaxUnavailable != nil && spec.MaxSurge.zero() && spec.MaxUnavailable.zero() {
			return nil, errors.New("release.maxUnavailable: with maxSurge 0 too no pod could ever be replaced: raise one of them")
		}
		for _, name := range []string{stepUpdate, stepHalfway, stepUpdated} {
			steps = append(steps, Step{Name: name, Weight: weightOf(name), Guarded: true})
		}
	}
	return append(steps,
		Step{Name: StepPromote, Weight: 100, Gated: true},
		Step{Name: StepRollback, Weight: 0},
	), nil
}

// weightOf is the share that is on the candidate for sure, once the step is live.
func weightOf(step string) int {
	if step == stepUpdated {
		return 100
	}
	return NoWeight
}

func partitionSteps(spec Spec, replicas int) ([]Step, error) {
	if spec.MaxSurge != nil || spec.MaxUnavailable != nil || spec.ProgressDeadline > 0 {
		return nil, errors.New("release.partitions: a StatefulSet is updated by partitions alone: leave out maxSurge, maxUnavailable and progressDeadline")
	}
	if len(spec.Partitions) == 0 {
		return nil, errors.New("release.partitions: missing: a StatefulSet is updated from an ordinal up; give the ordinals, falling to 0, such as [2, 0]")
	}
	var steps []Step
	last := replicas
	for _, ordinal := range spec.Partitions {
		if ordinal < 0 || ordinal >= last {
			return nil, fmt.Errorf("release.partitions: %d does not follow %d: they are ordinals, falling from below app.replicas (%d) to 0", ordinal, last, replicas)
		}
		steps = append(steps, Step{Name: partition(ordinal), Weight: 100 * (replicas - ordinal) / replicas, Gated: true, Guarded: true})
		last = ordinal
	}
	if last != 0 {
		return nil, fmt.Errorf("release.partitions: the last one is %d: it must be 0, or the release never ends", last)
	}
	return steps, nil
}
