package loadgen

import (
	"errors"
	"fmt"
)

// ShapeSpec is load.shape: how the rate goes on from load.rate, which it has when the load
// begins. Exactly one is set.
type ShapeSpec struct {
	Ramp  *RampSpec  `yaml:"ramp,omitempty" json:"ramp,omitempty"`   // up or down in a straight line
	Sine  *SineSpec  `yaml:"sine,omitempty" json:"sine,omitempty"`   // up and down around rate
	Steps []StepSpec `yaml:"steps,omitempty" json:"steps,omitempty"` // other rates from given times on
}

// shape is the form of the load.
func (s Spec) shape() shape {
	from := s.Rate.PerSecond()
	switch {
	case s.Shape == nil:
		return flat(from)
	case s.Shape.Ramp != nil:
		return s.Shape.Ramp.from(from)
	case s.Shape.Sine != nil:
		return s.Shape.Sine.around(from)
	}
	return stairs(from, s.Shape.Steps)
}

// LowestRate is the lowest rate that the load comes to, in requests per second: what
// waits for requests has to reckon with it. Without a shape it is the rate.
func (s Spec) LowestRate() float64 {
	lowest, _ := s.shape().extremes()
	return lowest
}

// validate says what is wrong, each with its key.
func (s ShapeSpec) validate(rate Rate) error {
	given := 0
	for _, is := range []bool{s.Ramp != nil, s.Sine != nil, s.Steps != nil} {
		if is {
			given++
		}
	}
	if given != 1 {
		return fmt.Errorf("load.shape has %d forms: write exactly one of ramp, sine and steps", given)
	}
	var wrong error
	switch {
	case s.Ramp != nil:
		wrong = s.Ramp.validate()
	case s.Sine != nil:
		wrong = s.Sine.validate(rate)
	default:
		wrong = validateSteps(s.Steps)
	}
	if wrong != nil || rate.Count <= 0 {
		return wrong
	}
	if _, highest := (Spec{Rate: rate, Shape: &s}).shape().extremes(); highest > maxPerSecond {
		return fmt.Errorf("load.shape comes to %.0f requests a second, and more than %d cannot be sent from here: lower it", highest, maxPerSecond)
	}
	return nil
}

// String says it in words, after the rate: "then to 400/s within 1m0s".
func (s ShapeSpec) String() string {
	switch {
	case s.Ramp != nil:
		return fmt.Sprintf("then to %s within %s", s.Ramp.To, s.Ramp.Over)
	case s.Sine != nil:
		return fmt.Sprintf("by %s more and less every %s", s.Sine.Amplitude, s.Sine.Period)
	}
	text := ""
	for _, step := range s.Steps {
		if text != "" {
			text += ", "
		}
		text += fmt.Sprintf("%s from %s on", step.Rate, step.At)
	}
	return text
}

var errNoRate = errors.New("is missing: write requests per second, such as 400/s")
