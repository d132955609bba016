package stats

import "gonum.org/v1/gonum/mathext"

// BinomialTail is P(X ≥ k) for X ~ Binomial(n, p): the p-value of the exact
// one-sided test that rejects "the rate is at most p" after k hits in n trials. It
// needs no large sample, so it may be used at one error in a thousand.
//
// P(X ≥ k) = I_p(k, n−k+1), the regularised incomplete beta function (Abramowitz
// and Stegun 26.5.24).
func BinomialTail(k, n int, p float64) float64 {
	switch {
	case k <= 0 || p >= 1:
		return 1
	case k > n || p <= 0:
		return 0
	}
	return mathext.RegIncBeta(float64(k), float64(n-k+1), p)
}

// Interval is what a rate lies between.
type Interval struct{ Low, High float64 }

// AnyRate is all that can be said of a rate without trials.
var AnyRate = Interval{0, 1}

// RateOf is the exact interval of a rate after k hits in n trials (Clopper and Pearson,
// Biometrika 1934). Each end is wrong with a chance of one in ten thousand, little
// beside the alpha of a test that rests on it.
func RateOf(k, n int) Interval {
	return Interval{Low: 1 - UpperRate(n-k, n, unlikely), High: UpperRate(k, n, unlikely)}
}

const unlikely = 1e-4

// UpperRate is the rate at which k hits or fewer in n trials have the chance alpha: the
// one-sided bound of Clopper and Pearson, wrong with a chance of at most alpha. Without
// a hit it is 1 − α^(1/n): 59 trials show that a rate is at most 5 %, at 95 %.
func UpperRate(k, n int, alpha float64) float64 {
	if k >= n {
		return 1
	}
	return mathext.InvRegIncBeta(float64(k+1), float64(n-k), 1-alpha)
}
