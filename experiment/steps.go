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
	// patience bounds a step that the gate has no part in: a candidate that never
	// becomes ready must not eat the whole deadline.
	patience  time.Duration
	supersede *supersede // nil without a third version
	// reduced says whether a procedure's write leaves users less of the candidate.
	reduced func(ctx context.Context, step, what string, began history.Micros) bool
}

// supersede is a third version and the step at which it arrives, once.
type supersede struct {
	step    string
	deploy  func(context.Context) error
	arrived bool
}

var _ release.Stepper = (*tracker)(nil)

// Step implements release.Stepper.
func (t *tracker) Step(ctx context.Context, step release.Step, do func(context.Context) error) (release.Decision, error) {
	if step.Name == release.StepRollback {
		t.faults.event(ctx, release.StepRollback)
	}
	t.faults.before(ctx, step.Name)
	began := t.tell(history.StepBegan{Name: step.Name})
	t.faults.begin(ctx, step.Name)
	decision, err := t.perform(ctx, step, began, do)
	if err != nil || decision == release.Rollback {
		ended := history.StepEnded{Name: step.Name}
		if err != nil {
			ended.Err = err.Error()
		}
		t.tell(ended)
		return release.Rollback, err
	}
	t.tell(history.StepLive{Name: step.Name, Weight: step.Weight, Mirror: step.Mirror})
	t.faults.live(ctx, step.Name)
	if s := t.supersede; s != nil && s.step == step.Name && !s.arrived {
		s.arrived = true
		t.arrive(ctx, s)
	}
	if step.Gated {
		hold := t.hold
		if step.Name == release.StepPromote {
			hold = t.watch
		}
		decision, err = t.policy.at(step).watch(ctx, step.Name, began, hold, t.faults.settled)
	}
	t.tell(history.StepEnded{Name: step.Name})
	return decision, err
}

// perform takes the step. What the gate says meanwhile counts if the step is guarded.
func (t *tracker) perform(ctx context.Context, step release.Step, began history.Micros, do func(context.Context) error) (release.Decision, error) {
	decision, err := release.Proceed, error(nil)
	switch {
	case step.Guarded:
		decision, err = t.policy.guard(ctx, step.Name, began, do)
	case step.Gated:
		err = do(ctx)
	default:
		bounded, cancel := context.WithTimeout(ctx, t.patience)
		defer cancel()
		err = do(bounded)
	}
	if errors.Is(err, release.ErrCandidateNotReady) && ctx.Err() == nil {
		t.tell(history.Decision{Step: step.Name, Action: release.StepRollback, Because: err.Error(), First: history.Never})
	}
	return decision, err
}

// arrive has somebody deploy the third version. The strategy must notice by itself.
func (t *tracker) arrive(ctx context.Context, s *supersede) {
	arrived := history.Superseded{Step: s.step}
	if err := s.deploy(ctx); err != nil {
		arrived.Err = err.Error()
	}
	t.tell(arrived)
}

func (t *tracker) tell(payload history.Payload) history.Micros {
	now := t.live.Now()
	t.sink.Event(history.NewEvent(now, payload))
	return now
}
