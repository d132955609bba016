package experiment

import (
	"context"
	"errors"
	"time"

	"github.com/cutover-dev/cutover/history"
	"github.com/cutover-dev/cutover/release"
)

// tracker is the release.Stepper of a run: strategies tell it of their steps, and
// it records them, fires the faults pinned to them and has the gate judge them.
// Strategies know neither faults nor gates.
type tracker struct {
	live   history.Live
	sink   history.Sink
	faults *injections
	policy *policy // nil without a gate
	hold   time.Duration
	watch  time.Duration // hold of the last step
	// patience bounds a step that is not gated: a candidate that never becomes
	// ready must not eat the whole deadline.
	patience time.Duration
}

var _ release.Stepper = (*tracker)(nil)

const (
	stepPromote  = "promote"
	stepRollback = "rollback"
)

// Step implements release.Stepper.
func (t *tracker) Step(ctx context.Context, step release.Step, do func(context.Context) error) (release.Decision, error) {
	if step.Name == stepRollback {
		t.faults.event(ctx, stepRollback)
	}
	t.faults.before(ctx, step.Name)
	began := t.tell(history.StepBegan{Name: step.Name})
	t.faults.begin(ctx, step.Name)
	if err := t.perform(ctx, step, do); err != nil {
		t.tell(history.StepEnded{Name: step.Name, Err: err.Error()})
		return release.Rollback, err
	}
	t.tell(history.StepLive{Name: step.Name, Weight: step.Weight})
	t.faults.live(ctx, step.Name)
	decision, err := release.Proceed, error(nil)
	if step.Gated {
		hold := t.hold
		if step.Name == stepPromote {
			hold = t.watch
		}
		decision, err = t.policy.watch(ctx, step.Name, began, hold, t.faults.settled)
	}
	t.tell(history.StepEnded{Name: step.Name})
	return decision, err
}

func (t *tracker) perform(ctx context.Context, step release.Step, do func(context.Context) error) error {
	if step.Gated {
		return do(ctx)
	}
	bounded, cancel := context.WithTimeout(ctx, t.patience)
	defer cancel()
	err := do(bounded)
	if errors.Is(err, release.ErrCandidateNotReady) && ctx.Err() == nil {
		t.tell(history.Decision{Step: step.Name, Action: stepRollback, Because: err.Error(), First: history.Never})
	}
	return err
}

func (t *tracker) tell(payload history.Payload) history.Micros {
	now := t.live.Now()
	t.sink.Event(history.NewEvent(now, payload))
	return now
}
