package main

import (
	"fmt"
	"math"
	"math/rand/v2"
	"time"

	"github.com/cutover-dev/cutover/history"
)

const (
	rate     = 1000 // requests a second
	errored  = 0.001
	promised = 0.995 // of requests that are good; the service is better than it has to be
	slow     = 500 * time.Millisecond
	confirm  = 5 * time.Second
	calm     = 20.0 // seconds before the first outage may begin
	after    = 20.0 // seconds that are watched after it
)

// manner is how a service is bad.
type manner struct {
	name string
	// share of the requests that fail, or are slow.
	share float64
	slows bool
	flaps bool // on and off
	// even requests come at the same distance, the others at random, as a Poisson process
	// has them come.
	even bool
}

// Targets are computed for requests at the same distance. Where they come at random, the
// nearest one to an instant is further away now and then.
var manners = []manner{
	{name: "all requests fail", share: 1, even: true},
	{name: "50 % fail", share: 0.5, even: true},
	{name: "20 % fail", share: 0.2, even: true},
	{name: "answers are slow, none fails", share: 1, even: true, slows: true},
	{name: "on and off, all fail", share: 1, even: true, flaps: true},
	{name: "requests at random, all fail", share: 1},
	{name: "requests at random, 50 % fail", share: 0.5},
	{name: "requests at random, 20 % fail", share: 0.2},
}

// floor says what nobody can do better: where not every request is bad, an outage has
// begun before the first that is, and goes on after the last.
func (m manner) floor() string {
	return fmt.Sprintf("where %.0f %% of %d requests a second fail, %s, half of the outages have begun more than %.1f ms before the first of them", 100*m.share, rate, m.spacing(), m.firstBad(0.5))
}

func (m manner) spacing() string {
	if m.even {
		return "at the same distance"
	}
	return "at random"
}

// firstBad is a quantile of the time from an onset to the first bad request, in
// milliseconds. Requests at random are bad as a Poisson process; of those at the same
// distance, whole ones are waited for, and part of one.
func (m manner) firstBad(q float64) float64 {
	if !m.even {
		return -1000 / rate * math.Log(1-q) / m.share
	}
	whole, good := 0.0, 1.0 // the chance that none of so many is bad
	for good*(1-m.share) > 1-q {
		whole, good = whole+1, good*(1-m.share)
	}
	return 1000 / rate * (whole + (good-(1-q))/(good*m.share))
}

// widest is how wide half of the intervals may be at most, in milliseconds: twice the time in
// which 95 % of the outages show themselves, and the gap between two requests.
func (m manner) widest() float64 {
	return math.Round(10*2*(1000.0/rate+m.firstBad(0.95))) / 10
}

// stretch is a part of time, in seconds.
type stretch struct{ From, To float64 }

// outage is what a service really did.
type outage struct {
	manner
	bursts []stretch // in order; one if it does not flap
	random *rand.Rand
}

// newOutage draws one of 0.2 to 20 s, every length on the scale of logarithms as likely
// as any other. One that flaps is 2 to 6 bursts of 0.2 to 2 s with 0.3 to 3 s between them,
// which is less than it takes to confirm that it is over.
func newOutage(m manner, random *rand.Rand) outage {
	o := outage{manner: m, random: random}
	at := calm + 15*random.Float64() // the phase of whoever looks every so often is drawn with it
	if !m.flaps {
		o.bursts = []stretch{{at, at + 0.2*math.Pow(100, random.Float64())}}
		return o
	}
	for range 2 + random.IntN(5) {
		long := 0.2 + 1.8*random.Float64()
		o.bursts = append(o.bursts, stretch{at, at + long})
		at += long + 0.3 + 2.7*random.Float64()
	}
	return o
}

// never is no outage at all, watched as long as one.
func never(random *rand.Rand) outage {
	return outage{bursts: []stretch{{calm + 5, calm + 5}}, random: random}
}

func (o outage) onset() float64 { return o.bursts[0].From }

func (o outage) end() float64 { return o.bursts[len(o.bursts)-1].To }

// until is when nobody looks any more.
func (o outage) until() float64 { return o.end() + after }

// bad reports whether the service is bad at an instant.
func (o outage) bad(at float64) bool {
	for _, b := range o.bursts {
		if b.From <= at && at < b.To {
			return true
		}
	}
	return false
}

// answer draws what becomes of a request that comes at an instant.
func (o outage) answer(at float64) (latency time.Duration, good bool) {
	latency = time.Duration(5e6 * math.Exp(0.4*o.random.NormFloat64()))
	switch {
	case o.bad(at) && o.random.Float64() < o.share && o.slows:
		// A few are still quick enough.
		return time.Duration(800e6 * math.Exp(0.3*o.random.NormFloat64())), true
	case o.bad(at) && !o.slows && o.random.Float64() < o.share, o.random.Float64() < errored:
		return latency / 5, false
	}
	return latency, true
}

// gap is how long after a request the next one comes, in seconds.
func (o outage) gap() float64 {
	if o.even {
		return 1.0 / rate
	}
	return o.random.ExpFloat64() / rate
}

// record is what a run would have left of it: its requests, and the few events that
// judging needs.
func (o outage) record() history.History {
	var requests []history.Request
	for at := o.random.Float64() / rate; at < o.until(); at += o.gap() {
		latency, good := o.answer(at)
		r := history.Request{Seq: int64(len(requests)), Intended: micros(at), Sent: micros(at), Done: micros(at).After(latency), Status: 200, Expected: good, Version: history.Baseline, Attempts: 1}
		if !good {
			r.Status, r.Version = 503, history.Unattributed
		}
		requests = append(requests, r)
	}
	return recordOf(requests, slow, confirm)
}

// recordOf is the record of a run with these requests, released from the first of them on.
func recordOf(requests []history.Request, slow, confirm time.Duration) history.History {
	plan := history.Plan{
		Scenario: "outage", Rate: rate, SLO: history.SLO{Latency: history.Duration(slow), Availability: promised},
		Recover: history.Recover{Confirm: history.Duration(confirm), Within: history.Duration(time.Minute)},
	}
	h := history.History{Plan: plan, Requests: requests}
	n := int64(len(requests))
	if n == 0 {
		return h
	}
	first, last := requests[0].Intended, requests[n-1].Intended
	h.Events = []history.Event{
		history.NewEvent(0, plan),
		history.NewEvent(first, history.ReleaseBegan{}),
		history.NewEvent(last, history.LoadEnded{Planned: n, Sent: n}),
		history.NewEvent(last, history.RunEnded{}),
	}
	return h
}

func micros(seconds float64) history.Micros { return history.Micros(math.Round(seconds * 1e6)) }
