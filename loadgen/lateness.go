package loadgen

import (
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/cutover-dev/cutover/history"
)

// lateEnough is how late an arrival must be released to count as a stall of the
// generator (or of the machine under it).
const lateEnough = 20 * time.Millisecond

// lateness keeps account of the generator's own errors. One goroutine uses it.
type lateness struct {
	sink   history.Sink
	errors *hdrhistogram.Histogram // microseconds from intended to released
	stall  history.Stall           // not yet told; To is Never if there is none
}

// NewHistogram is for durations in whole microseconds, up to an hour. What it says of
// their quantiles is exact to a thousandth, whatever their distribution.
func NewHistogram() *hdrhistogram.Histogram { return hdrhistogram.New(1, time.Hour.Microseconds(), 3) }

func newLateness(sink history.Sink) *lateness {
	return &lateness{
		sink:   sink,
		errors: NewHistogram(),
		stall:  history.Stall{To: history.Never},
	}
}

// released notes an arrival. Late ones that follow upon each other are one stall,
// told once an arrival after it was on time.
func (l *lateness) released(intended, actual history.Micros) {
	late := actual.Sub(intended)
	_ = l.errors.RecordValue(max(0, min(late, time.Hour)).Microseconds()) // within its range by construction
	if intended > l.stall.To {
		l.tell()
	}
	if late <= lateEnough {
		return
	}
	if !l.stall.To.Happened() {
		l.stall.From = intended
	}
	l.stall.From = min(l.stall.From, intended)
	l.stall.To = max(l.stall.To, actual)
}

// tell records the stall, if there is one.
func (l *lateness) tell() {
	if l.stall.To.Happened() {
		l.sink.Event(history.NewEvent(l.stall.To, l.stall))
		l.stall.To = history.Never
	}
}

// end tells the last stall and returns the 99th percentile of the errors in
// microseconds.
func (l *lateness) end() int64 {
	l.tell()
	return l.errors.ValueAtQuantile(99)
}
