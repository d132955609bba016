package bench

// Phase is a part of something that takes long. Phases may run side by side.
type Phase struct {
	Name  string   `json:"name"`
	After []string `json:"after"` // it cannot begin before these are over; none for the beginning
	At    *float64 `json:"at"`    // when it is over, seconds since the beginning; null if it was not seen
	Took  *float64 `json:"took"`  // seconds since the last of After was over
	// Samples are the raw instants that At is the median of.
	Samples []float64 `json:"samples"`
}

// Durations fills in the medians of phases that stand in order: what comes after
// another stands behind it.
func Durations(phases []Phase) []Phase {
	over := map[string]float64{}
	for i := range phases {
		phase := &phases[i]
		phase.At = median(phase.Samples)
		if phase.At == nil {
			continue
		}
		over[phase.Name] = *phase.At
		began := 0.0
		for _, earlier := range phase.After {
			began = max(began, over[earlier])
		}
		phase.Took = new(*phase.At - began)
	}
	return phases
}
