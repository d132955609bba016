package reports

import (
	"io"
	"strings"

	"github.com/cutover-dev/cutover/history"
	"github.com/cutover-dev/cutover/verdict"
)

// IndexEntry is one run on the index page.
type IndexEntry struct {
	Plan history.Plan // zero if the record has none
	Run  verdict.Run
	Link string // to the run's report, relative to the index
}

// indexPage is what the index template shows.
type indexPage struct {
	Summary string
	Worst   verdict.Verdict
	Rows    []indexRow
}

type indexRow struct {
	Scenario, Why, Link    string
	Verdict                verdict.Verdict
	Outcome                string
	MTTR, MTTRLimit        string
	Bad, Control, Provider string
	ControlMark            string
}

// Index writes a page that links the reports of many runs, in the order given.
func Index(entries []IndexEntry) Reporter {
	return func(w io.Writer) error {
		p := indexPage{Summary: indexSummary(entries), Worst: worst(entries)}
		for _, e := range entries {
			p.Rows = append(p.Rows, newIndexRow(e))
		}
		return render(w, "index", p)
	}
}

func newIndexRow(e IndexEntry) indexRow {
	rec := record{h: history.History{Plan: e.Plan}, r: e.Run}
	row := indexRow{
		Scenario: scenarioName(rec), Why: e.Plan.Why, Link: e.Link, Verdict: verdictOf(e.Run), Outcome: none,
		MTTR: none, Bad: count(e.Run.Requests.Bad), Provider: orNone(e.Run.Provider),
	}
	if e.Run.Outcome != nil {
		row.Outcome = outcomeWord(e.Run.Outcome)
	}
	if e.Run.Requests.Sent == 0 {
		row.Bad = none
	}
	if m := e.Run.MTTR; m != nil {
		row.MTTR = span(length(m.TotalMs))
		if m.Censored {
			row.MTTR = "≥ " + row.MTTR
		}
	}
	if limit := e.Plan.Expect.MTTR; limit != nil && e.Run.MTTR != nil {
		row.MTTRLimit = "of " + setting(*limit)
	}
	if c := e.Run.Control; c != nil {
		row.Control, row.ControlMark = "must end "+string(c.Want)+", and did", "pass"
		if !c.Met {
			row.Control, row.ControlMark = "must end "+string(c.Want)+", and did not", "fail"
		}
	}
	return row
}

// severity orders verdicts from the least to the most urgent, as exit codes do.
var severity = []verdict.Verdict{verdict.Skipped, verdict.Pass, verdict.Invalid, verdict.Fail, verdict.Error}

// standing is what a run counts as: a control that is met passes, one that is not
// fails, unless the harness broke.
func standing(r verdict.Run) verdict.Verdict {
	switch v := verdictOf(r); {
	case r.Control != nil && r.Control.Met:
		return verdict.Pass
	case r.Control != nil && v != verdict.Error:
		return verdict.Fail
	default:
		return v
	}
}

func worst(entries []IndexEntry) verdict.Verdict {
	for i := len(severity) - 1; i >= 0; i-- {
		for _, e := range entries {
			if standing(e.Run) == severity[i] {
				return severity[i]
			}
		}
	}
	return verdict.Invalid
}

func indexSummary(entries []IndexEntry) string {
	counts, controls := map[verdict.Verdict]int{}, 0
	for _, e := range entries {
		counts[standing(e.Run)]++
		if e.Run.Control != nil {
			controls++
		}
	}
	parts := []string{plural(len(entries), "run")}
	for i := len(severity) - 1; i >= 0; i-- {
		if n := counts[severity[i]]; n > 0 {
			parts = append(parts, count(n)+" "+string(severity[i]))
		}
	}
	text := strings.Join(parts, " · ")
	if controls > 0 {
		text += " · " + plural(controls, "control") + ", counted as passed when they end as they must"
	}
	return text
}
