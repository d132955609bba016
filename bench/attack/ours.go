package main

import (
	"context"
	"net"
	"sync"
	"time"

	"github.com/cutover-dev/cutover/history"
	"github.com/cutover-dev/cutover/loadgen"
)

// attack is a job for our load generator.
func attack(ctx context.Context, j job) (*outcome, error) {
	spec, err := j.spec()
	if err != nil {
		return nil, err
	}
	run := history.NewClock()
	b := &books{run: run, clock: newClock(), outcome: newOutcome(j.room())}
	a := loadgen.Attack{Spec: spec, Seed: j.Seed, RunID: "bench", Host: "sink", Clock: run, Sink: b,
		Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, j.Addresses[0])
		}}
	watching, stop := context.WithCancel(ctx)
	counted := count(watching, j, b.records)
	// Its plan begins some time after this instant. What is due after the job's end is not
	// looked at.
	sending, end := context.WithTimeout(ctx, j.Lasting+250*time.Millisecond)
	defer end()
	err = a.Run(sending)
	stop()
	<-counted.done
	b.outcome.Goroutines, b.outcome.Allocations = counted.goroutines, counted.allocations
	return b.outcome, err
}

// spec is the job as a scenario would write it.
func (j job) spec() (loadgen.Spec, error) {
	spec := loadgen.Spec{
		Rate:     loadgen.Rate{Count: j.Rate, Per: time.Second},
		Arrivals: loadgen.Constant,
		Protocol: j.Protocol,
		Timeout:  history.Duration(j.Timeout),
		SLO:      history.SLO{Latency: history.Duration(100 * time.Millisecond), Availability: 0.99},
		Requests: []loadgen.RequestSpec{{Path: "/"}},
	}
	if j.Poisson {
		spec.Arrivals = loadgen.Poisson
	}
	if j.Protocol == loadgen.GRPC {
		return call(spec)
	}
	return spec, nil
}

// books are what an attack tells.
type books struct {
	run   history.Clock
	clock clock

	mu      sync.Mutex
	outcome *outcome
}

var _ history.Sink = (*books)(nil)

// Event implements [history.Sink].
func (b *books) Event(e history.Event) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if ended, is := history.Decode[history.LoadEnded](e); is {
		b.outcome.Ended = ended
	}
}

// Request implements [history.Sink].
func (b *books) Request(r history.Request) {
	intended, sent, done := b.instant(r.Intended), b.instant(r.Sent), b.instant(r.Done)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.outcome.put(r.Seq, intended, sent, done, r.Status)
}

func (b *books) records() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.outcome.Records
}

func (b *books) instant(m history.Micros) int64 {
	if !m.Happened() {
		return never
	}
	return b.clock.instant(b.run.Time(m))
}
