package loadgen

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// AccessLog finds the backend of each request in a Traefik access log of JSON
// lines that keeps the X-Request-Id header. It remembers only the requests of those
// who follow it, so lines of other traffic cost nothing.
type AccessLog struct {
	mu        sync.Mutex
	followers []*backends
}

// NewAccessLog makes an empty one.
func NewAccessLog() *AccessLog { return &AccessLog{} }

// longestLine bounds a log line; a longer one is skipped.
const longestLine = 64 << 10

// Consume reads lines until r ends or fails; the end is no error. Several logs may
// be consumed at once, one for each gateway.
func (l *AccessLog) Consume(r io.Reader) error {
	lines := bufio.NewReaderSize(r, longestLine)
	for tooLong := false; ; {
		line, err := lines.ReadSlice('\n')
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			tooLong = true
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		default:
			if !tooLong {
				l.line(line)
			}
			tooLong = false
		}
	}
}

// line hands a line to whoever follows requests of its kind.
func (l *AccessLog) line(line []byte) {
	id, ip := parseLine(line)
	if ip == "" {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, b := range l.followers {
		b.add(id, ip)
	}
}

// parseLine finds the request id and the backend's IP. What stands before the
// first brace is a container runtime's prefix; a line that is no access log gives
// nothing.
func parseLine(line []byte) (id, ip string) {
	start := bytes.IndexByte(line, '{')
	if start < 0 {
		return "", ""
	}
	var entry struct {
		ID   string          `json:"request_X-Request-Id"`
		Addr string          `json:"ServiceAddr"`
		URL  json.RawMessage `json:"ServiceURL"`
	}
	if json.Unmarshal(line[start:], &entry) != nil || entry.ID == "" {
		return "", ""
	}
	if ip := hostIP(entry.Addr); ip != "" {
		return entry.ID, ip
	}
	return entry.ID, hostIP(urlHost(entry.URL))
}

// urlHost reads a URL written as text or, as some versions of Traefik do, as the
// object that Go makes of it.
func urlHost(raw json.RawMessage) string {
	var text string
	if json.Unmarshal(raw, &text) == nil {
		if u, err := url.Parse(text); err == nil {
			return u.Host
		}
		return ""
	}
	var object struct{ Host string }
	_ = json.Unmarshal(raw, &object) // neither form: no host
	return object.Host
}

// hostIP is the IP of an address with or without a port; "" if it has none.
func hostIP(address string) string {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		host = address
	}
	if net.ParseIP(host) == nil {
		return ""
	}
	return host
}

// backends are those of the requests with one prefix to their ids, as far as nobody took
// them. A nil one has none and never will.
type backends struct {
	log     *AccessLog
	prefix  string // a number follows it
	arrived chan struct{}

	mu   sync.Mutex
	came []backend
}

// backend is the pod's address that answered a request.
type backend struct {
	seq int64
	ip  string
}

// follow gathers the backends of requests whose ids are prefix and a number, from now on.
func (l *AccessLog) follow(prefix string) *backends {
	b := &backends{log: l, prefix: prefix, arrived: make(chan struct{}, 1)}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.followers = append(l.followers, b)
	return b
}

func (b *backends) unfollow() {
	if b == nil {
		return
	}
	b.log.mu.Lock()
	defer b.log.mu.Unlock()
	b.log.followers = slices.DeleteFunc(b.log.followers, func(other *backends) bool { return other == b })
}

func (b *backends) add(id, ip string) {
	number, ours := strings.CutPrefix(id, b.prefix)
	seq, err := strconv.ParseInt(number, 10, 64)
	if !ours || err != nil {
		return
	}
	b.mu.Lock()
	b.came = append(b.came, backend{seq, ip})
	b.mu.Unlock()
	select {
	case b.arrived <- struct{}{}:
	default:
	}
}

// take is those that came since the last time.
func (b *backends) take() []backend {
	if b == nil {
		return nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	came := b.came
	b.came = nil
	return came
}

// news tells when there are some to take.
func (b *backends) news() <-chan struct{} {
	if b == nil {
		return nil
	}
	return b.arrived
}
