package gates

import "github.com/cutover-dev/cutover/history"

// Spec is the gate section of a scenario: the limits of the threshold gate and
// the policy of asking it.
type Spec struct {
	Errors  *ErrorLimit                 `yaml:"errors,omitempty" json:"errors,omitempty"`
	Latency map[string]history.Duration `yaml:"latency,omitempty" json:"latency,omitempty"` // by quantile: p50, p90, p95, p99, p99.9
	Every   history.Duration            `yaml:"every,omitempty" json:"every,omitempty"`     // default 1s
	Min     int                         `yaml:"min,omitempty" json:"min,omitempty"`         // fewest candidate requests of a reading; default 50
	Fails   int                         `yaml:"fails,omitempty" json:"fails,omitempty"`     // failing readings in a row that roll back; default 2
	NoData  string                      `yaml:"noData,omitempty" json:"noData,omitempty"`   // rollback (default), hold or proceed
}

// ErrorLimit bounds the share of candidate requests that fail.
type ErrorLimit struct {
	Max history.Fraction `yaml:"max" json:"max"`
}
