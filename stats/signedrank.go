package stats

import (
	"cmp"
	"math"
	"slices"
)

// SignedRank is the two-sided p-value of the test that differences within pairs are as
// likely positive as negative (Wilcoxon, Biometrics Bulletin 1945). It is exact, also with ties:
// it goes through what becomes of the sum of ranks when each difference may as well have
// had the other sign, which is what a draw of the order within each pair makes true by itself
// if the two are alike. Pairs without a difference say nothing and are left out; without
// any other it is 1.
func SignedRank(differences []float64) float64 {
	moved := slices.DeleteFunc(slices.Clone(differences), func(d float64) bool { return d == 0 })
	slices.SortFunc(moved, func(a, b float64) int { return cmp.Compare(math.Abs(a), math.Abs(b)) })
	// Twice the rank is a whole number, also the mean rank of ties.
	ranks, sum := make([]int, len(moved)), 0
	for i := 0; i < len(moved); {
		j := i
		for j < len(moved) && math.Abs(moved[j]) == math.Abs(moved[i]) {
			j++
		}
		for k := i; k < j; k++ {
			ranks[k] = i + 1 + j
			if moved[k] > 0 {
				sum += ranks[k]
			}
		}
		i = j
	}
	chances := signSums(ranks)
	below, above := 0.0, 0.0
	for s, chance := range chances {
		if s <= sum {
			below += chance
		}
		if s >= sum {
			above += chance
		}
	}
	return min(1, 2*min(below, above))
}

// signSums are the chances of each sum of those ranks that a fair coin picks.
func signSums(ranks []int) []float64 {
	total := 0
	for _, rank := range ranks {
		total += rank
	}
	chances := make([]float64, total+1)
	chances[0] = 1
	reached := 0
	for _, rank := range ranks {
		reached += rank
		for s := reached; s >= 0; s-- {
			without := chances[s]
			chances[s] = without / 2
			if s >= rank {
				chances[s] += chances[s-rank] / 2
			}
		}
	}
	return chances
}
