package gates

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/cutover-dev/cutover/history"
	"github.com/cutover-dev/cutover/stats"
)

// Threshold compares the candidate with fixed limits: a share of errors and
// quantiles of latency.
//
// Bad requests that nobody could be blamed for count as the candidate's. Those of
// a candidate that swallows requests are just that, unanswered and unattributed,
// and must make it fail, not leave it without data. Good unattributed ones are
// left out.
type Threshold struct {
	errors  *history.Fraction
	latency []latencyLimit // by rising quantile
}

type latencyLimit struct {
	name string
	q    float64
	max  time.Duration
}

var _ Collector = (*Threshold)(nil)

const thresholdName = "threshold"

// newThreshold makes the gate of the limits of spec, which must be valid.
func newThreshold(spec Spec) *Threshold {
	t := &Threshold{}
	if spec.Errors != nil {
		t.errors = &spec.Errors.Max
	}
	for name, limit := range maps.All(spec.Latency) {
		t.latency = append(t.latency, latencyLimit{name: name, q: quantiles[name], max: limit.D()})
	}
	slices.SortFunc(t.latency, func(a, b latencyLimit) int { return cmp.Compare(a.q, b.q) })
	return t
}

// Name implements [Gate].
func (t *Threshold) Name() string { return thresholdName }

// Collects implements [Collector]: requests come with time.
func (t *Threshold) Collects() {}

// Limits implements [Gate].
func (t *Threshold) Limits() string {
	var limits []string
	if t.errors != nil {
		limits = append(limits, "errors <= "+t.errors.String())
	}
	for _, l := range t.latency {
		limits = append(limits, l.name+" <= "+l.max.String())
	}
	return strings.Join(limits, ", ")
}

// Read implements [Gate]. LatUs is the quantile that is over its limit, or else
// the one nearest to it.
func (t *Threshold) Read(_ context.Context, live history.Live, span Span) history.Reading {
	s := sampleOf(live.Window(span.From, span.To))
	r := history.Reading{Gate: thresholdName, From: span.From, To: span.To, Status: NoData, N: s.n, Bad: s.bad}
	if s.n > 0 {
		r.ErrRate = float64(s.errors) / float64(s.n)
	}
	if s.n == 0 || s.n < span.Min {
		r.Because = fmt.Sprintf("%d requests of the candidate, fewer than %d", s.n, max(span.Min, 1))
		return r
	}
	clauses := t.judge(s, &r)
	over := slices.DeleteFunc(slices.Clone(clauses), func(c clause) bool { return !c.over })
	r.Status = Pass
	if len(over) > 0 {
		r.Status, clauses = Fail, over
	}
	r.Because = fmt.Sprintf("%s (n=%d)", join(clauses), s.n)
	return r
}

// judge compares the sample with every limit and notes the telling quantile in r.
func (t *Threshold) judge(s sample, r *history.Reading) []clause {
	var clauses []clause
	if t.errors != nil {
		over := r.ErrRate > float64(*t.errors)
		clauses = append(clauses, clause{over, fmt.Sprintf("errors %.3g%% (%d) %s %s",
			100*r.ErrRate, s.errors, sign(over), *t.errors)})
	}
	nearest := -1.0
	for _, l := range t.latency {
		got, _ := stats.Quantile(s.latencies, l.q)
		over := got > l.max
		clauses = append(clauses, clause{over, l.name + " " + s.latency(got, l.max)})
		if ratio := float64(got) / float64(l.max); ratio > nearest {
			nearest, r.Q, r.LatUs = ratio, l.q, min(got, s.longest).Microseconds()
		}
	}
	return clauses
}

// clause is one limit compared.
type clause struct {
	over bool
	text string
}

func join(clauses []clause) string {
	texts := make([]string, len(clauses))
	for i, c := range clauses {
		texts[i] = c.text
	}
	return strings.Join(texts, ", ")
}

// sample is what counts as the candidate's.
type sample struct {
	n, errors, bad, unanswered int
	latencies                  []time.Duration // of the n; unanswered ones are endless
	longest                    time.Duration   // seen so far, waiting included
}

// endless is the latency of a request that is still unanswered: how long it will
// take is unknown, and what it has waited so far must not pass for it.
const endless = time.Duration(math.MaxInt64)

// sampleOf picks the candidate's requests and the bad ones that are nobody's.
func sampleOf(w history.Window) sample {
	own, nobodys := w.Versions[history.Candidate], w.Versions[history.Unattributed]
	s := sample{
		n:          own.N + nobodys.Bad,
		errors:     own.Errors + nobodys.Errors,
		bad:        own.Bad + nobodys.Bad,
		unanswered: own.Unanswered + nobodys.Unanswered,
	}
	s.add(own, own.N)
	s.add(nobodys, nobodys.Bad)
	return s
}

// add takes the count longest latencies of a tally. A tally does not say which
// latencies are those of the bad, nor which of the unanswered: the longest are
// taken, which is the worst case for the candidate.
func (s *sample) add(t history.Tally, count int) {
	latencies := slices.Sorted(slices.Values(t.Latencies))
	latencies = latencies[max(0, len(latencies)-count):]
	if len(latencies) == 0 {
		return
	}
	s.longest = max(s.longest, latencies[len(latencies)-1])
	for i := range min(t.Unanswered, len(latencies)) {
		latencies[len(latencies)-1-i] = endless
	}
	s.latencies = append(s.latencies, latencies...)
}

// latency compares a quantile with its limit in words.
func (s sample) latency(got, limit time.Duration) string {
	if got == endless {
		return fmt.Sprintf("unknown, %d unanswered after up to %s", s.unanswered, short(s.longest, limit))
	}
	return fmt.Sprintf("%s %s %s", short(got, limit), sign(got > limit), limit)
}

func sign(over bool) string {
	if over {
		return ">"
	}
	return "<="
}

// short rounds to whole milliseconds, unless that hides on which side of the limit
// d is.
func short(d, limit time.Duration) string {
	rounded := d.Round(time.Millisecond)
	if d < time.Millisecond || (rounded > limit) != (d > limit) {
		rounded = d.Round(time.Microsecond)
	}
	return rounded.String()
}
