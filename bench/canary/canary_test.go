package main

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/cutover-dev/cutover/stats"
)

// A small one of what the benchmark does at length: the tests keep their promise, and
// the z-test does not.
func TestFalseAlarms(t *testing.T) {
	s := sizes{seed: 1, runs: 100, looks: 3000}
	for _, shape := range shapes {
		counts, err := alarms(t.Context(), s, shape.share, shape.rate, []contender{testA, twoSided, testB, theGate, naiveTest})
		if err != nil {
			t.Fatal(err)
		}
		for i, count := range counts[:4] {
			if count > 4 { // 1 % of 100, and three standard deviations
				t.Errorf("%s: contender %d raises %d false alarms in %d", shape.name, i, count, s.runs)
			}
		}
		// But where next to nothing happens in so short a time, it is noticed.
		if counts[4] < 5 && shape.rate(0) > 0.01 {
			t.Errorf("%s: the z-test raises %d false alarms in %d: this would not notice one that is wrong", shape.name, counts[4], s.runs)
		}
	}
}

func TestDelays(t *testing.T) {
	s := sizes{seed: 1, delays: 60, most: 200}
	const share, good, bad = 0.5, 0.001, 0.01
	got, err := delays(t.Context(), s, share, good, bad, []func() judge{
		func() judge { return testA.begin(share, alpha) },
		func() judge { return beginOracle(share, alpha, good, bad) },
		beginKayenta,
		func() judge { return beginFlagger(10, 60, limitOfFlagger) },
		func() judge { return func(request) bool { return false } },
	})
	if err != nil {
		t.Fatal(err)
	}
	for i, row := range []struct {
		name        string
		least, most float64 // seconds of the median
	}{
		{"test A", 1.5, 3},
		{"the oracle", 1.2, 2.6},
		{"Kayenta, which waits for its points", 50, 55},
		{"Flagger, at its first check", 10, 20},
		{"never", 200, 200},
	} {
		if m := middle(got[i]); m < row.least || m > row.most {
			t.Errorf("%s: %g s, want %g to %g", row.name, m, row.least, row.most)
		}
	}
}

func TestKayenta(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	points := func(mean, deviation float64) []float64 {
		all := make([]float64, 60)
		for i := range all {
			all[i] = mean + deviation*r.NormFloat64()
		}
		return all
	}
	for _, row := range []struct {
		comment             string
		candidate, baseline []float64
		want                bool
	}{
		{"the same", points(1, .1), points(1, .1), false},
		{"higher, surely", points(2, .1), points(1, .1), true},
		{"lower is not high", points(1, .1), points(2, .1), false},
		{"higher, but not by more than its interval", points(1.02, .1), points(1, .1), false},
		{"all are equal", slices.Repeat([]float64{1}, 60), slices.Repeat([]float64{1}, 60), false},
	} {
		if got := isHigh(row.candidate, row.baseline); got != row.want {
			t.Errorf("%s: %v", row.comment, got)
		}
	}
	// One in a hundred beyond three interquartile ranges stays only if it is within the
	// last percentile.
	if got := withoutOutliers(append(points(1, .1), points(1, .1)...)); len(got) < 110 {
		t.Errorf("of 120 points without outliers %d are left", len(got))
	}
	if got := withoutOutliers(append(points(1, .01), points(1, .01)[:59]...)); slices.Max(append(got, 9)) != 9 {
		t.Error("a point was made up")
	}
}

func TestFlagger(t *testing.T) {
	judge := beginFlagger(10, 60, 0.005)
	stops := func(errors float64) (at int) {
		for second := 1; second <= 30; second++ {
			for i := range rate {
				if judge(request{candidate: true, failed: float64(i) < errors*rate}) {
					return second
				}
			}
		}
		return 0
	}
	if at := stops(0.001); at != 0 {
		t.Errorf("stops below its limit, after %d s", at)
	}
	if at := stops(0.05); at != 10 {
		t.Errorf("stops after %d s of too many errors, not at the next check", at)
	}
}

func TestSecondsGather(t *testing.T) {
	var s seconds
	for i := range rate {
		block, whole := s.add(request{candidate: i%4 == 0, failed: i%8 == 0})
		if whole != (i == rate-1) {
			t.Fatalf("whole after %d requests", i+1)
		}
		if want := (stats.Counted{N: stats.Arms{Candidate: 250, Baseline: 750}, Hits: stats.Arms{Candidate: 125}}); whole && block != want {
			t.Errorf("got %+v, want %+v", block, want)
		}
	}
}
