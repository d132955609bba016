package stats

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"sort"
)

// betaMixture is a martingale of sums of centred 0/1 variables, mixed over a Beta prior
// (Howard, Ramdas, McAuliffe and Sekhon, Time-uniform, nonparametric, nonasymptotic
// confidence sequences, Annals of Statistics 2021, proposition 7, two-sided). Steps are
// −g or h; its variance process is v, and v_opt that at which the bound is tightest.
type betaMixture struct{ r, g, h, norm float64 }

// tightestAt is the alpha for which mixtures are tuned, whatever they are used for.
const tightestAt = 0.05

func newBetaMixture(vOpt, g, h float64) betaMixture {
	r := max(mixtureRho(vOpt)-g*h, 1e-3*g*h)
	return betaMixture{r: r, g: g, h: h, norm: logBeta(r/(g*(g+h)), r/(h*(g+h)))}
}

// mixtureRho is ρ* = v/(2·ln(1/α) + ln(1 + 2·ln(1/α))), which makes a normal mixture
// tightest at v.
func mixtureRho(v float64) float64 {
	twice := 2 * math.Log(1/tightestAt)
	return v / (twice + math.Log1p(twice))
}

// log is
//
//	ln M(s, v) = v/(gh)·ln(g+h) − (v+hs)/(h(g+h))·ln g − (v−gs)/(g(g+h))·ln h
//	           + ln B((r+v−gs)/(g(g+h)), (r+v+hs)/(h(g+h))) − ln B(r/(g(g+h)), r/(h(g+h)))
func (m betaMixture) log(s, v float64) float64 {
	g, h := m.g, m.h
	return v/(g*h)*math.Log(g+h) - (v+h*s)/(h*(g+h))*math.Log(g) - (v-g*s)/(g*(g+h))*math.Log(h) +
		logBeta((m.r+v-g*s)/(g*(g+h)), (m.r+v+h*s)/(h*(g+h))) - m.norm
}

// RateInterval is an interval for a rate after hits of n trials that holds at all times
// with a chance of at least 1 − alpha, and is tightest after nOpt trials: a confidence
// sequence (Howard and others 2021; the function bernoulli_confidence_interval of confseq).
func RateInterval(hits, n, alpha, nOpt float64) (low, high float64, err error) {
	if !(hits >= 0 && hits <= n) || !positive(n) || !between(alpha) || !positive(nOpt) {
		return 0, 1, fmt.Errorf("%g hits of %g trials at alpha %g, tightest after %g: counts are not negative, and alpha lies between 0 and 1", hits, n, alpha, nOpt)
	}
	limit, seen := math.Log(1/alpha), hits/n
	excluded := func(p float64) bool {
		return newBetaMixture(p*(1-p)*nOpt, p, 1-p).log((seen-p)*n, p*(1-p)*n) > limit
	}
	low, high = 0, 1
	if seen > 0 {
		low = bisect(0, seen, excluded)
	}
	if seen < 1 {
		high = bisect(seen, 1, func(p float64) bool { return !excluded(p) })
	}
	return low, high, nil
}

// QuantilesDiffer is a p-value, valid at any time, of "the q-quantile is the same in both
// samples", tightest after nOpt values of each (Howard and Ramdas, Bernoulli 2022, section
// 6; the class QuantileABTest of confseq). Each sample has evidence against every value x
// as its quantile, from how many of its values lie below; a common quantile must survive
// both, so that the least sum of both counts.
func QuantilesDiffer(one, other []float64, q, nOpt float64) (float64, error) {
	if len(one) == 0 || len(other) == 0 || !between(q) || !positive(nOpt) {
		return 1, errors.New("a quantile between 0 and 1 of two samples that are not empty is compared, tightest after a positive number of values")
	}
	if slices.ContainsFunc(one, math.IsNaN) || slices.ContainsFunc(other, math.IsNaN) {
		return 1, errNaN
	}
	mixture := newBetaMixture(nOpt*q*(1-q), q, 1-q)
	first, second := newQuantileArm(one, q, mixture), newQuantileArm(other, q, mixture)
	if first.to > second.to {
		first, second = second, first
	}
	sum := func(x float64) float64 { return first.against(x) + second.against(x) }
	least := min(sum(first.to), sum(second.from))
	// In between, the one rises just after its values and the other falls at its own.
	for _, x := range second.sorted[second.upTo(first.to):max(second.upTo(first.to), second.upTo(second.from))] {
		least = min(least, sum(x))
	}
	return min(1, math.Exp(-least)), nil
}

// quantileArm is a sample, with the stretch in which its evidence is least.
type quantileArm struct {
	sorted   []float64
	q        float64
	mixture  betaMixture
	from, to float64
	flat     float64 // the part below at which it is least
}

func newQuantileArm(values []float64, q float64, mixture betaMixture) quantileArm {
	a := quantileArm{sorted: slices.Sorted(slices.Values(values)), q: q, mixture: mixture}
	n := len(a.sorted)
	a.flat = lowest(0, 1, a.evidence)
	a.from = a.sorted[min(max(int(math.Ceil(a.flat*float64(n))), 1), n)-1]
	a.to = a.sorted[min(int(math.Floor(a.flat*float64(n))), n-1)]
	return a
}

// evidence against a quantile with this part of the sample below it.
func (a quantileArm) evidence(part float64) float64 {
	n := float64(len(a.sorted))
	return a.mixture.log((part-a.q)*n, a.q*(1-a.q)*n)
}

func (a quantileArm) against(x float64) float64 {
	n := float64(len(a.sorted))
	switch {
	case x < a.from:
		return a.evidence(float64(a.upTo(x)) / n)
	case x > a.to:
		return a.evidence(float64(sort.SearchFloat64s(a.sorted, x)) / n)
	}
	return a.evidence(a.flat)
}

// upTo counts the values that x is no less than.
func (a quantileArm) upTo(x float64) int {
	return sort.Search(len(a.sorted), func(i int) bool { return a.sorted[i] > x })
}
