package stats

import (
	"fmt"
	"math"
)

// Blocks tests, after every block of requests, whether two arms fail at the same rate,
// when it is known how many requests each arm got. In a block with n_g requests and y_g
// errors in arm g, and rates θ̂_g that were estimated from the blocks before it,
//
//	E ← E · Π_g (θ̂_g/θ̂₀)^{y_g} · ((1−θ̂_g)/(1−θ̂₀))^{n_g−y_g},  θ̂₀ = (n_a·θ̂_a + n_b·θ̂_b)/(n_a + n_b)
//
// whose expectation is at most 1 under any common rate, so that the rate may change from
// block to block (Turner, Ly and Grünwald, Generic E-variables for exact sequential
// k-sample tests that allow for optional stopping, 2021, arXiv 2106.02693). How many
// requests an arm gets must be fixed before what becomes of them.
type Blocks struct {
	seen Counted
	logE float64
}

// Counted is how many requests each arm got, and how many of them were hits: errors, or
// whatever is counted.
type Counted struct{ N, Hits Arms }

// turnerPrior is the weight of the Beta prior of each rate, which the paper recommends.
const turnerPrior = 0.18

// Observe takes a block.
func (b *Blocks) Observe(block Counted) error {
	if err := block.check(); err != nil {
		return err
	}
	if n := block.N.Candidate + block.N.Baseline; n > 0 {
		candidate, baseline := estimate(b.seen.Hits.Candidate, b.seen.N.Candidate), estimate(b.seen.Hits.Baseline, b.seen.N.Baseline)
		common := (block.N.Candidate*candidate + block.N.Baseline*baseline) / n
		b.logE += logRatio(block.Hits.Candidate, block.N.Candidate, candidate, common) +
			logRatio(block.Hits.Baseline, block.N.Baseline, baseline, common)
	}
	b.seen.N, b.seen.Hits = b.seen.N.plus(block.N), b.seen.Hits.plus(block.Hits)
	return nil
}

// LogE is ln E.
func (b *Blocks) LogE() float64 { return b.logE }

// estimate of a rate, which is never 0 nor 1.
func estimate(hits, n float64) float64 { return (hits + turnerPrior) / (n + 2*turnerPrior) }

// logRatio is the log-likelihood of hits under one rate less that under another.
func logRatio(hits, n, rate, other float64) float64 {
	return hits*math.Log(rate/other) + (n-hits)*math.Log((1-rate)/(1-other))
}

func (c Counted) check() error {
	for _, arm := range [][2]float64{{c.Hits.Candidate, c.N.Candidate}, {c.Hits.Baseline, c.N.Baseline}} {
		if !(arm[0] >= 0 && arm[0] <= arm[1]) || math.IsInf(arm[1], 0) {
			return fmt.Errorf("%g hits of %g requests: neither is less than none, nor are there more hits than requests", arm[0], arm[1])
		}
	}
	return nil
}
