package gateway

import (
	"encoding/json"
	"net"
)

// RequestIDHeader is the request header that the access log keeps. Whoever sends
// load sets it, and finds its requests in the log by it.
const RequestIDHeader = "X-Request-Id"

// AccessLine is a line of the gateway's access log.
type AccessLine struct {
	RequestID string `json:"request_X-Request-Id"`
	Backend   string `json:"ServiceAddr"` // address:port of the pod that was asked; "" if none was
	Status    int    `json:"DownstreamStatus"`
}

// BackendIP is the address of the pod that was asked; "" if none was.
func (l AccessLine) BackendIP() string {
	host, _, err := net.SplitHostPort(l.Backend)
	if err != nil {
		return ""
	}
	return host
}

// ParseAccessLine reads a line of the gateway's log. It answers false for what is
// no access line, such as the gateway's own messages, or carries no request id.
func ParseAccessLine(line []byte) (AccessLine, bool) {
	var parsed AccessLine
	if json.Unmarshal(line, &parsed) != nil || parsed.RequestID == "" {
		return AccessLine{}, false
	}
	return parsed, true
}
