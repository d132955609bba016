package experiment

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cutover-dev/cutover/history"
	"github.com/cutover-dev/cutover/release"
	"github.com/cutover-dev/cutover/scenarios"
	"github.com/cutover-dev/cutover/verdict"
)

// Run performs one scenario on a cluster and returns what its record means. The
// error says that the record itself could not be made; a harness that broke on the
// way is in the record and in the verdict.
func Run(ctx context.Context, scenario scenarios.Scenario, o Options) (verdict.Run, error) {
	r, err := open(ctx, scenario, o)
	if err != nil {
		return verdict.Run{}, err
	}
	performing, stop := whileAlive(ctx, o.Cluster)
	defer stop()
	broken := r.perform(performing)
	if lost(performing) {
		broken = errLost
	}
	// What follows is due also when ctx is what ended: nobody else heals.
	closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), healWithin)
	defer cancel()
	closing, stop = whileAlive(closing, o.Cluster)
	defer stop()
	return r.close(closing, broken, ctx.Err() != nil)
}

// perform is the run. Everything it starts is ended by close.
func (r *run) perform(ctx context.Context) error {
	r.phase("preflight")
	if missing := r.preflight(); missing != "" {
		r.tell(history.Skipped{Because: missing})
		return nil
	}
	r.phase("baseline")
	if err := r.deployBaseline(ctx); err != nil {
		return fmt.Errorf("the baseline could not be deployed: %w", err)
	}
	r.phase("load")
	if err := r.startLoad(ctx); err != nil {
		return fmt.Errorf("the load could not be started: %w", err)
	}
	r.phase("steady-state")
	steady, err := r.proveSteadyState(ctx)
	if err != nil || !steady {
		return err
	}
	if len(r.faults.planned) > 0 {
		r.phase("drill")
		if err := r.drill(ctx); err != nil {
			return fmt.Errorf("the drill failed, so no fault was injected into the release: %w", err)
		}
	}
	r.phase("release")
	if err := r.release(ctx); err != nil {
		return err
	}
	r.phase("recovery")
	return r.awaitRecovery(ctx)
}

// release performs the cutover, with faults pinned to its steps. How it ended is
// in the record; the error is that of an interrupt.
func (r *run) release(ctx context.Context) error {
	deadline, cancel := context.WithTimeoutCause(ctx, r.scenario.Release.Deadline.D(), errDeadline)
	defer cancel()
	r.tell(history.ReleaseBegan{})
	r.faults.after(ctx)
	err := r.strategy.Run(deadline, r.tracker)
	ended := history.ReleaseEnded{}
	if err != nil {
		ended.Err = err.Error()
	}
	r.tell(ended)
	r.compareEndState(ctx)
	switch {
	case err == nil, errors.Is(err, release.ErrCandidateNotReady):
		return nil // it went on, or back, by itself
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case deadline.Err() != nil:
		return nil // stuck: what the traffic does now is the outcome
	}
	// It broke half-way: bring the traffic home, as any release tool would.
	aborting, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	if err := r.strategy.Abort(aborting); err != nil {
		r.tell(history.StepEnded{Name: "abort", Err: err.Error()})
	}
	return nil
}

var errDeadline = errors.New("release.deadline is over")
