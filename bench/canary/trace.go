package main

import (
	"math"
	"math/rand/v2"

	"github.com/cutover-dev/cutover/stats"
)

// rate is how many requests come in a second.
const rate = 1000

// request is one of a trace.
type request struct{ candidate, failed bool }

// trace draws requests that are routed independently of each other.
type trace struct {
	random              *rand.Rand
	share               float64 // of the candidate
	baseline, candidate func(second float64) float64
	at                  int // of the next one
}

func newTrace(seed, run int, share float64, baseline, candidate func(float64) float64) *trace {
	return &trace{random: rand.New(rand.NewPCG(uint64(seed), uint64(run))), share: share, baseline: baseline, candidate: candidate}
}

func (t *trace) next() request {
	r := request{candidate: t.random.Float64() < t.share}
	errors := t.baseline
	if r.candidate {
		errors = t.candidate
	}
	r.failed = t.random.Float64() < errors(float64(t.at)/rate)
	t.at++
	return r
}

// always is a rate of errors that does not change.
func always(p float64) func(float64) float64 { return func(float64) float64 { return p } }

// shapes of the rate of errors of both versions, over the ten seconds of 10,000 looks.
var shapes = []struct {
	name  string
	share float64
	rate  func(second float64) float64
}{
	{"half of the requests fail", 0.5, always(0.5)},
	{"1 % fail", 0.1, always(0.01)},
	{"between 0 and 30 %, in waves", 0.25, func(s float64) float64 { return 0.15 + 0.15*math.Sin(s) }},
	{"0.1 % and 20 %, in steps", 0.1, func(s float64) float64 { return []float64{0.001, 0.2}[int(s/2.5)%2] }},
}

// seconds gathers requests into blocks of one second, as a gate or a scrape sees them.
type seconds struct {
	block stats.Counted
	count int
}

// add takes a request and returns the block that it completes.
func (s *seconds) add(r request) (block stats.Counted, whole bool) {
	n, hits := &s.block.N.Baseline, &s.block.Hits.Baseline
	if r.candidate {
		n, hits = &s.block.N.Candidate, &s.block.Hits.Candidate
	}
	*n++
	if r.failed {
		*hits++
	}
	if s.count++; s.count < rate {
		return stats.Counted{}, false
	}
	block, *s = s.block, seconds{}
	return block, true
}
