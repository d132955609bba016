package release

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/cutover-dev/cutover/history"
)

// The steps that every strategy has: the last watch over the candidate with all of
// the traffic, and the way back.
const (
	StepPromote  = "promote"
	StepRollback = "rollback"
)

const stepDeploy = "deploy-candidate"

// abortObserve bounds how long an abort waits to see the baseline answer: when
// there is no load any more, no answer will ever show it.
const abortObserve = 15 * time.Second

// sideBySide is what the strategies have in common that bring the candidate up
// beside the baseline and move traffic from one to the other. The baseline stays
// until the watch has passed, so that there is something to go back to.
type sideBySide struct {
	deps Deps
	// retired is set when the baseline may have been taken down.
	retired atomic.Bool
	// moved is set when the candidate may have traffic.
	moved bool
}

// sequence performs the steps. own says how the ones are performed that are a
// strategy's own; those that have a weight move traffic otherwise.
func (s *sideBySide) sequence(steps []Step, own map[string]func(context.Context) error) *sequence {
	own[stepDeploy] = s.deployCandidate
	// The traffic arrived with the step before: the effect of this one is there already.
	own[StepPromote] = func(context.Context) error { return nil }
	q := &sequence{finish: s.retireBaseline, giveUp: s.retireCandidate, abort: s.abort, versions: s.deps.Versions}
	promoted := false
	for _, step := range steps {
		do, known := own[step.Name]
		if !known {
			do = s.shift(Split{Candidate: step.Weight})
		}
		switch {
		case step.Name == StepRollback:
			q.back = act{step, do}
		case promoted:
			q.end = append(q.end, act{step, do})
		default:
			q.way = append(q.way, act{step, do})
		}
		promoted = promoted || step.Name == StepPromote
	}
	return q
}

// deployCandidate brings the candidate up without traffic. If one before it has some,
// that goes back first.
func (s *sideBySide) deployCandidate(ctx context.Context) error {
	if s.moved {
		if err := s.shift(Split{})(ctx); err != nil {
			return err
		}
	}
	err := s.deps.Versions.Deploy(ctx, history.Candidate)
	if err == nil {
		err = s.deps.Versions.AwaitReady(ctx, history.Candidate)
	}
	return notReady(err)
}

// notReady says that err is the candidate's fault; nil if there is none.
func notReady(err error) error {
	if err != nil {
		return fmt.Errorf("%w: %w", ErrCandidateNotReady, err)
	}
	return nil
}

// shift performs a step that divides the traffic.
func (s *sideBySide) shift(split Split) func(context.Context) error {
	return func(ctx context.Context) error {
		s.moved = true
		generation, err := s.deps.Router.Shift(ctx, split)
		if err != nil {
			return err
		}
		return s.deps.Router.Serving(ctx, generation)
	}
}

func (s *sideBySide) retireCandidate(ctx context.Context) error {
	return s.deps.Versions.Retire(ctx, history.Candidate)
}

func (s *sideBySide) retireBaseline(ctx context.Context) error {
	s.retired.Store(true)
	return s.deps.Versions.Retire(ctx, history.Baseline)
}

// abort brings the traffic back to the baseline and takes the candidate down. The
// baseline is brought back first if the release had got as far as retiring it.
func (s *sideBySide) abort(ctx context.Context) error {
	if s.retired.Load() {
		if err := restore(ctx, s.deps.Versions); err != nil {
			return fmt.Errorf("the traffic stays on the candidate, because the baseline is gone: %w", err)
		}
	}
	generation, err := s.deps.Router.Shift(ctx, Split{Candidate: 0})
	if err != nil {
		return err // the candidate may still have traffic, so it stays
	}
	observing, cancel := context.WithTimeout(ctx, abortObserve)
	defer cancel()
	unseen := s.deps.Router.Serving(observing, generation)
	return errors.Join(unseen, s.retireCandidate(ctx))
}

// restore brings the baseline back, in all its pods.
func restore(ctx context.Context, versions Versions) error {
	if err := versions.Deploy(ctx, history.Baseline); err != nil {
		return err
	}
	return versions.AwaitReady(ctx, history.Baseline)
}
