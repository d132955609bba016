package main

import (
	"context"
	"encoding/gob"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"runtime"
	"time"

	"github.com/cutover-dev/cutover/bench/stalls"
	"github.com/cutover-dev/cutover/history"
)

// never is the instant of what did not happen.
const never = math.MinInt64

// job is what a tool is to send.
type job struct {
	Addresses []string // of the sink
	Rate      int      // requests a second
	Poisson   bool     // at random; otherwise evenly spaced
	Protocol  string   // of the load generator's; HTTP/1.1 if it is empty
	Lasting   time.Duration
	Timeout   time.Duration // of a request; 0 for the tool's own
	Seed      int64
	Workers   uint64 // that vegeta may have; 0 for as many as it likes
	Count     bool   // goroutines and allocations: it takes a little of the processor
}

// planned is how many requests are due by the end, the last of them at it.
func (j job) planned() int { return int(int64(j.Rate) * int64(j.Lasting) / int64(time.Second)) }

// room is for more than will come.
func (j job) room() int { return j.planned()*5/4 + 1000 }

// outcome is what a tool did, by the numbers of its requests. Instants are of the
// machine's clock.
type outcome struct {
	Intended, Sent, Done []int64
	Status               []int16           // 0 if there was no answer
	Records              int               // that there are; more than numbers if some were told twice
	Ended                history.LoadEnded // by our own books
	Allocations          float64           // per request, once it has settled; if they were counted
	Goroutines           int               // at most; if they were counted
}

// newOutcome has room that is there already.
func newOutcome(room int) *outcome {
	o := &outcome{Intended: touched(room), Sent: touched(room), Done: touched(room), Status: make([]int16, 0, room)}
	for range room {
		o.Status = append(o.Status, 1)
	}
	o.Status = o.Status[:0]
	return o
}

// put notes what became of a request. Numbers may come in any order.
func (o *outcome) put(seq, intended, sent, done int64, status int) {
	for int64(len(o.Intended)) <= seq {
		o.Intended, o.Sent, o.Done, o.Status = append(o.Intended, never), append(o.Sent, never), append(o.Done, never), append(o.Status, 0)
	}
	o.Records++
	o.Intended[seq], o.Sent[seq], o.Done[seq], o.Status[seq] = intended, sent, done, int16(status)
}

// tool is a role that does one job after another, until there are no more. One that asks for
// no requests only shows that it is ready.
func tool(do func(context.Context, job) (*outcome, error)) func(context.Context, *os.File, io.Writer) error {
	return func(ctx context.Context, in *os.File, out io.Writer) error {
		manyFiles()
		jobs, outcomes := gob.NewDecoder(in), gob.NewEncoder(out)
		for {
			var j job
			if err := jobs.Decode(&j); errors.Is(err, io.EOF) {
				return nil
			} else if err != nil {
				return fmt.Errorf("read what is to be sent: %w", err)
			}
			o := &outcome{}
			if j.Rate > 0 {
				var err error
				if o, err = do(ctx, j); err != nil {
					return err
				}
			}
			if err := outcomes.Encode(o); err != nil {
				return fmt.Errorf("say what was sent: %w", err)
			}
		}
	}
}

// clock places readings of time.Now on the machine's clock, which they are of.
type clock struct {
	base time.Time
	zero int64
}

// newClock takes the closest of some readings.
func newClock() clock {
	var c clock
	closest := int64(math.MaxInt64)
	for range 100 {
		before, now, after := stalls.Monotonic(), time.Now(), stalls.Monotonic()
		if after-before < closest {
			closest, c = after-before, clock{now, before + (after-before)/2}
		}
	}
	return c
}

func (c clock) instant(t time.Time) int64 { return c.zero + t.Sub(c.base).Nanoseconds() }

// counting looks at a run from beside: how many goroutines it has, and how much it
// allocates for a request, between a third of it and five sixths.
type counting struct {
	goroutines  int
	allocations float64
	done        chan struct{}
}

// count goes on until ctx ends, if the job says so. records says how many requests are over.
func count(ctx context.Context, j job, records func() int) *counting {
	c := &counting{done: make(chan struct{})}
	if !j.Count {
		close(c.done)
		return c
	}
	go func() {
		defer close(c.done)
		var first, last runtime.MemStats
		began, from, to := time.Now(), 0, 0
		for tick := time.NewTicker(20 * time.Millisecond); ctx.Err() == nil; <-tick.C {
			c.goroutines = max(c.goroutines, runtime.NumGoroutine())
			switch since := time.Since(began); {
			case from == 0 && since > j.Lasting/3:
				runtime.ReadMemStats(&first)
				from = records()
			case to == 0 && since > j.Lasting*5/6:
				runtime.ReadMemStats(&last)
				to = records()
			}
		}
		if to > from {
			c.allocations = float64(last.Mallocs-first.Mallocs) / float64(to-from)
		}
	}()
	return c
}

// offsets are when requests are due after the beginning, at random as in a Poisson process.
func offsets(j job) []time.Duration {
	random := rand.New(rand.NewPCG(uint64(j.Seed), 1))
	var all []time.Duration
	for at := 0.0; ; {
		at += random.ExpFloat64() / float64(j.Rate)
		due := time.Duration(at * float64(time.Second))
		if due > j.Lasting {
			return all
		}
		all = append(all, due)
	}
}
