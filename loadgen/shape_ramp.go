package loadgen

import (
	"fmt"
	"math"

	"github.com/cutover-dev/cutover/history"
)

// RampSpec is load.shape.ramp: the rate changes in a straight line and stays where it ends.
type RampSpec struct {
	To   Rate             `yaml:"to" json:"to"`     // above load.rate or below
	Over history.Duration `yaml:"over" json:"over"` // how long that takes, from when the load begins
}

func (s RampSpec) validate() error {
	switch {
	case s.To.Count <= 0:
		return fmt.Errorf("load.shape.ramp.to %w", errNoRate)
	case s.Over <= 0:
		return fmt.Errorf("load.shape.ramp.over is %s: write how long it takes, such as 60s", s.Over)
	}
	return nil
}

func (s RampSpec) from(rate float64) ramp {
	return ramp{from: rate, to: s.To.PerSecond(), over: s.Over.D().Seconds()}
}

// ramp is λ(t) = from + slope·t until over, and to from then on.
type ramp struct{ from, to, over float64 }

func (r ramp) slope() float64 { return (r.to - r.from) / r.over }

func (r ramp) rate(t float64) float64 { return r.from + r.slope()*min(t, r.over) }

func (r ramp) due(t float64) float64 {
	up := min(t, r.over)
	return (r.from+r.slope()*up/2)*up + r.to*(t-up)
}

// when solves slope·t²/2 + from·t = n, in the form that loses no digits where the slope
// is small.
func (r ramp) when(n float64) float64 {
	if all := r.due(r.over); n > all {
		return r.over + (n-all)/r.to
	}
	return 2 * n / (r.from + math.Sqrt(r.from*r.from+2*r.slope()*n))
}

func (r ramp) extremes() (lowest, highest float64) { return min(r.from, r.to), max(r.from, r.to) }
