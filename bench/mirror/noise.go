package main

import (
	"math"
	"math/rand/v2"
	"strconv"

	"gonum.org/v1/gonum/stat/distuv"

	"github.com/cutover-dev/cutover/history"
)

// field is what makes the values of a field differ, alike in all three answers.
type field struct {
	odd float64 // the chance that one of the three is the odd one: any of them, alike
	all float64 // the chance that all three are different
}

// noisyFields are n as they stand in real answers: of ten, two are ids or exact instants, one
// is an instant in whole seconds, and seven are flags, each of which is up with a chance of
// its own, from 1 in 10,000 to a half.
func noisyFields(n int) []field {
	fields := make([]field, n)
	for i := range fields {
		switch i % 10 {
		case 0, 1:
			fields[i].all = 1
		case 2:
			fields[i].odd = 0.01 // a second began between two of the requests
		default:
			up := 0.5 * math.Pow(1e-4/0.5, float64(i)/float64(n))
			fields[i].odd = 3 * up * (1 - up) // one is up and two are down, or the other way round
		}
	}
	return fields
}

// counted is what came of comparing so far.
type counted struct {
	requests int64
	fields   []tally
}

// tally is whose answers differed in a field.
type tally struct {
	candidate int64    // its was the odd one
	baseline  [2]int64 // the one that Diffy calls primary, and the one it calls secondary
	all       int64    // all three differed
}

// more compares so many requests more: a draw for all of them at once.
func (c *counted) more(requests int64, noise []field, r *rand.Rand) {
	c.requests += requests
	for i, f := range noise {
		t := &c.fields[i]
		t.all += binomial(requests, f.all, r)
		odd := binomial(requests, f.odd, r)
		candidate := binomial(odd, 1.0/3, r)
		primary := binomial(odd-candidate, 0.5, r)
		t.candidate += candidate
		t.baseline[0] += primary
		t.baseline[1] += odd - candidate - primary
	}
}

func binomial(n int64, p float64, r *rand.Rand) int64 {
	switch {
	case n == 0 || p == 0:
		return 0
	case p == 1:
		return n
	}
	return int64(distuv.Binomial{N: float64(n), P: p, Src: r}.Rand())
}

// diff is the same as the load generator records it.
func (c *counted) diff() history.Diff {
	d := history.Diff{Chosen: c.requests, Compared: c.requests, Requests: map[string]int64{request: c.requests}, Fields: len(c.fields)}
	for i, t := range c.fields {
		d.Odd = append(d.Odd, history.OddField{
			Request: request, Field: strconv.Itoa(i), Candidate: t.candidate, Baseline: t.baseline[0] + t.baseline[1], AllDiffer: t.all,
		})
	}
	return d
}

const request = "GET /"
