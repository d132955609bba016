package stats

import "math"

// logBeta is ln B(a, b). For large arguments it does not take the difference of log
// gammas, which has no digit left at 10⁹, but that of their corrections to Stirling's
// formula (Didonato and Morris, ACM TOMS 708, 1992).
func logBeta(a, b float64) float64 {
	a, b = min(a, b), max(a, b)
	const large = 10
	if b < large {
		return logGamma(a) + logGamma(b) - logGamma(a+b)
	}
	if a < large {
		// ln Γ(b) − ln Γ(a+b)
		return logGamma(a) + (b-0.5)*math.Log1p(-a/(a+b)) - a*math.Log(a+b) + a + beyondStirling(b) - beyondStirling(a+b)
	}
	return (a-0.5)*math.Log(a/(a+b)) + b*math.Log1p(-a/(a+b)) - 0.5*math.Log(b) + 0.5*math.Log(2*math.Pi) +
		beyondStirling(a) + beyondStirling(b) - beyondStirling(a+b)
}

// beyondStirling is ln Γ(x) − [(x − ½)·ln x − x + ½·ln 2π], for x ≥ 10
// (Abramowitz and Stegun 6.1.41).
func beyondStirling(x float64) float64 {
	y := 1 / (x * x)
	return (1.0/12 - y*(1.0/360-y*(1.0/1260-y*(1.0/1680-y*(1.0/1188-y*691.0/360360))))) / x
}

func logGamma(x float64) float64 {
	value, _ := math.Lgamma(x)
	return value
}

// logIncBeta is ln I_x(a, b) and ln(1 − I_x(a, b)), the logarithms of the regularised
// incomplete beta function and of its complement. Neither loses its digits where the
// other is next to one, nor is either −∞ before its logarithm is too large to write.
func logIncBeta(a, b, x float64) (below, above float64) {
	switch {
	case x <= 0:
		return math.Inf(-1), 0
	case x >= 1:
		return 0, math.Inf(-1)
	}
	front := a*math.Log(x) + b*math.Log1p(-x) - logBeta(a, b)
	if x < (a+1)/(a+b+2) {
		below = min(0, front-math.Log(a)+math.Log(betaFraction(a, b, x)))
		return below, log1mexp(below)
	}
	above = min(0, front-math.Log(b)+math.Log(betaFraction(b, a, 1-x)))
	return log1mexp(above), above
}

// log1mexp is ln(1 − eˣ) for x ≤ 0 (Mächler, Accurately computing log(1 − exp(−|a|)), 2012).
func log1mexp(x float64) float64 {
	if x > -math.Ln2 {
		return math.Log(-math.Expm1(x))
	}
	return math.Log1p(-math.Exp(x))
}

// betaFraction is the continued fraction of the incomplete beta function (Abramowitz
// and Stegun 26.5.8) by the modified algorithm of Lentz. It takes of the order of
// √max(a, b) terms.
func betaFraction(a, b, x float64) float64 {
	const tiny, enough, most = 1e-300, 1e-15, 1_000_000
	off0 := func(v float64) float64 {
		if math.Abs(v) < tiny {
			return tiny
		}
		return v
	}
	c, d := 1.0, 1/off0(1-(a+b)*x/(a+1))
	fraction := d
	for i := 1; i <= most; i++ {
		m := float64(i)
		even := m * (b - m) * x / ((a + 2*m - 1) * (a + 2*m))
		d = 1 / off0(1+even*d)
		c = off0(1 + even/c)
		fraction *= c * d
		odd := -(a + m) * (a + b + m) * x / ((a + 2*m) * (a + 2*m + 1))
		d = 1 / off0(1+odd*d)
		c = off0(1 + odd/c)
		fraction *= c * d
		if math.Abs(c*d-1) < enough {
			break
		}
	}
	return fraction
}
