package loadgen

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/cutover-dev/cutover/history"
)

func TestRate(t *testing.T) {
	tests := []struct {
		text string
		want Rate   // zero if refused
		err  string // what the refusal must say
	}{
		// HAPPY: a second, a minute, an hour.
		{"200/s", Rate{200, time.Second}, ""},
		{"3000/m", Rate{3000, time.Minute}, ""},
		{"50/h", Rate{50, time.Hour}, ""},
		// SAD: no unit, an unknown one, or more than a unit.
		{"200", Rate{}, "such as 200/s"},
		{"200/d", Rate{}, "per s, m or h"},
		{"200/1s", Rate{}, "per s, m or h"},
		{"", Rate{}, "such as 200/s"},
		// SAD: not a whole number; the way out is named.
		{"0.5/s", Rate{}, "write 30/m"},
		{" 5/s", Rate{}, "no whole number"},
		{"5 /s", Rate{}, "no whole number"},
		// SAD: nothing, less than nothing, and a slipped digit.
		{"0/s", Rate{}, "above zero"},
		{"-1/s", Rate{}, "above zero"},
		{"2000000/s", Rate{}, "cannot be sent"},
	}
	for _, tt := range tests {
		t.Run(tt.text, func(t *testing.T) {
			var got Rate
			err := got.UnmarshalText([]byte(tt.text))
			if got != tt.want {
				t.Errorf("%+v, want %+v", got, tt.want)
			}
			if tt.err == "" {
				if err != nil || got.String() != tt.text {
					t.Errorf("error %v, written again as %q", err, got)
				}
			} else if err == nil || !strings.Contains(err.Error(), tt.err) {
				t.Errorf("error %v, want one that says %q", err, tt.err)
			}
		})
	}
}

// valid is a spec to spoil.
func valid() Spec {
	return Spec{
		Rate:     Rate{200, time.Second},
		SLO:      history.SLO{Latency: history.Duration(500 * time.Millisecond), Availability: .999},
		Requests: []RequestSpec{{Path: "/"}},
	}
}

func TestSpecValidate(t *testing.T) {
	tests := []struct {
		name  string
		spoil func(*Spec)
		want  string // "" if valid
	}{
		// HAPPY: everything else has a default.
		{"as it is", func(*Spec) {}, ""},
		{"two requests", func(s *Spec) { s.Requests = append(s.Requests, RequestSpec{Method: "POST", Path: "/a?b=c"}) }, ""},
		// SAD: what has no default is missing.
		{"no rate", func(s *Spec) { s.Rate = Rate{} }, "load.rate is missing"},
		{"no latency", func(s *Spec) { s.SLO.Latency = 0 }, "load.slo.latency is missing"},
		{"no availability", func(s *Spec) { s.SLO.Availability = 0 }, "load.slo.availability is missing"},
		{"no requests", func(s *Spec) { s.Requests = nil }, "load.requests is empty"},
		// SAD: what cannot be meant.
		{"arrivals", func(s *Spec) { s.Arrivals = "uniform" }, "use poisson, constant or replay"},
		{"connections", func(s *Spec) { s.Connections = -1 }, "load.connections"},
		{"timeout within the SLO", func(s *Spec) { s.Timeout = history.Duration(time.Millisecond) }, "no answer could be slow"},
		{"path", func(s *Spec) { s.Requests[0].Path = "cart" }, "load.requests[0]: path \"cart\" must begin with a slash"},
		{"method", func(s *Spec) { s.Requests[0].Method = "GE T" }, "cannot be sent"},
		{"weight", func(s *Spec) { s.Requests[0].Weight = -1 }, "weight -1"},
		{"request id", func(s *Spec) { s.Requests[0].Headers = map[string]string{"x-request-id": "1"} }, "set by the load itself"},
		{"status", func(s *Spec) { s.Requests[0].Expect.Status = []int{99} }, "expect.status 99"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := valid()
			tt.spoil(&s)
			err := s.Validate()
			if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("error %v, want %q", err, tt.want)
			}
		})
	}
}

func TestSpecDefaults(t *testing.T) {
	before := valid()
	s := before.WithDefaults()
	if s.Arrivals != Poisson || s.Warmup.D() != 3*time.Second || s.Timeout.D() != 5*time.Second ||
		s.Connections != 4096 || !*s.KeepAlive || s.ConnectionAge != 0 {
		t.Errorf("defaults %+v", s)
	}
	if s.Requests[0].Method != "GET" || s.Requests[0].Weight != 1 {
		t.Errorf("request %+v", s.Requests[0])
	}
	if before.Requests[0].Method != "" {
		t.Error("the defaults changed the spec they were asked of")
	}
	if text, err := json.Marshal(s.Rate); err != nil || string(text) != `"200/s"` {
		t.Errorf("rate in JSON: %s, %v", text, err)
	}
}
