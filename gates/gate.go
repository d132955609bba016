package gates

import (
	"context"

	"github.com/cutover-dev/cutover/history"
)

// Span is the stretch of time a reading covers.
type Span struct {
	// Step of the release in which it is taken.
	Step string
	// Performing says that the step is still on its way: what is asked once at a step
	// is asked after that.
	Performing bool
	From, To   history.Micros
	// Min is the fewest requests of the candidate that make a reading.
	Min int
}

// Gate reads live data. It never decides.
type Gate interface {
	// Name tells it from the others of its scenario.
	Name() string
	// Limits says in words what passes, such as "errors <= 1%, p99 <= 500ms".
	Limits() string
	// Read answers for the span, at once. Status is no-data if there is too little
	// to say.
	Read(ctx context.Context, live history.Live, span Span) history.Reading
}

// The statuses of a reading.
const (
	Pass   = "pass"
	Fail   = "fail"
	NoData = "no-data"

	// Waiting and Silent are no readings, and not for a record. A gate waits that has
	// been asked and has not answered; its own time-out ends that. A gate is silent
	// that is not asked at this step, or whose pass stands for all of it.
	Waiting = "waiting"
	Silent  = "silent"
)

// Collector is a gate that counts what comes with time. While it has too little to
// say, what it said before stands.
type Collector interface {
	Gate
	Collects()
}

// Stopper is a gate that has something under way between readings.
type Stopper interface {
	Gate
	// Stop ends that, and returns when it has ended.
	Stop()
}
