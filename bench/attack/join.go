package main

import (
	"fmt"
	"time"

	"github.com/cutover-dev/cutover/bench/stalls"
	"github.com/cutover-dev/cutover/stats"
)

const (
	// lost is how late a request counts that never came.
	lost = time.Hour
	// catchUp is how long after a stall of the machine what it held up is still on its way, and
	// how late a request is for some other reason if it is so late before the stall.
	catchUp = 10 * time.Millisecond
	// spoiltAtMost is the share of requests that stalls of the machine may void before
	// there is no figure.
	spoiltAtMost = 0.05
)

// release is how late requests were released: read by the sink, later than they were intended.
type release struct {
	fair   []time.Duration // without those that stalls of the machine voided
	voided int
	absent int // planned, and never read
}

// join compares what was intended with what the sink read, for the first requests of the
// plan. A request that the sink read twice came when it was first read.
func join(planned int, o outcome, was seen, watched *stalls.Seen) release {
	first := make([]int64, planned)
	for i := range first {
		first[i] = never
	}
	for i, seq := range was.Seq {
		if seq < int64(planned) && first[seq] == never {
			first[seq] = was.At[i]
		}
	}
	var r release
	for i, at := range first {
		if at == never || i >= len(o.Intended) || o.Intended[i] == never {
			r.absent++
			r.fair = append(r.fair, lost)
			continue
		}
		if intended := o.Intended[i]; watched.During(intended-catchUp.Nanoseconds(), min(at, intended+catchUp.Nanoseconds())) {
			r.voided++
			continue
		}
		r.fair = append(r.fair, time.Duration(at-o.Intended[i]))
	}
	return r
}

// spoilt says that too much was voided.
func (r release) spoilt() bool {
	return float64(r.voided) > spoiltAtMost*float64(r.voided+len(r.fair))
}

// quantile of those that count; ok is false if there are none, or too few.
func (r release) quantile(q float64) (_ time.Duration, ok bool) {
	if len(r.fair) == 0 || r.spoilt() {
		return 0, false
	}
	return stats.Quantile(r.fair, q)
}

// sums are what books must add up to.
type sums struct {
	planned, sent, unsent, answered, failed, pending int
	read, doubled                                    int // by the sink
	wrong                                            int
	first                                            string // that was found wrong
}

// account recounts a run from its records, compares that with what was told at its end, and
// with what the sink read. So many were due: a run that ends before it has come to them has
// left them out of its books. A sink that read nothing on purpose, a black hole, has no say.
func account(due int, o outcome, was seen, hole bool) sums {
	s := sums{planned: len(o.Intended)}
	wrong := func(n int, format string, args ...any) {
		if n != 0 && s.first == "" {
			s.first = fmt.Sprintf(format, args...)
		}
		s.wrong += max(n, -n)
	}
	reads := make([]int, len(o.Intended))
	for _, seq := range was.Seq {
		s.read++
		switch {
		case seq >= int64(len(reads)):
			wrong(1, "the sink read number %d, which was not planned", seq)
		case reads[seq] > 0:
			s.doubled++
			wrong(1, "the sink read number %d twice", seq)
		}
		if seq < int64(len(reads)) {
			reads[seq]++
		}
	}
	for i := range o.Intended {
		sent, done, answered := o.Sent[i] != never, o.Done[i] != never, o.Status[i] > 0
		switch {
		case o.Intended[i] == never:
			wrong(1, "number %d has no record", i)
			continue
		case !sent:
			s.unsent++
			if answered || reads[i] > 0 {
				wrong(1, "number %d was not sent, and yet was read or answered", i)
			}
			continue
		case answered:
			s.answered++
			if !done || o.Done[i] < o.Sent[i] || reads[i] == 0 && !hole {
				wrong(1, "number %d was answered before it was sent, or without being read", i)
			}
		case done:
			s.failed++
		default:
			s.pending++
		}
		s.sent++
	}
	wrong(max(0, due-s.planned), "%d were due until the end, and %d have records", due, s.planned)
	wrong(o.Records-len(o.Intended), "%d numbers have %d records", len(o.Intended), o.Records)
	wrong(int(o.Ended.Planned)-s.planned, "%d were planned by the books, and %d have records", o.Ended.Planned, s.planned)
	wrong(int(o.Ended.Sent)-s.sent, "%d were sent by the books, and %d by the records", o.Ended.Sent, s.sent)
	wrong(int(o.Ended.Unsent)-s.unsent, "%d were not sent by the books, and %d by the records", o.Ended.Unsent, s.unsent)
	return s
}

func (s sums) String() string {
	text := fmt.Sprintf("planned %d = sent %d + unsent %d; sent = answered %d + failed %d + pending %d; the sink read %d, %d of them twice",
		s.planned, s.sent, s.unsent, s.answered, s.failed, s.pending, s.read, s.doubled)
	if s.first != "" {
		text += "; " + s.first
	}
	return text
}

// plus are the sums of two runs.
func (s sums) plus(t sums) sums {
	if s.first == "" {
		s.first = t.first
	}
	return sums{s.planned + t.planned, s.sent + t.sent, s.unsent + t.unsent, s.answered + t.answered, s.failed + t.failed, s.pending + t.pending,
		s.read + t.read, s.doubled + t.doubled, s.wrong + t.wrong, s.first}
}

// rateOff is how far the mean rate of what was intended is from the plan's, in millionths.
func rateOff(rate int, intended []int64) float64 {
	n := len(intended) - 1
	if n < 1 {
		return 1e6
	}
	off := float64(n)/(float64(intended[n]-intended[0])/1e9)/float64(rate) - 1
	return 1e6 * max(off, -off)
}
