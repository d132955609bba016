package verdict

import (
	"slices"

	"github.com/cutover-dev/cutover/history"
)

// occurrence is one application of a fault; a storm has several of one fault.
type occurrence struct {
	index          int            // into Plan.Faults
	applied, ended history.Micros // ended is Never for a one-shot, or if nobody saw the end
	oneShot        bool
}

func occurrences(h history.History) []occurrence {
	var found []occurrence
	for _, applied := range history.All[history.FaultApplied](h.Events) {
		index := applied.Data.Fault
		if index < 0 || index >= len(h.Plan.Faults) {
			continue // of a later version of the record
		}
		found = append(found, occurrence{
			index: index, applied: applied.At, ended: history.Never, oneShot: h.Plan.Faults[index].OneShot,
		})
	}
	for _, ended := range history.All[history.FaultEnded](h.Events) {
		// The end belongs to the latest application before it that is still on.
		for i := len(found) - 1; i >= 0; i-- {
			if o := &found[i]; o.index == ended.Data.Fault && o.applied <= ended.At && !o.ended.Happened() {
				o.ended = ended.At
				break
			}
		}
	}
	return found
}

// faultAt is the latest fault that was on at an instant; nil if none was.
func (e *Evidence) faultAt(at history.Micros) *occurrence {
	for i := len(e.faults) - 1; i >= 0; i-- {
		o := &e.faults[i]
		ended := o.ended
		if !ended.Happened() && o.oneShot {
			ended = o.applied.After(e.confirm())
		}
		if o.applied <= at.After(e.slack()) && (!ended.Happened() || at <= ended.After(e.slack())) {
			return o
		}
	}
	return nil
}

// proof is what the measurements at the target said of a fault. It is proven if
// there was one, and none denied it.
func (e *Evidence) proof(index int) (proof history.FaultProven, at history.Micros) {
	at = history.Never
	for _, p := range history.All[history.FaultProven](e.Events) {
		if p.Data.Fault != index {
			continue
		}
		if !at.Happened() || proof.Proven { // a denial stays
			proof = p.Data
		}
		if !at.Happened() {
			at = p.At
		}
	}
	return proof, at
}

// escape says which pods of a fault's target answered unfaulted while it was on.
type escape struct {
	pods          []string
	requests, all int // answered by those pods, and by the whole target
}

// share is the part of the target's requests that went unfaulted.
func (x escape) share() float64 {
	if x.all == 0 {
		return 0
	}
	return float64(x.requests) / float64(x.all)
}

// escapes looks, for a lasting fault on a version, for pods that answered before the
// fault had followed them, or without it ever doing so. If it left out a pod that
// had answered before it came, it was meant for some of the pods only, and then
// those born later are none of its business either. Other targets than a version,
// and answers whose pod is unknown, say nothing.
func (e *Evidence) escapes(o occurrence) escape {
	var x escape
	proof, proven := e.proof(o.index)
	if o.oneShot || !proof.Proven {
		return x
	}
	under, before := e.underFault(o.index), map[string]bool{}
	for _, r := range e.series.arrivals {
		if r.Pod == "" || !targets(e.Plan.Faults[o.index].Target, r.Version) || !r.Done.Happened() {
			continue
		}
		if r.Done < o.applied {
			before[r.Pod] = true
		}
		if r.Sent < max(proven, o.applied) || (o.ended.Happened() && r.Done > o.ended) {
			continue
		}
		x.all++
		since, hit := under[r.Pod]
		switch {
		case !hit && before[r.Pod]:
			return escape{}
		case !hit || r.Sent < since:
			x.requests++
			x.pods = append(x.pods, r.Pod)
		}
	}
	slices.Sort(x.pods)
	x.pods = slices.Compact(x.pods)
	return x
}

// underFault says since when each pod has been under the fault.
func (e *Evidence) underFault(index int) map[string]history.Micros {
	since := map[string]history.Micros{}
	for _, injected := range history.All[history.FaultInjected](e.Events) {
		if _, known := since[injected.Data.Pod]; injected.Data.Fault == index && !known {
			since[injected.Data.Pod] = injected.At
		}
	}
	return since
}

func targets(target string, version history.Version) bool {
	return target == string(version) || (target == "both" && version != history.Unattributed)
}

// listFaults are the planned faults and what became of each.
func (e *Evidence) listFaults() []Fault {
	list := make([]Fault, 0, len(e.Plan.Faults))
	for index, planned := range e.Plan.Faults {
		proof, _ := e.proof(index)
		fault := Fault{
			Name: planned.Name, Kind: planned.Kind, Step: planned.Step, Driver: planned.Driver,
			Proven: proof.Proven, EffectMs: proof.EffectMs, Because: proof.Because,
			Pods: slices.Clone(proof.Pods), Escaped: []string{},
		}
		for pod := range e.underFault(index) {
			fault.Pods = append(fault.Pods, pod)
		}
		for _, o := range e.faults {
			if o.index != index {
				continue
			}
			if fault.InjectedMs == nil {
				fault.InjectedMs = o.applied.Millis()
			}
			fault.HealedMs = o.ended.Millis()
			fault.Escaped = append(fault.Escaped, e.escapes(o).pods...)
		}
		fault.Pods, fault.Escaped = unique(fault.Pods), unique(fault.Escaped)
		list = append(list, fault)
	}
	return list
}

// unique sorts names and drops the repeated ones; it is never nil.
func unique(names []string) []string {
	slices.Sort(names)
	return append([]string{}, slices.Compact(names)...)
}
