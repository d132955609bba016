package scenarios

import (
	"slices"
	"strings"

	"github.com/cutover-dev/cutover/faults"
	"github.com/cutover-dev/cutover/release"
)

// faults checks every fault and reports whether one of them lasts.
func (v *validator) faults() (lasting bool) {
	for i, spec := range v.s.Faults {
		key := elem("faults", i)
		v.at(key+".at", spec.At)
		if v.chaos(key, spec) {
			lasting = true
		}
	}
	return lasting
}

// at checks that a fault is pinned to one instant, and to one that there is.
func (v *validator) at(key string, at faults.At) {
	given := slices.DeleteFunc([]string{"step", "write", "request", "after", "event"}, func(name string) bool { return !v.given(join(key, name)) })
	if len(given) != 1 {
		v.want(false, key, "%d of step, write, request, after and event are given: pin the fault to exactly one", len(given))
		return
	}
	v.when(key+".when", given[0], at.When)
	if v.s.Procedure != nil {
		v.want(at.Step == "", key+".step", "the steps of a procedure are its writes: pin the fault to one with write, such as write: 1 for the first")
		if q := at.Request; q != nil {
			v.want(q.Verb != "" || q.Kind != "" || q.Name != "", key+".request", "it says nothing of the request: give one or more of verb, kind and name")
			v.want(q.Nth >= 0 && (q.Nth > 0 || !v.given(key+".request.nth")), key+".request.nth", "%d: requests are counted from 1", q.Nth)
		}
		v.want(at.Step != "" || at.Write > 0 || given[0] != "write", key+".write", "%d: writes are counted from 1", at.Write)
		return
	}
	v.want(given[0] != "request", key+".request", "only the requests of a procedure are seen: use step, after or event")
	v.want(given[0] != "write", key+".write", "only a procedure has writes to count: use step, after or event")
	steps, err := release.StepNames(v.s.Release, v.s.App)
	if at.Step == "" || err != nil {
		return
	}
	v.want(slices.Contains(steps, at.Step), key+".step", "no step %q in this release; its steps: %s%s",
		at.Step, strings.Join(steps, ", "), didYouMean(at.Step, steps))
}

// when checks the instant of what a fault is pinned to.
func (v *validator) when(key, pinned, when string) {
	switch pinned {
	case "step", "write":
		v.want(when != "after", key, "a %s has before, begin and live; after is of a request", pinned)
	case "request":
		v.want(when == "" || when == "before" || when == "after", key, "a request has before and after, not %s", when)
	default:
		v.want(when == "", key, "only with step, write and request: %s has a single instant", pinned)
	}
}

// chaos checks the damage itself and reports whether it lasts.
func (v *validator) chaos(key string, spec faults.Spec) (lasting bool) {
	duration := key + ".chaos.spec.duration"
	if v.given(key+".for") && v.given(duration) {
		v.want(false, key+".for", "the duration is also given as chaos.spec.duration on line %d: keep for", v.line(duration))
		return true
	}
	if !v.sound(key) {
		return true
	}
	v.want(!faults.IsOwn(spec.Chaos.Kind) || v.s.Procedure != nil, key+".chaos.kind", "a %s is on a procedure, and there is none", spec.Chaos.Kind)
	fault, err := faults.Parse(spec)
	if err != nil {
		section := key + ".chaos"
		if faults.IsOwn(spec.Chaos.Kind) || strings.HasPrefix(err.Error(), "target:") {
			section = key // these also say what they are pinned to and what they are on
		}
		v.refused(key, section, err)
		return true
	}
	return !fault.OneShot()
}
