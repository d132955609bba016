package release

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/cutover-dev/cutover/history"
)

// Spec is the release section of a scenario. Which keys a strategy takes is in its file.
type Spec struct {
	Strategy string `yaml:"strategy" json:"strategy"`                 // canary, blue-green, a-b, shadow, rolling or recreate
	Steps    []int  `yaml:"steps,omitempty" json:"steps,omitempty"`   // canary: candidate's share in per cent, rising, the last one 100; shadow: share of the requests that are copied to it
	Router   string `yaml:"router,omitempty" json:"router,omitempty"` // what moves the traffic: gateway, service or replicas; default is the strategy's first
	Match    *Match `yaml:"match,omitempty" json:"match,omitempty"`   // a-b: whose requests the candidate gets first

	MirrorWrites bool `yaml:"mirrorWrites,omitempty" json:"mirrorWrites,omitempty"` // shadow: requests that write are copied, too, and so done twice; default false

	MaxSurge         *Amount          `yaml:"maxSurge,omitempty" json:"maxSurge,omitempty"`                 // rolling: pods above replicas, a number or a percentage; default 25%
	MaxUnavailable   *Amount          `yaml:"maxUnavailable,omitempty" json:"maxUnavailable,omitempty"`     // rolling: pods below replicas, a number or a percentage; default 25%
	ProgressDeadline history.Duration `yaml:"progressDeadline,omitempty" json:"progressDeadline,omitempty"` // rolling: longest time without one more pod ready, whole seconds; default 1m
	Partitions       []int            `yaml:"partitions,omitempty" json:"partitions,omitempty"`             // rolling a StatefulSet: the pods from this ordinal up are updated; falling, the last one 0

	Supersede *Supersede `yaml:"supersede,omitempty" json:"supersede,omitempty"` // a third version that arrives on the way

	Hold     history.Duration `yaml:"hold,omitempty" json:"hold,omitempty"`         // shortest stay at a step once live; default 5s
	Deadline history.Duration `yaml:"deadline,omitempty" json:"deadline,omitempty"` // of the whole release; default 3m
	Watch    history.Duration `yaml:"watch,omitempty" json:"watch,omitempty"`       // gate goes on this long after the last step that moves traffic; default 10s
}

// WithDefaults fills what was left out, as far as it does not depend on the strategy.
func (s Spec) WithDefaults() Spec {
	s.Hold = cmp.Or(s.Hold, history.Duration(5*time.Second))
	s.Deadline = cmp.Or(s.Deadline, history.Duration(3*time.Minute))
	s.Watch = cmp.Or(s.Watch, history.Duration(10*time.Second))
	return s
}

// Match chooses requests by a header or by a cookie. One of the two is set.
type Match struct {
	Header string `yaml:"header,omitempty" json:"header,omitempty"` // its name
	Cookie string `yaml:"cookie,omitempty" json:"cookie,omitempty"` // its name
	Value  string `yaml:"value" json:"value"`                       // as a whole
}

// Supersede is a third version that arrives while the release is under way: somebody
// deploys it in place of the candidate.
type Supersede struct {
	Step string  `yaml:"step" json:"step"` // it arrives when this step is live
	By   Variant `yaml:"by" json:"by"`     // what differs in it, in place of app.candidate
}

// Amount is a number of pods, or a share of them.
type Amount struct{ intstr.IntOrString }

// UnmarshalText reads "2" or "25%".
func (a *Amount) UnmarshalText(text []byte) error {
	number, isShare := strings.CutSuffix(string(text), "%")
	n, err := strconv.ParseUint(number, 10, 31)
	if err != nil || isShare && n > 100 {
		return fmt.Errorf("bad number of pods %q: write a whole number such as 1, or a share up to 100%%", text)
	}
	a.IntOrString = intstr.Parse(string(text))
	return nil
}

// MarshalText writes a as it is read.
func (a Amount) MarshalText() ([]byte, error) { return []byte(a.String()), nil }

// The kinds of workload.
const (
	KindDeployment  = "Deployment"
	KindStatefulSet = "StatefulSet"
)

// App is the app section of a scenario: a service and its two versions.
type App struct {
	Image     string            `yaml:"image" json:"image"`                   // ko://import/path[@version], oci-archive:FILE, docker-archive:FILE, or a registry's reference
	Kind      string            `yaml:"kind,omitempty" json:"kind,omitempty"` // of the workload: Deployment (default) or StatefulSet
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
	H2C       bool              `yaml:"-" json:"-"` // the port named http speaks HTTP/2 without TLS
}

// WithDefaults fills what was left out. Image, service and ports have no default.
func (a App) WithDefaults() App {
	a.Kind = cmp.Or(a.Kind, KindDeployment)
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
	None     bool             `yaml:"none,omitempty" json:"none,omitempty"` // no probe: a pod has traffic as soon as it runs
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
	Front    *Front            `yaml:"-" json:"-"`
}
