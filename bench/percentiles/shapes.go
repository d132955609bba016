package main

import (
	"math"
	"math/rand/v2"
	"time"
)

// shape is a distribution of latencies.
type shape struct {
	name string
	draw func(*rand.Rand) time.Duration
}

// shapes are drawn in whole microseconds, up to an hour.
var shapes = []shape{
	{"log-normal, median 5 ms", func(r *rand.Rand) time.Duration { return milliseconds(5 * math.Exp(r.NormFloat64())) }},
	{"exponential, mean 10 ms", func(r *rand.Rand) time.Duration { return milliseconds(10 * r.ExpFloat64()) }},
	{"Pareto, from 1 ms, index 1.1", func(r *rand.Rand) time.Duration { return milliseconds(math.Exp(r.ExpFloat64() / 1.1)) }},
	{"1 ms or 30 s, 50/50", func(r *rand.Rand) time.Duration { return twoModes(r, 0.50) }},
	{"1 ms or 30 s, 99/1", func(r *rand.Rand) time.Duration { return twoModes(r, 0.99) }},
}

// twoModes are a healthy service and a timeout, each within some per cent.
func twoModes(r *rand.Rand, healthy float64) time.Duration {
	mode := 30_000.0
	if r.Float64() < healthy {
		mode = 1
	}
	return milliseconds(mode * math.Exp(0.05*r.NormFloat64()))
}

func milliseconds(ms float64) time.Duration {
	us := min(max(math.Round(ms*1000), 1), float64(time.Hour.Microseconds()))
	return time.Duration(us) * time.Microsecond
}

// latencies draws so many of a shape.
func latencies(s shape, n int, seed, stream uint64) []time.Duration {
	random := rand.New(rand.NewPCG(seed, stream))
	drawn := make([]time.Duration, n)
	for i := range drawn {
		drawn[i] = s.draw(random)
	}
	return drawn
}
