package conformance

import (
	"fmt"
	"math"
	"strings"

	"github.com/cutover-dev/cutover/stats"
)

// Want is what a quantity must be for all pods of a role in a phase.
type Want struct {
	phase    Phase
	role     Role
	quantity Quantity
	kind     wantKind
	within   span
}

type wantKind int

const (
	absolute wantKind = iota // the figure itself is within the span
	more                     // the figure less the one before is
	chance                   // the chance that a share is of is: an exact test does not reject it
)

// rejects is the error of the exact tests: one sound fault in a thousand is accused.
const rejects = 0.001

func want(phase Phase, role Role, quantity Quantity, within span) Want {
	return Want{phase, role, quantity, absolute, within}
}

// String is the want for people.
func (w Want) String() string {
	unit := units[w.quantity]
	limits := number(w.within.from, unit)
	switch {
	case math.IsInf(w.within.to, 1):
		limits = "at least " + limits
	case w.within.from != w.within.to:
		limits = fmt.Sprintf("%s to %s", strings.TrimSuffix(limits, " "+unit), number(w.within.to, unit))
	}
	if w.kind == chance || unit == "" && w.quantity != ExitCode && w.quantity != Restarts {
		limits = fmt.Sprintf("%.0f to %.0f %%", 100*w.within.from, 100*min(1, w.within.to))
	}
	if w.kind == more {
		limits += " more than before"
	}
	return fmt.Sprintf("%s, %s: %s %s", w.phase, w.role, w.quantity, limits)
}

// Result of a row.
type Result string

// The results.
const (
	OK     Result = "ok"
	Failed Result = "failed"
	// Cannot is the result where the driver, or this kernel, does not do the fault.
	Cannot Result = "cannot"
)

// Trial is what became of one case with one driver.
type Trial struct {
	Case   Case
	Driver string
	// Figures have their roles.
	Figures []Figure
	Said    Said
	Left    []string // residue after the fault
	Broken  string   // why the trial was not brought to its end
}

// Said is what a fault says of itself.
type Said struct {
	Injected bool   `json:"injected"` // its object's status: Selected, AllInjected, one pod at least
	Proven   bool   `json:"proven"`   // its own proof
	Because  string `json:"because"`
}

// Row is a judged trial.
type Row struct {
	Fault   string   `json:"fault"`
	Variant string   `json:"variant"`
	Driver  string   `json:"driver"`
	Result  Result   `json:"result"`
	Because []string `json:"because"` // of anything but ok
	Shows   Quantity `json:"shows"`   // what is shown of it in tables
	Said    Said     `json:"said"`
	Figures []Figure `json:"figures"`
	Left    []string `json:"left"`
}

// Unserved is the row of a case that a driver does not do, or not here. The reason
// begins with the fault's name, which is the row's.
func Unserved(c Case, driver, name string, why error) Row {
	because := strings.TrimPrefix(why.Error(), name+": ")
	return Row{Fault: c.Fault, Variant: c.Variant, Driver: driver, Result: Cannot, Because: []string{because}, Shows: c.Shows}
}

// Judge holds a trial against what its case wants.
func Judge(t Trial) Row {
	row := Row{
		Fault: t.Case.Fault, Variant: t.Case.Variant, Driver: t.Driver, Result: OK, Shows: t.Case.Shows, Said: t.Said,
		Figures: t.Figures, Left: t.Left,
	}
	if t.Broken != "" { // what was not measured then is no finding of its own
		row.Result, row.Because = Failed, []string{t.Broken}
		return row
	}
	effect := true
	for _, w := range t.Case.Wants {
		failures := w.judge(t.Figures)
		row.Because = append(row.Because, failures...)
		if len(failures) > 0 && w.phase == During && w.role == Target {
			effect = false
		}
	}
	if t.Said.Injected && !effect {
		row.Because = append(row.Because, "its object says AllInjected, and what was asked for is not there")
	}
	if !t.Said.Proven {
		row.Because = append(row.Because, "its own proof does not see it: "+t.Said.Because)
	}
	for _, left := range t.Left {
		row.Because = append(row.Because, "left behind: "+left)
	}
	if len(row.Because) > 0 {
		row.Result = Failed
	}
	return row
}

// judge says of each figure that is meant why it is not as wanted. That none is
// there is not as wanted either.
func (w Want) judge(figures []Figure) []string {
	var failures []string
	met := 0
	for _, f := range figures {
		if f.Phase != w.phase || f.Role != w.role || f.Quantity != w.quantity {
			continue
		}
		met++
		if wrong := w.hold(f, figures); wrong != "" {
			failures = append(failures, fmt.Sprintf("%s; pod %s: %s", w, f.Pod, wrong))
		}
	}
	if met == 0 {
		failures = append(failures, fmt.Sprintf("%s; nothing was measured", w))
	}
	return failures
}

// hold is "" if the figure is as wanted.
func (w Want) hold(f Figure, figures []Figure) string {
	if f.Value == nil {
		return f.String()
	}
	switch w.kind {
	case chance:
		if f.Hits == nil {
			return "it has no number of samples"
		}
		return w.test(*f.Hits, f.N)
	case more:
		before, known := before(f, figures)
		if !known {
			return fmt.Sprintf("it is %s, and what it was before is unknown", f)
		}
		if !w.within.has(*f.Value - before) {
			return fmt.Sprintf("it is %s, and was %s", f, number(before, units[f.Quantity]))
		}
	default:
		if !w.within.has(*f.Value) {
			return "it is " + f.String()
		}
	}
	return ""
}

// test is an exact binomial test on both sides.
func (w Want) test(hits, n int) string {
	tooMany := stats.BinomialTail(hits, n, w.within.to)      // of so many or more, at the highest chance
	tooFew := stats.BinomialTail(n-hits, n, 1-w.within.from) // of so few or fewer, at the lowest
	if tooMany < rejects || tooFew < rejects {
		return fmt.Sprintf("it is %d of %d", hits, n)
	}
	return ""
}

// before is the pod's own figure before the fault. One that was born later has none:
// the bystander's, at the same time, stands for it.
func before(f Figure, figures []Figure) (float64, bool) {
	for _, other := range figures {
		if other.Phase == Before && other.Pod == f.Pod && other.Quantity == f.Quantity && other.Value != nil {
			return *other.Value, true
		}
	}
	for _, other := range figures {
		if f.Role == Newborn && other.Role == Bystander && other.Phase == f.Phase && other.Quantity == f.Quantity && other.Value != nil {
			return *other.Value, true
		}
	}
	return 0, false
}
