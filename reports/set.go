package reports

import (
	"cmp"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/cutover-dev/cutover/verdict"
)

// setPage is what the template of a set shows.
type setPage struct {
	Scenario, Why, Sentence string
	Worst                   verdict.Verdict
	Tables                  []table
	Notes                   []string
	Rows                    []indexRow
	Replay                  string
}

// SetJSON writes set.json.
func SetJSON(s verdict.Set) Reporter { return indented(s) }

// SetPage writes a page of what the repeats of a scenario show together, with links to
// the reports of its runs, in the order given.
func SetPage(s verdict.Set, runs []IndexEntry) Reporter {
	return func(w io.Writer) error {
		p := setPage{Scenario: orNone(s.Scenario), Sentence: s.Because, Worst: s.Verdict, Tables: setTables(s), Notes: setNotes(s), Replay: s.Replay}
		for i, e := range runs {
			row := newIndexRow(e)
			if i < len(s.Runs) {
				row.Scenario = s.Runs[i].Record
			}
			p.Why, row.Why = cmp.Or(p.Why, row.Why), ""
			p.Rows = append(p.Rows, row)
		}
		return render(w, "set", p)
	}
}

// SetClosing is the set for a terminal: its tables and its verdict.
func SetClosing(s verdict.Set) Reporter {
	return func(w io.Writer) error {
		var b strings.Builder
		for _, t := range setTables(s) {
			fmt.Fprintln(&b)
			out := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
			for _, row := range append([][]cell{t.Head}, t.Rows...) {
				words := make([]string, len(row))
				for i, c := range row {
					words[i] = c.Text
				}
				if _, err := fmt.Fprintln(out, strings.Join(words, "\t")); err != nil {
					return err
				}
			}
			if err := out.Flush(); err != nil {
				return err
			}
		}
		fmt.Fprintln(&b)
		for _, note := range setNotes(s) {
			fmt.Fprintf(&b, "%-10s %s\n", "note", note)
		}
		fmt.Fprintf(&b, "%-10s %s: %s\n%-10s %s\n", "set", strings.ToUpper(string(s.Verdict)), s.Because, "replay", s.Replay)
		_, err := io.WriteString(w, b.String())
		return err
	}
}

func setTables(s verdict.Set) []table {
	tables := []table{armsTable(s), recoveryTable(s.MTTR)}
	if s.Comparison != nil {
		tables = append(tables, comparisonTable(*s.Comparison))
	}
	return tables
}

// ends are the outcomes in the order that tables show them.
var ends = []verdict.Outcome{verdict.Promoted, verdict.RolledBack, verdict.Stuck, verdict.Failed}

func armsTable(s verdict.Set) table {
	t := table{ID: "set-runs", Caption: "Runs by verdict and outcome", Head: head("Runs", "#planned", "#pass", "#fail", "#show nothing", "#broken", "Outcomes", "#with an incident")}
	add := func(name string, a verdict.Arm) {
		var outcomes []string
		for _, end := range ends {
			if n := a.Outcomes[end]; n > 0 {
				outcomes = append(outcomes, count(n)+" "+string(end))
			}
		}
		if n := a.Outcomes[""]; n > 0 {
			outcomes = append(outcomes, count(n)+" unknown")
		}
		t.Rows = append(t.Rows, []cell{text(name), number(count(a.Planned)), number(count(a.Verdicts[verdict.Pass])), number(count(a.Verdicts[verdict.Fail])),
			number(count(a.Invalid)), number(count(a.Verdicts[verdict.Error])), text(strings.Join(outcomes, ", ")), number(count(a.Incidents))})
	}
	add("repeats", s.Repeats)
	if s.Sham != nil {
		add("sham: without the faults", *s.Sham)
	}
	return t
}

func recoveryTable(r verdict.Recovery) table {
	t := table{ID: "set-mttr", Caption: "MTTR, and what it is at least and at most: each with 95 % confidence", Head: head("MTTR", "#estimate", "#at least", "#at most", "#incidents", "#censored")}
	for _, row := range []struct {
		name string
		b    verdict.Bound
	}{{"of half of the incidents (p50)", r.P50}, {"of 95 of 100 (p95)", r.P95}} {
		t.Rows = append(t.Rows, []cell{text(row.name), number(orSpan(row.b.Ms)), number(orSpan(row.b.LowMs)), number(orSpan(row.b.HighMs)), number(count(r.Incidents)), number(count(r.Censored))})
	}
	return t
}

func comparisonTable(c verdict.Comparison) table {
	t := table{ID: "set-sham", Caption: "What the faults did: medians, and the median of the differences within pairs", Head: head("Figure", "#with faults", "#sham", "#difference", "#at least", "#at most", "#p", "#pairs")}
	lasting := func(f float64) string { return span(length(f)) }
	percents := func(f float64) string { return decimalShort(math.Round(f*1e5)/1e3) + " %" }
	for _, row := range []struct {
		name  string
		d     verdict.Difference
		write func(float64) string
	}{{"bad requests", c.BadRequests, decimalShort}, {"availability", c.Availability, percents}, {"latency p99", c.LatencyP99Ms, lasting}, {"MTTR", c.MTTRMs, lasting}} {
		cells := []cell{text(row.name)}
		for _, f := range []*float64{row.d.With, row.d.Sham, row.d.Median, row.d.Low, row.d.High} {
			written := ""
			if f != nil {
				written = row.write(*f)
			}
			cells = append(cells, number(written))
		}
		p := ""
		if row.d.P != nil {
			p = strconv.FormatFloat(*row.d.P, 'g', 2, 64)
		}
		t.Rows = append(t.Rows, append(cells, number(p), number(count(row.d.Pairs))))
	}
	return t
}

// setNotes say what the tables leave out.
func setNotes(s verdict.Set) []string {
	var notes []string
	if n := s.Repeats.NotRun; n > 0 {
		notes = append(notes, plural(n, "repeat")+" of the set did not run; they count as showing nothing.")
	}
	if n := s.MTTR.Without; n > 0 {
		notes = append(notes, plural(n, "judged repeat")+" had no incident that users saw, and so no MTTR.")
	}
	if n := s.MTTR.Unmeasured; n > 0 {
		notes = append(notes, plural(n, "judged repeat")+" had an MTTR that could not be judged; it is left out.")
	}
	if s.MTTR.Censored > 0 {
		notes = append(notes, "A censored incident was over because its fault ended, or was not seen to be over: it would have lasted longer. It counts as lasting at least so long (Kaplan and Meier).")
	}
	return notes
}

func orSpan(ms *float64) string {
	if ms == nil {
		return ""
	}
	return span(length(*ms))
}
