package stats

import (
	"cmp"
	"math"
	"slices"
)

// Quantile returns the q-quantile of values by nearest rank: the smallest value
// that at least q·n of the n values do not exceed. It is always one of the values,
// never something between two of them, so that a bimodal latency (milliseconds or
// the timeout) gives one mode or the other. It is false for no values. The order of
// values does not matter and is not changed; q is clamped to [0, 1].
func Quantile[T cmp.Ordered](values []T, q float64) (T, bool) {
	if len(values) == 0 {
		var none T
		return none, false
	}
	sorted := slices.Clone(values)
	slices.Sort(sorted)
	return sorted[rank(len(sorted), q)-1], true
}

// rank is ⌈q·n⌉ within [1, n]. Decimal fractions are not exact in binary (0.07·100
// is a hair over 7): a hair is not a rank.
func rank(n int, q float64) int {
	const hair = 1e-9
	exact := math.Ceil(q*float64(n) - hair)
	return int(min(max(exact, 1), float64(n)))
}
