package stats

import (
	"fmt"
	"math"
	"slices"
)

// Band is a band around an empirical distribution function that holds at all times
// after the first m observations:
//
//	P(∃ t ≥ m: sup_x |F̂_t − F| > A·√((ln(1 + ln(t/m)) + C)/t)) ≤ α,  A = 0.85
//
// a law of the iterated logarithm with constants, the time-uniform form of the inequality
// of Dvoretzky, Kiefer and Wolfowitz (Howard and Ramdas, Sequential estimation of
// quantiles, Bernoulli 2022, theorem 2). It claims something of the whole distribution,
// and so little of its tails; it needs thousands of observations.
type Band struct{ m, c float64 }

const bandA = 0.85

// NewBand is a band that is left with a chance of at most alpha after the first m
// observations.
func NewBand(alpha, m float64) (Band, error) {
	if !between(alpha) || !(m >= 1) || math.IsInf(m, 0) {
		return Band{}, fmt.Errorf("a band of alpha %g after %g observations: write an alpha between 0 and 1, and 1 observation or more", alpha, m)
	}
	return Band{m: m, c: bandC(alpha)}, nil
}

// Width is how far the band reaches to either side after t observations; infinitely
// before the first m.
func (b Band) Width(t float64) float64 {
	if !(t >= b.m) {
		return math.Inf(1)
	}
	return bandA * math.Sqrt((math.Log1p(math.Log(t/b.m))+b.c)/t)
}

// bandC is the smallest C for which
//
//	inf_{η ∈ (1, η*)} 4·e^{−γ²C}·(1 + 1/((γ²−1)·ln η)) ≤ α,  γ² = (2/η)·(A − √(2(η−1)/C))²
//
// and √(η*/2) + √(2(η*−1)/C) = A.
func bandC(alpha float64) float64 {
	low, high := 1.0, 2.0
	for bandError(high) > alpha {
		low, high = high, 2*high
	}
	return bisect(low, high, func(c float64) bool { return bandError(c) > alpha })
}

// bandError is the bound of the chance at the best η.
func bandError(c float64) float64 {
	reach := bisect(1, 2*bandA*bandA, func(eta float64) bool { return math.Sqrt(eta/2)+math.Sqrt(2*(eta-1)/c) < bandA })
	at := func(eta float64) float64 {
		root := bandA - math.Sqrt(2*(eta-1)/c)
		gamma2 := 2 / eta * root * root
		if !(gamma2 > 1) || !(eta > 1) {
			return math.Inf(1)
		}
		return 4 * math.Exp(-gamma2*c) * (1 + 1/((gamma2-1)*math.Log(eta)))
	}
	return at(lowest(1, reach, at))
}

// bisect finds where what holds at low no longer does, towards high.
func bisect(low, high float64, holds func(float64) bool) float64 {
	for range 200 {
		middle := low + (high-low)/2
		if middle <= low || middle >= high {
			break
		}
		if holds(middle) {
			low = middle
		} else {
			high = middle
		}
	}
	return low + (high-low)/2
}

// lowest finds where a function that falls and then rises is least, by golden sections.
func lowest(low, high float64, at func(float64) float64) float64 {
	golden := (math.Sqrt(5) - 1) / 2
	a, b := high-golden*(high-low), low+golden*(high-low)
	atA, atB := at(a), at(b)
	for range 100 {
		// Where both are infinite, the function is finite between them.
		if atA <= atB {
			high, b, atB = b, a, atA
			a = high - golden*(high-low)
			atA = at(a)
		} else {
			low, a, atA = a, b, atB
			b = low + golden*(high-low)
			atB = at(b)
		}
	}
	return low + (high-low)/2
}

// SlowerAnywhere reports whether the candidate's values are greater than the baseline's
// somewhere in their distribution, at the chance alpha of a wrong alarm at any time after
// the first m of each: sup_x(F̂_b − F̂_c) exceeds both bands, of alpha/2 each, together.
func SlowerAnywhere(candidate, baseline []float64, alpha, m float64) (bool, error) {
	for _, values := range [][]float64{candidate, baseline} {
		if slices.ContainsFunc(values, math.IsNaN) {
			return false, errNaN
		}
	}
	band, err := NewBand(alpha/2, m)
	if err != nil {
		return false, err
	}
	c, b := slices.Sorted(slices.Values(candidate)), slices.Sorted(slices.Values(baseline))
	gap, below := 0.0, 0
	for i, x := range b {
		for below < len(c) && c[below] <= x {
			below++
		}
		gap = max(gap, float64(i+1)/float64(len(b))-float64(below)/float64(len(c)))
	}
	return gap > band.Width(float64(len(c)))+band.Width(float64(len(b))), nil
}
