package stats

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

func TestChangeBounds(t *testing.T) {
	for _, row := range []struct {
		comment     string
		ones        []bool
		alpha       float64
		first, last int
	}{
		{"nothing has no change", nil, 0.05, 0, 0},
		{"where nothing changes it may have changed anywhere", bits(100), 0.05, 0, 100},
		// A good element more on the side of 30 bad ones costs ln 31 + 30·ln(31/30) = 4.42, more than 3.68.
		{"from all good to all bad there is no doubt", bits(70, 30), 0.05, 70, 70},
		{"nor is there the other way round", bits(0, 30, 70), 0.05, 30, 30},
		// One good element costs ln 6 + 5·ln(6/5) = 2.70, two 2·ln(7/2) + 5·ln(7/5) = 4.19.
		{"five bad ones may be some of six, not of seven", bits(100, 5), 0.05, 99, 100},
		// Three 3·ln(8/3) + 5·ln(8/5) = 5.293.
		{"to be surer takes more room: 1 % is 5.296", bits(100, 5), 0.01, 97, 100},
		{"to be less sure takes less: 20 % is 2.25", bits(100, 5), 0.2, 100, 100},
		// Fourteen good ones beside the only bad one cost ln 15 + 14·ln(15/14) = 3.674, a thousand 7.91.
		{"a single bad one leaves much open", bits(1000, 1), 0.05, 986, 1000},
	} {
		if first, last := ChangeBounds(row.ones, row.alpha); first != row.first || last != row.last {
			t.Errorf("%s: got %d to %d, want %d to %d", row.comment, first, last, row.first, row.last)
		}
	}
}

// covered counts how often bounds hold the true change, out of runs in which a rate goes up,
// or down, after a random time. The median width goes with it.
func covered(bounds func([]bool) (int, int), before, after float64, runs int, seed uint64) (share float64, width int) {
	r := rand.New(rand.NewPCG(seed, 9))
	held, widths := 0, []int{}
	for range runs {
		n := 200 + r.IntN(800)
		first, last := bounds(slices.Concat(random(r, n, before), random(r, 200+r.IntN(800), after)))
		if first <= n && n <= last {
			held++
		}
		widths = append(widths, last-first)
	}
	width, _ = Quantile(widths, 0.5)
	return float64(held) / float64(runs), width
}

// The true change is where it is said to be at least as often as is said. The intervals are
// not wider for that than they must be: a service that fails one request in five has begun
// to more than 13 requests before the first that fails, one time in twenty.
func TestCoverageOfChangeBounds(t *testing.T) {
	const runs = 2000
	at95 := func(ones []bool) (int, int) { return ChangeBounds(ones, 0.05) }
	for _, row := range []struct {
		comment string
		rate    float64 // of ones in the outage
		most    int     // of the median width
	}{
		{"everything fails", 1, 0},
		{"nearly all is slow", 0.94, 2},
		{"half of it fails", 0.5, 6},
		{"one in five fails", 0.2, 20},
		{"one in twenty fails", 0.05, 110},
	} {
		for _, rates := range [][2]float64{{0.001, row.rate}, {row.rate, 0.001}, {0.01, row.rate}} {
			share, width := covered(at95, rates[0], rates[1], runs, 3)
			t.Logf("%s, from %g to %g: %.1f %% held, median width %d", row.comment, rates[0], rates[1], 100*share, width)
			if share < 0.945 {
				t.Errorf("%s, from %g to %g: only %.1f %% of the intervals hold the change", row.comment, rates[0], rates[1], 100*share)
			}
			if rates[0] != 0.01 && width > row.most {
				t.Errorf("%s, from %g to %g: half of the intervals are wider than %d, want %d at most", row.comment, rates[0], rates[1], width, row.most)
			}
		}
	}
	// The negative control: were the interval the likeliest place and its neighbours, the
	// test above would fail.
	narrow := func(ones []bool) (int, int) { k := Split(ones); return k - 1, k + 1 }
	if share, _ := covered(narrow, 0.001, 0.2, runs, 3); share > 0.8 {
		t.Errorf("an interval of three elements holds %.1f %% of the changes: this test cannot fail", 100*share)
	}
}

// FuzzChangeBounds compares with trying every cut.
func FuzzChangeBounds(f *testing.F) {
	f.Add([]byte{0, 0, 0, 255, 255, 0, 0}, 0.05)
	f.Add([]byte{1, 2, 4, 8, 16}, 0.5)
	f.Add([]byte{0xaa, 0x0f, 0, 0}, 0.01)
	f.Fuzz(func(t *testing.T, data []byte, alpha float64) {
		if !(alpha > 1e-9 && alpha < 1) || len(data) == 0 || len(data) > 40 {
			t.Skip("a chance; trying everything is slow")
		}
		var ones []bool
		for _, b := range data {
			for bit := range 8 {
				ones = append(ones, b>>bit&1 == 1)
			}
		}
		cost := func(k int) float64 { return segmentCost(ones[:k]) + segmentCost(ones[k:]) }
		best := math.Inf(1)
		for k := range len(ones) + 1 {
			best = min(best, cost(k))
		}
		limit := best - math.Log(1-math.Sqrt(1-alpha))
		first, last := ChangeBounds(ones, alpha)
		const hair = 1e-9
		for k := range len(ones) + 1 {
			if out := k < first || k > last; out && cost(k) < limit-hair {
				t.Fatalf("%d is not within %d to %d, and costs %g, less than %g", k, first, last, cost(k), limit)
			}
		}
		if cost(first) > limit+hair || cost(last) > limit+hair {
			t.Fatalf("%d to %d cost %g and %g, more than %g", first, last, cost(first), cost(last), limit)
		}
	})
}
