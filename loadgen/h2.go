package loadgen

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"regexp"
	"slices"
	"sync"
	"time"
)

// streamsAtOnce is how many requests share a connection. It is the least that a server
// should allow (RFC 9113 §6.5.2), and as many as may be sent before it has said how many
// it does.
const streamsAtOnce = 100

// h2Carrier carries requests over HTTP/2 without TLS. It has connections of its own,
// since net/http's carrier sends a request again, unseen, if the server refused it or
// was about to close: a connection alone, which is what it is asked for here, never does.
//
// A request goes to the first connection that has room, so that there are as few as do.
// One on which a request timed out takes no more of them, and is closed when the others
// are through: it may lead nowhere, and over HTTP/1.1 it would have been closed, too.
type h2Carrier struct {
	transport *http.Transport // makes connections, and sends nothing itself
	dialling  time.Duration   // bounds making one
	age       time.Duration   // of a connection, when it takes no more requests; 0 for never
	kept      bool            // connections serve one request after the other

	mu      sync.Mutex
	streams int       // on a connection at once
	conns   []*h2Conn // that may take requests
}

// h2Conn is a connection, or the wait for one.
type h2Conn struct {
	address string
	made    chan struct{}    // closed when the next two are known
	conn    *http.ClientConn // nil with an error
	err     error
	opened  time.Time
	// Of the carrier's mutex:
	riders  int  // requests that are on it, or will be once it is made
	retired bool // takes no more
}

func newH2Carrier(spec Spec, dial Dialer) *h2Carrier {
	c := &h2Carrier{
		transport: &http.Transport{DialContext: dial, DisableCompression: true, Protocols: protocols(spec.Protocol)},
		dialling:  spec.Timeout.D(), age: spec.ConnectionAge.D(), streams: streamsAtOnce, kept: *spec.KeepAlive,
	}
	if !c.kept {
		c.streams = 1
	}
	return c
}

// boardings is how many connections a request tries to get a place on.
const boardings = 10

// unusable is how net/http says that it wrote nothing to a connection, since that went
// away meanwhile. It keeps the error itself to itself.
const unusable = "http2: client conn not usable"

// RoundTrip implements [http.RoundTripper]. It tells a trace of each connection right
// before the request is written to it, which is once, but for connections that went away
// in that very moment.
func (c *h2Carrier) RoundTrip(request *http.Request) (*http.Response, error) {
	var response *http.Response
	var err error
	for range boardings {
		response, err = c.ride(request)
		if err == nil || !errors.Is(err, errNoPlace) && err.Error() != unusable || request.Context().Err() != nil {
			break
		}
	}
	return response, err
}

// ride sends the request over a connection.
func (c *h2Carrier) ride(request *http.Request) (*http.Response, error) {
	ctx := request.Context()
	on, err := c.board(ctx, addressOf(request))
	if err != nil {
		return nil, err
	}
	if trace := httptrace.ContextClientTrace(ctx); trace != nil && trace.GotConn != nil {
		trace.GotConn(httptrace.GotConnInfo{})
	}
	// A body of unknown length would follow in a frame of its own, though it is empty.
	bare := *request
	if bare.ContentLength == 0 {
		bare.Body = http.NoBody
	}
	response, err := on.conn.RoundTrip(&bare)
	if err != nil {
		c.leave(ctx, on)
		return nil, err
	}
	response.Body = &rider{ReadCloser: response.Body, leave: sync.OnceFunc(func() { c.leave(ctx, on) })}
	return response, nil
}

// rider is an answer on its way, which leaves the connection when it is closed.
type rider struct {
	io.ReadCloser
	leave func()
}

func (r *rider) Close() error {
	defer r.leave()
	return r.ReadCloser.Close()
}

// errNoPlace says that a connection was full, or closed, when it came to it.
var errNoPlace = errors.New("http2: the connections that could be had were full or closed")

// board finds a connection with room for a request, and waits until it is made.
func (c *h2Carrier) board(ctx context.Context, address string) (*h2Conn, error) {
	on := c.choose(address) //nolint:contextcheck // a connection outlives the request that asked for it
	var err error
	select {
	case <-on.made:
		if err = on.err; err == nil && on.conn.Reserve() != nil {
			err = errNoPlace
		}
	case <-ctx.Done():
		err = ctx.Err()
	}
	if err != nil {
		c.leave(ctx, on)
		return nil, err
	}
	return on, nil
}

// choose is a connection that has room, as far as it is known, or a new one.
func (c *h2Carrier) choose(address string) *h2Conn {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.conns = slices.DeleteFunc(c.conns, func(on *h2Conn) bool { return c.outdated(on) })
	for _, on := range c.conns {
		if on.address == address && c.hasRoom(on) {
			on.riders++
			return on
		}
	}
	on := &h2Conn{address: address, made: make(chan struct{}), riders: 1, retired: !c.kept}
	if c.kept {
		c.conns = append(c.conns, on)
	}
	go c.connect(on)
	return on
}

// connect makes the connection. Whoever asked for it may be gone by then.
func (c *h2Carrier) connect(on *h2Conn) {
	ctx, cancel := context.WithTimeout(context.Background(), c.dialling)
	defer cancel()
	conn, err := c.transport.NewClientConn(ctx, "http", on.address)
	// Whoever looks at connections meanwhile must not find this one made all of a sudden.
	c.mu.Lock()
	defer c.mu.Unlock()
	on.conn, on.err, on.opened = conn, err, time.Now()
	close(on.made)
	on.closeIfDone()
}

// outdated reports whether on takes no more requests. An old one is retired by that.
func (c *h2Carrier) outdated(on *h2Conn) bool {
	if !on.isMade() {
		return false
	}
	spent := on.err != nil || on.conn.Err() != nil || on.conn.Available() == 0 && on.conn.InFlight() == 0
	if spent || c.age > 0 && time.Since(on.opened) >= c.age {
		on.retired = true
		on.closeIfDone()
	}
	return on.retired
}

func (on *h2Conn) isMade() bool {
	select {
	case <-on.made:
		return true
	default:
		return false
	}
}

// hasRoom reports whether on takes one more, as far as it is known. The server says how
// many it allows once the connection is made: fewer are remembered for the next ones.
func (c *h2Carrier) hasRoom(on *h2Conn) bool {
	if !on.isMade() {
		return on.riders < c.streams
	}
	left := on.conn.Available()
	if left > 0 {
		c.streams = min(c.streams, left+on.conn.InFlight())
	}
	return left > 0 && on.riders < c.streams
}

// leave takes a request off its connection.
func (c *h2Carrier) leave(ctx context.Context, on *h2Conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	on.riders--
	if ctx.Err() != nil && on.isMade() {
		on.retired = true // it may lead nowhere
	}
	on.closeIfDone()
}

// closeIfDone closes a connection that takes no more requests and has none.
func (on *h2Conn) closeIfDone() {
	if on.retired && on.riders == 0 && on.isMade() && on.conn != nil {
		_ = on.conn.Close()
	}
}

// CloseIdleConnections closes what carries no request, and the others after that.
func (c *h2Carrier) CloseIdleConnections() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, on := range c.conns {
		on.retired = true
		on.closeIfDone()
	}
	c.conns = nil
}

// addressOf is where a request goes.
func addressOf(request *http.Request) string {
	port := request.URL.Port()
	if port == "" {
		port = "80"
	}
	return net.JoinHostPort(request.URL.Hostname(), port)
}

// streamNumbers are what makes every error of a connection's requests another one.
var streamNumbers = regexp.MustCompile(`(stream ID |LastStreamID=)\d+[;,] `)
