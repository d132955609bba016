package loadgen

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"strconv"
	"strings"
	"time"

	vegeta "github.com/tsenart/vegeta/v12/lib"

	"github.com/cutover-dev/cutover/history"
)

// Dialer opens a connection; for the load, one to the gateway, whatever the
// address says.
type Dialer func(ctx context.Context, network, address string) (net.Conn, error)

const (
	requestIDHeader  = "X-Request-Id"
	generationHeader = "X-Cutover-Generation"

	keptBody   = 64 << 10 // of an answer, for the version in it
	sampleBody = 512      // of an unexpected answer, for the report
)

// client sends requests one by one over kept connections. It follows no redirect
// and retries nothing.
type client struct {
	clock     history.Clock
	transport carrier
	age       time.Duration // of a connection, when it is closed; 0 for never
	calls     bool          // requests are calls of gRPC
}

// carrier carries requests over connections of its own.
type carrier interface {
	http.RoundTripper
	CloseIdleConnections()
}

// answer is what attribution may look at.
type answer struct {
	header  http.Header
	trailer http.Header // what followed the body
	body    []byte      // at most keptBody
	size    int64       // of all of the body
}

func newClient(spec Spec, dial Dialer, clock history.Clock) *client {
	if spec.Protocol != HTTP1 {
		return &client{clock: clock, transport: newH2Carrier(spec, dial), calls: spec.Protocol == GRPC}
	}
	return &client{
		clock: clock,
		age:   spec.ConnectionAge.D(),
		transport: &http.Transport{
			// No Proxy: the environment has no say in where the load goes.
			DialContext:         stampedDial(dial, spec.Timeout.D()),
			DisableKeepAlives:   !*spec.KeepAlive,
			DisableCompression:  true,
			MaxConnsPerHost:     spec.Connections,
			MaxIdleConnsPerHost: spec.Connections,
			Protocols:           protocols(spec.Protocol),
		},
	}
}

// protocols is what net/http is to speak.
func protocols(protocol string) *http.Protocols {
	var p http.Protocols
	p.SetHTTP1(protocol == HTTP1)
	p.SetUnencryptedHTTP2(protocol != HTTP1)
	return &p
}

// agedConn knows when it was opened.
type agedConn struct {
	net.Conn
	opened time.Time
}

// stampedDial bounds every dial, since the transport goes on dialling after the
// request that asked for it is gone.
func stampedDial(dial Dialer, timeout time.Duration) Dialer {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		ctx, cancel := context.WithTimeout(ctx, timeout)
		defer cancel()
		conn, err := dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return &agedConn{Conn: conn, opened: time.Now()}, nil
	}
}

// do sends target and fills in what became of it. It returns by ctx's deadline.
func (c *client) do(ctx context.Context, target *vegeta.Target, expect ExpectSpec, r *history.Request) answer {
	request, err := newRequest(target, r.ID)
	if err != nil {
		r.Done, r.Err = c.clock.Now(), err.Error()
		return answer{}
	}
	// The hook runs on this goroutine, before the request is written.
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(got httptrace.GotConnInfo) {
		r.Sent = c.clock.Now()
		r.Attempts++
		if c.calls {
			sayTimeLeft(ctx, request.Header)
		}
		if conn, ok := got.Conn.(*agedConn); ok && c.age > 0 && time.Since(conn.opened) >= c.age {
			// The last request on an old connection asks for its end: closing
			// it from here could hit the next one.
			request.Header.Set("Connection", "close")
		}
	}})
	a, status, err := c.exchange(request.WithContext(ctx))
	r.Done = c.clock.Now()
	r.Status = status
	if err == nil {
		r.Expected, err = expect.good(c.calls, status, &a)
	}
	if err != nil {
		r.Err = reason(err)
	}
	if !r.Expected {
		r.Body = sampled(a.body)
	}
	r.Gen, _ = strconv.ParseInt(a.header.Get(generationHeader), 10, 64)
	return a
}

// exchange reads the answer to its end. What arrived before a failure is returned
// with it.
func (c *client) exchange(request *http.Request) (answer, int, error) {
	response, err := c.transport.RoundTrip(request)
	if err != nil {
		return answer{}, 0, err
	}
	defer response.Body.Close()
	a := answer{header: response.Header}
	a.body, err = io.ReadAll(io.LimitReader(response.Body, keptBody))
	a.size = int64(len(a.body))
	if err == nil {
		var rest int64
		rest, err = io.Copy(io.Discard, response.Body)
		a.size += rest
	}
	a.trailer = response.Trailer
	return a, response.StatusCode, err
}

// newRequest copies target, so that net/http will not send it twice.
//
// The transport repeats a request by itself if a kept connection turns out dead
// and the request is idempotent or was not written yet. A server that drops
// requests would thereby look healthier than it is. It repeats only what has no
// body or a body it can rewind, so every request gets a body that it cannot. An
// empty one is left off the wire for methods that carry none; for the others it
// would be sent as an empty chunk, so that a POST without a body stays without and
// may move to another connection as long as nothing of it was written. Attempts
// counts that.
func newRequest(target *vegeta.Target, id string) (*http.Request, error) {
	request, err := target.Request()
	if err != nil {
		return nil, err
	}
	request.GetBody = nil
	if request.Body == nil && bodyless(request.Method) {
		request.Body = io.NopCloser(strings.NewReader(""))
	}
	request.Header.Set(requestIDHeader, id)
	return request, nil
}

// bodyless lists the methods for which net/http sends no empty body.
func bodyless(method string) bool {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodDelete, http.MethodOptions:
		return true
	}
	return false
}

// reason is err without the addresses and numbers that make every one differ.
func reason(err error) string {
	if errors.Is(err, context.DeadlineExceeded) {
		return "timeout"
	}
	var op *net.OpError
	if errors.As(err, &op) {
		return fmt.Sprintf("%s: %v", op.Op, op.Err)
	}
	return streamNumbers.ReplaceAllString(err.Error(), "")
}
