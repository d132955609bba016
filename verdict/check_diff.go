package verdict

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/cutover-dev/cutover/history"
)

// diffCheck: the candidate answers as the baseline does.
type diffCheck struct{}

func (diffCheck) Name() string { return "diff" }

func (diffCheck) Want(expect history.Expect) string { return expect.Diff }

func (diffCheck) Assumes() []Assumption { return []Assumption{released, answersCompared} }

// Judge names the fields that differ, each with how often it was the candidate's answer
// that was the odd one of three, and what else would have been found.
func (diffCheck) Judge(e *Evidence) Finding {
	d := e.diff
	if d == nil {
		return Finding{Status: CheckUnjudged, Because: "no answers were compared"}
	}
	if len(d.Differing) == 0 {
		request, _ := d.leastCompared()
		return Finding{Status: CheckPass, Got: "none", Because: fmt.Sprintf("%s compared in %s; one that differs in %s of the answers to %s would have been found",
			plural(d.Compared, "request"), plural(int64(d.Fields), "field"), percent(d.Findable[request]), request)}
	}
	first := d.Differing[0]
	for _, f := range d.Differing {
		if f.LogE > first.LogE {
			first = f
		}
	}
	because := fmt.Sprintf("%s of %s: of three answers the candidate's was the odd one %d times, the baseline's %d times", first.Field, first.Request, first.Candidate, first.Baseline)
	if s := first.Sample; s != nil {
		because += fmt.Sprintf("; %s became %s", s.Baseline, s.Candidate)
	}
	return Finding{Status: CheckFail, Got: strings.Join(differing(d), ", "), Because: because}
}

// differing names the fields that differ, up to five of them.
func differing(d *Diff) []string {
	var names []string
	for i, f := range d.Differing {
		if i == 5 {
			return append(names, fmt.Sprintf("%d more", len(d.Differing)-i))
		}
		names = append(names, f.Field)
	}
	return names
}

var answersCompared = Assumption{"answers compared", comparisonBroken}

// comparisonBroken: all that was to be compared is accounted for, and enough of each kind
// of request was to find a field that always differs.
func comparisonBroken(e *Evidence) string {
	d := e.diff
	if d == nil {
		return "the load was not brought to an end, or compared nothing"
	}
	sum := d.Compared
	most := ""
	for _, reason := range slices.Sorted(maps.Keys(d.Dropped)) {
		sum += d.Dropped[reason]
		if d.Dropped[reason] > d.Dropped[most] {
			most = reason
		}
	}
	needed := int64(neededOdd(d.Fields))
	switch request, n := d.leastCompared(); {
	case sum != d.Chosen:
		return fmt.Sprintf("the books of the comparison do not balance: %s chosen, %s compared or dropped", count(d.Chosen), count(sum))
	case n < needed && most != "":
		return fmt.Sprintf("%s compared of %s, and it takes %d to find a field that always differs; most others: %s (%s)", count(n), request, needed, most, count(d.Dropped[most]))
	case n < needed:
		return fmt.Sprintf("%s compared of %s, and it takes %d to find a field that always differs", count(n), request, needed)
	}
	return ""
}
