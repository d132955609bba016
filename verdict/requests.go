package verdict

import "github.com/cutover-dev/cutover/history"

// count is the sums of the period; planned and sent come from the load's own books,
// or from the requests if those were never closed.
func (e *Evidence) count() Requests {
	var c Requests
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
