package conformance

import (
	"fmt"

	"github.com/cutover-dev/cutover/stats"
)

// Phase of a trial.
type Phase string

// The phases, in order.
const (
	Before Phase = "before"
	During Phase = "during"
	After  Phase = "after"
)

// Role is what a pod is to the fault of a trial.
type Role string

// The roles.
const (
	Target    Role = "target"    // under the fault
	Spared    Role = "spared"    // one of the target's pods that the fault's mode leaves out
	Newborn   Role = "newborn"   // one of the target's pods that was born after the injection
	Bystander Role = "bystander" // beside the target
)

// Quantity is what is measured of a pod.
type Quantity string

// The quantities, and their units.
const (
	RoundTrip     Quantity = "round trip"      // ms, the median of exchanges over one connection
	RoundTripLow  Quantity = "round trip, p10" // ms
	RoundTripHigh Quantity = "round trip, p90" // ms
	Answered      Quantity = "answered"        // share of connects that were answered
	Refused       Quantity = "refused"         // share of connects that were refused
	Silent        Quantity = "silent"          // share of connects that nobody answered
	Lost          Quantity = "lost"            // share of echoes that did not come back
	Again         Quantity = "twice"           // share of echoes that came back once more
	Damaged       Quantity = "damaged"         // share of echoes that came back damaged
	Arrived       Quantity = "arrived"         // share of echoes that got to the pod's own kernel
	Throughput    Quantity = "throughput"      // MB/s that the pod sends, the median of streams
	Processor     Quantity = "processor"       // cores that the pod keeps busy, as its cgroups count
	Memory        Quantity = "memory"          // MB that the pod uses, as its cgroups count
	Restarts      Quantity = "restarts"        // of the pod's containers since the measurement before
	ExitCode      Quantity = "exit code"       // of the container that ended last
	OwnImage      Quantity = "own image"       // 1 if the pod's containers run the images they were made with
	There         Quantity = "there"           // 1 if the pod is in the API, and not going
	Healed        Quantity = "healed after"    // s from the end of the fault to a pod that answers
)

// units of the quantities that are not shares.
var units = map[Quantity]string{
	RoundTrip: "ms", RoundTripLow: "ms", RoundTripHigh: "ms", Throughput: "MB/s", Processor: "cores", Memory: "MB", Healed: "s",
}

// Figure is one quantity of one pod in one phase.
type Figure struct {
	Phase    Phase    `json:"phase"`
	Pod      string   `json:"pod"`
	Role     Role     `json:"role"`
	Quantity Quantity `json:"quantity"`
	Value    *float64 `json:"value"`             // null if it could not be measured
	N        int      `json:"n"`                 // samples that it is of
	Hits     *int     `json:"hits,omitempty"`    // of a share: how many of the n
	Voided   int      `json:"voided,omitempty"`  // samples that a stall of the machine spoiled; n is without them
	Because  string   `json:"because,omitempty"` // why there is no value
}

// String is the figure for people, without its quantity.
func (f Figure) String() string {
	switch {
	case f.Value == nil:
		return "not measured: " + f.Because
	case f.Hits != nil:
		return fmt.Sprintf("%d of %d", *f.Hits, f.N)
	}
	return number(*f.Value, units[f.Quantity])
}

// number is a figure without its noise.
func number(value float64, unit string) string {
	if unit == "" {
		return fmt.Sprintf("%.0f", value)
	}
	places := 1
	if value > -10 && value < 10 {
		places = 2
	}
	return fmt.Sprintf("%.*f %s", places, value, unit)
}

func value(quantity Quantity, is float64, n int) Figure {
	return Figure{Quantity: quantity, Value: &is, N: n}
}

func share(quantity Quantity, hits, n int) Figure {
	if n == 0 {
		return unmeasured(quantity, "there is not one sample")
	}
	f := value(quantity, float64(hits)/float64(n), n)
	f.Hits = &hits
	return f
}

func unmeasured(quantity Quantity, because string) Figure {
	return Figure{Quantity: quantity, Because: because}
}

// quantile of samples that are there.
func quantile(quantity Quantity, samples []float64, q float64) Figure {
	is, some := stats.Quantile(samples, q)
	if !some {
		return unmeasured(quantity, "there is not one sample")
	}
	return value(quantity, is, len(samples))
}

// phased gives figures of a pod their phase and pod.
func phased(phase Phase, pod string, figures ...Figure) []Figure {
	for i := range figures {
		figures[i].Phase, figures[i].Pod = phase, pod
	}
	return figures
}
