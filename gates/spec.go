package gates

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/cutover-dev/cutover/history"
)

// Spec is the gate section of a scenario: the limits of the threshold gate, the
// other gates, and the policy of asking them.
type Spec struct {
	Errors  *ErrorLimit                 `yaml:"errors,omitempty" json:"errors,omitempty"`
	Latency map[string]history.Duration `yaml:"latency,omitempty" json:"latency,omitempty"` // by quantile: p50, p90, p95, p99, p99.9

	Sequential *Sequential `yaml:"sequential,omitempty" json:"sequential,omitempty"`
	Compare    *Compare    `yaml:"compare,omitempty" json:"compare,omitempty"`

	Prometheus []Prometheus `yaml:"prometheus,omitempty" json:"prometheus,omitempty"`
	Webhook    []Webhook    `yaml:"webhook,omitempty" json:"webhook,omitempty"`
	Command    []Command    `yaml:"command,omitempty" json:"command,omitempty"`
	Approval   *Approval    `yaml:"approval,omitempty" json:"approval,omitempty"`

	Every  history.Duration `yaml:"every,omitempty" json:"every,omitempty"`   // default 1s
	Min    int              `yaml:"min,omitempty" json:"min,omitempty"`       // fewest candidate requests of a reading of the limits or of compare; default 50
	Fails  int              `yaml:"fails,omitempty" json:"fails,omitempty"`   // failing readings in a row that roll back; default 2
	NoData string           `yaml:"noData,omitempty" json:"noData,omitempty"` // rollback (default), hold or proceed
}

// ErrorLimit bounds the share of candidate requests that fail.
type ErrorLimit struct {
	Max history.Fraction `yaml:"max" json:"max"`
}

// What the policy may do without data.
const (
	NoDataRollback = "rollback"
	NoDataHold     = "hold"
	NoDataProceed  = "proceed"
)

// quantiles that a latency limit may name.
var quantiles = map[string]float64{"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99, "p99.9": 0.999}

// WithDefaults fills what was left out. Limits have no default.
func (s Spec) WithDefaults() Spec {
	if s.Every == 0 {
		s.Every = history.Duration(time.Second)
	}
	if s.Min == 0 {
		s.Min = 50
	}
	if s.Fails == 0 {
		s.Fails = 2
	}
	if s.NoData == "" {
		s.NoData = NoDataRollback
	}
	return s
}

// Validate says everything that is wrong with the section, each with its key.
func (s Spec) Validate() error {
	var wrong []error
	fail := func(format string, args ...any) { wrong = append(wrong, fmt.Errorf(format, args...)) }
	if !s.Counts() && len(s.entries()) == 0 {
		fail("gate limits nothing: set errors.max, a latency such as p99: 500ms, or another gate: %s", strings.Join(slices.Sorted(maps.Keys(kinds)), ", "))
	}
	for _, name := range slices.Sorted(maps.Keys(s.Latency)) {
		if _, ok := quantiles[name]; !ok {
			fail("gate.latency.%s is not a known quantile: use one of %s", name, strings.Join(quantileNames(), ", "))
		} else if s.Latency[name] <= 0 {
			fail("gate.latency.%s is %s: a limit must be longer than zero", name, s.Latency[name])
		}
	}
	if s.Min < 0 {
		fail("gate.min is %d: it is a number of requests", s.Min)
	}
	if s.Fails < 0 {
		fail("gate.fails is %d: it is a number of readings", s.Fails)
	}
	switch s.NoData {
	case "", NoDataRollback, NoDataHold, NoDataProceed:
	default:
		fail("gate.noData is %q: use %s, %s or %s", s.NoData, NoDataRollback, NoDataHold, NoDataProceed)
	}
	return errors.Join(append(wrong, s.validateEntries())...)
}

// Counts reports whether one of the gates counts the candidate's requests.
func (s Spec) Counts() bool { return s.Errors != nil || len(s.Latency) > 0 }

// quantileNames in rising order.
func quantileNames() []string {
	return slices.SortedFunc(maps.Keys(quantiles), func(a, b string) int {
		return int(1000*quantiles[a]) - int(1000*quantiles[b])
	})
}
