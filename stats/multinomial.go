package stats

import (
	"errors"
	"fmt"
	"math"
)

// Multinomial tests, after every event, whether events fall on the arms of a split as
// they should: an error is an event, and where it happened its arm. If all arms have
// the same rate, however that changes with time, each event falls on an arm with that
// arm's share of the traffic. With counts Sᵢ of n events, a prior Dirichlet(αᵢ) of sum A
// and shares θᵢ,
//
//	ln E = Σᵢ [ln Γ(αᵢ+Sᵢ) − ln Γ(αᵢ)] − ln Γ(A+n) + ln Γ(A) − Σᵢ Sᵢ·ln θᵢ
//
// and one event in arm i multiplies E by ((αᵢ+Sᵢ)/(A+n))/θᵢ, with the counts before it
// (Lindon and Malek, Anytime-Valid Inference for Multinomial Count Data, NeurIPS 2022).
// E is a martingale that begins at 1, so the chance that it ever reaches 1/α is at most α
// (Ville): it may be looked at as often as one likes.
//
// The routing must be independent of what becomes of the event, with the shares as
// stated. Sticky sessions break that; [Rates] and [Blocks] count what was served.
type Multinomial struct {
	weights []float64 // αᵢ + Sᵢ
	share   []float64
	mass    float64 // A + n
	logE    float64
}

// NewMultinomial has as many arms as there are shares. The prior's weights and the
// shares are positive, and the shares add up to 1.
func NewMultinomial(prior, share []float64) (*Multinomial, error) {
	if len(prior) != len(share) || len(share) < 2 {
		return nil, fmt.Errorf("%d prior weights for %d shares: there is one of each for two arms or more", len(prior), len(share))
	}
	m := &Multinomial{weights: append([]float64(nil), prior...), share: append([]float64(nil), share...)}
	sum := 0.0
	for i := range share {
		if !positive(prior[i]) || !positive(share[i]) {
			return nil, fmt.Errorf("arm %d has prior weight %g and share %g: both must be positive numbers", i, prior[i], share[i])
		}
		sum += share[i]
		m.mass += prior[i]
	}
	if math.Abs(sum-1) > 1e-9 {
		return nil, fmt.Errorf("the shares add up to %g, not to 1", sum)
	}
	return m, nil
}

// Observe takes one event in an arm.
func (m *Multinomial) Observe(arm int) {
	m.logE += math.Log(m.weights[arm] / (m.mass * m.share[arm]))
	m.weights[arm]++
	m.mass++
}

// Add takes many events at once, a count for each arm. Where E was in between is not
// known afterwards.
func (m *Multinomial) Add(counts []float64) error {
	if len(counts) != len(m.weights) {
		return fmt.Errorf("%d counts for %d arms", len(counts), len(m.weights))
	}
	for _, count := range counts {
		if !(count >= 0) || math.IsInf(count, 0) {
			return fmt.Errorf("%g is no count of events", count)
		}
	}
	total := 0.0
	for i, count := range counts {
		m.logE += rising(m.weights[i], count) - count*math.Log(m.share[i])
		m.weights[i] += count
		total += count
	}
	m.logE -= rising(m.mass, total)
	m.mass += total
	return nil
}

// LogE is ln E. Natural logarithms do not overflow.
func (m *Multinomial) LogE() float64 { return m.logE }

// rising is ln Γ(a+n) − ln Γ(a).
func rising(a, n float64) float64 {
	if n == 0 {
		return 0
	}
	// Γ(a+n)/Γ(a) = Γ(n)/B(a, n)
	return logGamma(n) - logBeta(a, n)
}

func positive(v float64) bool { return v > 0 && !math.IsInf(v, 0) }

// between reports whether v lies strictly between 0 and 1.
func between(v float64) bool { return v > 0 && v < 1 }

var errShare = errors.New("the candidate's share of the traffic must lie strictly between 0 and 1")
