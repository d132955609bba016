package stats

import (
	"cmp"
	"math"
	"slices"
)

// LogMean is the logarithm of the mean of e-values that are given by their logarithms.
// A mean of e-processes is one, however they depend on each other (Vovk and Wang, E-values:
// Calibration, combination and applications, Annals of Statistics 2021). Of none it is 0.
func LogMean(logs ...float64) float64 {
	if len(logs) == 0 {
		return 0
	}
	most := slices.Max(logs)
	if math.IsInf(most, 0) || math.IsNaN(most) {
		return most
	}
	sum := 0.0
	for _, log := range logs {
		sum += math.Exp(log - most)
	}
	return most + math.Log(sum/float64(len(logs)))
}

// Bonferroni returns the indices of the e-values that reject with a chance of at most
// alpha that any of them does so wrongly: those with E ≥ K/α, of K.
func Bonferroni(logs []float64, alpha float64) []int {
	var rejected []int
	limit := math.Log(float64(len(logs)) / alpha)
	for i, log := range logs {
		if log >= limit {
			rejected = append(rejected, i)
		}
	}
	return rejected
}

// EBH returns the indices of the e-values that reject with an expected part of wrong
// rejections of at most alpha, however they depend on each other: the k* greatest, with
// k* = max{k : E₍k₎ ≥ K/(k·α)} (Wang and Ramdas, False discovery rate control with
// e-values, JRSS B 2022). They come in rising order.
func EBH(logs []float64, alpha float64) []int {
	order := make([]int, len(logs))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(logs[b], logs[a]) })
	for k := len(order); k > 0; k-- {
		if logs[order[k-1]] >= math.Log(float64(len(logs))/(float64(k)*alpha)) {
			return slices.Sorted(slices.Values(order[:k]))
		}
	}
	return nil
}
