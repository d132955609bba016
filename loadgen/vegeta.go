package loadgen

import (
	"errors"
	"fmt"
	"math"

	vegeta "github.com/tsenart/vegeta/v12/lib"
)

// validate says what is wrong with the spec, but for what the attack has in its place.
func (a *Attack) validate() error {
	spec := a.Spec.WithDefaults()
	wrong := []error{spec.validateRest()}
	if a.Pacer == nil {
		wrong = append(wrong, spec.validateArrivals())
	} else if rate := a.Pacer.Rate(0); math.IsNaN(rate) || math.Abs(rate) > maxPerSecond {
		wrong = append(wrong, fmt.Errorf("load: the pacer's rate is %g/s, and at most %d/s can be sent from here: as fast as possible is no plan", rate, maxPerSecond))
	}
	if a.Targeter == nil {
		wrong = append(wrong, spec.validateRequests())
	}
	return errors.Join(wrong...)
}

// newPlan is the plan of the spec, with the attack's own pacer and targeter.
func (a *Attack) newPlan(spec Spec) *plan {
	p := &plan{pacer: a.Pacer, choose: asTargeted(a.Targeter)}
	if p.pacer == nil {
		p.pacer = spec.Pacer(a.Seed)
	}
	if a.Targeter == nil {
		p.choose = newChooser(spec, a.Host, a.Seed)
	}
	return p
}

// asTargeted takes what vegeta's targeter says. Its requests are named by method and
// path, write if their method does, and are good if they are answered with 2xx or 3xx.
func asTargeted(next vegeta.Targeter) func(*arrival) error {
	return func(a *arrival) error {
		if err := next(&a.target); errors.Is(err, vegeta.ErrNoTargets) {
			return errOver
		} else if err != nil {
			return err
		}
		request, err := a.target.Request()
		if err != nil {
			return err
		}
		if request.URL.Scheme != "http" {
			return fmt.Errorf("target %s: only http is spoken here", a.target.URL)
		}
		method := request.Method
		a.spec = &RequestSpec{
			Method: method, Path: request.URL.EscapedPath(), Weight: 1,
			Write: isWrite(method),
		}
		return nil
	}
}
