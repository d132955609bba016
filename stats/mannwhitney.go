package stats

import (
	"cmp"
	"errors"
	"math"
	"slices"
)

// RankTest is what the ranks of two samples say.
type RankTest struct {
	U float64 // pairs in which the first sample's value is the greater one; ties count half
	// Superiority is U of all pairs: the chance that a value of the first sample
	// exceeds one of the second. 0.5 if they are alike.
	Superiority float64
	// P is the chance of such a U or a greater one if both are of one distribution.
	P float64
}

var (
	errNaN   = errors.New("NaN is no value")
	errEmpty = errors.New("a sample is empty")
)

// exactUpTo is the size of samples up to which all orders are counted.
const exactUpTo = 20

// MannWhitney tests whether the values of the first sample tend to be greater than those
// of the second. For samples of up to 20 without ties P is exact, by the recurrence of
// Mann and Whitney (Annals of Mathematical Statistics 1947), else from the normal
// distribution with the variance corrected for ties, (mn/12)·(N + 1 − Σ(t³−t)/(N(N−1))) for
// groups of t equal values, and a half for continuity (Lehmann, Nonparametrics, 1975).
//
// It is made for one look at the data.
func MannWhitney[T cmp.Ordered](first, second []T) (RankTest, error) {
	m, n := len(first), len(second)
	if m == 0 || n == 0 {
		return RankTest{}, errEmpty
	}
	type value struct {
		of    T
		first bool
	}
	all := make([]value, 0, m+n)
	for _, v := range first {
		all = append(all, value{v, true})
	}
	for _, v := range second {
		all = append(all, value{v, false})
	}
	if slices.ContainsFunc(all, func(v value) bool { return v.of != v.of }) { // NaN alone differs from itself
		return RankTest{}, errNaN
	}
	slices.SortFunc(all, func(a, b value) int { return cmp.Compare(a.of, b.of) })
	ranks, ties := 0.0, 0.0 // of the first; Σ(t³−t)
	for i := 0; i < len(all); {
		j, ours := i, 0
		for ; j < len(all) && all[j].of == all[i].of; j++ {
			if all[j].first {
				ours++
			}
		}
		t := float64(j - i)
		ranks += float64(ours) * (float64(i+j) + 1) / 2
		ties += t*t*t - t
		i = j
	}
	u := ranks - float64(m)*float64(m+1)/2
	r := RankTest{U: u, Superiority: u / (float64(m) * float64(n))}
	if ties == 0 && m <= exactUpTo && n <= exactUpTo {
		r.P = exactRank(m, n, int(u))
	} else {
		r.P = normalRank(float64(m), float64(n), u, ties)
	}
	return r, nil
}

func normalRank(m, n, u, ties float64) float64 {
	total := m + n
	variance := m * n / 12 * (total + 1 - ties/(total*(total-1)))
	if !(variance > 0) {
		return 1 // all are equal
	}
	z := (u - m*n/2 - 0.5) / math.Sqrt(variance)
	return math.Erfc(z/math.Sqrt2) / 2
}

// exactRank is P(U ≥ u). Of the orders of m and n values, those with U = u end with one
// of the first, which exceeds all n, or with one of the second:
// N(u; m, n) = N(u−n; m−1, n) + N(u; m, n−1).
func exactRank(m, n, u int) float64 {
	size := m*n + 1
	orders := make([][]float64, n+1) // by n, for the m of the loop
	for j := range orders {
		orders[j] = make([]float64, size)
		orders[j][0] = 1
	}
	for range m {
		for j := 1; j <= n; j++ {
			next := slices.Clone(orders[j-1]) // already of this m
			for at := j; at < size; at++ {
				next[at] += orders[j][at-j] // still of the m before
			}
			orders[j] = next
		}
	}
	tail, all := 0.0, 0.0
	for at, count := range orders[n] {
		all += count
		if at >= u {
			tail += count
		}
	}
	return tail / all
}
