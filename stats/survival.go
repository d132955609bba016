package stats

import (
	"cmp"
	"math"
	"slices"

	"gonum.org/v1/gonum/mathext"
)

// Lifetime is how long something lasted. A censored one lasted at least so long:
// nobody looked any more, or something else put an end to it.
type Lifetime struct {
	Length   float64 // in any unit
	Censored bool
}

// Survival is what share of lifetimes lasts longer than each length.
type Survival struct {
	steps    []SurvivalStep
	lengths  []float64 // sorted
	censored int
}

// SurvivalStep is a length at which lifetimes ended.
type SurvivalStep struct {
	At     float64
	AtRisk int // that lasted so long, be it until now
	Ended  int // of those, exactly then
	// Share that lasts longer, and the sum of Ended/(AtRisk·(AtRisk−Ended)) up to here:
	// Greenwood's variance of Share is Share² times it. It is infinite where Share is 0.
	Share, Greenwood float64
}

// KaplanMeier estimates from lifetimes, some of which may be censored, how long they
// last: the product, over the lengths at which some ended, of the shares of those at
// risk that did not (Kaplan and Meier, JASA 1958). What was censored at a length was
// at risk of ending there. To leave censored ones out, or to count them as ended, would
// both say that things end sooner than they do.
//
// It takes censoring to say nothing of how long the lifetime would have been.
func KaplanMeier(lifetimes []Lifetime) Survival {
	sorted := slices.Clone(lifetimes)
	slices.SortFunc(sorted, func(a, b Lifetime) int { return cmp.Compare(a.Length, b.Length) })
	var s Survival
	share, greenwood := 1.0, 0.0
	for i := 0; i < len(sorted); {
		at, risk, ended := sorted[i].Length, len(sorted)-i, 0
		for ; i < len(sorted) && sorted[i].Length == at; i++ {
			s.lengths = append(s.lengths, at)
			if sorted[i].Censored {
				s.censored++
			} else {
				ended++
			}
		}
		if ended == 0 {
			continue
		}
		left := float64(risk - ended)
		share *= left / float64(risk)
		greenwood += float64(ended) / (float64(risk) * left)
		s.steps = append(s.steps, SurvivalStep{At: at, AtRisk: risk, Ended: ended, Share: share, Greenwood: greenwood})
	}
	return s
}

// Steps are the lengths at which the share changes, from the shortest on.
func (s Survival) Steps() []SurvivalStep { return s.steps }

// Bounded is an estimate and the bounds of what it estimates; null is what the data
// cannot tell.
type Bounded struct {
	Value, Low, High *float64
}

// Quantile is the length that the share q of all lifetimes does not exceed, with a lower
// and an upper bound, each of which is wrong with a chance of at most alpha. It is null
// where too many are censored to reach it.
//
// With nothing censored, the value is by nearest rank, as that of the function Quantile, and
// the bounds are the order statistics whose ranks the binomial distribution gives. They
// hold whatever the distribution of lifetimes (David and Nagaraja, Order Statistics,
// 2003, 7.1): the longest of 59 is an upper bound of the 0.95-quantile at 95 %.
//
// With some censored, the bounds are those of Brookmeyer and Crowley (Biometrics 1982):
// the lengths at which the share's confidence limits pass 1−q, each of them by the
// log(−log) transform of Greenwood's variance (Kalbfleisch and Prentice, 1980). They are
// good for large samples, and rough for a few.
func (s Survival) Quantile(q, alpha float64) Bounded {
	b := Bounded{Value: s.passes(1-q, func(step SurvivalStep) float64 { return step.Share })}
	if s.censored == 0 {
		b.Low, b.High = s.ranks(q, alpha)
		return b
	}
	z := mathext.NormalQuantile(1 - alpha)
	b.Low = s.passes(1-q, func(step SurvivalStep) float64 { return step.limit(z) })
	b.High = s.passes(1-q, func(step SurvivalStep) float64 { return step.limit(-z) })
	return b
}

// passes is the first length at which a curve is at or below a level; null if it
// never is, or where it has no value.
func (s Survival) passes(level float64, curve func(SurvivalStep) float64) *float64 {
	const hair = 1e-9 // the product of fractions is not exact
	for _, step := range s.steps {
		if curve(step) <= level+hair {
			return new(step.At)
		}
	}
	return nil
}

// limit is the confidence limit of the share, z standard errors below it, or above for a
// negative z. It is NaN for a share of 0, which has no variance.
func (s SurvivalStep) limit(z float64) float64 {
	if s.Share == 0 {
		return math.NaN()
	}
	return math.Pow(s.Share, math.Exp(-z*math.Sqrt(s.Greenwood)/math.Log(s.Share)))
}

// ranks are the order statistics that bound a quantile.
func (s Survival) ranks(q, alpha float64) (low, high *float64) {
	n := len(s.lengths)
	for k := n; k >= 1 && low == nil; k-- {
		if BinomialTail(n-k+1, n, 1-q) <= alpha { // fewer than k lie below
			low = new(s.lengths[k-1])
		}
	}
	for k := 1; k <= n && high == nil; k++ {
		if BinomialTail(k, n, q) <= alpha { // k or more lie below
			high = new(s.lengths[k-1])
		}
	}
	return low, high
}
