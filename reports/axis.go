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
	lo, hi time.Duration // powers of ten
	y0, y1 px
}

// newLogarithmic spans whole decades around [least, most].
func newLogarithmic(least, most time.Duration, y0, y1 px) logarithmic {
	a := logarithmic{lo: 100 * time.Microsecond, hi: time.Millisecond, y0: y0, y1: y1}
	for a.lo*10 <= least {
		a.lo *= 10
	}
	a.hi = a.lo * 10
	for a.hi < most {
		a.hi *= 10
	}
	return a
}

func (a logarithmic) y(d time.Duration) px {
	d = min(max(d, a.lo), a.hi)
	return a.y0 - (a.y0-a.y1)*px(math.Log(float64(d)/float64(a.lo))/math.Log(float64(a.hi)/float64(a.lo)))
}

// decades are the latencies with a label.
func (a logarithmic) decades() []time.Duration {
	var at []time.Duration
	for d := a.lo; d <= a.hi; d *= 10 {
		at = append(at, d)
	}
	return at
}
