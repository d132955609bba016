package stats

import (
	"math"
	"sort"
)

// ChangeBounds is a confidence interval for where a 0/1 sequence whose rate changes once
// changes it: every cut k, so that k is the first element of the second part, which explains
// the sequence nearly as well as the best cut. It returns the first and the last of
//
//	{k : ℓ̂ − ℓ(k) ≤ x}
//
// with ℓ(k) the log-likelihood at the parts' own rates and ℓ̂ its maximum: the
// profile-likelihood interval of Hinkley and Hinkley (Biometrika 1970). Cuts 0 and
// len(ones) say that it did not change in here, and are in it as well if that is as likely.
//
// The interval misses the true cut with a chance of at most alpha, if the rates are known. For
// what the elements after the true cut say for a later one, and those before it for an
// earlier one, are two independent likelihood ratios of a wrong over the right hypothesis, so
// that each ever reaches e^x with a chance of at most e^−x (Ville's inequality): neither does
// with a chance of at least (1 − e^−x)², which is 1 − alpha for
//
//	x = −ln(1 − √(1 − alpha))
//
// that is 3.68 for 5 %. No table and no simulation is needed, so that the interval is the same
// whoever computes it. That the rates are estimated costs less than the inequality gives away:
// its test and the benchmark mttr count how often it holds the truth.
func ChangeBounds(ones []bool, alpha float64) (first, last int) {
	runs := borders(ones)
	if len(runs) == 0 {
		return 0, 0
	}
	cost := func(cut border) float64 {
		return span(runs[0], cut).least() + span(cut, runs[len(runs)-1]).least()
	}
	costs, limit := make([]float64, len(runs)), math.Inf(1)
	for i, cut := range runs {
		costs[i] = cost(cut)
		limit = min(limit, costs[i])
	}
	limit -= math.Log1p(-math.Sqrt(1 - alpha))

	low, high := 0, len(runs)-1
	for costs[low] > limit {
		low++
	}
	for costs[high] > limit {
		high--
	}
	inside := func(cut border) bool { return cost(cut) <= limit }
	first, last = runs[low].at, runs[high].at
	// Between two borders the cost is concave (see borders), so that it crosses the limit
	// once on the way out to the next.
	if low > 0 {
		first -= reach(runs[low], runs[low-1], inside)
	}
	if high < len(runs)-1 {
		last += reach(runs[high], runs[high+1], inside)
	}
	return first, last
}

// reach is how many elements one can go from a border inside towards one that is not, and
// remain inside.
func reach(from, to border, inside func(border) bool) int {
	way, step := to.at-from.at, 1
	if way < 0 {
		way, step = -way, -1
	}
	rising := 0 // ones for each element of the way
	if to.ones != from.ones {
		rising = step
	}
	return sort.Search(way, func(i int) bool {
		return !inside(border{at: from.at + step*(i+1), ones: from.ones + rising*(i+1)})
	})
}
