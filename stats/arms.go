package stats

import (
	"fmt"
	"math"
)

// Arms is something of the candidate and of the baseline: events, or weights of a prior.
type Arms struct{ Candidate, Baseline float64 }

func (a Arms) plus(o Arms) Arms { return Arms{a.Candidate + o.Candidate, a.Baseline + o.Baseline} }

// LogDiffers is [Multinomial] with two arms: ln E of the events against "both arms have
// the same rate", where the candidate gets share of the traffic. The prior is a Beta.
func LogDiffers(events, prior Arms, share float64) (float64, error) {
	if err := checkArms(events, prior, share); err != nil {
		return 0, err
	}
	return logBinomialE(events, prior, share), nil
}

// LogWorse is ln E⁺ against "the candidate's rate is no higher than the baseline's": the
// prior is cut off below the share, so that nothing is gained by a candidate that is better.
//
//	E⁺ = E · [1 − I_ρ(α_c+S_c, α_b+S_b)] / [1 − I_ρ(α_c, α_b)]
//
// with I the regularised incomplete beta function and ρ the share. An E-value under any
// θ ≤ ρ, because each likelihood ratio of a θ' > ρ against ρ is (Lindon and Malek, NeurIPS 2022).
func LogWorse(events, prior Arms, share float64) (float64, error) {
	if err := checkArms(events, prior, share); err != nil {
		return 0, err
	}
	seen := events.plus(prior)
	_, above := logIncBeta(seen.Candidate, seen.Baseline, share)
	_, before := logIncBeta(prior.Candidate, prior.Baseline, share)
	return logBinomialE(events, prior, share) + above - before, nil
}

// LogNoWorse is ln E⁻ against "the candidate's rate is ratio times the baseline's, or
// more": what must be rejected before it may pass as not inferior. With the candidate's
// part of the events under that ratio, θ = ρ·r/(ρ·r + 1 − ρ),
//
//	E⁻ = E(θ) · I_θ(α_c+S_c, α_b+S_b) / I_θ(α_c, α_b)
func LogNoWorse(events, prior Arms, share, ratio float64) (float64, error) {
	if err := checkArms(events, prior, share); err != nil {
		return 0, err
	}
	if !positive(ratio) {
		return 0, fmt.Errorf("%g is no ratio of rates", ratio)
	}
	theta := tilted(share, ratio)
	seen := events.plus(prior)
	below, _ := logIncBeta(seen.Candidate, seen.Baseline, theta)
	before, _ := logIncBeta(prior.Candidate, prior.Baseline, theta)
	return logBinomialE(events, prior, theta) + below - before, nil
}

// tilted is the candidate's part of the events if it has ratio times the baseline's rate.
func tilted(share, ratio float64) float64 { return share * ratio / (share*ratio + 1 - share) }

func logBinomialE(events, prior Arms, share float64) float64 {
	seen := events.plus(prior)
	return logBeta(seen.Candidate, seen.Baseline) - logBeta(prior.Candidate, prior.Baseline) -
		events.Candidate*math.Log(share) - events.Baseline*math.Log1p(-share)
}

func checkArms(events, prior Arms, share float64) error {
	for _, count := range []float64{events.Candidate, events.Baseline} {
		if !(count >= 0) || math.IsInf(count, 0) {
			return fmt.Errorf("%g is no count of events", count)
		}
	}
	if !positive(prior.Candidate) || !positive(prior.Baseline) {
		return fmt.Errorf("a prior of %g and %g: both weights must be positive numbers", prior.Candidate, prior.Baseline)
	}
	if !between(share) {
		return errShare
	}
	return nil
}
