package experiment

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/cutover-dev/cutover/gates"
	"github.com/cutover-dev/cutover/history"
	"github.com/cutover-dev/cutover/release"
)

// extensions bounds how long a reading waits for enough requests, in multiples of
// gate.every; after that it is a reading without data.
const extensions = 10

// policy decides by what the gates read: how often they are asked, how many failing
// readings roll back, and what happens without data. A nil policy lets every step
// pass when its hold is over.
type policy struct {
	gates []gates.Gate
	spec  gates.Spec
	live  history.Live
	sink  history.Sink
}

// watch asks the gates from began on, until the release may leave the step or must
// go back. It may leave once it has stayed for hold, the latest reading of each gate
// passes and settled says that nothing is under way.
func (p *policy) watch(ctx context.Context, step string, began history.Micros, hold time.Duration, settled func() bool) (release.Decision, error) {
	every := 100 * time.Millisecond
	if p != nil {
		every = p.spec.Every.D()
		defer p.stop()
	}
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	live := time.Now()
	state := p.begin(step, began)
	for {
		select {
		case <-ctx.Done():
			return release.Rollback, context.Cause(ctx)
		case <-ticker.C:
		}
		because, rollback := state.read(ctx)
		if ctx.Err() != nil {
			return release.Rollback, context.Cause(ctx)
		}
		if rollback {
			p.decide(step, release.Rollback, because, state.first)
			return release.Rollback, nil
		}
		// After the reading: one that is due when the hold ends still counts.
		if time.Since(live) >= hold && state.passing() && settled() {
			p.decide(step, release.Proceed, "the hold is over and the latest reading passes", history.Never)
			return release.Proceed, nil
		}
	}
}

// guard asks the gates while a step is performed, and stops performing it if the release
// must go back. What there is no data about says nothing here: the candidate may not be
// there yet.
func (p *policy) guard(ctx context.Context, step string, began history.Micros, do func(context.Context) error) (release.Decision, error) {
	if p == nil {
		return release.Proceed, do(ctx)
	}
	performing, stop := context.WithCancel(ctx)
	defer stop()
	var err error
	performed := make(chan struct{})
	go func() { defer close(performed); err = do(performing) }()
	ticker := time.NewTicker(p.spec.Every.D())
	defer ticker.Stop()
	defer p.stop()
	lenient := *p
	lenient.spec.NoData = gates.NoDataHold
	state := lenient.begin(step, began)
	state.performing = true
	for {
		select {
		case <-performed:
			return release.Proceed, err
		case <-ticker.C:
		}
		because, rollback := state.read(ctx)
		if !rollback {
			continue
		}
		stop()
		<-performed // whatever it says: it was stopped
		p.decide(step, release.Rollback, because, state.first)
		return release.Rollback, nil
	}
}

// at is the policy with the gates that have something to read at the step: where the
// candidate gets nothing but copies, those that count what users are answered have not.
func (p *policy) at(step release.Step) *policy {
	if p == nil || step.Mirror == 0 {
		return p
	}
	here := *p
	here.gates = slices.DeleteFunc(slices.Clone(p.gates), func(gate gates.Gate) bool {
		_, counts := gate.(gates.Collector)
		return counts
	})
	return &here
}

// stop ends what the gates have under way.
func (p *policy) stop() {
	for _, gate := range p.gates {
		if stopper, ok := gate.(gates.Stopper); ok {
			stopper.Stop()
		}
	}
}

// limits says in words what passes all gates.
func (p *policy) limits() string {
	var all []string
	for _, gate := range p.gates {
		all = append(all, gate.Limits())
	}
	return strings.Join(all, ", ")
}

// watching is the state of one step's watch.
type watching struct {
	*policy
	step       string
	performing bool // the step is on its way
	seats      []*seat
	first      history.Micros // first failing reading of the streak
	streak     int            // of readings in a row in which a gate failed
}

// seat is a gate at one step.
type seat struct {
	gates.Gate
	from    history.Micros // where its next reading begins
	passing bool           // its latest reading passes
	failing bool           // its latest reading fails
}

func (p *policy) begin(step string, began history.Micros) *watching {
	w := &watching{policy: p, step: step, first: history.Never}
	if p != nil {
		for _, gate := range p.gates {
			w.seats = append(w.seats, &seat{Gate: gate, from: began})
		}
	}
	return w
}

// passing reports whether the latest reading of each gate passes.
func (w *watching) passing() bool {
	return !slices.ContainsFunc(w.seats, func(s *seat) bool { return !s.passing })
}

// read takes a reading of every gate that has one, and reports whether the release
// must go back, and why. One that fails makes all of it fail; else one without data
// leaves all of it without.
func (w *watching) read(ctx context.Context) (because string, rollback bool) {
	if w.policy == nil {
		return "", false
	}
	readings := w.ask(ctx)
	if ctx.Err() != nil {
		return "", false // what was cut short says nothing
	}
	now := w.live.Now()
	var failing, lacking []string
	var without []*seat
	for i, s := range w.seats {
		r := &readings[i]
		impatient := now.Sub(s.from) >= extensions*w.spec.Every.D()
		switch s.take(r, impatient) {
		case gates.Fail:
			failing = append(failing, w.said(*r))
		case gates.NoData:
			if impatient {
				lacking, without = append(lacking, w.said(*r)), append(without, s)
			}
		}
	}
	w.count(len(failing) > 0, now)
	w.record(readings, now)
	if len(failing) > 0 {
		return strings.Join(failing, "; "), w.streak >= w.spec.Fails
	}
	return strings.Join(lacking, "; "), w.withoutData(without, now)
}

// ask takes a reading of all gates at once: one that waits holds up no other.
func (w *watching) ask(ctx context.Context) []history.Reading {
	readings := make([]history.Reading, len(w.seats))
	now := w.live.Now()
	var asked sync.WaitGroup
	for i, s := range w.seats {
		asked.Go(func() {
			readings[i] = s.Read(ctx, w.live, gates.Span{Step: w.step, Performing: w.performing, From: s.from, To: now, Min: w.spec.Min})
		})
	}
	asked.Wait()
	return readings
}

// take notes what the gate read and returns the status that is for the record, or
// Silent. A gate that collects is given time for it, and what it read before stands;
// any other without data does not pass, however short that is.
func (s *seat) take(r *history.Reading, impatient bool) string {
	_, collects := s.Gate.(gates.Collector)
	switch r.Status {
	case gates.Pass, gates.Fail:
		s.from, s.passing, s.failing = r.To, r.Status == gates.Pass, r.Status == gates.Fail
	case gates.Silent:
		s.passing, s.failing = true, false
	case gates.Waiting:
		s.passing, r.Status = false, gates.Silent
	default:
		r.Status = gates.NoData
		switch {
		case impatient:
			s.failing = false
		case collects:
			r.Status = gates.Silent
		}
		s.passing = s.passing && collects
	}
	return r.Status
}

// count counts the readings in a row in which a gate failed. They are over when none
// does any more, not when another passes.
func (w *watching) count(failed bool, now history.Micros) {
	switch {
	case failed:
		if w.streak++; w.streak == 1 {
			w.first = now
		}
	case !slices.ContainsFunc(w.seats, func(s *seat) bool { return s.failing }):
		w.streak, w.first = 0, history.Never
	}
}

func (w *watching) record(readings []history.Reading, now history.Micros) {
	for _, reading := range readings {
		if reading.Status == gates.Silent {
			continue
		}
		reading.Step = w.step
		if reading.Status == gates.Fail {
			reading.Streak = w.streak
		}
		w.sink.Event(history.NewEvent(now, reading))
	}
}

// said is the reason of a reading, with the gate's name where there are several.
func (w *watching) said(r history.Reading) string {
	if len(w.seats) == 1 {
		return r.Because
	}
	return r.Gate + ": " + r.Because
}

// withoutData applies gate.noData to the gates that have none, and reports whether
// the release must go back.
func (w *watching) withoutData(seats []*seat, now history.Micros) bool {
	for _, s := range seats {
		s.from = now
		switch w.spec.NoData {
		case gates.NoDataHold:
			s.passing = false
		case gates.NoDataProceed:
			s.passing = true
		default: // rollback: a gate that sees nothing must not let anything pass
			return true
		}
	}
	return false
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
