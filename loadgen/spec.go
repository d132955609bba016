package loadgen

import "github.com/cutover-dev/cutover/history"

// Spec is the load section of a scenario.
type Spec struct {
	Rate     Rate             `yaml:"rate" json:"rate"`
	Arrivals string           `yaml:"arrivals,omitempty" json:"arrivals,omitempty"` // poisson (default) or constant
	Warmup   history.Duration `yaml:"warmup,omitempty" json:"warmup,omitempty"`     // before steady state; default 3s
	Timeout  history.Duration `yaml:"timeout,omitempty" json:"timeout,omitempty"`   // of one request; default 5s
	SLO      history.SLO      `yaml:"slo" json:"slo"`
	// Connections bounds what is open at once; an arrival without one is recorded
	// unsent and bad. Default 4096.
	Connections int `yaml:"connections,omitempty" json:"connections,omitempty"`
	// ConnectionAge closes a connection that is older, so that a switched Service
	// is noticed; 0 keeps it for ever.
	ConnectionAge history.Duration `yaml:"connectionAge,omitempty" json:"connectionAge,omitempty"`
	// KeepAlive off opens a connection for every request. Default on.
	KeepAlive *bool         `yaml:"keepAlive,omitempty" json:"keepAlive,omitempty"`
	Requests  []RequestSpec `yaml:"requests" json:"requests"`
}

// RequestSpec is one kind of request and its share of the load.
type RequestSpec struct {
	Method  string            `yaml:"method,omitempty" json:"method,omitempty"` // default GET
	Path    string            `yaml:"path" json:"path"`
	Weight  int               `yaml:"weight,omitempty" json:"weight,omitempty"` // default 1
	Body    string            `yaml:"body,omitempty" json:"body,omitempty"`
	Headers map[string]string `yaml:"headers,omitempty" json:"headers,omitempty"`
	Write   bool              `yaml:"write,omitempty" json:"write,omitempty"`
	Expect  ExpectSpec        `yaml:"expect,omitempty" json:"expect,omitempty"`
}

// ExpectSpec is what counts as a good answer.
type ExpectSpec struct {
	Status []int `yaml:"status,omitempty" json:"status,omitempty"` // default: any 2xx or 3xx
}
