package release

import (
	"context"

	"github.com/cutover-dev/cutover/history"
)

// inPlace is what the strategies have in common that replace the template of the one
// workload that serves.
type inPlace struct{ versions Versions }

// sequence performs the steps; own says how, for all but the last watch and the way back.
func (s *inPlace) sequence(steps []Step, own map[string]func(context.Context) error) *sequence {
	own[StepPromote] = func(context.Context) error { return nil } // all pods are the candidate's already
	q := &sequence{exposed: true, finish: s.gone(history.Baseline), giveUp: s.gone(history.Candidate), abort: s.undo, versions: s.versions}
	for _, step := range steps {
		if step.Name == StepRollback {
			q.back = act{step, s.undo}
			continue
		}
		q.way = append(q.way, act{step, own[step.Name]})
	}
	return q
}

// update asks for the candidate and waits until so many pods have it.
func (s *inPlace) update(ctx context.Context) error {
	return notReady(s.versions.Deploy(ctx, history.Candidate))
}

// pods waits until n pods of the candidate are ready.
func (s *inPlace) pods(n int) func(context.Context) error {
	return func(ctx context.Context) error {
		return notReady(s.versions.AwaitPods(ctx, history.Candidate, n))
	}
}

// all waits until nothing but the candidate is left.
func (s *inPlace) all(ctx context.Context) error {
	return notReady(s.versions.AwaitReady(ctx, history.Candidate))
}

// undo brings the baseline's template back and waits until all pods have it.
func (s *inPlace) undo(ctx context.Context) error { return restore(ctx, s.versions) }

// gone waits until the last pod of a version has left.
func (s *inPlace) gone(v history.Version) func(context.Context) error {
	return func(ctx context.Context) error { return s.versions.AwaitGone(ctx, v) }
}

// then performs one after the other.
func then(acts ...func(context.Context) error) func(context.Context) error {
	return func(ctx context.Context) error {
		for _, do := range acts {
			if err := do(ctx); err != nil {
				return err
			}
		}
		return nil
	}
}
