package loadgen

import (
	"fmt"

	"github.com/cutover-dev/cutover/history"
)

// StepSpec is one of load.shape.steps: the rate from an instant on.
type StepSpec struct {
	At   history.Duration `yaml:"at" json:"at"` // since the load began
	Rate Rate             `yaml:"rate" json:"rate"`
}

func validateSteps(steps []StepSpec) error {
	if len(steps) == 0 {
		return fmt.Errorf("load.shape.steps is empty: write at least one, such as {at: 30s, rate: 300/s}")
	}
	before := history.Duration(0)
	for i, step := range steps {
		switch {
		case step.Rate.Count <= 0:
			return fmt.Errorf("load.shape.steps[%d].rate %w", i, errNoRate)
		case step.At <= before:
			return fmt.Errorf("load.shape.steps[%d].at %s is not after %s: write steps in their order, from above 0s", i, step.At, before)
		}
		before = step.At
	}
	return nil
}

// staircase is λ(t) = the rate of the last stair that began by t.
type staircase []stair

// stair is a rate from an instant on, and how many were due then.
type stair struct{ at, rate, due float64 }

func stairs(from float64, steps []StepSpec) staircase {
	all := staircase{{rate: from}}
	for _, step := range steps {
		at := step.At.D().Seconds()
		all = append(all, stair{at: at, rate: step.Rate.PerSecond(), due: all.due(at)})
	}
	return all
}

// on is the last stair for which begun holds. It holds for the first one.
func (s staircase) on(begun func(stair) bool) stair {
	last := s[0]
	for _, next := range s[1:] {
		if !begun(next) {
			break
		}
		last = next
	}
	return last
}

func (s staircase) rate(t float64) float64 {
	return s.on(func(next stair) bool { return next.at <= t }).rate
}

func (s staircase) due(t float64) float64 {
	on := s.on(func(next stair) bool { return next.at <= t })
	return on.due + on.rate*(t-on.at)
}

func (s staircase) when(n float64) float64 {
	on := s.on(func(next stair) bool { return next.due <= n })
	return on.at + (n-on.due)/on.rate
}

func (s staircase) extremes() (lowest, highest float64) {
	lowest, highest = s[0].rate, s[0].rate
	for _, on := range s[1:] {
		lowest, highest = min(lowest, on.rate), max(highest, on.rate)
	}
	return lowest, highest
}
