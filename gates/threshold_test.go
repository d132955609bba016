package gates

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cutover-dev/cutover/history"
)

// still is a live view in which one window is all there is.
type still struct {
	history.Live
	versions map[history.Version]history.Tally
}

func (s still) Window(from, to history.Micros) history.Window {
	return history.Window{From: from, To: to, Versions: s.versions}
}

// tally of n requests, all of one latency.
func tally(n, errors, bad int, latency time.Duration) history.Tally {
	return history.Tally{N: n, Errors: errors, Bad: bad, Latencies: slices.Repeat([]time.Duration{latency}, n)}
}

func unanswered(n int, waited time.Duration) history.Tally {
	t := tally(n, n, n, waited)
	t.Unanswered = n
	return t
}

const (
	quick = 20 * time.Millisecond
	slow  = 611 * time.Millisecond
)

func spec(errors float64, latency map[string]history.Duration) Spec {
	s := Spec{Latency: latency}
	if errors >= 0 {
		s.Errors = &ErrorLimit{Max: history.Fraction(errors)}
	}
	return s
}

func TestThreshold(t *testing.T) {
	p99 := map[string]history.Duration{"p99": history.Duration(500 * time.Millisecond)}
	loose := map[string]history.Duration{"p99": history.Duration(2 * time.Second)}
	both := map[string]history.Duration{"p50": history.Duration(100 * time.Millisecond), "p99": p99["p99"]}
	tests := []struct {
		name                        string
		spec                        Spec
		baseline, candidate, nobody history.Tally
		status, because             string
	}{
		// HAPPY: well within both limits.
		{"good", spec(.01, p99), tally(900, 0, 0, quick), tally(120, 0, 0, quick), history.Tally{},
			Pass, "errors 0% (0) <= 1%, p99 20ms <= 500ms (n=120)"},
		// SAD: slow.
		{"slow", spec(.01, p99), history.Tally{}, tally(120, 0, 120, slow), history.Tally{},
			Fail, "p99 611ms > 500ms (n=120)"},
		// HAPPY: one slow request in a hundred is what p99 allows.
		{"one slow in a hundred", spec(.01, p99), history.Tally{}, tally(99, 0, 0, quick).Add(tally(1, 0, 1, slow)), history.Tally{},
			Pass, "p99 20ms <= 500ms"},
		// SAD: two are one too many.
		{"two slow in a hundred", spec(.01, p99), history.Tally{}, tally(98, 0, 0, quick).Add(tally(2, 0, 2, slow)), history.Tally{},
			Fail, "p99 611ms > 500ms"},
		// SAD: errors.
		{"errors", spec(.01, p99), history.Tally{}, tally(120, 12, 12, quick), history.Tally{},
			Fail, "errors 10% (12) > 1% (n=120)"},
		// HAPPY: errors at the limit are within it.
		{"errors at the limit", spec(.1, nil), history.Tally{}, tally(120, 12, 12, quick), history.Tally{},
			Pass, "errors 10% (12) <= 10%"},
		// SAD: slow and wrong; both are said.
		{"both", spec(.01, p99), history.Tally{}, tally(120, 12, 120, slow), history.Tally{},
			Fail, "errors 10% (12) > 1%, p99 611ms > 500ms (n=120)"},
		// SAD: only the limit that is over is said.
		{"median", spec(-1, both), history.Tally{}, tally(120, 0, 0, 200*time.Millisecond), history.Tally{},
			Fail, "p50 200ms > 100ms (n=120)"},
		// SAD: an excess below a millisecond is not rounded away.
		{"a hair over", spec(-1, p99), history.Tally{}, tally(120, 0, 0, 500*time.Millisecond+3*time.Microsecond), history.Tally{},
			Fail, "p99 500.003ms > 500ms"},
		// HAPPY: a terrible baseline is none of the candidate's business.
		{"bad baseline", spec(.01, p99), tally(900, 900, 900, slow), tally(120, 0, 0, quick), history.Tally{},
			Pass, ""},
		// SAD: a candidate that swallows everything has answered nothing.
		{"black hole", spec(.01, p99), tally(900, 0, 0, quick), history.Tally{}, unanswered(60, slow),
			Fail, "errors 100% (60) > 1%, p99 unknown, 60 unanswered after up to 611ms (n=60)"},
		// SAD: likewise where only latency is limited, and more loosely than the SLO:
		// what was waited so far must not pass for a latency.
		{"black hole, latency only", spec(-1, loose), tally(900, 0, 0, quick), history.Tally{}, unanswered(60, slow),
			Fail, "p99 unknown, 60 unanswered"},
		// SAD: half swallowed.
		{"half black", spec(.01, nil), history.Tally{}, tally(60, 0, 0, quick), unanswered(60, slow),
			Fail, "errors 50% (60) > 1%"},
		// HAPPY: few enough unanswered ones leave the quantile where it is.
		{"one unanswered in a hundred", spec(-1, p99), history.Tally{}, tally(99, 0, 0, quick), unanswered(1, slow),
			Pass, "p99 20ms <= 500ms (n=100)"},
		// SAD: failures that nobody can be blamed for.
		{"unattributed errors", spec(.01, nil), history.Tally{}, tally(120, 0, 0, quick), tally(30, 30, 30, quick),
			Fail, "errors 20% (30) > 1% (n=150)"},
		// HAPPY: good unattributed answers neither fill the sample nor dilute it.
		{"good unattributed", spec(.01, p99), history.Tally{}, tally(120, 0, 0, quick), tally(500, 0, 0, quick),
			Pass, "(n=120)"},
		// SAD: dilution would hide ten per cent.
		{"no dilution", spec(.05, nil), history.Tally{}, tally(100, 10, 10, quick), tally(9000, 0, 0, quick),
			Fail, "errors 10% (10) > 5% (n=100)"},
		// NO DATA: too few, however bad.
		{"too few", spec(.01, p99), tally(900, 0, 0, quick), tally(49, 49, 49, slow), history.Tally{},
			NoData, "49 requests of the candidate, fewer than 50"},
		// NO DATA: good unattributed ones do not make a sample.
		{"only unattributed", spec(.01, p99), history.Tally{}, history.Tally{}, tally(500, 0, 0, quick),
			NoData, "0 requests"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			gate := newThreshold(tt.spec)
			live := still{versions: map[history.Version]history.Tally{
				history.Baseline: tt.baseline, history.Candidate: tt.candidate, history.Unattributed: tt.nobody,
			}}
			r := gate.Read(context.Background(), live, Span{From: 1, To: 2, Min: 50})
			if r.Status != tt.status || !strings.Contains(r.Because, tt.because) {
				t.Errorf("%s because %q, want %s because %q", r.Status, r.Because, tt.status, tt.because)
			}
			if r.From != 1 || r.To != 2 || r.Gate != "threshold" {
				t.Errorf("reading %+v does not say what it covers", r)
			}
		})
	}
}

func TestReadingFigures(t *testing.T) {
	limits := map[string]history.Duration{"p50": history.Duration(time.Second), "p99": history.Duration(500 * time.Millisecond)}
	gate := newThreshold(spec(.01, limits))
	live := still{versions: map[history.Version]history.Tally{history.Candidate: tally(120, 6, 120, slow)}}
	r := gate.Read(context.Background(), live, Span{})
	if r.N != 120 || r.Bad != 120 || r.ErrRate != .05 || r.Q != .99 || r.LatUs != 611_000 {
		t.Errorf("reading %+v", r)
	}
	if got, want := gate.Limits(), "errors <= 1%, p50 <= 1s, p99 <= 500ms"; got != want {
		t.Errorf("limits %q, want %q", got, want)
	}
	// Nothing at all is no data, also for a gate that would take any number.
	if r := gate.Read(context.Background(), still{}, Span{}); r.Status != NoData {
		t.Errorf("status %s of nothing, want %s", r.Status, NoData)
	}
}

func TestSpecValidate(t *testing.T) {
	tests := []struct {
		name string
		spec Spec
		want string // "" if valid
	}{
		// HAPPY: one limit is enough.
		{"errors alone", spec(.01, nil), ""},
		{"latency alone", spec(-1, map[string]history.Duration{"p99.9": 1}), ""},
		// SAD: no limit passes everything.
		{"no limit", Spec{}, "gate limits nothing"},
		// SAD: the known quantiles are named, in order.
		{"unknown quantile", spec(-1, map[string]history.Duration{"p98": 1}), "gate.latency.p98 is not a known quantile: use one of p50, p90, p95, p99, p99.9"},
		{"limit of zero", spec(-1, map[string]history.Duration{"p99": 0}), "gate.latency.p99"},
		{"no policy of that name", Spec{Errors: &ErrorLimit{}, NoData: "promote"}, `gate.noData is "promote": use rollback`},
		{"negative min", Spec{Errors: &ErrorLimit{}, Min: -1}, "gate.min"},
		{"negative fails", Spec{Errors: &ErrorLimit{}, Fails: -1}, "gate.fails"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := tt.spec.Validate()
			if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("error %v, want %q", err, tt.want)
			}
			if _, err := New(tt.spec, Place{}); (err == nil) != (tt.want == "") {
				t.Errorf("New: %v", err)
			}
		})
	}
}

func TestSpecDefaults(t *testing.T) {
	got := Spec{Fails: 3}.WithDefaults()
	if got.Every.D() != time.Second || got.Min != 50 || got.Fails != 3 || got.NoData != NoDataRollback {
		t.Errorf("defaults %+v", got)
	}
}
