package stats

import (
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
	"time"
)

// bits joins runs: bits(3, 2) is 00011, bits(0, 2, 1) is 110.
func bits(runs ...int) []bool {
	var sequence []bool
	for i, n := range runs {
		sequence = append(sequence, slices.Repeat([]bool{i%2 == 1}, n)...)
	}
	return sequence
}

// random is n elements of the given rate of ones.
func random(r *rand.Rand, n int, rate float64) []bool {
	sequence := make([]bool, n)
	for i := range sequence {
		sequence[i] = r.Float64() < rate
	}
	return sequence
}

func TestSegments(t *testing.T) {
	for _, row := range []struct {
		comment string
		ones    []bool
		want    []Segment
	}{
		{"nothing has no segments", nil, nil},
		{"one element is one segment", bits(1), []Segment{{0, 1, 0}}},
		{"nothing changes: one segment", bits(1000), []Segment{{0, 1000, 0}}},
		{"an outage is found to the element", bits(500, 200, 300), []Segment{{0, 500, 0}, {500, 700, 200}, {700, 1000, 0}}},
		{"an outage at the very beginning", bits(0, 200, 800), []Segment{{0, 200, 200}, {200, 1000, 0}}},
		{"an outage that never ends", bits(800, 200), []Segment{{0, 800, 0}, {800, 1000, 200}}},
		{"two outages are two", bits(300, 50, 300, 50, 300), []Segment{{0, 300, 0}, {300, 350, 50}, {350, 650, 0}, {650, 700, 50}, {700, 1000, 0}}},
		{"a lone error is no change", bits(500, 1, 499), []Segment{{0, 1000, 1}}},
		{"a lone good answer does not end an outage", bits(500, 100, 1, 100, 500), []Segment{{0, 500, 0}, {500, 701, 200}, {701, 1201, 0}}},
	} {
		got := Segments(row.ones, 3*math.Log(float64(len(row.ones))))
		if !reflect.DeepEqual(got, row.want) {
			t.Errorf("%s: got %v, want %v", row.comment, got, row.want)
		}
	}
}

func TestSplit(t *testing.T) {
	for _, row := range []struct {
		comment string
		ones    []bool
		want    int
	}{
		{"nothing has no change", nil, 0},
		{"nothing changes", bits(100), 0},
		{"an onset", bits(70, 30), 70},
		{"a recovery", bits(0, 30, 70), 30},
		{"a recovery is not the first good answer", append(bits(0, 30, 1, 30), bits(50)...), 61},
	} {
		if got := Split(row.ones); got != row.want {
			t.Errorf("%s: got %d, want %d", row.comment, got, row.want)
		}
	}
}

// The table of what a change point can tell: an outage of one second in traffic of
// 500/s with one error in a thousand before and after. The absolute error of both
// ends, in milliseconds at the 95th percentile, must stay below the limit.
func TestLocalisation(t *testing.T) {
	const perSecond, runs = 500, 200
	r := rand.New(rand.NewPCG(7, 7))
	for _, row := range []struct {
		comment string
		rate    float64 // of errors in the outage
		limitMs float64
	}{
		{"everything fails: the edges are the arrivals", 1, 1},
		{"nine in ten fail", 0.9, 10},
		{"half of them fail", 0.5, 25},
		{"one in five fails", 0.2, 100},
	} {
		var errors []float64
		for range runs {
			before, during, after := 1000+r.IntN(2000), perSecond, 1000+r.IntN(2000)
			sequence := slices.Concat(random(r, before, 0.001), random(r, during, row.rate), random(r, after, 0.001))
			worst := slices.MaxFunc(Segments(sequence, 3*math.Log(float64(len(sequence)))), func(a, b Segment) int { return a.Ones - b.Ones })
			recovery := before + Split(sequence[before:])
			for _, miss := range []int{worst.From - before, worst.To - before - during, recovery - before - during} {
				errors = append(errors, math.Abs(float64(miss))*1000/perSecond)
			}
		}
		if p95, _ := Quantile(errors, 0.95); p95 > row.limitMs {
			t.Errorf("%s: p95 of the error is %.0f ms, more than %.0f ms", row.comment, p95, row.limitMs)
		}
	}
}

// Sixty thousand requests of which half fail at random are the worst case, for
// nothing can be ruled out early.
func TestSegmentsOfALongRunAreFast(t *testing.T) {
	sequence := random(rand.New(rand.NewPCG(1, 2)), 60_000, 0.5)
	began := time.Now()
	Segments(sequence, 3*math.Log(60_000))
	if took := time.Since(began); took > 2*time.Second {
		t.Errorf("60,000 requests took %v", took)
	}
}

// FuzzSegments compares with the optimum that trying everything finds, and with
// cuts at every element rather than at the ends of runs only.
func FuzzSegments(f *testing.F) {
	f.Add([]byte{0, 0, 0, 255, 255, 0, 0}, 2.0)
	f.Add([]byte{1, 2, 4, 8, 16}, 0.5)
	f.Add([]byte{}, 1.0)
	f.Add([]byte{0xaa, 0x0f}, 0.0)
	f.Fuzz(func(t *testing.T, data []byte, penalty float64) {
		if !(penalty >= 0 && penalty < 1e6) || len(data) > 40 {
			t.Skip("a penalty is a small number; trying everything is slow")
		}
		var sequence []bool
		for _, b := range data {
			for bit := range 8 {
				sequence = append(sequence, b>>bit&1 == 1)
			}
		}
		got, at := -penalty, 0
		for _, s := range Segments(sequence, penalty) {
			if s.From != at || s.To <= s.From {
				t.Fatalf("segment %v does not continue at %d", s, at)
			}
			got, at = got+penalty+segmentCost(sequence[s.From:s.To]), s.To
		}
		if at != len(sequence) {
			t.Fatalf("segments end at %d of %d", at, len(sequence))
		}
		if want := leastCost(sequence, penalty); len(sequence) > 0 && got > want+1e-6 {
			t.Fatalf("cost %g, the optimum is %g", got, want)
		}
	})
}

// leastCost tries every cut, by dynamic programming without any pruning.
func leastCost(sequence []bool, penalty float64) float64 {
	best := make([]float64, len(sequence)+1)
	best[0] = -penalty
	for to := 1; to <= len(sequence); to++ {
		best[to] = math.Inf(1)
		for from := range to {
			best[to] = min(best[to], best[from]+penalty+segmentCost(sequence[from:to]))
		}
	}
	return best[len(sequence)]
}

// segmentCost is the formula as the literature writes it.
func segmentCost(sequence []bool) float64 {
	n, k := float64(len(sequence)), 0.0
	for _, one := range sequence {
		if one {
			k++
		}
	}
	if k == 0 || k == n {
		return 0
	}
	return -(k*math.Log(k/n) + (n-k)*math.Log(1-k/n))
}
