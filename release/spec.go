package release

import "github.com/cutover-dev/cutover/history"

// Spec is the release section of a scenario.
type Spec struct {
	Strategy string           `yaml:"strategy" json:"strategy"`                     // canary
	Steps    []int            `yaml:"steps" json:"steps"`                           // candidate's share in per cent, rising, the last one 100
	Hold     history.Duration `yaml:"hold,omitempty" json:"hold,omitempty"`         // shortest stay at a step once live; default 5s
	Deadline history.Duration `yaml:"deadline,omitempty" json:"deadline,omitempty"` // of the whole release; default 3m
	Watch    history.Duration `yaml:"watch,omitempty" json:"watch,omitempty"`       // gate goes on this long after the last weight; default 10s
}

// App is the app section of a scenario: a service and its two versions.
type App struct {
	Image     string            `yaml:"image" json:"image"` // ko://import/path[@version], oci-archive:FILE, docker-archive:FILE, or a registry's reference
	Service   string            `yaml:"service" json:"service"`
	Ports     map[string]int    `yaml:"ports" json:"ports"`                           // the one named http carries the load
	Replicas  int               `yaml:"replicas,omitempty" json:"replicas,omitempty"` // default 3
	Env       map[string]string `yaml:"env,omitempty" json:"env,omitempty"`
	Args      []string          `yaml:"args,omitempty" json:"args,omitempty"`
	Version   VersionSource     `yaml:"version,omitempty" json:"version,omitempty"`
	Readiness Readiness         `yaml:"readiness,omitempty" json:"readiness,omitempty"`
	Drain     history.Duration  `yaml:"drain,omitempty" json:"drain,omitempty"` // preStop sleep, whole seconds; default 2s
	Grace     history.Duration  `yaml:"grace,omitempty" json:"grace,omitempty"` // termination grace period; default 30s
	Baseline  Variant           `yaml:"baseline" json:"baseline"`
	Candidate Variant           `yaml:"candidate" json:"candidate"`
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

// Variant is what differs in one version. An empty one is the app as it stands.
type Variant struct {
	Image    string            `yaml:"image,omitempty" json:"image,omitempty"`
	Env      map[string]string `yaml:"env,omitempty" json:"env,omitempty"`
	Args     []string          `yaml:"args,omitempty" json:"args,omitempty"`
	Replicas int               `yaml:"replicas,omitempty" json:"replicas,omitempty"`
}
