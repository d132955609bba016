package reports

import (
	"slices"
	"time"

	"github.com/cutover-dev/cutover/history"
	"github.com/cutover-dev/cutover/stats"
)

// timeline is the traffic of a run, summed up over short stretches of intended
// arrival. However long the run, its page stays small.
type timeline struct {
	from, to history.Micros
	width    time.Duration // of a bin
	bins     []bin
}

// bin is one stretch of the timeline.
type bin struct {
	from               history.Micros
	good, slow, failed int
	by                 map[history.Version]int
}

func (b bin) n() int { return b.good + b.slow + b.failed }

// spread describes the latencies of answered requests.
type spread struct {
	n                  int
	p50, p90, p99, max time.Duration
}

// versions are in the order in which reports list them.
var versions = []history.Version{history.Baseline, history.Candidate, history.Unattributed}

// versionName is what people read.
func versionName(v history.Version) string {
	if v == history.Unattributed {
		return "unattributed"
	}
	return string(v)
}

// maxBins bounds the page: the plot has about a pixel for each. binWidths are tried
// from the finest.
const maxBins = 900

var binWidths = []time.Duration{
	250 * time.Millisecond, 500 * time.Millisecond, time.Second, 2 * time.Second, 5 * time.Second,
	10 * time.Second, 30 * time.Second, time.Minute, 5 * time.Minute, time.Hour,
}

// binWidth is the finest width that cuts a length of time into no more than most bins.
func binWidth(length time.Duration, most int) time.Duration {
	for _, w := range binWidths {
		if length <= time.Duration(most)*w {
			return w
		}
	}
	return length/time.Duration(most) + 1
}

func newTimeline(rec record) timeline {
	from, to := extent(rec)
	t := timeline{from: from, to: to, width: binWidth(to.Sub(from), maxBins)}
	for at := from; at < to; at = at.After(t.width) {
		t.bins = append(t.bins, bin{from: at, by: map[history.Version]int{}})
	}
	for _, q := range rec.h.Requests {
		i := int(q.Intended.Sub(from) / t.width)
		if q.Intended < from || i >= len(t.bins) {
			continue
		}
		t.bins[i].count(q, rec.slo().D())
	}
	return t
}

func (b *bin) count(q history.Request, slo time.Duration) {
	switch kindOf(q, slo) {
	case "good":
		b.good++
	case "slow":
		b.slow++
	default:
		b.failed++
	}
	b.by[q.Version]++
}

// kindOf says what a user got: a good answer, a right one too late (slow), or none
// or a wrong one (failed).
func kindOf(q history.Request, slo time.Duration) string {
	switch {
	case !q.Bad(slo):
		return "good"
	case q.Done.Happened() && q.Expected:
		return "slow"
	}
	return "failed"
}

// answered reports whether a request has a latency worth the name: a right answer
// came. What fails fast would make an outage look quick.
func answered(q history.Request) bool { return q.Done.Happened() && q.Expected }

// extent is the stretch of the run that the story shows: the load, with no more of
// the steady state before the release than a third of the time after it.
func extent(rec record) (from, to history.Micros) {
	from, to = 0, rec.last()
	if n := len(rec.h.Requests); n > 0 {
		from = rec.h.Requests[0].Intended
		to = history.Never
		for _, q := range rec.h.Requests {
			to = max(to, q.Intended.After(time.Microsecond), q.Done) // its end is not on the axis
		}
		to = max(to, instant(rec.r.Instants.EndMs))
	}
	if began, ok := history.First[history.ReleaseBegan](rec.h.Events); ok && to > began.At {
		from = max(from, began.At-(to-began.At)/3)
	}
	return from, max(to, from.After(time.Second))
}

func spreadOf(l []time.Duration) spread {
	if len(l) == 0 {
		return spread{}
	}
	slices.Sort(l) // once, and not again for each quantile
	at := func(q float64) time.Duration {
		d, _ := stats.Quantile(l, q)
		return d
	}
	return spread{n: len(l), p50: at(0.5), p90: at(0.9), p99: at(0.99), max: l[len(l)-1]}
}
