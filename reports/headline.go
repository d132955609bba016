package reports

import (
	"fmt"
	"strings"
	"time"

	"github.com/cutover-dev/cutover/history"
	"github.com/cutover-dev/cutover/verdict"
)

// verdictOf treats a verdict that nobody set, or nobody knows, as what it is worth.
func verdictOf(r verdict.Run) verdict.Verdict {
	switch r.Verdict {
	case verdict.Pass, verdict.Fail, verdict.Skipped, verdict.Error:
		return r.Verdict
	}
	return verdict.Invalid
}

// sentence answers the page's question in one go: what happened, how bad it was for
// users, and whether all is clean again.
func sentence(rec record) string {
	switch verdictOf(rec.r) {
	case verdict.Skipped:
		return "Nothing ran: " + sentenceOf(orNone(because(rec)))
	case verdict.Error:
		return "The harness broke, so nothing is said about the release: " + sentenceOf(orNone(because(rec)))
	}
	parts := []string{outcomeClause(rec)}
	if rec.r.Requests.Good+rec.r.Requests.Bad > 0 {
		parts = append(parts, badClause(rec.r.Requests))
	}
	return strings.Join(append(parts, residueClause(rec)), "; ") + "."
}

// because is the reason for the verdict; the record's own words if the judge gave none.
func because(rec record) string {
	if rec.r.Because != "" {
		return rec.r.Because
	}
	if b, ok := history.First[history.Broken](rec.h.Events); ok {
		return b.Data.Because
	}
	s, _ := history.First[history.Skipped](rec.h.Events)
	return s.Data.Because
}

var outcomeWords = map[verdict.Outcome]string{
	verdict.Promoted:   "Promoted",
	verdict.RolledBack: "Rolled back",
	verdict.Stuck:      "Stuck between the versions",
	verdict.Failed:     "No version met the SLO",
}

// outcomeWord is the outcome for people.
func outcomeWord(o *verdict.Outcome) string {
	if o == nil {
		return "Outcome not known"
	}
	if word, ok := outcomeWords[*o]; ok {
		return word
	}
	return string(*o)
}

func outcomeClause(rec record) string {
	word, m := outcomeWord(rec.r.Outcome), rec.r.MTTR
	if m == nil && len(rec.h.Requests) == 0 {
		return word + ", since no requests are on record"
	}
	if m == nil {
		return word + " without a user-visible incident"
	}
	total := length(m.TotalMs)
	allowed, shown := "", span(total)
	if limit := rec.h.Plan.Expect.MTTR; limit != nil {
		allowed, shown = " (allowed "+setting(*limit)+")", against(total, *limit)
	}
	switch {
	case rec.r.Instants.RecoveredMs == nil:
		return word + "; users had not recovered " + shown + " after the onset" + allowed
	case m.RecoveredBy == "fault-end":
		return word + "; users recovered only when the fault ended, after " + shown + allowed
	case m.RecoveredBy == "self":
		return word + "; the platform healed itself in " + shown + allowed
	case m.RecoveredBy == "rollback" && rec.r.Outcome != nil && *rec.r.Outcome == verdict.RolledBack:
		return word + " in " + shown + allowed
	}
	return word + "; users recovered in " + shown + allowed
}

func badClause(q verdict.Requests) string {
	if q.Bad == 0 {
		return "none of " + plural(q.Good, "request") + " was bad"
	}
	verb := "were"
	if q.Bad == 1 {
		verb = "was"
	}
	return fmt.Sprintf("%s of %s %s bad, %s", count(q.Bad), plural(q.Good+q.Bad, "request"), verb, ratio(q.Bad, q.Good+q.Bad))
}

func residueClause(rec record) string {
	_, scanned := history.First[history.Residue](rec.h.Events)
	switch {
	case len(rec.r.Residue) > 0:
		return plural(len(rec.r.Residue), "thing") + " left behind"
	case scanned:
		return "nothing was left behind"
	}
	return "nobody looked for what was left behind"
}

// gauge is one figure of the first screen: a measurement, its limit, and a bar that
// puts one against the other.
type gauge struct {
	Label string
	Value string
	Limit string
	Mark  string // pass or fail against the limit; "" without one
	Bar   figure
}

func gauges(rec record) []gauge {
	e := rec.h.Plan.Expect
	var mttr, detect *time.Duration
	if m := rec.r.MTTR; m != nil {
		total := length(m.TotalMs)
		mttr = &total
		if m.Segments.DetectMs != nil {
			d := length(*m.Segments.DetectMs)
			detect = &d
		}
	}
	recovery := timeGauge("MTTR", mttr, e.MTTR)
	detection := timeGauge("Detection", detect, e.Detection)
	switch m := rec.r.MTTR; {
	case m == nil && len(rec.h.Requests) > 0:
		recovery.Value, detection.Value = "no incident", "nothing to detect"
	case m != nil && m.Censored:
		recovery.Value, recovery.Mark = "≥ "+recovery.Value, ""
		recovery.Limit += "; censored: a bound, no reaction"
	}
	return []gauge{recovery, detection, availabilityGauge(rec), exposureGauge(rec.r.Requests)}
}

func timeGauge(label string, measured *time.Duration, limit *history.Duration) gauge {
	g := gauge{Label: label, Value: "not measured", Limit: "no limit set"}
	var most float64
	if limit != nil {
		g.Limit, most = "of "+setting(*limit)+" allowed", float64(limit.D())
	}
	if measured == nil {
		g.Bar = bar(label, 0, most, "good")
		return g
	}
	g.Value = span(*measured)
	fill := "other"
	if limit != nil {
		g.Value = against(*measured, *limit)
		g.Mark, fill = within(float64(*measured), most)
	}
	g.Bar = bar(label, float64(*measured), most, fill)
	return g
}

// availabilityGauge draws what was bad against what may be bad: less is better, as
// in the other bars.
func availabilityGauge(rec record) gauge {
	g := gauge{Label: "Availability", Value: "not measured", Limit: "no limit set"}
	limit := 0.0
	if want := rec.h.Plan.Expect.Availability; want != nil {
		limit = 1 - float64(*want)
		g.Limit = "at least " + share(float64(*want))
	}
	a := rec.r.Availability
	if a == nil {
		g.Bar = bar(g.Label, 0, limit, "good")
		return g
	}
	g.Value = share(*a)
	fill := "other"
	if rec.h.Plan.Expect.Availability != nil {
		g.Mark, fill = within(1-*a, limit)
	}
	g.Limit += "; " + plural(rec.r.Requests.Bad, "bad request")
	g.Bar = bar(g.Label, 1-*a, limit, fill)
	return g
}

// exposureGauge is how much of the traffic the candidate got, and how much of that was bad.
func exposureGauge(q verdict.Requests) gauge {
	g := gauge{Label: "Candidate exposure", Value: "no requests", Limit: "the candidate answered none"}
	g.Bar = bar(g.Label, float64(q.Candidate), float64(q.Sent), "candidate")
	if q.Candidate == 0 {
		return g
	}
	g.Value = plural(q.Candidate, "request")
	g.Limit = ratio(q.Candidate, q.Sent) + " of all; " + count(q.CandidateBad) + " of them bad"
	if q.Sent > 0 {
		g.Bar.rect(0, 0, barWidth*px(q.CandidateBad)/px(max(q.Sent, q.Candidate)), barHeight, "bad")
	}
	return g
}

func within(measured, limit float64) (mark, fill string) {
	const hair = 1e-9 // fractions of requests are not exact
	if measured <= limit+hair {
		return "pass", "good"
	}
	return "fail", "bad"
}

const (
	barWidth  = 260
	barHeight = 10
)

// bar draws a measurement as a length, and its limit as a tick that it should not reach.
func bar(label string, measured, limit float64, fill string) figure {
	f := figure{W: barWidth, H: barHeight + 4, Title: label + " against its limit"}
	full := max(measured, limit)
	f.rect(0, 0, barWidth, barHeight, "rule")
	if full == 0 {
		return f
	}
	f.rect(0, 0, barWidth*px(measured/full), barHeight, fill)
	if limit > 0 && fill != "candidate" {
		x := min(barWidth*px(limit/full), barWidth-1.5)
		f.line(x, 0, x, barHeight+4, "ink", 3, "")
	}
	return f
}
