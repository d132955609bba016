package gates

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/cutover-dev/cutover/history"
	"github.com/cutover-dev/cutover/stats"
)

// Sequential compares the candidate with the baseline after every reading, by tests that
// may be looked at as often as one likes. It fails when the candidate is shown to be
// worse, and passes a step when it is shown to be acceptable.
type Sequential struct {
	Metrics  []string         `yaml:"metrics,omitempty" json:"metrics,omitempty"`   // what is compared: errors, latency; default both
	Harm     history.Fraction `yaml:"harm,omitempty" json:"harm,omitempty"`         // chance that a release of a candidate that is no worse fails; default 1%
	Promote  history.Fraction `yaml:"promote,omitempty" json:"promote,omitempty"`   // chance that a step passes one that is not acceptable; default 1%
	Ratio    Number           `yaml:"ratio,omitempty" json:"ratio,omitempty"`       // acceptable are rates of errors and slow requests below so many times the baseline's; default 2
	Tolerate history.Fraction `yaml:"tolerate,omitempty" json:"tolerate,omitempty"` // and those below this, whatever the baseline's; default 1%
	Slower   history.Fraction `yaml:"slower,omitempty" json:"slower,omitempty"`     // by so much of the baseline's latency the candidate may take longer; default 25%
	Slack    history.Duration `yaml:"slack,omitempty" json:"slack,omitempty"`       // and by this much beyond; default 20ms
	Soak     history.Duration `yaml:"soak,omitempty" json:"soak,omitempty"`         // longest wait for evidence at a step that is in effect, then there is no data; default 2m
}

var _ = register("sequential", kind{single: true, sections: func(s Spec) []section {
	if s.Sequential == nil {
		return nil
	}
	return []section{*s.Sequential}
}})

// What gates that compare may compare.
const (
	metricErrors  = "errors"
	metricLatency = "latency"
)

var metrics = []string{metricErrors, metricLatency}

// WithDefaults fills what was left out.
func (s Sequential) WithDefaults() Sequential {
	if s.Metrics == nil {
		s.Metrics = slices.Clone(metrics)
	}
	s.Harm, s.Promote = cmp.Or(s.Harm, 0.01), cmp.Or(s.Promote, 0.01)
	s.Ratio = cmp.Or(s.Ratio, Number{Value: 2, text: "2"})
	s.Tolerate, s.Slower = cmp.Or(s.Tolerate, 0.01), cmp.Or(s.Slower, 0.25)
	s.Slack = cmp.Or(s.Slack, history.Duration(20*time.Millisecond))
	s.Soak = cmp.Or(s.Soak, history.Duration(2*time.Minute))
	return s
}

func (s Sequential) asking() asking {
	return asking{limits: fmt.Sprintf("%s acceptable beside the baseline (harm %s, promote %s)", strings.Join(s.Metrics, " and "), s.Harm, s.Promote)}
}

func (s Sequential) validate(fail func(key, format string, args ...any)) {
	validateMetrics(s.Metrics, fail)
	for _, chance := range []struct {
		key string
		of  history.Fraction
	}{{"harm", s.Harm}, {"promote", s.Promote}} {
		if !(chance.of > 0 && chance.of <= 0.5) {
			fail(chance.key, "is %s: write the chance of a wrong decision that you accept, such as 1%%, up to 50%%", chance.of)
		}
	}
	if s.Ratio.Value <= 1 {
		fail("ratio", "is %s: write how many times the baseline's rate is not acceptable any more, such as 2; it is more than 1", s.Ratio)
	}
	if !(s.Tolerate > 0 && s.Tolerate < 1) {
		fail("tolerate", "is %s: write a rate that is acceptable even if the baseline has none, such as 1%%", s.Tolerate)
	}
	if s.Soak <= 0 {
		fail("soak", "is %s: write how long a step may wait for evidence, such as 2m", s.Soak)
	}
}

func validateMetrics(chosen []string, fail func(key, format string, args ...any)) {
	if len(chosen) == 0 {
		fail("metrics", "is empty: name what is compared, %s", strings.Join(metrics, " or "))
	}
	for i, metric := range chosen {
		if !slices.Contains(metrics, metric) {
			fail("metrics", "has %q: what can be compared is %s", metric, strings.Join(metrics, ", "))
		} else if slices.Contains(chosen[:i], metric) {
			fail("metrics", "has %s twice", metric)
		}
	}
}

func (s Sequential) gate(name string) Gate { return &sequential{Sequential: s, name: name} }

// settle is how long a request is given to be answered after it was overdue. One that
// nobody has answered by then counts as the candidate's, see [Threshold]; without this
// time, a slow answer of the baseline would.
const settle = time.Second

// sequential has evidence of its own for each step: what was seen at a tenth of the
// traffic says little of half of it. So that the chance of a false alarm holds for the
// whole release, the n-th step must bring n·(n+1) times the evidence (those chances add
// up to one).
type sequential struct {
	Sequential
	name string

	usual   stats.Interval // how often the baseline failed before the release
	latency *stats.Slower  // nil without requests of the baseline from then

	step           string
	steps          int // begun so far
	began, counted history.Micros
	read           history.Micros // when it was read last
	live           history.Micros // when the step was first seen to be in effect
	errors         *stats.Rates
	sample         sample
	alone          bool   // at this step there was no traffic of the baseline, at least for a while
	told           string // what was counted at this step
	worse          string // why it is worse; "" unless that was shown at this step
	acceptable     bool   // by what has been seen of this step up to now
}

var _ Collector = (*sequential)(nil)

// Name implements [Gate].
func (s *sequential) Name() string { return s.name }

// Limits implements [Gate].
func (s *sequential) Limits() string { return s.asking().limits }

// Collects implements [Collector]: requests come with time.
func (s *sequential) Collects() {}

// Read implements [Gate].
func (s *sequential) Read(_ context.Context, live history.Live, span Span) history.Reading {
	r := history.Reading{Gate: s.name, From: span.From, To: span.To, Status: NoData}
	if err := s.begin(live, span); err != nil {
		r.Because = err.Error()
		return r
	}
	if !span.Performing && !s.live.Happened() {
		s.live = span.To
	}
	s.read = span.To
	if to := span.To.After(-settle); to > s.counted {
		if err := s.count(live.Window(s.counted, to)); err != nil {
			r.Because = err.Error()
			return r
		}
	}
	r.From, r.N, r.Bad = s.began, s.sample.n, s.sample.bad
	if r.N == 0 {
		r.Because = "no requests of the candidate"
		return r
	}
	r.ErrRate = float64(s.sample.errors) / float64(r.N)
	s.judge()
	switch {
	case s.worse != "":
		r.Status, r.Because = Fail, s.worse
	case s.acceptable:
		r.Status, r.Because = Pass, s.told
	case !s.live.Happened() || span.To.Sub(s.live) < s.Soak.D():
		r.Status, r.Because = Waiting, s.lack()
	default:
		r.Because = fmt.Sprintf("undecided after %s: %s: give the candidate more traffic, or raise soak, tolerate or ratio", s.Soak, s.lack())
	}
	return r
}

// begin forgets the evidence where another step begins, or the same one again.
func (s *sequential) begin(live history.Live, span Span) error {
	if s.steps == 0 {
		if err := s.freeze(live.Window(0, span.From)); err != nil {
			return err
		}
	}
	if s.steps > 0 && span.Step == s.step && span.From <= s.read {
		return nil
	}
	errors, err := stats.NewRates(s.Ratio.Value, float64(s.Tolerate))
	if err != nil {
		return err
	}
	s.errors = errors
	if s.latency != nil {
		s.latency.Restart()
	}
	s.steps++
	s.step, s.began, s.counted, s.live = span.Step, span.From, span.From, history.Never
	s.sample, s.alone, s.worse, s.acceptable = sample{}, false, "", false
	return nil
}

// freeze keeps what the baseline did before the release.
func (s *sequential) freeze(before history.Window) (err error) {
	baseline := before.Versions[history.Baseline]
	s.usual = stats.RateOf(baseline.Errors, baseline.N)
	if !slices.Contains(s.Metrics, metricLatency) {
		return nil
	}
	if baseline.N == 0 {
		return fmt.Errorf("no requests of the baseline from before the release: there is no latency to compare with")
	}
	allowed := stats.Allowance{Part: float64(s.Slower), Slack: s.Slack.D()}
	s.latency, err = stats.NewSlower(baseline.Latencies, allowed, s.Ratio.Value, float64(s.Tolerate))
	return err
}

// A window without requests of the baseline waits for some, but not when it has so many of
// the candidate's, or is so long, that none is to be expected.
const (
	manyAlone = 100
	longAlone = 3 * time.Second
)

// count takes the requests of a window as a block.
func (s *sequential) count(w history.Window) error {
	candidate, baseline := sampleOf(w), w.Versions[history.Baseline]
	if baseline.N == 0 && candidate.n < manyAlone && w.To.Sub(w.From) < longAlone {
		return nil
	}
	s.counted = w.To
	s.sample.n += candidate.n
	s.sample.errors += candidate.errors
	s.sample.bad += candidate.bad
	s.alone = s.alone || baseline.N == 0
	block := stats.Counted{
		N:    stats.Arms{Candidate: float64(candidate.n), Baseline: float64(baseline.N)},
		Hits: stats.Arms{Candidate: float64(candidate.errors), Baseline: float64(baseline.Errors)},
	}
	if err := s.errors.Compare(block, s.usual); err != nil {
		return err
	}
	if s.latency == nil {
		return nil
	}
	return s.latency.Observe(candidate.latencies, baseline.Latencies)
}

// judge notes what the evidence shows by now. That the candidate is worse stays shown; that
// it is acceptable does not, for it may turn bad.
func (s *sequential) judge() {
	var worse []float64
	var told []string
	acceptable := math.Inf(1)
	if slices.Contains(s.Metrics, metricErrors) {
		worse, told = append(worse, s.errors.LogWorse()), append(told, s.failed())
		acceptable = min(acceptable, s.errors.LogAcceptable())
	}
	if s.latency != nil {
		slow, at := s.latency.LogWorse()
		worse, told = append(worse, slow), append(told, s.slow(at))
		fine, _ := s.latency.LogAcceptable()
		acceptable = min(acceptable, fine)
	}
	needed := math.Log(float64(s.steps*(s.steps+1)) / float64(s.Harm))
	if e := stats.LogMean(worse...); e >= needed && s.worse == "" {
		most := slices.Index(worse, slices.Max(worse))
		s.worse = fmt.Sprintf("worse than the baseline: %s (e-value %s, needed %s)", told[most], evidence(e), evidence(needed))
	}
	s.told = strings.Join(told, ", ")
	s.acceptable = acceptable >= math.Log(1/float64(s.Promote))
}

// failed counts the errors of this step.
func (s *sequential) failed() string {
	text := "errors " + counts(s.errors.Seen())
	if s.alone {
		text += fmt.Sprintf(", at most %.3g%% before the release", 100*s.usual.High)
	}
	return text
}

// slow counts the requests of this step beyond a quantile.
func (s *sequential) slow(quantile int) string {
	usual, allowed := s.latency.Limit(quantile)
	return fmt.Sprintf("longer than %s (the baseline's p%g is %s) %s", short(allowed, allowed), 100*stats.SlowQuantiles[quantile], short(usual, usual),
		counts(s.latency.Seen(quantile)))
}

// lack is what has not been shown yet.
func (s *sequential) lack() string {
	var parts []string
	needed := evidence(math.Log(1 / float64(s.Promote)))
	if slices.Contains(s.Metrics, metricErrors) {
		parts = append(parts, fmt.Sprintf("%s (e-value %s of %s)", s.failed(), evidence(s.errors.LogAcceptable()), needed))
	}
	if s.latency != nil {
		e, at := s.latency.LogAcceptable()
		parts = append(parts, fmt.Sprintf("%s (e-value %s of %s)", s.slow(at), evidence(e), needed))
	}
	return strings.Join(parts, ", ")
}

// counts are hits of both versions.
func counts(seen stats.Counted) string {
	text := fmt.Sprintf("%.0f of %.0f", seen.Hits.Candidate, seen.N.Candidate)
	if seen.N.Baseline > 0 {
		text += fmt.Sprintf(" against %.0f of %.0f", seen.Hits.Baseline, seen.N.Baseline)
	}
	return text
}

// evidence writes an e-value that is given by its logarithm.
func evidence(log float64) string {
	const most = 300 * math.Ln10
	value := math.Exp(log)
	switch {
	case log > most:
		return "beyond 1e300"
	case value >= 100 && value < 1e6:
		return fmt.Sprintf("%.0f", value)
	}
	return fmt.Sprintf("%.3g", value)
}
