package stats

import (
	"fmt"
	"math"
)

// Staged is the test of [LogDiffers], [LogWorse] and [LogNoWorse] over the stages of a
// canary, each with a share of its own that is known beforehand. The evidence of stages
// multiplies: each is an e-process that begins at 1 whatever came before. It takes its
// events one by one, in O(1) and without allocating.
type Staged struct {
	mass   float64 // weight of the prior
	ratio  float64
	share  float64
	prior  Arms
	above  float64 // ln of the prior's part above the share
	events Arms    // of this stage
	logE   float64

	differs, worse, noWorse float64 // of the stages that are over
}

// NewStaged is a test before its first stage. Each stage has a Beta prior of the given
// mass whose mean is the share; ratio is that of [LogNoWorse].
func NewStaged(mass, ratio float64) (*Staged, error) {
	if !positive(mass) || !positive(ratio) {
		return nil, fmt.Errorf("a prior of mass %g and a ratio of %g: both must be positive numbers", mass, ratio)
	}
	return &Staged{mass: mass, ratio: ratio}, nil
}

// Stage begins a stage in which the candidate gets share of the traffic.
func (s *Staged) Stage(share float64) error {
	if !between(share) {
		return errShare
	}
	if s.share != 0 {
		s.differs, s.worse, s.noWorse = s.LogDiffers(), s.LogWorse(), s.LogNoWorse()
	}
	s.share, s.events, s.logE = share, Arms{}, 0
	s.prior = Arms{Candidate: s.mass * share, Baseline: s.mass * (1 - share)}
	_, s.above = logIncBeta(s.prior.Candidate, s.prior.Baseline, share)
	return nil
}

// Observe takes an event of the candidate, or else of the baseline. A stage has begun.
func (s *Staged) Observe(candidate bool) {
	n := s.mass + s.events.Candidate + s.events.Baseline
	if candidate {
		s.logE += math.Log((s.prior.Candidate + s.events.Candidate) / (n * s.share))
		s.events.Candidate++
		return
	}
	s.logE += math.Log((s.prior.Baseline + s.events.Baseline) / (n * (1 - s.share)))
	s.events.Baseline++
}

// LogDiffers is ln E against equal rates.
func (s *Staged) LogDiffers() float64 { return s.differs + s.logE }

// LogWorse is ln E⁺ against a candidate that is no worse.
func (s *Staged) LogWorse() float64 {
	now, _ := LogWorse(s.events, s.prior, s.share) // what they are given was checked
	return s.worse + now
}

// MayBeWorse reports whether ln E⁺ can have reached a limit: it is at most ln E less the
// logarithm of the prior's part above the share. That costs nothing, so that [Staged.LogWorse]
// need not be asked for after every event.
func (s *Staged) MayBeWorse(limit float64) bool { return s.worse+s.logE-s.above >= limit }

// LogNoWorse is ln E⁻ against a candidate that is ratio times as bad.
func (s *Staged) LogNoWorse() float64 {
	now, _ := LogNoWorse(s.events, s.prior, s.share, s.ratio)
	return s.noWorse + now
}
