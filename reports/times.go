package reports

import (
	"fmt"
	"strings"

	"github.com/cutover-dev/cutover/history"
)

// stretch is a named part of the run.
type stretch struct {
	name           string
	from, live, to history.Micros
}

// steps are the steps as they were seen; one without an end lasts to the next, or
// to the end of the story.
func (s *story) steps() []stretch {
	var seen []stretch
	for i, step := range s.rec.r.Steps {
		at := stretch{name: strings.TrimSpace(step.Name + " " + step.Title), from: instant(step.BeginMs), live: instant(step.LiveMs), to: instant(step.EndMs)}
		if !at.to.Happened() && i+1 < len(s.rec.r.Steps) {
			at.to = instant(s.rec.r.Steps[i+1].BeginMs)
		}
		if !at.to.Happened() {
			at.to = s.flow.to
		}
		if at.from.Happened() {
			seen = append(seen, at)
		}
	}
	return seen
}

// faults are the faults each time that they were applied: a storm has several. One
// that was never seen to end lasts to the end of the story, a one-shot no time at all.
func (s *story) faults() []stretch {
	var seen []stretch
	for _, e := range s.rec.h.Events {
		if p, ok := history.Decode[history.FaultApplied](e); ok {
			f := stretch{name: faultName(s.rec, p.Fault), from: e.At, live: history.Never, to: s.faultEnd(p.Fault, e.At)}
			seen = append(seen, f)
		}
	}
	return seen
}

func (s *story) faultEnd(fault int, applied history.Micros) history.Micros {
	if fault >= 0 && fault < len(s.rec.h.Plan.Faults) && s.rec.h.Plan.Faults[fault].OneShot {
		return applied
	}
	for _, e := range history.All[history.FaultEnded](s.rec.h.Events) {
		if e.Data.Fault == fault && e.At >= applied {
			return e.At
		}
	}
	return s.flow.to
}

// faultName names a fault of the plan and what it was aimed at.
func faultName(rec record, i int) string {
	if i < 0 || i >= len(rec.h.Plan.Faults) {
		return fmt.Sprintf("fault %d", i)
	}
	f := rec.h.Plan.Faults[i]
	if f.Target == "" {
		return f.Name
	}
	return f.Name + " on " + f.Target
}
