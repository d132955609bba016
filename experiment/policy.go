package experiment

import (
	"context"
	"fmt"
	"time"

	"github.com/cutover-dev/cutover/gates"
	"github.com/cutover-dev/cutover/history"
	"github.com/cutover-dev/cutover/release"
)

// extensions bounds how long a reading waits for enough requests, in multiples of
// gate.every; after that it is a reading without data.
const extensions = 10

// What a policy does without data.
const (
	noDataHold    = "hold"
	noDataProceed = "proceed"
)

// policy decides by what a gate reads: how often it is asked, how many failing
// readings roll back, and what happens without data. A nil policy lets every step
// pass when its hold is over.
type policy struct {
	gate gates.Gate
	spec gates.Spec
	live history.Live
	sink history.Sink
}

// watch asks the gate from began on, until the release may leave the step or must
// go back. It may leave once it has stayed for hold, the latest reading passes and
// settled says that nothing is under way.
func (p *policy) watch(ctx context.Context, step string, began history.Micros, hold time.Duration, settled func() bool) (release.Decision, error) {
	every := 100 * time.Millisecond
	if p != nil {
		every = p.spec.Every.D()
	}
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	live := time.Now()
	state := watching{policy: p, step: step, from: began, first: history.Never, passing: p == nil}
	for {
		select {
		case <-ctx.Done():
			return release.Rollback, context.Cause(ctx)
		case <-ticker.C:
		}
		if p != nil {
			if reading, rollback := state.read(ctx); rollback {
				p.decide(step, release.Rollback, reading.Because, state.first)
				return release.Rollback, nil
			}
		}
		// After the reading: one that is due when the hold ends still counts.
		if time.Since(live) >= hold && state.passing && settled() {
			p.decide(step, release.Proceed, "the hold is over and the latest reading passes", history.Never)
			return release.Proceed, nil
		}
	}
}

// guard asks the gate while a step is performed, and stops performing it if the release
// must go back. A reading without data says nothing here: the candidate may not be
// there yet.
func (p *policy) guard(ctx context.Context, step string, began history.Micros, do func(context.Context) error) (release.Decision, error) {
	if p == nil {
		return release.Proceed, do(ctx)
	}
	performing, stop := context.WithCancel(ctx)
	defer stop()
	performed := make(chan error, 1)
	go func() { performed <- do(performing) }()
	ticker := time.NewTicker(p.spec.Every.D())
	defer ticker.Stop()
	state := watching{policy: p, step: step, from: began, first: history.Never}
	for {
		select {
		case err := <-performed:
			return release.Proceed, err
		case <-ticker.C:
		}
		reading, rollback := state.read(ctx)
		if !rollback || reading.Status == gates.NoData {
			continue
		}
		stop()
		<-performed // whatever it says: it was stopped
		p.decide(step, release.Rollback, reading.Because, state.first)
		return release.Rollback, nil
	}
}

// watching is the state of one step's watch.
type watching struct {
	*policy
	step    string
	from    history.Micros // where the next reading begins
	first   history.Micros // first failing reading of the streak
	streak  int
	passing bool // the latest reading passes
}

// read takes a reading, unless there is too little to read yet, and reports
// whether the release must go back.
func (w *watching) read(ctx context.Context) (history.Reading, bool) {
	now := w.live.Now()
	reading := w.gate.Read(ctx, w.live, gates.Span{From: w.from, To: now, Min: w.spec.Min})
	if reading.Status == gates.NoData && now.Sub(w.from) < extensions*w.spec.Every.D() {
		return reading, false
	}
	reading.Step = w.step
	w.from = now
	w.count(&reading, now)
	w.sink.Event(history.NewEvent(now, reading))
	if reading.Status == gates.NoData {
		return reading, w.withoutData()
	}
	w.passing = reading.Status == gates.Pass
	return reading, w.streak >= w.spec.Fails
}

func (w *watching) count(reading *history.Reading, now history.Micros) {
	if reading.Status != gates.Fail {
		w.streak, w.first = 0, history.Never
		return
	}
	if w.streak++; w.streak == 1 {
		w.first = now
	}
	reading.Streak = w.streak
}

// withoutData applies gate.noData and reports whether the release must go back.
func (w *watching) withoutData() bool {
	switch w.spec.NoData {
	case noDataHold:
		w.passing = false
		return false
	case noDataProceed:
		w.passing = true
		return false
	default: // rollback: a gate that sees nothing must not let anything pass
		return true
	}
}

func (p *policy) decide(step string, decision release.Decision, because string, first history.Micros) {
	if p == nil {
		return
	}
	action := "proceed"
	if decision == release.Rollback {
		action = "rollback"
		because = fmt.Sprintf("%s: %s", step, because)
	}
	p.sink.Event(history.NewEvent(p.live.Now(), history.Decision{Step: step, Action: action, Because: because, First: first}))
}
