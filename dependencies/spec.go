package dependencies

import (
	"cmp"
	"time"

	"github.com/cutover-dev/cutover/history"
)

// Spec is one entry under dependencies in a scenario: a container beside the cluster.
type Spec struct {
	Name    string            `yaml:"name" json:"name"`                       // the app refers to it by this: ${dependencies.<name>.host}
	Image   string            `yaml:"image" json:"image"`                     // as an app's: ko://import/path[@version], oci-archive:FILE, docker-archive:FILE, or a registry's reference
	Ports   map[string]int    `yaml:"ports,omitempty" json:"ports,omitempty"` // that pods connect to, by name; it is ready once all of them take connections
	Env     map[string]string `yaml:"env,omitempty" json:"env,omitempty"`
	Command []string          `yaml:"command,omitempty" json:"command,omitempty"` // in place of the image's entrypoint
	Args    []string          `yaml:"args,omitempty" json:"args,omitempty"`       // in place of the image's cmd
	Files   map[string]string `yaml:"files,omitempty" json:"files,omitempty"`     // their content, by absolute path; there before it starts
	Wait    Wait              `yaml:"wait,omitempty" json:"wait"`
}

// Wait is what must be seen of a dependency, beside its open ports, before anything
// uses it: all that is given.
type Wait struct {
	Log     string           `yaml:"log,omitempty" json:"log,omitempty"`         // text that its log must hold
	Times   int              `yaml:"times,omitempty" json:"times,omitempty"`     // how often the log must hold it; default 1
	HTTP    *HTTP            `yaml:"http,omitempty" json:"http,omitempty"`       // a request that must be answered with 2xx
	Exec    []string         `yaml:"exec,omitempty" json:"exec,omitempty"`       // a command in the container that must succeed
	Timeout history.Duration `yaml:"timeout,omitempty" json:"timeout,omitempty"` // for all of it together; default 60s
}

// HTTP is a GET request to a dependency.
type HTTP struct {
	Path string `yaml:"path" json:"path"`
	Port string `yaml:"port,omitempty" json:"port,omitempty"` // by name; may be left out if there is one
}

// WithDefaults fills what was left out.
func (w Wait) WithDefaults() Wait {
	w.Times = cmp.Or(w.Times, 1)
	w.Timeout = cmp.Or(w.Timeout, history.Duration(time.Minute))
	return w
}

// port is the number that the request goes to.
func (s Spec) port(h HTTP) int {
	if h.Port != "" {
		return s.Ports[h.Port]
	}
	for _, only := range s.Ports {
		return only
	}
	return 0
}
