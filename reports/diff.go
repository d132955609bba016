package reports

import (
	"cmp"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/cutover-dev/cutover/verdict"
)

// What of a comparison is on the page is bounded; the record holds it all.
const (
	maxDiffering  = 100
	shortDiff     = 5 // fields in the Markdown summary
	longestSample = 120
)

// diffSection is what came of comparing the versions' answers: the fields that differ,
// what was taken for noise, and what became of each request that was to be compared. There
// is none of a run that compares nothing.
func diffSection(rec record) (s section, compared bool) {
	s = section{ID: "differences", Title: "Differences"}
	d := rec.r.Diff
	if d == nil {
		s.Notes = []string{"The scenario expects something of it, but no answers were compared: the load was not brought to an end, or compared nothing."}
		return s, rec.h.Plan.Expect.Diff != ""
	}
	s.Notes = []string{diffSentence(*d), "Each of these requests was also sent to two pods of the baseline and to one of the candidate, in random order. A field differs if the candidate's answer is the odd one of three " +
		"more often than chance would have it; by chance it is so at most half as often as the baseline's two differ."}
	s.Tables = []table{differingTable(*d), noiseTable(*d), comparedTable(*d), chosenTable(*d)}
	return s, true
}

// diffSentence is what there is to know first.
func diffSentence(d verdict.Diff) string {
	of := plural(d.Fields, "field") + " in " + plural(d.Compared, "request")
	switch n := len(d.Differing); {
	case d.Compared == 0:
		return "Nothing was compared, so that nothing is known."
	case n == 0:
		return "No field differs by more than chance, of " + of + " that were compared."
	default:
		return plural(n, "field") + " of the candidate's answers " + verb(n, "differs", "differ") + " from the baseline's by more than chance, of " + of + " that were compared."
	}
}

func verb(n int, one, several string) string {
	if n == 1 {
		return one
	}
	return several
}

// byEvidence are the fields that differ, the surest first.
func byEvidence(d verdict.Diff) []verdict.DifferingField {
	fields := slices.Clone(d.Differing)
	slices.SortStableFunc(fields, func(a, b verdict.DifferingField) int { return cmp.Compare(b.LogE, a.LogE) })
	return fields
}

func differingTable(d verdict.Diff) table {
	t := table{ID: "differences-fields", Caption: "What differs, and is believed: how often the candidate's answer was the odd one, how often the baseline's two were not the same, and in how few runs chance alone would give as much evidence",
		Head: head("Field", "Request", "#Candidate odd", "#Baselines differ", "#Evidence", "Baseline said", "Candidate said", "Example")}
	fields := byEvidence(d)
	for _, f := range fields[:min(len(fields), maxDiffering)] {
		row := append(countsOf(f, d), text(none), text(none), text(none))
		if s := f.Sample; s != nil {
			copy(row[5:], []cell{code(shorten(s.Baseline, longestSample)), code(shorten(s.Candidate, longestSample)), code(s.ID)})
		}
		t.Rows = append(t.Rows, row)
	}
	if left := len(fields) - maxDiffering; left > 0 {
		t.Caption += "; " + plural(left, "more field") + " in run.json"
	}
	return t.fold()
}

// noiseTable is what differs, too, but not in a way that is the candidate's.
func noiseTable(d verdict.Diff) table {
	t := table{ID: "differences-noise", Caption: "What differs, and was ignored as noise, the most suspicious first",
		Head: head("Field", "Request", "#Candidate odd", "#Baselines differ", "#Evidence")}
	for _, f := range d.Noise {
		t.Rows = append(t.Rows, countsOf(f, d))
	}
	if left := d.NoiseFields - len(d.Noise); left > 0 {
		t.Caption += "; " + plural(left, "more field") + " in events.ndjson"
	}
	return t.fold()
}

// countsOf is the beginning of a field's row.
func countsOf(f verdict.DifferingField, d verdict.Diff) []cell {
	of := func(n int64) cell { return number(ratio(n, d.Requests[f.Request]) + " (" + count(n) + ")") }
	return []cell{code(shorten(f.Field, longestSample)), text(shorten(f.Request, longestSample)), of(f.Candidate), of(f.Baseline + f.AllDiffer), number(evidence(f.LogE))}
}

// evidence writes an e-value: 1 in 850, 1 in 10⁹. One of no more than 1 is none.
func evidence(logE float64) string {
	digits := logE / math.Ln10
	switch {
	case logE <= 0:
		return "none"
	case digits < 4:
		return "1 in " + decimal(math.Exp(logE), 0)
	}
	return "1 in 10" + superscript.Replace(strconv.Itoa(int(digits)))
}

var superscript = strings.NewReplacer("0", "⁰", "1", "¹", "2", "²", "3", "³", "4", "⁴", "5", "⁵", "6", "⁶", "7", "⁷", "8", "⁸", "9", "⁹")

// comparedTable says how much was looked at, and so what could have been overlooked.
func comparedTable(d verdict.Diff) table {
	t := table{ID: "differences-requests", Caption: "What was compared, and the smallest part of the answers in which a field could differ and would have been found, with a chance of 95 %",
		Head: head("Request", "#Compared", "#Would have been found")}
	for _, request := range slices.Sorted(maps.Keys(d.Requests)) {
		found := "nothing"
		if part := d.Findable[request]; part < 1 {
			found = "from " + share(part)
		}
		t.Rows = append(t.Rows, []cell{text(shorten(request, longestSample)), number(count(d.Requests[request])), number(found)})
	}
	return t.fold()
}

// chosenTable are the books: what was chosen was compared, or is dropped with a reason.
func chosenTable(d verdict.Diff) table {
	t := table{ID: "differences-books", Caption: "What became of the requests that were to be compared", Head: head("What", "#Requests")}
	row := func(what cell, n int64) { t.Rows = append(t.Rows, []cell{what, number(count(n))}) }
	row(text("compared"), d.Compared)
	if d.Large > 0 {
		row(text("of these, by its length and hash alone, for the size of an answer"), d.Large)
	}
	sum := d.Compared
	for _, reason := range slices.SortedFunc(maps.Keys(d.Dropped), func(a, b string) int {
		return cmp.Or(cmp.Compare(d.Dropped[b], d.Dropped[a]), cmp.Compare(a, b))
	}) {
		row(text("dropped: "+reason), d.Dropped[reason])
		sum += d.Dropped[reason]
	}
	chosen := cell{Text: "chosen, which is the sum", Mark: "pass"}
	if sum != d.Chosen {
		chosen = cell{Text: "chosen, which is not the sum, " + count(sum), Mark: "fail"}
	}
	row(chosen, d.Chosen)
	return t
}

// shortDiffTable is what the Markdown summary has room for.
func shortDiffTable(d verdict.Diff) table {
	t := differingTable(d)
	t.Head = t.Head[:len(t.Head)-1]
	t.Rows = t.Rows[:min(len(t.Rows), shortDiff)]
	for i := range t.Rows {
		t.Rows[i] = t.Rows[i][:len(t.Head)]
	}
	return t
}

// shortDiffBooks is what was compared, in a sentence.
func shortDiffBooks(d verdict.Diff) string {
	said := count(d.Compared) + " of " + plural(d.Chosen, "chosen request") + " " + verb(int(d.Chosen), "was", "were") + " compared"
	for _, row := range chosenTable(d).Rows {
		if reason, dropped := strings.CutPrefix(row[0].Text, "dropped: "); dropped {
			said += "; " + row[1].Text + " not: " + reason
		}
	}
	return said + "."
}
