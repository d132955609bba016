package loadgen

import (
	"fmt"
	"math"

	"github.com/cutover-dev/cutover/history"
)

// SineSpec is load.shape.sine: the rate goes up and down around load.rate, up first.
type SineSpec struct {
	Amplitude Rate             `yaml:"amplitude" json:"amplitude"` // below load.rate
	Period    history.Duration `yaml:"period" json:"period"`
}

func (s SineSpec) validate(around Rate) error {
	switch {
	case s.Amplitude.Count <= 0:
		return fmt.Errorf("load.shape.sine.amplitude %w", errNoRate)
	case s.Period <= 0:
		return fmt.Errorf("load.shape.sine.period is %s: write how long up and down take together, such as 60s", s.Period)
	case around.Count > 0 && s.Amplitude.PerSecond() >= around.PerSecond():
		return fmt.Errorf("load.shape.sine.amplitude %s is not below load.rate %s: the rate would fall to zero; lower it", s.Amplitude, around)
	}
	return nil
}

func (s SineSpec) around(rate float64) sine {
	return sine{mean: rate, amplitude: s.Amplitude.PerSecond(), period: s.Period.D().Seconds()}
}

// sine is λ(t) = mean + amplitude·sin(2πt/period), which vegeta.SinePacer has from MeanUp.
type sine struct{ mean, amplitude, period float64 }

func (s sine) angle(t float64) float64 { return 2 * math.Pi * t / s.period }

func (s sine) rate(t float64) float64 { return s.mean + s.amplitude*math.Sin(s.angle(t)) }

func (s sine) due(t float64) float64 {
	return s.mean*t + s.amplitude*s.period/(2*math.Pi)*(1-math.Cos(s.angle(t)))
}

// when finds the instant in its period by Newton's method, kept within a bracket that
// halves where a step of Newton's would leave it: Λ rises everywhere.
func (s sine) when(n float64) float64 {
	whole := math.Floor(n / (s.mean * s.period))
	rest := n - whole*s.mean*s.period
	low, high, t := 0.0, s.period, rest/s.mean
	for range 100 { // 10 do; a bracket has shrunk to nothing by then
		t = min(max(t, low), high)
		beyond := s.due(t) - rest
		if beyond > 0 {
			high = t
		} else {
			low = t
		}
		step := beyond / s.rate(t)
		if math.Abs(step) < 1e-12 {
			break
		}
		if t -= step; t <= low || t >= high {
			t = (low + high) / 2
		}
	}
	return whole*s.period + t
}

func (s sine) extremes() (lowest, highest float64) { return s.mean - s.amplitude, s.mean + s.amplitude }
