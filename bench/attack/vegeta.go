package main

import (
	"context"
	"sync/atomic"
	"time"

	vegeta "github.com/tsenart/vegeta/v12/lib"

	"github.com/cutover-dev/cutover/loadgen"
)

// vegetaAttack is a job for vegeta, with its own defaults.
func vegetaAttack(ctx context.Context, j job) (*outcome, error) {
	var options []func(*vegeta.Attacker)
	if j.Timeout > 0 {
		options = append(options, vegeta.Timeout(j.Timeout))
	}
	if j.Workers > 0 {
		options = append(options, vegeta.Workers(j.Workers), vegeta.MaxWorkers(j.Workers))
	}
	if j.Protocol == loadgen.H2C {
		options = append(options, vegeta.H2C(true))
	}
	var targets []vegeta.Target
	for _, address := range j.Addresses {
		targets = append(targets, vegeta.Target{Method: "GET", URL: "http://" + address + "/"})
	}
	o := newOutcome(j.room())
	p := newPacer(j)
	clock := newClock()
	var records atomic.Int64
	watching, stop := context.WithCancel(ctx)
	counted := count(watching, j, func() int { return int(records.Load()) })
	attacker := vegeta.NewAttacker(options...)
	for r := range attacker.Attack(vegeta.NewStaticTargeter(targets...), p, 0, "") {
		records.Add(1)
		if ctx.Err() != nil {
			attacker.Stop()
		}
		sent := clock.instant(r.Timestamp)
		o.put(int64(r.Seq), never, sent, sent+r.Latency.Nanoseconds(), int(r.Code))
	}
	stop()
	<-counted.done
	// It does not say when it meant to send. Numbers are given by workers as they wake up,
	// so that two which are due within some microseconds may have each other's.
	for i := range o.Intended {
		o.Intended[i] = clock.instant(p.began) + p.due(uint64(i)).Nanoseconds()
	}
	o.Goroutines, o.Allocations = counted.goroutines, counted.allocations
	return o, ctx.Err()
}

// pacer has vegeta hit as its own pacer does, or at random, but so many times: in vegeta a
// late last hit is none. What is due long after the end is given up.
type pacer struct {
	vegeta.ConstantPacer
	hits   uint64
	random []time.Duration // when each is due; nil if evenly spaced
	until  time.Duration
	began  time.Time
}

func newPacer(j job) *pacer {
	p := &pacer{ConstantPacer: vegeta.ConstantPacer{Freq: j.Rate, Per: time.Second}, hits: uint64(j.planned()), until: j.Lasting + time.Second}
	if j.Poisson {
		p.random = offsets(j)
		p.hits = uint64(len(p.random))
	}
	return p
}

// Pace implements [vegeta.Pacer]. What has elapsed is counted from the attack's beginning,
// which vegeta keeps to itself.
func (p *pacer) Pace(elapsed time.Duration, hits uint64) (time.Duration, bool) {
	if p.began.IsZero() {
		p.began = time.Now().Add(-elapsed)
	}
	switch {
	case hits >= p.hits || elapsed > p.until:
		return 0, true
	case p.random != nil:
		return max(0, p.random[hits]-elapsed), false
	}
	return p.ConstantPacer.Pace(elapsed, hits)
}

// due is when a hit is due after the beginning. The first of vegeta's own pacer comes one
// interval late.
func (p *pacer) due(hit uint64) time.Duration {
	if p.random != nil {
		return p.random[min(hit, uint64(len(p.random)-1))]
	}
	return time.Duration(hit+1) * (p.Per / time.Duration(p.Freq))
}
