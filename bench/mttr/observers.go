package main

import (
	"math"

	"github.com/cutover-dev/cutover/history"
	"github.com/cutover-dev/cutover/verdict"
)

// seen is what somebody says of an outage, in seconds.
type seen struct {
	found      bool
	onset, end float64
	relapses   int // how often it came back
	// What is said to hold the true onset, end and length, in milliseconds; nil of who does
	// not say.
	onsetCI, endCI, lengthCI *verdict.Bounds
}

// judged is what the code that judges runs reads from the record.
func judged(h history.History) seen {
	run := verdict.Judge(h)
	if run.MTTR == nil || run.Instants.OnsetMs == nil || run.Instants.RecoveredMs == nil {
		return seen{}
	}
	return seen{
		found: true, onset: *run.Instants.OnsetMs / 1000, end: *run.Instants.RecoveredMs / 1000, relapses: run.MTTR.Relapses,
		onsetCI: run.Instants.OnsetMsCI, endCI: run.Instants.RecoveredMsCI, lengthCI: run.MTTR.TotalMsCI,
	}
}

// look is what somebody who looks every so often makes of what he saw: bad or not.
type look struct {
	at  float64
	bad bool
}

// between puts together what was seen, in favour of who looks: a single bad look is
// enough, and what happened between two looks is taken to have happened half-way. An outage is
// over by lag earlier than it seems: not at all for who sees instants, and by the time
// between two looks for who sees what happened since the last one.
func between(looks []look, every, lag float64) seen {
	var s seen
	wasBad := false
	for _, l := range looks {
		switch {
		case l.bad && !wasBad && !s.found:
			s.found, s.onset = true, l.at-every/2
		case l.bad && !wasBad:
			s.relapses++
		case !l.bad && wasBad:
			s.end = l.at - every/2 - lag
		}
		wasBad = l.bad
	}
	if wasBad {
		s.end = math.Inf(1)
	}
	return s
}

// probed is a prober that sends a request of its own every so often.
func probed(o outage, every float64) seen {
	var looks []look
	for at := every * o.random.Float64(); at < o.until(); at += every {
		latency, good := o.answer(at)
		looks = append(looks, look{at: at, bad: !good || latency > slow})
	}
	return between(looks, every, 0)
}

// scraped is a monitoring that reads counters of all requests every so often, and compares
// the share of bad ones since the last time with the one that is promised. It knows of a
// request when it is over.
func scraped(o outage, h history.History, every float64) seen {
	var looks []look
	n, bad := make([]int, int(o.until()/every)+2), make([]int, int(o.until()/every)+2)
	phase := every * o.random.Float64()
	for _, r := range h.Requests {
		i := int((float64(r.Done)/1e6 + every - phase) / every)
		if i >= len(n) {
			continue
		}
		n[i]++
		if r.Bad(slow) {
			bad[i]++
		}
	}
	for i := range n {
		if n[i] > 0 {
			looks = append(looks, look{at: phase + every*float64(i), bad: float64(bad[i]) > (1-promised)*float64(n[i])})
		}
	}
	return between(looks, every, every)
}
