package loadgen

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/cutover-dev/cutover/history"
)

// Spec is the load section of a scenario.
type Spec struct {
	Rate     Rate             `yaml:"rate" json:"rate"`
	Arrivals string           `yaml:"arrivals,omitempty" json:"arrivals,omitempty"` // poisson (default), constant or replay
	Shape    *ShapeSpec       `yaml:"shape,omitempty" json:"shape,omitempty"`       // how the rate goes on; without one it stays
	Warmup   history.Duration `yaml:"warmup,omitempty" json:"warmup,omitempty"`     // before steady state; default 3s
	Timeout  history.Duration `yaml:"timeout,omitempty" json:"timeout,omitempty"`   // of one request; default 5s
	SLO      history.SLO      `yaml:"slo" json:"slo"`
	// Protocol is http1 (default), h2c, which is HTTP/2 without TLS, or grpc.
	Protocol string `yaml:"protocol,omitempty" json:"protocol,omitempty"`
	// Descriptors is a file of the services that are called with grpc, as protoc
	// --include_imports --descriptor_set_out and buf build write it, as seen from where
	// relative images are.
	Descriptors string       `yaml:"descriptors,omitempty" json:"descriptors,omitempty"`
	Schema      *Descriptors `yaml:"-" json:"schema,omitempty"` // what the file holds
	// Connections bounds how many requests are on their way at once, each with a connection
	// of its own over HTTP/1.1; an arrival that would be one more is recorded unsent and
	// bad. Default 4096.
	Connections int `yaml:"connections,omitempty" json:"connections,omitempty"`
	// ConnectionAge closes a connection that is older, so that a switched Service
	// is noticed; 0 keeps it for ever.
	ConnectionAge history.Duration `yaml:"connectionAge,omitempty" json:"connectionAge,omitempty"`
	// KeepAlive off opens a connection for every request. Default on.
	KeepAlive *bool         `yaml:"keepAlive,omitempty" json:"keepAlive,omitempty"`
	Requests  []RequestSpec `yaml:"requests" json:"requests"`
	// Targets is a file of vegeta's, in its HTTP or JSON format, as seen from where
	// relative images are: its targets are sent in turn, in place of requests.
	Targets string `yaml:"targets,omitempty" json:"targets,omitempty"`
	// Replay is what is sent with arrivals: replay, in place of rate and requests.
	Replay *ReplaySpec `yaml:"replay,omitempty" json:"replay,omitempty"`
	Diff   *DiffSpec   `yaml:"diff,omitempty" json:"diff,omitempty"`
}

// RequestSpec is one kind of request and its share of the load.
type RequestSpec struct {
	Method  string            `yaml:"method,omitempty" json:"method,omitempty"` // default GET
	Path    string            `yaml:"path,omitempty" json:"path"`
	GRPC    *GRPCSpec         `yaml:"grpc,omitempty" json:"grpc,omitempty"`     // a unary call, in place of method, path and body; with protocol: grpc
	Weight  int               `yaml:"weight,omitempty" json:"weight,omitempty"` // default 1
	Body    string            `yaml:"body,omitempty" json:"body,omitempty"`
	Headers map[string]string `yaml:"headers,omitempty" json:"headers,omitempty"`
	Write   bool              `yaml:"write,omitempty" json:"write,omitempty"`
	Expect  ExpectSpec        `yaml:"expect,omitempty" json:"expect,omitempty"`
	// ReadBack asks at the end for what each of these writes wrote, if it was answered well.
	ReadBack *ReadBackSpec `yaml:"readBack,omitempty" json:"readBack,omitempty"`
}

// ReadBackSpec is the GET that finds what a write wrote: any 2xx or 3xx says that it is
// there, 404 and 410 that it is not.
type ReadBackSpec struct {
	Path string `yaml:"path" json:"path"` // with {{.ID}}, as in the write's own path or body
}

// ExpectSpec is what counts as a good answer.
type ExpectSpec struct {
	Status     []int `yaml:"status,omitempty" json:"status,omitempty"`         // default: any 2xx or 3xx
	GRPCStatus []int `yaml:"grpcStatus,omitempty" json:"grpcStatus,omitempty"` // of a call, by number; default: 0
}

// The ways in which requests arrive.
const (
	Poisson  = "poisson"  // as from many users who know nothing of each other
	Constant = "constant" // evenly spaced
	Replay   = "replay"   // as they once came
)

// What requests are sent by.
const (
	HTTP1 = "http1"
	H2C   = "h2c"
	GRPC  = "grpc"
)

// WithDefaults fills what was left out. Rate, SLO and the requests have no default.
func (s Spec) WithDefaults() Spec {
	if s.Arrivals == "" {
		s.Arrivals = Poisson
	}
	if s.Protocol == "" {
		s.Protocol = HTTP1
	}
	if s.Warmup == 0 {
		s.Warmup = history.Duration(3 * time.Second)
	}
	if s.Timeout == 0 {
		s.Timeout = history.Duration(5 * time.Second)
	}
	if s.Connections == 0 {
		s.Connections = 4096
	}
	if s.KeepAlive == nil {
		on := true
		s.KeepAlive = &on
	}
	s.Requests = slices.Clone(s.Requests)
	for i, r := range s.Requests {
		s.Requests[i] = r.withDefaults()
	}
	return s
}

func (r RequestSpec) withDefaults() RequestSpec {
	if r.GRPC != nil {
		r.Method = http.MethodPost
		if r.Path == "" {
			r.Path = r.GRPC.path()
		}
	}
	if r.Method == "" {
		r.Method = http.MethodGet
	}
	if r.Weight == 0 {
		r.Weight = 1
	}
	return r
}

// Name is the request as the report calls it: "GET /cart".
func (r RequestSpec) Name() string {
	r = r.withDefaults()
	return r.Method + " " + r.Path
}

// Validate says everything that is wrong with the section, each with its key.
func (s Spec) Validate() error {
	s = s.WithDefaults()
	return errors.Join(s.validateArrivals(), s.validateRest(), s.validateRequests())
}

// complaints gathers what is wrong.
type complaints []error

func (c *complaints) check(ok bool, format string, args ...any) {
	if !ok {
		*c = append(*c, fmt.Errorf(format, args...))
	}
}

// validateArrivals is about when requests come.
func (s Spec) validateArrivals() error {
	var wrong complaints
	wrong.check(s.Replay == nil || s.Arrivals == Replay, "load.replay is not sent with arrivals: %s: write arrivals: %s, or leave replay out", s.Arrivals, Replay)
	if s.Arrivals == Replay {
		wrong.check(s.Replay != nil, "load.replay is missing: write the file that holds the requests, such as {file: requests.ndjson}")
		if s.Replay != nil {
			wrong = append(wrong, s.Replay.validate())
		}
		wrong.check(s.Targets == "", "load.targets is not for arrivals: %s: a recording has requests of its own", Replay)
		wrong.check(s.Shape == nil, "load.shape is not for arrivals: %s: a recording has a shape of its own", Replay)
	}
	wrong.check(s.Rate.Count > 0, "load.rate is missing: write requests per second, such as 200/s")
	wrong.check(slices.Contains([]string{Poisson, Constant, Replay}, s.Arrivals), "load.arrivals is %q: use %s, %s or %s", s.Arrivals, Poisson, Constant, Replay)
	if s.Shape != nil {
		wrong = append(wrong, s.Shape.validate(s.Rate))
	}
	return errors.Join(wrong...)
}

// validateRest is about how requests are sent and judged.
func (s Spec) validateRest() error {
	var wrong complaints
	wrong.check(slices.Contains([]string{HTTP1, H2C, GRPC}, s.Protocol), "load.protocol is %q: use %s, %s or %s", s.Protocol, HTTP1, H2C, GRPC)
	wrong.check(s.Descriptors == "" || s.Protocol == GRPC, "load.descriptors is for protocol: %s: leave it out", GRPC)
	wrong.check(s.Connections > 0, "load.connections is %d: it must be above zero", s.Connections)
	wrong.check(s.SLO.Latency > 0, "load.slo.latency is missing: a request slower than it is bad")
	wrong.check(s.SLO.Availability > 0, "load.slo.availability is missing: the share of requests that must be good")
	wrong.check(s.Timeout >= s.SLO.Latency, "load.timeout %s is shorter than load.slo.latency %s: no answer could be slow", s.Timeout, s.SLO.Latency)
	return errors.Join(wrong...)
}

// validateRequests is about what is asked for.
func (s Spec) validateRequests() error {
	var wrong complaints
	wrong.check(len(s.Requests) > 0, "load.requests is empty: write at least one, such as {path: /}")
	for i, r := range s.Requests {
		err := r.validate()
		if err == nil && (s.Protocol == GRPC) != (r.GRPC != nil) {
			err = fmt.Errorf("grpc is written with protocol: %s, and only then: this one is %s", GRPC, s.Protocol)
		}
		if err != nil {
			wrong = append(wrong, fmt.Errorf("load.requests[%d]: %w", i, err))
		}
	}
	if s.Diff != nil {
		wrong = append(wrong, s.Diff.validate(s.Protocol, s.Requests))
	}
	return errors.Join(wrong...)
}

func (r RequestSpec) validate() error {
	if r.GRPC != nil {
		if err := r.GRPC.validate(r); err != nil {
			return err
		}
	} else if len(r.Expect.GRPCStatus) > 0 {
		return errors.New("expect.grpcStatus is of calls: leave it out")
	}
	if r.Path == "" {
		return errors.New("path is missing: write what is asked for, such as /")
	}
	if !strings.HasPrefix(r.Path, "/") {
		return fmt.Errorf("path %q must begin with a slash", r.Path)
	}
	if r.Weight < 0 {
		return fmt.Errorf("weight %d is negative", r.Weight)
	}
	if _, err := http.NewRequest(r.Method, "http://service"+r.Path, nil); err != nil { //nolint:noctx // it is only checked, not sent
		return fmt.Errorf("%s %s cannot be sent: %w", r.Method, r.Path, err)
	}
	for name := range r.Headers {
		if http.CanonicalHeaderKey(name) == requestIDHeader {
			return fmt.Errorf("header %s is set by the load itself", name)
		}
	}
	if back := r.ReadBack; back != nil {
		switch {
		case !r.Write:
			return errors.New("readBack is for writes: write: true is missing")
		case !strings.Contains(r.Path+r.Body, idPlaceholder):
			return fmt.Errorf("readBack takes writes that can be told apart: write %s into path or body", idPlaceholder)
		case !strings.HasPrefix(back.Path, "/") || !strings.Contains(back.Path, idPlaceholder):
			return fmt.Errorf("readBack.path %q must begin with a slash and have %s in it", back.Path, idPlaceholder)
		}
	}
	for _, status := range r.Expect.Status {
		if status < 200 || status > 599 {
			return fmt.Errorf("expect.status %d is no status of an answer", status)
		}
	}
	return nil
}

// good reports whether an answer that came, of a call or not, is a good one. The error says
// what is wrong with a call's.
func (e ExpectSpec) good(call bool, status int, a *answer) (bool, error) {
	if call {
		return e.judge(status, a)
	}
	return e.met(status), nil
}

// met reports whether an answer with this status is a good one.
func (e ExpectSpec) met(status int) bool {
	if len(e.Status) == 0 {
		return status >= 200 && status < 400
	}
	return slices.Contains(e.Status, status)
}
