package main

import (
	"context"
	"fmt"
	"math"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cutover-dev/cutover/bench"
	"github.com/cutover-dev/cutover/stats"
)

const alpha = 0.01

// sizes are how much is simulated.
type sizes struct {
	seed   int
	runs   int // without a difference
	looks  int // at each of them
	delays int // runs with one
	most   int // seconds of these
}

// alarms counts, for each contender, the runs that it stops although both versions are
// the same.
func alarms(ctx context.Context, s sizes, share float64, errors func(float64) float64, contenders []contender) ([]int, error) {
	counts := make([]atomic.Int64, len(contenders))
	err := bench.Each(ctx, s.runs, func(run int) {
		judges := make([]judge, len(contenders))
		for i, c := range contenders {
			judges[i] = c.begin(share, alpha)
		}
		t := newTrace(s.seed, run, share, errors, errors)
		for range s.looks {
			r := t.next()
			for i, stop := range judges {
				if stop != nil && stop(r) {
					counts[i].Add(1)
					judges[i] = nil
				}
			}
		}
	})
	all := make([]int, len(contenders))
	for i := range counts {
		all[i] = int(counts[i].Load())
	}
	return all, err
}

// alarmRows: nobody is worse, and all are looked at after every request.
func alarmRows(ctx context.Context, s sizes) ([]bench.Row, error) {
	contenders := []contender{testA, twoSided, testB, theGate, naiveTest}
	most := alpha*float64(s.runs) + 3.1*math.Sqrt(float64(s.runs)*alpha*(1-alpha))
	var rows []bench.Row
	for _, shape := range shapes {
		counts, err := alarms(ctx, s, shape.share, shape.rate, contenders)
		if err != nil {
			return nil, err
		}
		naive := float64(counts[len(counts)-1])
		for i, c := range contenders[:len(contenders)-1] {
			target := fmt.Sprintf("false alarms in %d releases of the baseline itself, %d looks each, alpha 1 %%, %.0f %% of the traffic, %s: %s; beside a z-test",
				s.runs, s.looks, 100*shape.share, shape.name, c.name)
			rows = append(rows, bench.Judge(target, bench.AtMost(math.Floor(most), "releases"), bench.Samples{Ours: []float64{float64(counts[i])}, Peer: []float64{naive}}, ""))
		}
	}
	return rows, nil
}

// cases are the candidates that are worse, with what is known of the delays: the median
// that was computed for the two-sided test, elsewhere, and how many times the oracle's
// is wanted at most.
var cases = []worseCase{
	{0.001, 0.01, 0.5, 2.7, 1.5},
	{0.001, 0.05, 0.5, 0.43, 0},
	{0.001, 0.01, 0.1, 7.9, 2.5},
	{0.001, 0.05, 0.1, 1.2, 0},
	{0.001, 0.002, 0.5, 71, 0},
}

type worseCase struct {
	baseline, candidate, share float64
	known                      float64 // seconds
	oracle                     float64 // 0 if nothing is wanted
}

// beside reports whether a fixed limit can tell the candidate from the baseline at all.
func (c worseCase) beside() bool { return c.candidate >= 2*limitOfFlagger }

// limitOfFlagger is the candidate's rate of errors that it is told to stop at. Nobody
// knows the rates beforehand; this one is in its favour, between the good one and the
// lesser of those that it is tried with.
const limitOfFlagger = 0.005

// delays are, for each judge, when it stopped each run, in seconds; the end of the run if
// it did not.
func delays(ctx context.Context, s sizes, share, baseline, candidate float64, begin []func() judge) ([][]float64, error) {
	all := make([][]float64, len(begin))
	for i := range all {
		all[i] = make([]float64, s.delays)
	}
	err := bench.Each(ctx, s.delays, func(run int) {
		t := newTrace(s.seed+1, run, share, always(baseline), always(candidate))
		judges := make([]judge, len(begin))
		for i, b := range begin {
			judges[i], all[i][run] = b(), float64(s.most)
		}
		for left := len(judges); left > 0 && t.at < s.most*rate; {
			r := t.next()
			for i, stop := range judges {
				if stop != nil && stop(r) {
					all[i][run], judges[i] = float64(t.at)/rate, nil
					left--
				}
			}
		}
	})
	return all, err
}

// delayRows: the candidate is worse, and how long it takes to be seen.
func delayRows(ctx context.Context, s sizes) ([]bench.Row, error) {
	var rows []bench.Row
	for _, c := range cases {
		begin := []func() judge{
			func() judge { return testA.begin(c.share, alpha) },
			func() judge { return twoSided.begin(c.share, alpha) },
			func() judge { return beginOracle(c.share, alpha, c.baseline, c.candidate) },
		}
		if c.beside() {
			begin = append(begin, func() judge { return theGate.begin(c.share, alpha) }, beginKayenta,
				func() judge { return beginFlagger(10, 60, limitOfFlagger) }, func() judge { return beginFlagger(60, 60, limitOfFlagger) })
		}
		got, err := delays(ctx, s, c.share, c.baseline, c.candidate, begin)
		if err != nil {
			return nil, err
		}
		ours, both, oracle := got[0], got[1], got[2]
		name := fmt.Sprintf("until %.3g %% of errors are told from %.3g %%, with %.0f %% of the traffic", 100*c.candidate, 100*c.baseline, 100*c.share)
		row := func(what string, want bench.Want, one, other []float64) {
			rows = append(rows, bench.Judge(name+": "+what, want, bench.Samples{Ours: one, Peer: other}, ""))
		}
		off := 100 * math.Abs(middle(both)/c.known-1)
		row(fmt.Sprintf("how far the median of the two-sided test is from the %g s computed elsewhere", c.known), bench.AtMost(15, "%"), []float64{off}, nil)
		rows[len(rows)-1].Because = fmt.Sprintf("%s: the two-sided median is %.3g s", name, middle(both))
		if c.oracle > 0 {
			row("times the median of the test that knows both rates", bench.AtMost(c.oracle, "×"), []float64{middle(ours) / middle(oracle)}, nil)
			rows[len(rows)-1].Because = fmt.Sprintf("%s: the median of the test that knows both rates is %.3g s: none is quicker", name, middle(oracle))
		}
		if !c.beside() {
			continue
		}
		gate, kayenta, floor, usual := got[3], got[4], got[5], got[6]
		row("beside Kayenta's judge, a point a second", bench.Times(10, "s"), ours, kayenta)
		row("beside Flagger's rule, every 10 s", bench.Times(3, "s"), ours, floor)
		row("beside Flagger's rule, every 60 s", bench.Times(3, "s"), ours, usual)
		row("the test of the gate, once a second, beside Flagger's rule, every 10 s", bench.Times(3, "s"), gate, floor)
	}
	return rows, nil
}

// sharedRow: both versions get worse together, as when what they depend on fails.
func sharedRow(ctx context.Context, s sizes) (bench.Row, error) {
	s.runs, s.looks = s.delays, 60*rate
	both := func(second float64) float64 {
		if second > 20 && second < 40 {
			return 0.03
		}
		return 0.001
	}
	flagger := contender{begin: func(float64, float64) judge { return beginFlagger(10, 60, limitOfFlagger) }}
	counts, err := alarms(ctx, s, 0.5, both, []contender{testA, flagger})
	target := fmt.Sprintf("false alarms in %d releases in which both versions fail 3 %% for 20 s of a minute: %s; beside Flagger's rule, every 10 s", s.runs, testA.name)
	most := alpha*float64(s.runs) + 3.1*math.Sqrt(float64(s.runs)*alpha*(1-alpha))
	return bench.Judge(target, bench.AtMost(math.Floor(most), "releases"), bench.Samples{Ours: []float64{float64(counts[0])}, Peer: []float64{float64(counts[1])}}, ""), err
}

// againRow: the same requests give the same decisions, to the request.
func againRow(ctx context.Context, s sizes) (bench.Row, error) {
	s.delays = min(s.delays, 100)
	begin := []func() judge{func() judge { return testA.begin(0.5, alpha) }, func() judge { return theGate.begin(0.5, alpha) }}
	one, err := delays(ctx, s, 0.5, 0.001, 0.01, begin)
	if err != nil {
		return bench.Row{}, err
	}
	other, err := delays(ctx, s, 0.5, 0.001, 0.01, begin)
	differ := 0.0
	for i := range one {
		for run := range one[i] {
			if math.Float64bits(one[i][run]) != math.Float64bits(other[i][run]) {
				differ++
			}
		}
	}
	return bench.Judge(fmt.Sprintf("decisions that differ when %d traces are judged again", s.delays), bench.AtMost(0, "decisions"), bench.Samples{Ours: []float64{differ}}, "no peer"), err
}

// costRows are what an event costs.
func costRows() []bench.Row {
	var rows []bench.Row
	for _, c := range []struct {
		name   string
		update func(b *testing.B)
	}{
		{"test A, one-sided", func(b *testing.B) { drive(b, testA.begin(0.5, 1e-300), true) }},
		{"test A, two-sided", func(b *testing.B) { drive(b, twoSided.begin(0.5, 1e-300), true) }},
		{"test B, in blocks of a second", func(b *testing.B) { drive(b, testB.begin(0.5, 1e-300), false) }},
		{"the test of the gate, in blocks of a second", func(b *testing.B) { drive(b, theGate.begin(0.5, 1e-300), false) }},
		{"latency at four quantiles, in blocks of a second", driveLatency},
	} {
		var ns []float64
		for range 5 {
			got := testing.Benchmark(c.update)
			ns = append(ns, float64(got.T.Nanoseconds())/float64(got.N))
		}
		rows = append(rows, bench.Judge("an event, with a look at the evidence: "+c.name, bench.AtMost(100, "ns"), bench.Samples{Ours: ns}, "no peer"))
	}
	return rows
}

// drive gives a judge events, all of them errors or one in a hundred.
func drive(b *testing.B, stop judge, errors bool) {
	for i := range b.N {
		stop(request{candidate: i&1 == 0, failed: errors || i%101 == 0})
	}
}

func driveLatency(b *testing.B) {
	latencies := make([]time.Duration, rate)
	for i := range latencies {
		latencies[i] = time.Duration(i*7919%rate) * time.Millisecond
	}
	test, err := stats.NewSlower(latencies, stats.Allowance{Part: 0.25}, 2, 0.01)
	if err != nil {
		b.Fatal(err)
	}
	b.ResetTimer()
	for i := 0; i < b.N; i += rate {
		if err := test.Observe(latencies[:rate/2], latencies[rate/2:]); err != nil {
			b.Fatal(err)
		}
		test.LogWorse()
	}
}

// middle is the median.
func middle(values []float64) float64 {
	m, _ := stats.Quantile(values, 0.5)
	return m
}
