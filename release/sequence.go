package release

import (
	"context"
	"errors"
)

// act is a step and what performs it.
type act struct {
	Step
	do func(context.Context) error
}

// sequence is a release that takes one step after the other, until all are taken or
// one of them says to go back.
type sequence struct {
	way  []act // until the candidate has all the traffic and was watched
	end  []act // what comes then; from here there is no way back
	back act
	// exposed: users may meet the candidate from the first step on.
	exposed bool
	// finish and giveUp end a release that is promoted, or that ended before any
	// traffic moved. They are no steps, and may be nil.
	finish, giveUp func(context.Context) error
	abort          func(context.Context) error
	versions       Versions
}

// Steps lists the steps; there are no others.
func (s *sequence) Steps() ([]Step, bool) {
	var steps []Step
	for _, a := range append(append(append([]act{}, s.way...), s.end...), s.back) {
		steps = append(steps, a.Step)
	}
	return steps, true
}

// Run releases the candidate. A release that was rolled back has done what it
// should and is no error. When another candidate has taken the place of the one that
// was judged so far, it begins again: nothing is known of the new one.
func (s *sequence) Run(ctx context.Context, stepper Stepper) error {
	moved := s.exposed
	arrived := s.versions.Arrivals()
	for n := 0; n < len(s.way); n++ {
		a := s.way[n]
		moved = moved || a.Weight != NoWeight
		decision, err := stepper.Step(ctx, a.Step, a.do)
		switch {
		case errors.Is(err, ErrCandidateNotReady) && ctx.Err() == nil:
			if !moved {
				return errors.Join(err, call(ctx, s.giveUp))
			}
			return s.goBack(ctx, stepper)
		case err != nil:
			return err
		case decision == Rollback:
			return s.goBack(ctx, stepper)
		}
		if now := s.versions.Arrivals(); now != arrived {
			arrived, n = now, -1
		}
	}
	for _, a := range s.end {
		if _, err := stepper.Step(ctx, a.Step, a.do); err != nil {
			return err
		}
	}
	return call(ctx, s.finish)
}

// goBack is live when the baseline answers; the candidate goes after that, drained.
func (s *sequence) goBack(ctx context.Context, stepper Stepper) error {
	if _, err := stepper.Step(ctx, s.back.Step, s.back.do); err != nil {
		return err
	}
	return call(ctx, s.giveUp)
}

// Abort implements [Release].
func (s *sequence) Abort(ctx context.Context) error { return s.abort(ctx) }

func call(ctx context.Context, do func(context.Context) error) error {
	if do == nil {
		return nil
	}
	return do(ctx)
}
