package loadgen

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/url"
	"sync"
	"time"
)

// AccessLog finds the backend of each request in a Traefik access log of JSON
// lines that keeps the X-Request-Id header. It remembers only requests that are
// being waited for, so lines of other traffic cost nothing.
type AccessLog struct {
	mu      sync.Mutex
	awaited map[string]chan string // backend's IP, by request id
}

// NewAccessLog makes an empty one.
func NewAccessLog() *AccessLog { return &AccessLog{awaited: map[string]chan string{}} }

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

// line hands a line to whoever waits for it.
func (l *AccessLog) line(line []byte) {
	id, ip := parseLine(line)
	if ip == "" {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if waiting, ok := l.awaited[id]; ok {
		delete(l.awaited, id)
		waiting <- ip // has room for the one value it gets
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

// awaited is a line that was asked for. The zero value never comes.
type awaited struct {
	log  *AccessLog
	id   string
	line <-chan string
}

func (l *AccessLog) expect(id string) awaited {
	line := make(chan string, 1)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.awaited[id] = line
	return awaited{log: l, id: id, line: line}
}

// wait returns the backend's IP, or "" if the line has not come after lineWait.
func (w awaited) wait() string {
	if w.log == nil {
		return ""
	}
	timer := time.NewTimer(lineWait)
	defer timer.Stop()
	select {
	case ip := <-w.line:
		return ip
	case <-timer.C:
		return ""
	}
}

// forget gives up on the line.
func (w awaited) forget() {
	if w.log == nil {
		return
	}
	w.log.mu.Lock()
	defer w.log.mu.Unlock()
	delete(w.log.awaited, w.id)
}
