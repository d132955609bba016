package gates

import (
	"context"

	"github.com/cutover-dev/cutover/history"
)

// Span is the stretch of time a reading covers.
type Span struct {
	From, To history.Micros
	// Min is the fewest requests of the candidate that make a reading.
	Min int
}

// Gate reads live data. It never decides.
type Gate interface {
	// Limits says in words what passes, such as "errors <= 1%, p99 <= 500ms".
	Limits() string
	// Read answers for the span. Status is no-data if there is too little to say.
	Read(ctx context.Context, live history.Live, span Span) history.Reading
}

// The statuses of a reading.
const (
	Pass   = "pass"
	Fail   = "fail"
	NoData = "no-data"
)
