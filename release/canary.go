package release

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/cutover-dev/cutover/history"
)

// ErrCandidateNotReady says that the candidate never came up, and so never took
// traffic: the baseline has it all.
var ErrCandidateNotReady = errors.New("the candidate did not become ready")

// abortObserve bounds how long an abort waits to see the baseline answer: when
// there is no load any more, no answer will ever show it.
const abortObserve = 15 * time.Second

var _ = register("canary", strategy{steps: canarySteps, build: newCanary})

// canary gives the candidate a rising share of the traffic, and all of it in the
// end. The baseline stays until the watch after the last weight has passed, so
// that there is something to go back to.
type canary struct {
	deploy, promote, rollback Step
	weights                   []Step

	versions Versions
	router   Router
	// retired is set when the baseline may have been taken down.
	retired atomic.Bool
}

func canarySteps(spec Spec) ([]Step, error) {
	if len(spec.Steps) == 0 {
		return nil, errors.New("steps are missing: give the candidate's shares in per cent, such as [5, 25, 50, 100]")
	}
	steps := []Step{{Name: "deploy-candidate", Weight: NoWeight}}
	last := 0
	for _, weight := range spec.Steps {
		if weight <= last || weight > 100 {
			return nil, fmt.Errorf("step %d does not follow %d: steps are shares in per cent, rising, the last one 100", weight, last)
		}
		steps = append(steps, Step{Name: fmt.Sprintf("weight-%d", weight), Weight: weight, Gated: true})
		last = weight
	}
	if last != 100 {
		return nil, fmt.Errorf("the last step is %d: it must be 100, or the release never ends", last)
	}
	return append(steps,
		Step{Name: "promote", Weight: 100, Gated: true},
		Step{Name: "rollback", Weight: 0},
	), nil
}

func newCanary(steps []Step, deps Deps) Release {
	end := len(steps) - 2
	return &canary{
		deploy:   steps[0],
		weights:  steps[1:end],
		promote:  steps[end],
		rollback: steps[end+1],
		versions: deps.Versions,
		router:   deps.Router,
	}
}

// Steps lists the steps; a canary has no others.
func (c *canary) Steps() ([]Step, bool) {
	steps := append([]Step{c.deploy}, c.weights...)
	return append(steps, c.promote, c.rollback), true
}

// Run releases the candidate. A release that was rolled back has done what it
// should and is no error.
func (c *canary) Run(ctx context.Context, stepper Stepper) error {
	decision, err := stepper.Step(ctx, c.deploy, c.deployCandidate)
	if errors.Is(err, ErrCandidateNotReady) && ctx.Err() == nil {
		return errors.Join(err, c.versions.Retire(ctx, history.Candidate))
	}
	if err != nil {
		return err
	}
	if decision == Rollback {
		return c.goBack(ctx, stepper)
	}
	for _, step := range c.weights {
		decision, err := stepper.Step(ctx, step, func(ctx context.Context) error { return c.shift(ctx, step.Weight) })
		if err != nil {
			return err
		}
		if decision == Rollback {
			return c.goBack(ctx, stepper)
		}
	}
	return c.finish(ctx, stepper)
}

// finish watches the candidate with all the traffic, then takes the baseline down.
func (c *canary) finish(ctx context.Context, stepper Stepper) error {
	// The traffic arrived with the last weight: this step's effect is there already.
	there := func(context.Context) error { return nil }
	decision, err := stepper.Step(ctx, c.promote, there)
	if err != nil {
		return err
	}
	if decision == Rollback {
		return c.goBack(ctx, stepper)
	}
	c.retired.Store(true)
	return c.versions.Retire(ctx, history.Baseline)
}

// goBack is live when the baseline answers; the candidate goes after that, drained.
func (c *canary) goBack(ctx context.Context, stepper Stepper) error {
	_, err := stepper.Step(ctx, c.rollback, func(ctx context.Context) error { return c.shift(ctx, 0) })
	if err != nil {
		return err
	}
	return c.versions.Retire(ctx, history.Candidate)
}

func (c *canary) deployCandidate(ctx context.Context) error {
	err := c.versions.Deploy(ctx, history.Candidate)
	if err == nil {
		err = c.versions.AwaitReady(ctx, history.Candidate)
	}
	if err != nil {
		return fmt.Errorf("%w: %w", ErrCandidateNotReady, err)
	}
	return nil
}

func (c *canary) shift(ctx context.Context, weight int) error {
	generation, err := c.router.Shift(ctx, Split{Candidate: weight})
	if err != nil {
		return err
	}
	return c.router.Serving(ctx, generation)
}

// Abort brings the traffic back to the baseline and takes the candidate down. The
// baseline is brought back first if the release had got as far as retiring it.
func (c *canary) Abort(ctx context.Context) error {
	if c.retired.Load() {
		if err := c.restore(ctx); err != nil {
			return fmt.Errorf("the traffic stays on the candidate, because the baseline is gone: %w", err)
		}
	}
	generation, err := c.router.Shift(ctx, Split{Candidate: 0})
	if err != nil {
		return err // the candidate may still have traffic, so it stays
	}
	observing, cancel := context.WithTimeout(ctx, abortObserve)
	defer cancel()
	unseen := c.router.Serving(observing, generation)
	return errors.Join(unseen, c.versions.Retire(ctx, history.Candidate))
}

func (c *canary) restore(ctx context.Context) error {
	if err := c.versions.Deploy(ctx, history.Baseline); err != nil {
		return err
	}
	return c.versions.AwaitReady(ctx, history.Baseline)
}
