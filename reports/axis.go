package reports

import (
	"math"
	"time"

	"github.com/cutover-dev/cutover/history"
)

// timeAxis lays the run's clock over a stretch of pixels.
type timeAxis struct {
	from, to history.Micros
	x0, x1   px
}

// x is where an instant stands; one outside the axis stands at its end.
func (a timeAxis) x(m history.Micros) px {
	m = min(max(m, a.from), a.to)
	return a.x0 + (a.x1-a.x0)*px(m-a.from)/px(a.to-a.from)
}

// has reports whether an instant lies on the axis.
func (a timeAxis) has(m history.Micros) bool { return m.Happened() && m >= a.from && m <= a.to }

// ticks are instants worth a label: about ten of them, at round seconds.
func (a timeAxis) ticks() []history.Micros {
	step := history.Micros(roundUp(float64(a.to-a.from) / 12))
	var at []history.Micros
	first := a.from - a.from%step
	if first < a.from {
		first += step
	}
	for m := first; m <= a.to; m += step {
		at = append(at, m)
	}
	return at
}

// roundUp is the next number of the form 1, 2 or 5 times a power of ten.
func roundUp(f float64) float64 {
	if f <= 0 {
		return 1
	}
	power := math.Pow(10, math.Floor(math.Log10(f)))
	for _, m := range []float64{1, 2, 5} {
		if f <= m*power {
			return m * power
		}
	}
	return 10 * power
}

// ceiling is the next number above f that makes a good top of a chart: roundUp leaves
// up to half of it empty.
func ceiling(f float64) float64 {
	unit := roundUp(f) / 10
	return max(math.Ceil(f/unit-1e-9)*unit, 1)
}

// linear maps [0, top] to pixels, upwards.
type linear struct {
	top    float64
	y0, y1 px // bottom and top edge
}

func (a linear) y(v float64) px {
	if a.top == 0 {
		return a.y0
	}
	return a.y0 - (a.y0-a.y1)*px(min(v, a.top)/a.top)
}

// logarithmic maps latencies to pixels, upwards, a decade at a time.
type logarithmic struct {
	decades int // above fastest
	y0      px  // bottom edge
	row     px  // height of one of the rows that a decade is cut into
}

// fastest is the lower end of every axis of latencies, and rowsPerDecade how finely
// a decade is cut: each row is a third longer than the one before.
const (
	fastest       = 100 * time.Microsecond
	rowsPerDecade = 8
)

// decadesUpTo is how many decades above fastest hold a latency.
func decadesUpTo(most time.Duration) int {
	n := 1
	for top := fastest * 10; top < most; top *= 10 {
		n++
	}
	return n
}

// rowOf is the row of a latency, from the bottom; what lies outside counts in the
// row at the edge.
func rowOf(d time.Duration, decades int) int {
	if d <= fastest {
		return 0
	}
	// The rounding of Log10 must not move a whole power of ten into the row below.
	row := int(math.Log10(float64(d)/float64(fastest))*rowsPerDecade + 1e-9)
	return min(row, decades*rowsPerDecade-1)
}

func (a logarithmic) top() px { return a.y0 - px(a.decades*rowsPerDecade)*a.row }

func (a logarithmic) y(d time.Duration) px {
	d = max(d, fastest)
	return max(a.y0-px(math.Log10(float64(d)/float64(fastest))*rowsPerDecade)*a.row, a.top())
}

// labels are the latencies with a label: the ends of decades.
func (a logarithmic) labels() []time.Duration {
	at := []time.Duration{fastest}
	for range a.decades {
		at = append(at, at[len(at)-1]*10)
	}
	return at
}
