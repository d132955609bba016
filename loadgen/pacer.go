package loadgen

import (
	"math"
	"math/rand/v2"
	"time"

	vegeta "github.com/tsenart/vegeta/v12/lib"
)

// shape is how the load goes on from when it began: the intensity λ of the arrivals, and
// its integral Λ, which is how many of them are due. Times are in seconds.
type shape interface {
	rate(t float64) float64 // λ(t), arrivals a second; never zero or below
	due(t float64) float64  // Λ(t), arrivals until t
	when(n float64) float64 // Λ⁻¹(n), the instant by which n are due
	extremes() (lowest, highest float64)
}

// Pacer says when requests arrive, as vegeta's attackers are told it. It is a pure
// function of the spec and the seed, and serves one attack: hits must not fall from call
// to call.
//
// Every shape is paced in one way: arrivals are at Λ⁻¹ of 1, 2, 3, …, or, by chance, at
// Λ⁻¹ of the arrivals of a Poisson process of rate 1. What comes of the latter is a
// Poisson process with the intensity λ (E. Çinlar, Introduction to Stochastic Processes,
// Prentice-Hall 1975, p. 96).
func (s Spec) Pacer(seed int64) vegeta.Pacer {
	s = s.WithDefaults()
	switch s.Arrivals {
	case Replay:
		return *s.Replay
	case Constant:
		return evenly{s.shape()}
	}
	return &byChance{shape: s.shape(), rand: rand.New(rand.NewPCG(uint64(seed), arrivalStream))}
}

// evenly has the n-th hit arrive when n are due.
type evenly struct{ shape }

var _ vegeta.Pacer = evenly{}

// Pace implements [vegeta.Pacer].
func (p evenly) Pace(elapsed time.Duration, hits uint64) (time.Duration, bool) {
	return until(p.when(float64(hits+1)), elapsed)
}

// Rate implements [vegeta.Pacer].
func (p evenly) Rate(elapsed time.Duration) float64 { return p.rate(elapsed.Seconds()) }

// byChance spaces hits as a Poisson process does: in terms of how many are due, gaps are
// independent and exponential.
type byChance struct {
	shape
	rand *rand.Rand
	hits uint64  // drawn so far
	last float64 // how many were due at the latest hit drawn
}

var _ vegeta.Pacer = (*byChance)(nil)

// Pace implements [vegeta.Pacer]; hits must not fall from call to call.
func (p *byChance) Pace(elapsed time.Duration, hits uint64) (time.Duration, bool) {
	for ; p.hits <= hits; p.hits++ {
		p.last += p.rand.ExpFloat64()
	}
	return until(p.when(p.last), elapsed)
}

// Rate implements [vegeta.Pacer].
func (p *byChance) Rate(elapsed time.Duration) float64 { return p.rate(elapsed.Seconds()) }

// until is how long it is from elapsed to an instant in seconds, and whether it is too
// far off to come.
func until(at float64, elapsed time.Duration) (wait time.Duration, never bool) {
	ns := math.Round(at * 1e9)
	if ns >= math.MaxInt64 {
		return 0, true
	}
	return max(0, time.Duration(ns)-elapsed), false
}

// flat is a rate that stays.
type flat float64

func (f flat) rate(float64) float64         { return float64(f) }
func (f flat) due(t float64) float64        { return float64(f) * t }
func (f flat) when(n float64) float64       { return n / float64(f) }
func (f flat) extremes() (float64, float64) { return float64(f), float64(f) }
