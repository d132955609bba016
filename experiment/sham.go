package experiment

import (
	"github.com/cutover-dev/cutover/history"
	"github.com/cutover-dev/cutover/scenarios"
)

// Sham is the scenario without its faults: the same release under the same load, which
// shows what would have happened anyway. It is no control, and all that is expected
// of it is what users are promised.
func Sham(scenario scenarios.Scenario) scenarios.Scenario {
	s := scenario
	s.Why = "What happens without the faults: " + scenario.Why
	s.Faults, s.Control = nil, nil
	promised := s.Load.SLO.Availability
	s.Expect = history.Expect{Availability: &promised}
	return s
}
