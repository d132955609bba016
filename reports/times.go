package reports

import (
	"fmt"

	"github.com/cutover-dev/cutover/history"
)

// stepTimes takes the steps from run.json, and from the events where a killed run
// left none.
func stepTimes(rec record) []stretch {
	var steps []stretch
	for _, s := range rec.r.Steps {
		steps = append(steps, stretch{name: s.Name, from: instant(s.BeginMs), live: instant(s.LiveMs), to: instant(s.EndMs)})
	}
	if len(steps) > 0 {
		return steps
	}
	for _, e := range rec.h.Events {
		if p, ok := history.Decode[history.StepBegan](e); ok {
			steps = append(steps, stretch{name: p.Name, from: e.At, live: history.Never, to: history.Never})
		}
		if len(steps) == 0 {
			continue
		}
		last := &steps[len(steps)-1]
		if p, ok := history.Decode[history.StepLive](e); ok && p.Name == last.name {
			last.live = e.At
		}
		if p, ok := history.Decode[history.StepEnded](e); ok && p.Name == last.name {
			last.to = e.At
		}
	}
	return steps
}

// faultTimes are the faults of the plan with when they were on: from applied to
// healed, or, of a one-shot fault, the instant that it was applied.
func faultTimes(rec record) []stretch {
	faults := make([]stretch, max(len(rec.h.Plan.Faults), len(rec.r.Faults)))
	for i := range faults {
		f := stretch{name: faultName(rec, i), from: history.Never, live: history.Never, to: history.Never}
		if i < len(rec.r.Faults) {
			f.from, f.to = instant(rec.r.Faults[i].InjectedMs), instant(rec.r.Faults[i].HealedMs)
		}
		if !f.from.Happened() {
			f.from = faultApplied(rec, i)
		}
		if i < len(rec.h.Plan.Faults) && rec.h.Plan.Faults[i].OneShot {
			f.to = f.from
		}
		faults[i] = f
	}
	return faults
}

func faultApplied(rec record, fault int) history.Micros {
	for _, e := range history.All[history.FaultApplied](rec.h.Events) {
		if e.Data.Fault == fault {
			return e.At
		}
	}
	return history.Never
}

// faultName names a fault and what it was aimed at.
func faultName(rec record, i int) string {
	if i >= 0 && i < len(rec.h.Plan.Faults) {
		f := rec.h.Plan.Faults[i]
		if f.Target == "" {
			return f.Name
		}
		return f.Name + " on " + f.Target
	}
	if i >= 0 && i < len(rec.r.Faults) {
		return rec.r.Faults[i].Name
	}
	return fmt.Sprintf("fault %d", i)
}
