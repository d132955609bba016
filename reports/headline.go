package reports

import (
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

// sentence answers the page's question in one go. The judge wrote it, so that every
// report, and the terminal, say the same.
func sentence(r verdict.Run) string {
	if r.Because == "" {
		return "Nobody has judged this run."
	}
	return sentenceOf(r.Because)
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

// measured reports whether the traffic was judged at all: only then does a missing
// MTTR mean that there was no incident.
func measured(rec record) bool { return rec.r.Availability != nil }

// gauge is one figure of the first screen: a measurement, its limit, and a bar that
// puts one against the other.
type gauge struct {
	Label string
	Value string
	Reach string // the interval that holds the truth; "" without one
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
	recovery.Reach = reachOf(rec.r.MTTR)
	switch m := rec.r.MTTR; {
	case m == nil && measured(rec):
		recovery.Value, detection.Value = "no incident", "nothing to detect"
	case m != nil && m.Censored:
		recovery.Value = "≥ " + recovery.Value
		recovery.Limit += "; censored: nothing reacted"
		if recovery.Mark == "pass" {
			recovery.Mark = "unjudged" // a bound below the limit proves nothing
		}
	}
	return []gauge{recovery, detection, availabilityGauge(rec), exposureGauge(rec.r.Requests)}
}

// reachOf is the interval of an MTTR that was measured; "" of one that is a bound itself, and
// in a record from before there were intervals.
func reachOf(m *verdict.MTTR) string {
	if m == nil || m.Censored || m.TotalMsCI == nil {
		return ""
	}
	return "(" + reach(*m.TotalMsCI) + " at 95 %)"
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
	if limit == nil {
		g.Value = span(*measured)
		g.Bar = bar(label, 0, 0, "good")
		return g
	}
	g.Value = against(*measured, *limit)
	mark, fill := within(float64(*measured), most)
	g.Mark, g.Bar = mark, bar(label, float64(*measured), most, fill)
	return g
}

// availabilityGauge draws what was bad against what may be bad: less is better, as
// in the other bars.
func availabilityGauge(rec record) gauge {
	g := gauge{Label: "Availability", Value: "not measured", Limit: "no limit set"}
	allowed := 0.0
	want, got := rec.h.Plan.Expect.Availability, rec.r.Availability
	if want != nil {
		allowed = 1 - float64(*want)
		g.Limit = "at least " + share(float64(*want))
	}
	g.Bar = bar(g.Label, 0, allowed, "good")
	if got == nil {
		return g
	}
	g.Value = share(*got)
	if want == nil {
		g.Limit = "bad: " + share(1-*got) + "; " + g.Limit
		return g
	}
	mark, fill := within(1-*got, allowed)
	g.Mark, g.Bar = mark, bar(g.Label, 1-*got, allowed, fill)
	g.Limit += "; bad: " + share(1-*got) + " of " + share(allowed) + " allowed"
	return g
}

// exposureGauge is how much of the traffic the candidate got, and how much of that was bad.
func exposureGauge(q verdict.Requests) gauge {
	g := gauge{Label: "Candidate exposure", Value: "no requests", Limit: "the candidate answered none"}
	all := max(q.Good+q.Bad, q.Candidate)
	g.Bar = bar(g.Label, float64(q.Candidate), float64(all), "candidate")
	if q.Candidate == 0 {
		return g
	}
	g.Value = plural(q.Candidate, "request")
	g.Limit = ratio(q.Candidate, all) + " of all; " + count(q.CandidateBad) + " of them bad"
	g.Bar.rect(0, 0, barWidth*px(q.CandidateBad)/px(all), barHeight, "bad")
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
