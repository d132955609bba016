package gates

import (
	"context"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cutover-dev/cutover/history"
)

// flow is a live view of requests that come at a steady pace.
type flow struct {
	history.Live
	random    *rand.Rand
	candidate traffic // after released
	baseline  traffic
	before    traffic // of the baseline
	released  history.Micros
	nobodys   history.Tally // in each window after released
}

// traffic is what a version gets and what it makes of it, in a second.
type traffic struct {
	rate    float64
	errors  float64
	latency time.Duration // median
}

func (f *flow) Window(from, to history.Micros) history.Window {
	w := history.Window{From: from, To: to, Versions: map[history.Version]history.Tally{}}
	if before := min(to, f.released).Sub(from); before > 0 {
		w.Versions[history.Baseline] = f.tally(f.before, before)
	}
	if after := to.Sub(max(from, f.released)); after > 0 {
		w.Versions[history.Baseline] = w.Versions[history.Baseline].Add(f.tally(f.baseline, after))
		w.Versions[history.Candidate] = f.tally(f.candidate, after)
		w.Versions[history.Unattributed] = f.nobodys
	}
	return w
}

func (f *flow) tally(t traffic, span time.Duration) (made history.Tally) {
	for range int(t.rate * span.Seconds()) {
		made.N++
		if f.random.Float64() < t.errors {
			made.Errors++
			made.Bad++
		}
		made.Latencies = append(made.Latencies, t.latency+time.Duration(f.random.ExpFloat64()*float64(5*time.Millisecond)))
	}
	return made
}

const second = history.Micros(1_000_000)

// release reads a gate once a second from 20 s on, when the release began.
func (f *flow) release(g Gate, step string, seconds int) (last history.Reading, all []string) {
	began := f.released
	for i := range seconds {
		now := began + history.Micros(i+1)*second
		last = g.Read(context.Background(), f, Span{Step: step, From: began, To: now, Min: 50})
		all = append(all, last.Status)
		if last.Status == Fail {
			break
		}
	}
	return last, all
}

func TestSequential(t *testing.T) {
	const ten, thirty = 10 * time.Millisecond, 30 * time.Millisecond
	good := traffic{100, 0, ten}
	for _, row := range []struct {
		name                        string
		spec                        Sequential
		candidate, baseline, before traffic
		nobodys                     history.Tally
		seconds                     int
		status, because             string
	}{
		// HAPPY: like the baseline, which takes evidence.
		{"good", Sequential{}, good, good, good, history.Tally{}, 30, Pass, "errors 0 of "},
		{"good, so far", Sequential{}, good, good, good, history.Tally{}, 3, Waiting, "errors 0 of 200 against 0 of 200 (e-value "},
		// HAPPY: both fail, which is not the candidate's fault.
		{"both fail", Sequential{Tolerate: .001}, traffic{100, .1, ten}, traffic{100, .1, ten}, good, history.Tally{}, 60, Pass, " against "},
		// HAPPY: better than the baseline.
		{"better", Sequential{}, good, traffic{100, .05, thirty}, traffic{100, .05, thirty}, history.Tally{}, 30, Pass, "errors 0 of "},
		// SAD: it fails more often, and not often.
		{"errors", Sequential{}, traffic{100, .03, ten}, good, good, history.Tally{}, 30, Fail, "worse than the baseline: errors "},
		{"errors of a tenth of the traffic", Sequential{}, traffic{20, .05, ten}, traffic{180, 0, ten}, good, history.Tally{}, 30, Fail, "needed 200)"},
		// SAD: it is slower, by far less than an SLO would notice.
		{"slow", Sequential{}, traffic{100, 0, 40 * time.Millisecond}, good, good, history.Tally{}, 30, Fail, "worse than the baseline: longer than "},
		// HAPPY: where it may be.
		{"slow, and nobody asks", Sequential{Metrics: []string{"errors"}}, traffic{100, 0, 40 * time.Millisecond}, good, good, history.Tally{}, 30, Pass, "errors 0 of "},
		{"slower by less than the slack", Sequential{}, traffic{100, 0, 20 * time.Millisecond}, good, good, history.Tally{}, 30, Pass, ""},
		// SAD: nobody answers, and nobody else could have been asked.
		{"black hole", Sequential{}, traffic{}, good, good, unanswered(20, slow), 30, Fail, "worse than the baseline: errors 20 of 20"},
		// HAPPY, SAD: the baseline has no traffic any more; it is known how often it failed.
		{"alone, good", Sequential{}, good, traffic{}, good, history.Tally{}, 30, Pass, ", at most 0.459% before the release"},
		{"alone, errors", Sequential{}, traffic{100, .05, ten}, traffic{}, good, history.Tally{}, 30, Fail, ", at most 0.459% before the release"},
		// NO DATA: alone, slowness cannot be shown, but it is not acceptable either.
		{"alone, slow", Sequential{Soak: history.Duration(20 * time.Second)}, traffic{100, 0, 70 * time.Millisecond}, traffic{}, good, history.Tally{}, 25, NoData, "undecided after 20s: "},
		// NO DATA: too little traffic to tell.
		{"too little", Sequential{Soak: history.Duration(20 * time.Second)}, traffic{2, 0, ten}, good, good, history.Tally{}, 25, NoData, "give the candidate more traffic"},
		{"none", Sequential{}, traffic{}, good, good, history.Tally{}, 25, NoData, "no requests of the candidate"},
		// NO DATA: nothing to compare with.
		{"no baseline ever", Sequential{}, good, traffic{}, traffic{}, history.Tally{}, 25, NoData, "no requests of the baseline from before"},
	} {
		t.Run(row.name, func(t *testing.T) {
			f := &flow{random: rand.New(rand.NewPCG(1, 2)), candidate: row.candidate, baseline: row.baseline, before: row.before, released: 20 * second, nobodys: row.nobodys}
			gate := row.spec.WithDefaults().gate("sequential")
			r, all := f.release(gate, "weight-50", row.seconds)
			if r.Status != row.status || !strings.Contains(r.Because, row.because) {
				t.Errorf("%s because %q, want %s because %q", r.Status, r.Because, row.status, row.because)
			}
			if row.status == Fail && slices.Contains(all, Pass) {
				t.Errorf("it passed before it failed: %v", all)
			}
			if r.Gate != "sequential" || r.To <= r.From {
				t.Errorf("reading %+v does not say what it covers", r)
			}
		})
	}
}

// What a step has shown says nothing of the next one, nor of the same one when a release
// begins again.
func TestSequentialEvidenceIsOfAStep(t *testing.T) {
	f := &flow{random: rand.New(rand.NewPCG(1, 2)), candidate: traffic{100, 0, time.Millisecond}, baseline: traffic{100, 0, time.Millisecond},
		before: traffic{100, 0, time.Millisecond}, released: 20 * second}
	gate := Sequential{}.WithDefaults().gate("sequential")
	if r, _ := f.release(gate, "weight-10", 30); r.Status != Pass {
		t.Fatalf("%s because %s", r.Status, r.Because)
	}
	at := func(step string, from, to history.Micros) string {
		return gate.Read(t.Context(), f, Span{Step: step, From: from, To: to}).Status
	}
	for _, row := range []struct {
		comment  string
		step     string
		from, to history.Micros
		want     string
	}{
		{"the same step goes on", "weight-10", 50 * second, 51 * second, Pass},
		{"another step", "weight-50", 52 * second, 54 * second, Waiting},
		{"which takes evidence of its own", "weight-50", 52 * second, 80 * second, Pass},
		{"the same step from its beginning: it has become live", "weight-50", 52 * second, 81 * second, Pass},
		{"the same step of a release that begins again", "weight-50", 90 * second, 92 * second, Waiting},
	} {
		if got := at(row.step, row.from, row.to); got != row.want {
			t.Errorf("%s: %s, want %s", row.comment, got, row.want)
		}
	}
	// One that turns slow where nothing can be compared is not acceptable any more.
	f.baseline, f.released = traffic{}, 100*second
	span := Span{Step: "weight-100", From: 100 * second, To: 120 * second}
	if r := gate.Read(t.Context(), f, span); r.Status != Pass {
		t.Errorf("alone: %s because %s", r.Status, r.Because)
	}
	f.candidate.latency, span.To = time.Second, 160*second
	if r := gate.Read(t.Context(), f, span); r.Status != Waiting {
		t.Errorf("slow since: %s because %s", r.Status, r.Because)
	}
	f.candidate.latency, f.baseline, f.released = time.Millisecond, traffic{100, 0, time.Millisecond}, 200*second
	// Each step needs more evidence than the one before it.
	f.candidate.errors = 1
	if r, _ := f.release(gate, "promote", 5); !strings.Contains(r.Because, "needed 3000)") {
		t.Errorf("at the fifth step: %s", r.Because)
	}
}

// A second in which the baseline happens to get no request is not one in which it has no
// traffic: it is the same second for both.
func TestSequentialWaitsForTheBaseline(t *testing.T) {
	before := traffic{100, 0, time.Millisecond}
	gate := Sequential{Metrics: []string{"errors"}}.WithDefaults().gate("sequential")
	// Both fail half of the time, and the baseline has a request every other second.
	rare := &flow{random: rand.New(rand.NewPCG(1, 2)), candidate: traffic{10, .5, time.Millisecond}, baseline: traffic{.5, .5, time.Millisecond}, before: before, released: 20 * second}
	if r, _ := rare.release(gate, "weight-95", 60); r.Status == Fail || strings.Contains(r.Because, "before the release") {
		t.Errorf("%s because %s", r.Status, r.Because)
	}
	// With none at all, it does not wait for ever.
	none := &flow{random: rare.random, candidate: rare.candidate, before: before, released: 100 * second}
	if r, _ := none.release(gate, "weight-100", 10); r.Status != Fail || !strings.Contains(r.Because, "before the release") {
		t.Errorf("%s because %s", r.Status, r.Because)
	}
}

// Releases of four steps of a candidate that is the baseline itself fail no more often
// than was promised, while rates go up and down for both; one that fails half as often
// again does.
func TestSequentialFalseAlarms(t *testing.T) {
	const releases = 300
	for _, row := range []struct {
		times       float64 // the candidate's rate of errors
		least, most int     // failing releases
	}{{1, 0, 9}, {3, 150, 300}} { // 1 % of 300, and three standard deviations
		failed := 0
		for i := range uint64(releases) {
			f := &flow{random: rand.New(rand.NewPCG(i, 3)), before: traffic{100, .02, 10 * time.Millisecond}, released: 20 * second}
			gate := Sequential{Harm: .01}.WithDefaults().gate("sequential")
			for step, share := range []float64{.1, .25, .5, .9} {
				rate := []float64{.02, .1, .01, .05}[step]
				f.candidate = traffic{200 * share, rate * row.times, 10 * time.Millisecond}
				f.baseline = traffic{200 * (1 - share), rate, 10 * time.Millisecond}
				if r, _ := f.release(gate, string(rune('a'+step)), 8); r.Status == Fail {
					failed++
					break
				}
			}
		}
		if failed < row.least || failed > row.most {
			t.Errorf("%g times the baseline's errors: %d of %d releases fail, want %d to %d", row.times, failed, releases, row.least, row.most)
		}
	}
}
