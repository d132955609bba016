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
