package main

import (
	"math"
	"slices"

	"github.com/cutover-dev/cutover/stats"
)

// judge watches a trace and says when it would stop the release. It is used once.
type judge func(request) bool

// contender is a way to judge, for a share and a chance of a wrong alarm.
type contender struct {
	name  string
	begin func(share, alpha float64) judge
}

var (
	testA     = contender{"test A, one-sided, looked at after every request", beginWorse}
	twoSided  = contender{"test A, two-sided, looked at after every request", beginDiffers}
	testB     = contender{"test B, in blocks of a second", beginBlocks}
	theGate   = contender{"the test of the gate, in blocks of a second", beginRates}
	naiveTest = contender{"z-test, looked at after every request", beginNaive}
)

func beginWorse(share, alpha float64) judge {
	limit := math.Log(1 / alpha)
	test, err := stats.NewStaged(2, 2)
	if err != nil {
		panic(err) // the figures above are right
	}
	if err := test.Stage(share); err != nil {
		panic(err)
	}
	return func(r request) bool {
		if !r.failed {
			return false
		}
		test.Observe(r.candidate)
		return test.MayBeWorse(limit) && test.LogWorse() >= limit
	}
}

// beginDiffers has the prior with which the table of delays was made: the lesser of its
// weights is 1.
func beginDiffers(share, alpha float64) judge {
	limit, least := math.Log(1/alpha), min(share, 1-share)
	test, err := stats.NewMultinomial([]float64{share / least, (1 - share) / least}, []float64{share, 1 - share})
	if err != nil {
		panic(err) // a share lies between 0 and 1
	}
	return func(r request) bool {
		if !r.failed {
			return false
		}
		arm := 1
		if r.candidate {
			arm = 0
		}
		test.Observe(arm)
		return test.LogE() >= limit
	}
}

func beginBlocks(_, alpha float64) judge {
	var test stats.Blocks
	return inSeconds(func(block stats.Counted) bool {
		return test.Observe(block) == nil && test.LogE() >= math.Log(1/alpha)
	})
}

func beginRates(_, alpha float64) judge {
	test, err := stats.NewRates(2, 0.01)
	if err != nil {
		panic(err) // the figures above are right
	}
	return inSeconds(func(block stats.Counted) bool {
		return test.Compare(block, stats.AnyRate) == nil && test.LogWorse() >= math.Log(1/alpha)
	})
}

// inSeconds judges whole seconds.
func inSeconds(look func(stats.Counted) bool) judge {
	var s seconds
	return func(r request) bool {
		block, whole := s.add(r)
		return whole && look(block)
	}
}

// beginOracle is Wald's test of the one rate against the other, which no test that does
// not know both can beat: on the labels of errors, of which the candidate has the part
// theta if it is bad.
func beginOracle(share, alpha, baseline, candidate float64) judge {
	theta := share * candidate / (share*candidate + (1-share)*baseline)
	sum, limit := 0.0, math.Log(1/alpha)
	return func(r request) bool {
		switch {
		case r.failed && r.candidate:
			sum += math.Log(theta / share)
		case r.failed:
			sum += math.Log((1 - theta) / (1 - share))
		}
		return sum >= limit
	}
}

// beginNaive is the two-sided z-test of two proportions, looked at from the fifth error on.
func beginNaive(_, alpha float64) judge {
	var seen stats.Counted
	z := math.Sqrt2 * math.Erfinv(1-alpha)
	return func(r request) bool {
		n, hits := &seen.N.Baseline, &seen.Hits.Baseline
		if r.candidate {
			n, hits = &seen.N.Candidate, &seen.Hits.Candidate
		}
		*n++
		if r.failed {
			*hits++
		}
		errors, all := seen.Hits.Candidate+seen.Hits.Baseline, seen.N.Candidate+seen.N.Baseline
		if errors < 5 || seen.N.Candidate == 0 || seen.N.Baseline == 0 {
			return false
		}
		pooled := errors / all
		deviation := math.Sqrt(pooled * (1 - pooled) * (1/seen.N.Candidate + 1/seen.N.Baseline))
		return math.Abs(seen.Hits.Candidate/seen.N.Candidate-seen.Hits.Baseline/seen.N.Baseline) > z*deviation
	}
}

// beginFlagger is Flagger's rule as its documentation has it: at each interval, the
// candidate's rate of errors over the window before is held against a fixed limit, and
// as many failing checks as its threshold, which is one, stop the release.
func beginFlagger(interval, window int, limit float64) judge {
	var past []stats.Counted
	return inSeconds(func(block stats.Counted) bool {
		past = append(past, block)
		if len(past)%interval != 0 {
			return false
		}
		n, hits := 0.0, 0.0
		for _, b := range past[max(0, len(past)-window):] {
			n, hits = n+b.N.Candidate, hits+b.Hits.Candidate
		}
		return n > 0 && hits/n > limit
	})
}

// beginKayenta feeds a judge like Kayenta's one point of each version a second, and asks
// it every second once it has the points that are the least it is recommended to be
// given. In its place it would be asked every few minutes.
func beginKayenta() judge {
	var candidate, baseline []float64
	return inSeconds(func(block stats.Counted) bool {
		candidate = append(candidate, block.Hits.Candidate/max(1, block.N.Candidate))
		baseline = append(baseline, block.Hits.Baseline/max(1, block.N.Baseline))
		const enough = 50
		return len(candidate) >= enough && isHigh(withoutOutliers(candidate), withoutOutliers(baseline))
	})
}

// withoutOutliers drops what lies beyond three interquartile ranges and beyond the first
// or the last percentile.
func withoutOutliers(points []float64) []float64 {
	sorted := slices.Sorted(slices.Values(points))
	low, high := percentile(sorted, 25), percentile(sorted, 75)
	reach := 3 * (high - low)
	low, high = min(low-reach, percentile(sorted, 1)), max(high+reach, percentile(sorted, 99))
	return slices.DeleteFunc(sorted, func(p float64) bool { return p < low || p > high })
}

// percentile of sorted points, between two of them: the p·(n+1)/100-th.
func percentile(sorted []float64, p float64) float64 {
	position := p / 100 * float64(len(sorted)+1)
	below := int(position)
	switch {
	case below < 1:
		return sorted[0]
	case below >= len(sorted):
		return sorted[len(sorted)-1]
	}
	return sorted[below-1] + (position-float64(below))*(sorted[below]-sorted[below-1])
}

// isHigh is the classification of a metric: the lower end of the 98 % interval of the
// shift between both, by the ranks of Mann and Whitney, exceeds a quarter of the size of
// its estimate, the one of Hodges and Lehmann.
func isHigh(candidate, baseline []float64) bool {
	const z = 2.3263478740408408 // 99 %
	low, high := candidate[0], candidate[0]
	for _, p := range candidate {
		low, high = min(low, p), max(high, p)
	}
	low, high = low-slices.Max(baseline), high-slices.Min(baseline)
	if low == high {
		return false // all are equal
	}
	shift := func(quantile float64) float64 {
		from, to := low, high
		for range 50 {
			if middle := (from + to) / 2; deviation(candidate, baseline, middle) > quantile {
				from = middle
			} else {
				to = middle
			}
		}
		return (from + to) / 2
	}
	return shift(z) > 0.25*math.Abs(shift(0))
}

// deviation is the standardised sum of the candidate's ranks once a shift is taken off.
func deviation(candidate, baseline []float64, shift float64) float64 {
	shifted := make([]float64, len(candidate))
	for i, p := range candidate {
		shifted[i] = p - shift
	}
	ranks, err := stats.MannWhitney(shifted, baseline)
	if err != nil {
		return 0
	}
	m, n := float64(len(candidate)), float64(len(baseline))
	excess := ranks.U - m*n/2
	correction := 0.5
	if excess < 0 {
		correction = -0.5
	} else if excess == 0 {
		correction = 0
	}
	return (excess - correction) / math.Sqrt(m*n/12*(m+n+1-ties(shifted, baseline)/((m+n)*(m+n-1))))
}

// ties is Σ(t³ − t) over groups of t equal values.
func ties(one, other []float64) (sum float64) {
	all := slices.Concat(one, other)
	slices.Sort(all)
	for i := 0; i < len(all); {
		j := i
		for j < len(all) && all[j] == all[i] {
			j++
		}
		t := float64(j - i)
		sum, i = sum+t*t*t-t, j
	}
	return sum
}
