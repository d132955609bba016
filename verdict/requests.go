package verdict

import (
	"math"

	"github.com/cutover-dev/cutover/history"
	"github.com/cutover-dev/cutover/stats"
)

// count is the sums of the period; planned and sent come from the load's own books,
// or from the requests if those were never closed.
func (e *Evidence) count() Requests {
	c := Requests{LatencyP99Ms: e.latency(0.99), LostWrites: e.lostWrites()}
	for i, r := range e.series.arrivals {
		if e.series.bad[i] {
			c.Bad++
		} else {
			c.Good++
		}
		switch {
		case r.Version == history.Candidate:
			c.Candidate++
			if e.series.bad[i] {
				c.CandidateBad++
			}
		case r.Version == history.Unattributed && answered(r):
			c.Unattributed++
		}
	}
	if books, ok := history.First[history.LoadEnded](e.Events); ok {
		c.Planned, c.Sent, c.ReleaseErrorP99Us = books.Data.Planned, books.Data.Sent, books.Data.ReleaseErrorP99Us
		return c
	}
	c.Planned = int64(len(e.Requests))
	for _, r := range e.Requests {
		if r.Sent.Happened() {
			c.Sent++
		}
	}
	return c
}

// answered reports whether somebody answered, be it a gateway with an error.
func answered(r *history.Request) bool { return r.Done.Happened() && r.Status != 0 }

// availability is good / all over the period; nil if no release began in it.
func (e *Evidence) availability() *float64 {
	all := e.requests.Good + e.requests.Bad
	if !e.period.released || all == 0 {
		return nil
	}
	share := float64(e.requests.Good) / float64(all)
	return &share
}

// latency is a quantile of all latencies of the period, by nearest rank; nil if it is
// that of a request that was never over with, or without requests.
func (e *Evidence) latency(q float64) *float64 {
	latencies := make([]history.Micros, len(e.series.arrivals))
	for i, r := range e.series.arrivals {
		latencies[i] = math.MaxInt64
		if r.Done.Happened() {
			latencies[i] = r.Done - r.Intended
		}
	}
	found, ok := stats.Quantile(latencies, q)
	if !ok || found == math.MaxInt64 {
		return nil
	}
	return found.Millis()
}
