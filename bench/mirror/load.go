package main

import (
	"context"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/cutover-dev/cutover/history"
	"github.com/cutover-dev/cutover/loadgen"
	"github.com/cutover-dev/cutover/stats"
)

// load is what users send, and what is to be compared of it.
type load struct {
	seed    int64
	rate    int     // per second
	path    string  // "/" if it is empty
	share   float64 // that is compared; 0 for no comparing at all
	lasting time.Duration
}

// Limits of a request. What is not answered well counts with timeout.
const (
	timeout = 5 * time.Second
	warmup  = 500 * time.Millisecond // whose requests do not count: connections are opened in it
)

// outcome is what came of a load.
type outcome struct {
	planned   int64
	latencies []time.Duration // from the intended instants
	failed    int
	diff      history.Diff
}

// p99 is in milliseconds.
func (o outcome) p99() float64 {
	p, _ := stats.Quantile(o.latencies, 0.99)
	return p.Seconds() * 1000
}

// unbooked are the requests that were chosen, or were to be, and are neither compared nor
// dropped for a reason.
func (o outcome) unbooked(l load) int64 {
	books := o.diff.Compared
	for _, n := range o.diff.Dropped {
		books += n
	}
	missing := abs(o.diff.Chosen - books)
	if l.share == 1 {
		missing += abs(o.planned - o.diff.Chosen)
	}
	return missing
}

func abs(n int64) int64 { return max(n, -n) }

// sink keeps what the rows are of.
type sink struct {
	mu sync.Mutex
	o  outcome
}

func (s *sink) Request(r history.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r.Intended < history.Micros(warmup.Microseconds()) {
		return
	}
	latency := timeout
	if r.Expected {
		latency = r.Done.Sub(r.Intended)
	} else {
		s.o.failed++
	}
	s.o.latencies = append(s.o.latencies, latency)
}

func (s *sink) Event(e history.Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if d, ok := history.Decode[history.Diff](e); ok {
		s.o.diff = d
	}
	if ended, ok := history.Decode[history.LoadEnded](e); ok {
		s.o.planned = ended.Planned
	}
}

// send sends it to an address, and compares what the pods answer: two of the baseline and
// one of the candidate.
func (l load) send(ctx context.Context, to string, pods []string) (outcome, error) {
	if l.path == "" {
		l.path = "/"
	}
	s := &sink{}
	a := &loadgen.Attack{
		Spec: loadgen.Spec{
			Rate: loadgen.Rate{Count: l.rate, Per: time.Second}, Timeout: history.Duration(timeout),
			SLO:      history.SLO{Latency: history.Duration(timeout), Availability: 0.99},
			Requests: []loadgen.RequestSpec{{Path: l.path}},
		},
		Seed: l.seed, RunID: "bench", Host: "bench", Clock: history.NewClock(), Sink: s,
		Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "tcp4", to)
		},
	}
	if l.share > 0 {
		a.Spec.Diff = &loadgen.DiffSpec{Share: history.Fraction(l.share)}
		a.Direct = &loadgen.Direct{Dial: new(net.Dialer).DialContext, Pods: func(_ context.Context, v history.Version) ([]string, error) {
			if v == history.Candidate {
				return pods[2:], nil
			}
			return pods[:2], nil
		}}
	}
	during, cancel := context.WithTimeout(ctx, l.lasting)
	defer cancel()
	if err := a.Run(during); err != nil {
		return s.o, err
	}
	if err := context.Cause(ctx); err != nil {
		return s.o, err
	}
	if s.o.planned == 0 {
		return s.o, fmt.Errorf("nothing came of a load of %d/s for %v", l.rate, l.lasting)
	}
	return s.o, nil
}
