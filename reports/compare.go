package reports

import (
	"io"
	"slices"

	"github.com/cutover-dev/cutover/verdict"
)

// Column is one of several places where the same scenarios were run.
type Column struct {
	Name string // of the place, such as kind
	Runs []verdict.Run
}

// Compare writes a Markdown table of what the same scenarios did in several places,
// a row each.
func Compare(columns []Column) Reporter {
	return func(w io.Writer) error {
		_, err := io.WriteString(w, markdownTable(compareTable(columns)))
		return err
	}
}

// Differences names the scenarios that did not end alike, by verdict or outcome,
// wherever they could be run. One that was run in a single place is like itself.
func Differences(columns []Column) []string {
	var differing []string
	for _, scenario := range scenariosOf(columns) {
		if !alike(ran(columns, scenario)) {
			differing = append(differing, scenario)
		}
	}
	return differing
}

func compareTable(columns []Column) table {
	words := []string{"Scenario"}
	for _, c := range columns {
		words = append(words, c.Name+": verdict", "outcome", "MTTR")
	}
	t := table{Head: head(append(words, "same")...)}
	for _, scenario := range scenariosOf(columns) {
		row := []cell{text(scenario)}
		for _, c := range columns {
			row = append(row, endOf(runOf(c, scenario))...)
		}
		t.Rows = append(t.Rows, append(row, text(sameness(ran(columns, scenario)))))
	}
	return t
}

// scenariosOf lists all scenarios, in the order of names.
func scenariosOf(columns []Column) []string {
	var names []string
	for _, c := range columns {
		for _, run := range c.Runs {
			names = append(names, run.Scenario)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// runOf is the last run of the scenario in a place; nil if there is none.
func runOf(c Column, scenario string) *verdict.Run {
	for i := range slices.Backward(c.Runs) {
		if c.Runs[i].Scenario == scenario {
			return &c.Runs[i]
		}
	}
	return nil
}

// ran are the runs of the scenario where it could be run.
func ran(columns []Column, scenario string) []verdict.Run {
	var runs []verdict.Run
	for _, c := range columns {
		if run := runOf(c, scenario); run != nil && run.Verdict != verdict.Skipped {
			runs = append(runs, *run)
		}
	}
	return runs
}

func alike(runs []verdict.Run) bool {
	for _, run := range runs {
		if run.Verdict != runs[0].Verdict || outcomeWord(run.Outcome) != outcomeWord(runs[0].Outcome) {
			return false
		}
	}
	return true
}

func sameness(runs []verdict.Run) string {
	switch {
	case len(runs) < 2:
		return none
	case alike(runs):
		return "yes"
	}
	return "NO"
}

func endOf(run *verdict.Run) []cell {
	if run == nil {
		return []cell{text("not run"), text(none), text(none)}
	}
	outcome, mttr := none, none
	if run.Outcome != nil {
		outcome = outcomeWord(run.Outcome)
	}
	if m := run.MTTR; m != nil {
		mttr = span(length(m.TotalMs))
		if m.Censored {
			mttr = "≥ " + mttr
		}
	}
	ended := string(verdictOf(*run))
	if c := run.Control; c != nil && c.Met {
		ended += ", as it must"
	}
	return []cell{text(ended), text(outcome), text(mttr)}
}
