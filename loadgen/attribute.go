package loadgen

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/cutover-dev/cutover/history"
)

// VersionSource is where an answer tells its version. At most one is set.
type VersionSource struct {
	Header string
	JSON   string // dotted path into the body: "build.version"
}

// value is what the answer says; "" if it says nothing.
func (s VersionSource) value(a answer) string {
	switch {
	case s.Header != "":
		if value := a.header.Get(s.Header); value != "" {
			return value
		}
		return a.trailer.Get(s.Header)
	case s.JSON != "":
		return jsonValue(a.body, s.JSON)
	}
	return ""
}

// name is how an attribution by this source is called in the record.
func (s VersionSource) name() string {
	if s.Header != "" {
		return "header"
	}
	return "json"
}

// jsonValue follows a dotted path through objects to a string, number or boolean.
func jsonValue(body []byte, path string) string {
	value := json.RawMessage(body)
	for key := range strings.SplitSeq(path, ".") {
		var object map[string]json.RawMessage
		if json.Unmarshal(value, &object) != nil {
			return ""
		}
		value = object[key]
	}
	var text string
	if json.Unmarshal(value, &text) == nil {
		return text
	}
	if len(value) == 0 || strings.ContainsRune("{[", rune(value[0])) {
		return ""
	}
	return string(value)
}

// Versions says which version a value in an answer belongs to. It may learn while
// the load runs.
type Versions struct {
	mu    sync.RWMutex
	known map[string]history.Version
}

// Learn notes that version v answers with value. A value that both versions
// answer with tells nothing from then on.
func (t *Versions) Learn(value string, v history.Version) {
	if value == "" || v == history.Unattributed {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.known == nil {
		t.known = map[string]history.Version{}
	}
	if other, ok := t.known[value]; ok && other != v {
		v = history.Unattributed
	}
	t.known[value] = v
}

// Of is the version that answers with value, or Unattributed.
func (t *Versions) Of(value string) history.Version {
	if t == nil {
		return history.Unattributed
	}
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.known[value]
}

// lineWait is how long a request waits for its line in the access log.
const lineWait = 500 * time.Millisecond

// Attribution says which version and pod answered a request: what the answer says
// of itself goes first, then what the gateway's access log says.
type Attribution struct {
	Source   VersionSource
	Versions *Versions  // of the values that Source finds
	Log      *AccessLog // nil without a gateway that writes one
	// Resolve says whose address an IP is; Unattributed and "" if nobody's.
	Resolve func(ip string) (history.Version, string)
}

// read attributes r by what its answer tells of its version.
func (at *Attribution) read(told string, r *history.Request) {
	if at == nil || r.Version != history.Unattributed {
		return
	}
	if v := at.Versions.Of(told); v != history.Unattributed {
		r.Version, r.Attributed = v, at.Source.name()
	}
}

// backend says whose the address in the access log is: r's pod, and its version if the
// answer did not tell. The table of versions may have learned meanwhile, so it is asked
// again. An ip of "" is a line that did not come.
func (at *Attribution) backend(ip, told string, r *history.Request) {
	at.read(told, r)
	if ip == "" {
		return
	}
	version, pod := at.Resolve(ip)
	r.Pod = pod
	if r.Version == history.Unattributed && version != history.Unattributed {
		r.Version, r.Attributed = version, "access-log"
	}
}

// probeTimeout bounds a probe whose context has no earlier deadline.
const probeTimeout = 5 * time.Second

// ProbeVersion sends one request over a connection of its own and returns what the
// answer says of its version; so one learns which value belongs to which version.
// The request is really made: a write writes.
func ProbeVersion(ctx context.Context, dial Dialer, protocol string, request RequestSpec, source VersionSource) (string, error) {
	if source == (VersionSource{}) {
		return "", errors.New("probe: no header or json path is set that would tell the version")
	}
	a, status, err := probe(ctx, dial, protocol, request)
	if err != nil {
		return "", err
	}
	value := source.value(a)
	if value == "" {
		return "", fmt.Errorf("probe %s: the answer (status %d) has no %s that would tell its version",
			request.Name(), status, source)
	}
	return value, nil
}

// Probe sends one request over a connection of its own, by the load's protocol. The
// error says that the answer is not what the load would expect.
func Probe(ctx context.Context, dial Dialer, protocol string, request RequestSpec) error {
	a, status, err := probe(ctx, dial, protocol, request)
	if err != nil {
		return err
	}
	expected, err := request.Expect.good(protocol == GRPC, status, &a)
	if err != nil {
		return fmt.Errorf("%s was answered with %w: %s", request.Name(), err, sampled(a.body))
	}
	if !expected {
		return fmt.Errorf("%s was answered with status %d: %s", request.Name(), status, sampled(a.body))
	}
	return nil
}

func probe(ctx context.Context, dial Dialer, protocol string, request RequestSpec) (answer, int, error) {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	target := request.target("probe")
	sent, err := target.Request()
	if err != nil {
		return answer{}, 0, fmt.Errorf("probe: %w", err)
	}
	keepAlive := false
	c := newClient(Spec{Protocol: protocol, Timeout: history.Duration(probeTimeout), KeepAlive: &keepAlive}.WithDefaults(), dial, history.Clock{})
	a, status, err := c.exchange(sent.WithContext(ctx))
	if err != nil {
		return answer{}, 0, fmt.Errorf("probe %s: %w", request.Name(), err)
	}
	return a, status, nil
}

// String names the place: "header X-Version".
func (s VersionSource) String() string {
	if s.Header != "" {
		return "header " + s.Header
	}
	return "json path " + s.JSON
}
