package release

import (
	"cmp"
	"time"

	"github.com/cutover-dev/cutover/history"
)

// Spec is the release section of a scenario.
type Spec struct {
	Strategy string           `yaml:"strategy" json:"strategy"`                     // canary
	Steps    []int            `yaml:"steps" json:"steps"`                           // candidate's share in per cent, rising, the last one 100
	Hold     history.Duration `yaml:"hold,omitempty" json:"hold,omitempty"`         // shortest stay at a step once live; default 5s
	Deadline history.Duration `yaml:"deadline,omitempty" json:"deadline,omitempty"` // of the whole release; default 3m
	Watch    history.Duration `yaml:"watch,omitempty" json:"watch,omitempty"`       // gate goes on this long after the last weight; default 10s
}

// WithDefaults fills what was left out. Strategy and steps have no default.
func (s Spec) WithDefaults() Spec {
	s.Hold = cmp.Or(s.Hold, history.Duration(5*time.Second))
	s.Deadline = cmp.Or(s.Deadline, history.Duration(3*time.Minute))
	s.Watch = cmp.Or(s.Watch, history.Duration(10*time.Second))
	return s
}

// App is the app section of a scenario: a service and its two versions.
type App struct {
	Image     string            `yaml:"image" json:"image"` // ko://import/path[@version], oci-archive:FILE, docker-archive:FILE, or a registry's reference
	Service   string            `yaml:"service" json:"service"`
	Ports     map[string]int    `yaml:"ports" json:"ports"`                           // the one named http carries the load
	Replicas  int               `yaml:"replicas,omitempty" json:"replicas,omitempty"` // default 3
	Env       map[string]string `yaml:"env,omitempty" json:"env,omitempty"`
	Command   []string          `yaml:"command,omitempty" json:"command,omitempty"`   // in place of the image's entrypoint
	Args      []string          `yaml:"args,omitempty" json:"args,omitempty"`         // in place of the image's cmd
	Writable  []string          `yaml:"writable,omitempty" json:"writable,omitempty"` // absolute paths of folders that begin empty, for any user to write
	Version   VersionSource     `yaml:"version,omitempty" json:"version,omitempty"`
	Readiness Readiness         `yaml:"readiness,omitempty" json:"readiness,omitempty"`
	Drain     history.Duration  `yaml:"drain,omitempty" json:"drain,omitempty"` // preStop sleep, whole seconds; default 2s
	Grace     history.Duration  `yaml:"grace,omitempty" json:"grace,omitempty"` // termination grace period; default 30s
	Baseline  Variant           `yaml:"baseline" json:"baseline"`
	Candidate Variant           `yaml:"candidate" json:"candidate"`
}

// WithDefaults fills what was left out. Image, service and ports have no default.
func (a App) WithDefaults() App {
	a.Replicas = cmp.Or(a.Replicas, 3)
	a.Readiness = a.Readiness.withDefaults()
	a.Drain = cmp.Or(a.Drain, history.Duration(2*time.Second))
	a.Grace = cmp.Or(a.Grace, history.Duration(30*time.Second))
	return a
}

// VersionSource says how an answer tells its version. At most one is set; with
// none, only the gateway's access log tells.
type VersionSource struct {
	Header string `yaml:"header,omitempty" json:"header,omitempty"`
	JSON   string `yaml:"json,omitempty" json:"json,omitempty"` // dotted path into the body, such as message or build.version
}

// Readiness is the probe that admits a pod to traffic. Without a path it is a
// TCP connect to the http port.
type Readiness struct {
	Path     string           `yaml:"path,omitempty" json:"path,omitempty"`
	Period   history.Duration `yaml:"period,omitempty" json:"period,omitempty"`     // default 1s
	Timeout  history.Duration `yaml:"timeout,omitempty" json:"timeout,omitempty"`   // default 1s
	Failures int              `yaml:"failures,omitempty" json:"failures,omitempty"` // default 3
}

func (r Readiness) withDefaults() Readiness {
	r.Period = cmp.Or(r.Period, history.Duration(time.Second))
	r.Timeout = cmp.Or(r.Timeout, history.Duration(time.Second))
	r.Failures = cmp.Or(r.Failures, 3)
	return r
}

// Variant is what differs in one version. An empty one is the app as it stands.
type Variant struct {
	Image    string            `yaml:"image,omitempty" json:"image,omitempty"`
	Env      map[string]string `yaml:"env,omitempty" json:"env,omitempty"`
	Command  []string          `yaml:"command,omitempty" json:"command,omitempty"` // in place of the app's
	Args     []string          `yaml:"args,omitempty" json:"args,omitempty"`       // in place of the app's
	Replicas int               `yaml:"replicas,omitempty" json:"replicas,omitempty"`
}
