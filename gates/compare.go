package gates

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/cutover-dev/cutover/history"
	"github.com/cutover-dev/cutover/stats"
)

// Compare holds the candidate's requests of each reading against the baseline's: the
// latencies by their ranks (Mann and Whitney), the errors by their counts. Each reading
// is a test of its own, on requests of its own.
type Compare struct {
	Metrics    []string         `yaml:"metrics,omitempty" json:"metrics,omitempty"`       // what is compared: errors, latency; default both
	Tolerate   history.Fraction `yaml:"tolerate,omitempty" json:"tolerate,omitempty"`     // a share of errors up to this never fails; default 1%
	Slower     history.Fraction `yaml:"slower,omitempty" json:"slower,omitempty"`         // by so much of the baseline's latency the candidate may take longer; default 25%
	Slack      history.Duration `yaml:"slack,omitempty" json:"slack,omitempty"`           // and by this much beyond; default 20ms
	Confidence history.Fraction `yaml:"confidence,omitempty" json:"confidence,omitempty"` // that a candidate which is within that does not fail a reading; default 99%
}

var _ = register("compare", kind{single: true, sections: func(s Spec) []section {
	if s.Compare == nil {
		return nil
	}
	return []section{*s.Compare}
}})

// WithDefaults fills what was left out.
func (c Compare) WithDefaults() Compare {
	if c.Metrics == nil {
		c.Metrics = slices.Clone(metrics)
	}
	c.Tolerate, c.Slower = cmp.Or(c.Tolerate, 0.01), cmp.Or(c.Slower, 0.25)
	c.Slack = cmp.Or(c.Slack, history.Duration(20*time.Millisecond))
	c.Confidence = cmp.Or(c.Confidence, 0.99)
	return c
}

func (c Compare) asking() asking {
	var limits []string
	if slices.Contains(c.Metrics, metricErrors) {
		limits = append(limits, fmt.Sprintf("no more errors than the baseline or <= %s", c.Tolerate))
	}
	if slices.Contains(c.Metrics, metricLatency) {
		limits = append(limits, fmt.Sprintf("at most %s and %s slower than the baseline", c.Slower, c.Slack))
	}
	return asking{limits: strings.Join(limits, ", ")}
}

func (c Compare) validate(fail func(key, format string, args ...any)) {
	validateMetrics(c.Metrics, fail)
	if c.Tolerate >= 1 {
		fail("tolerate", "is %s: write a share of errors that is borne, such as 1%%", c.Tolerate)
	}
	if !(c.Confidence >= 0.5 && c.Confidence < 1) {
		fail("confidence", "is %s: write how sure a failing reading is, such as 99%%; from 50%% to less than 100%%", c.Confidence)
	}
}

func (c Compare) gate(name string) Gate { return &compare{Compare: c, name: name} }

type compare struct {
	Compare
	name string
	last history.Tally // of the baseline, when there was enough
}

var _ Collector = (*compare)(nil)

// Name implements [Gate].
func (c *compare) Name() string { return c.name }

// Limits implements [Gate].
func (c *compare) Limits() string { return c.asking().limits }

// Collects implements [Collector]: requests come with time.
func (c *compare) Collects() {}

// Read implements [Gate]. LatUs is the candidate's median.
func (c *compare) Read(_ context.Context, live history.Live, span Span) history.Reading {
	w := live.Window(span.From, span.To)
	candidate, least := sampleOf(w), max(span.Min, 1)
	r := history.Reading{Gate: c.name, From: span.From, To: span.To, Status: NoData, N: candidate.n, Bad: candidate.bad}
	if r.N > 0 {
		r.ErrRate = float64(candidate.errors) / float64(r.N)
	}
	if r.N < least {
		r.Because = fmt.Sprintf("%d requests of the candidate, fewer than %d", r.N, least)
		return r
	}
	baseline, when := c.baseline(live, w, span.From, least)
	if baseline.N < least {
		r.Because = fmt.Sprintf("%d requests of the baseline, fewer than %d, now as well as before the release", baseline.N, least)
		return r
	}
	median, _ := stats.Quantile(candidate.latencies, 0.5)
	r.Q, r.LatUs = 0.5, min(median, candidate.longest).Microseconds()
	clauses, err := c.judge(candidate, baseline)
	if err != nil {
		r.Because = err.Error()
		return r
	}
	r.Status = Pass
	if over := slices.DeleteFunc(slices.Clone(clauses), func(c clause) bool { return !c.over }); len(over) > 0 {
		r.Status, clauses = Fail, over
	}
	r.Because = fmt.Sprintf("%s (n=%d, the baseline's %d%s)", join(clauses), r.N, baseline.N, when)
	return r
}

// baseline is the tally that the candidate is held against: that of the window, or, where
// the baseline has little traffic or none, the last one that had enough.
func (c *compare) baseline(live history.Live, w history.Window, from history.Micros, least int) (t history.Tally, when string) {
	if now := w.Versions[history.Baseline]; now.N >= least {
		c.last = now
		return now, ""
	}
	if c.last.N < least {
		c.last = live.Window(0, from).Versions[history.Baseline]
	}
	return c.last, " from before"
}

// judge compares what is to be compared. The chance of a wrong alarm is shared.
func (c *compare) judge(candidate sample, baseline history.Tally) (clauses []clause, err error) {
	alpha := (1 - float64(c.Confidence)) / float64(len(c.Metrics))
	if slices.Contains(c.Metrics, metricErrors) {
		clauses = append(clauses, c.errors(candidate, baseline, alpha))
	}
	if slices.Contains(c.Metrics, metricLatency) {
		slower, err := c.latency(candidate, baseline, alpha)
		if err != nil {
			return nil, err
		}
		clauses = append(clauses, slower)
	}
	return clauses, nil
}

// errors asks how likely so many of all errors are the candidate's if both fail alike.
func (c *compare) errors(candidate sample, baseline history.Tally, alpha float64) clause {
	all, share := candidate.errors+baseline.Errors, float64(candidate.n)/float64(candidate.n+baseline.N)
	p := stats.BinomialTail(candidate.errors, all, share)
	rate, usual := float64(candidate.errors)/float64(candidate.n), float64(baseline.Errors)/float64(baseline.N)
	return clause{
		over: rate > float64(c.Tolerate) && p < alpha,
		text: fmt.Sprintf("errors %.3g%% (%d) against %.3g%% (%d), p %.2g", 100*rate, candidate.errors, 100*usual, baseline.Errors, p),
	}
}

// latency asks how likely such ranks are if the candidate takes as long as it is allowed.
func (c *compare) latency(candidate sample, baseline history.Tally, alpha float64) (clause, error) {
	allowance := stats.Allowance{Part: float64(c.Slower), Slack: c.Slack.D()}
	allowed := make([]time.Duration, len(baseline.Latencies))
	for i, latency := range baseline.Latencies {
		allowed[i] = allowance.After(latency)
	}
	ranks, err := stats.MannWhitney(candidate.latencies, allowed)
	if err != nil {
		return clause{}, err
	}
	median, _ := stats.Quantile(candidate.latencies, 0.5)
	usual, _ := stats.Quantile(baseline.Latencies, 0.5)
	limit, told := allowance.After(usual), "p50 unknown, unanswered"
	if median != endless {
		told = "p50 " + short(median, limit)
	}
	return clause{
		over: ranks.P < alpha,
		text: fmt.Sprintf("%s against %s, of which %s is allowed, p %.2g", told, short(usual, usual), short(limit, limit), ranks.P),
	}, nil
}
