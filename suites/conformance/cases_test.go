package conformance

import (
	"slices"
	"strings"
	"testing"

	"github.com/cutover-dev/cutover/faults"
)

// A fault that is built later fails here until it has a case.
func TestEveryFaultHasACase(t *testing.T) {
	if missing := Missing(); len(missing) > 0 {
		t.Errorf("no case for %v: add a shape to cases.go", missing)
	}
}

func TestCases(t *testing.T) {
	seen := map[string]bool{}
	for _, c := range Cases() {
		name := c.Fault + " (" + c.Variant + ")"
		if seen[name] {
			t.Errorf("%s: there are two", name)
		}
		seen[name] = true
		fault, err := c.Parse()
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if is := strings.TrimSpace(fault.Kind() + " " + fault.Action()); is != c.Fault {
			t.Errorf("%s: its spec is of %s", name, is)
		}
		if fault.OneShot() != (c.Lasts == 0) || fault.Lasting() != c.Lasts {
			t.Errorf("%s: the fault lasts %s", name, fault.Lasting())
		}
		if !slices.Contains(faults.Supported(), c.Fault) {
			t.Errorf("%s: nobody has built this", name)
		}
		wantsAll(t, name, c)
	}
}

// wantsAll demands of a case what no case may be without.
func wantsAll(t *testing.T, name string, c Case) {
	t.Helper()
	has := func(phase Phase, role Role) bool {
		return slices.ContainsFunc(c.Wants, func(w Want) bool { return w.phase == phase && w.role == role })
	}
	healed := Target
	if c.Setting.Replaced {
		healed = Newborn
	}
	for phase, roles := range map[Phase][]Role{Before: {Target, Bystander}, During: {Target, Bystander}, After: {healed, Bystander}} {
		for _, role := range roles {
			if !has(phase, role) {
				t.Errorf("%s: nothing is wanted of the %s %s", name, role, phase)
			}
		}
	}
	if c.Pods > 1 && (!has(During, Spared) || !has(After, Spared)) {
		t.Errorf("%s: nothing is wanted of the pods that are left out", name)
	}
	if c.Setting.Birth && (!has(During, Newborn) || !has(After, Newborn)) {
		t.Errorf("%s: nothing is wanted of the pod that is born", name)
	}
	if !slices.Contains(c.Quantities(), c.Shows) {
		t.Errorf("%s: %s is to be shown, and nothing is wanted of it", name, c.Shows)
	}
	for _, quantity := range c.Quantities() {
		if !canMeasure(quantity) {
			t.Errorf("%s: nobody can measure %s", name, quantity)
		}
	}
}

func canMeasure(quantity Quantity) bool {
	if quantity == Healed || quantity == Arrived {
		return true // at the end of the fault, and by the pod itself
	}
	for _, instrument := range instruments {
		if slices.Contains(instrument.quantities, quantity) {
			return true
		}
	}
	return false
}

func TestEveryToleranceHasAReason(t *testing.T) {
	for _, tolerance := range Tolerances() {
		if tolerance.Of == "" || tolerance.Why == "" || tolerance.Above <= 0 {
			t.Errorf("%+v", tolerance)
		}
	}
}
