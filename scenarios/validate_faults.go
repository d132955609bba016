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
	given := slices.DeleteFunc([]string{"step", "write", "after", "event"}, func(name string) bool { return !v.given(join(key, name)) })
	if len(given) != 1 {
		v.want(false, key, "%d of step, write, after and event are given: pin the fault to exactly one", len(given))
		return
	}
	v.want(at.When == "" || at.Step != "" || at.Write != 0, key+".when", "only with step and write: %s has a single instant", given[0])
	if v.s.Procedure != nil {
		v.want(at.Step == "", key+".step", "the steps of a procedure are its writes: pin the fault to one with write, such as write: 1 for the first")
		v.want(at.Step != "" || at.Write > 0 || given[0] != "write", key+".write", "%d: writes are counted from 1", at.Write)
		return
	}
	v.want(given[0] != "write", key+".write", "only a procedure has writes to count: use step, after or event")
	steps, err := release.StepNames(v.s.Release, v.s.App)
	if at.Step == "" || err != nil {
		return
	}
	v.want(slices.Contains(steps, at.Step), key+".step", "no step %q in this release; its steps: %s%s",
		at.Step, strings.Join(steps, ", "), didYouMean(at.Step, steps))
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
	fault, err := faults.Parse(spec)
	if err != nil {
		v.refused(key, key+".chaos", err)
		return true
	}
	return !fault.OneShot()
}
