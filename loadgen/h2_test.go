package loadgen

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/cutover-dev/cutover/history"
)

// serveH2 serves HTTP/2 without TLS, and nothing else.
func serveH2(t *testing.T, handler http.HandlerFunc) (Dialer, *httptest.Server) {
	t.Helper()
	server := httptest.NewUnstartedServer(handler)
	server.Config.Protocols = protocols(H2C)
	server.Start()
	t.Cleanup(server.Close)
	t.Cleanup(server.CloseClientConnections)
	return to(server.Listener.Addr().String()), server
}

func overH2(a *Attack) { a.Spec.Protocol = H2C }

// counting counts the connections that a dialer makes.
func counting(dial Dialer, n *atomic.Int64) Dialer {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		n.Add(1)
		return dial(ctx, network, address)
	}
}

func TestH2Answers(t *testing.T) {
	ids := sync.Map{}
	dial, _ := serveH2(t, func(w http.ResponseWriter, r *http.Request) {
		if _, twice := ids.LoadOrStore(r.Header.Get("X-Request-Id"), true); twice || r.ProtoMajor != 2 || r.Host != "shop" || r.Header.Get("A") != "b" {
			t.Errorf("%s request to %q with headers %v", r.Proto, r.Host, r.Header)
		}
		if body, _ := io.ReadAll(r.Body); string(body) != `{"sku":1}` || r.Method != "POST" {
			t.Errorf("%s with body %q", r.Method, body)
		}
		w.Header().Set("X-Cutover-Generation", "3")
		w.WriteHeader(http.StatusCreated)
	})
	sink := attack(t, dial, func(a *Attack) {
		overH2(a)
		a.Spec.Requests = []RequestSpec{{Method: "POST", Path: "/orders", Body: `{"sku":1}`, Write: true,
			Headers: map[string]string{"a": "b"}, Expect: ExpectSpec{Status: []int{201}}}}
	})
	sink.each(t, "as answered", func(r history.Request) bool {
		return r.Expected && r.Status == 201 && r.Gen == 3 && r.Attempts == 1 && r.Sent >= r.Intended && r.Done >= r.Sent
	})
}

// A request without a body says so, and does not end in an empty frame.
func TestH2RequestsWithoutBody(t *testing.T) {
	dial, _ := serveH2(t, func(_ http.ResponseWriter, r *http.Request) {
		if r.ContentLength != 0 {
			t.Errorf("length %d", r.ContentLength)
		}
	})
	attack(t, dial, overH2).each(t, "good", func(r history.Request) bool { return r.Expected })
}

// At 500/s every arrival is released and answered, over few connections.
func TestH2At500(t *testing.T) {
	dial, _ := serveH2(t, func(_ http.ResponseWriter, _ *http.Request) { <-time.After(30 * time.Millisecond) })
	var connections atomic.Int64
	sink := attack(t, counting(dial, &connections), func(a *Attack) { overH2(a); a.Spec.Rate = perSecond(500) })
	sink.each(t, "good", func(r history.Request) bool { return r.Expected && r.Attempts == 1 })
	if n := len(sink.requests); n < 100 || connections.Load() > 3 {
		t.Errorf("%d requests over %d connections", n, connections.Load())
	}
}

// More than a hundred at once take more than one connection, and the cap is on requests.
func TestH2SharesConnections(t *testing.T) {
	let := make(chan struct{})
	dial, _ := serveH2(t, func(http.ResponseWriter, *http.Request) { <-let })
	var connections atomic.Int64
	time.AfterFunc(600*time.Millisecond, func() { close(let) })
	sink := attack(t, counting(dial, &connections), func(a *Attack) {
		overH2(a)
		a.Spec.Rate, a.Spec.Arrivals, a.Spec.Connections = perSecond(1000), Constant, 250
	})
	good, turnedAway := 0, 0
	for _, r := range sink.requests {
		switch {
		case r.Expected:
			good++
		case strings.HasPrefix(r.Err, "not sent: all 250") && !r.Sent.Happened():
			turnedAway++
		default:
			t.Fatalf("neither good nor turned away: %+v", r)
		}
	}
	if good != 250 || turnedAway == 0 || connections.Load() != 3 {
		t.Errorf("%d good over %d connections, %d turned away; want 250 over 3, and some", good, connections.Load(), turnedAway)
	}
}

func TestH2ConnectionsLiveAsLongAsTheyShould(t *testing.T) {
	off := false
	for _, tt := range []struct {
		name   string
		change func(*Spec)
		holds  func(connections, requests int) bool
	}{
		// Kept: one does.
		{"kept", func(*Spec) {}, func(c, _ int) bool { return c <= 2 }},
		// Aged: renewed every 50 ms of a third of a second, without an error.
		{"aged", func(s *Spec) { s.ConnectionAge = history.Duration(50 * time.Millisecond) }, func(c, n int) bool { return c >= 4 && c < n }},
		// Not kept: one for each.
		{"not kept", func(s *Spec) { s.KeepAlive = &off }, func(c, n int) bool { return c == n }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dial, _ := serveH2(t, nothing)
			var connections atomic.Int64
			sink := attack(t, counting(dial, &connections), func(a *Attack) { overH2(a); a.Spec.Arrivals = Constant; tt.change(&a.Spec) })
			sink.each(t, "good", func(r history.Request) bool { return r.Expected })
			if used := int(connections.Load()); !tt.holds(used, len(sink.requests)) {
				t.Errorf("%d requests over %d connections", len(sink.requests), used)
			}
		})
	}
}

func TestH2BlackHole(t *testing.T) {
	dial, _ := serveH2(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	sink := attack(t, dial, func(a *Attack) { overH2(a); impatient(a) })
	sink.each(t, "timed out", func(r history.Request) bool { return timedOut(r) && r.Sent.Happened() && r.Status == 0 })
}

// A connection on which a request timed out takes no more, even if it is the network that
// is deaf, and not the server.
func TestH2LeavesDeadConnections(t *testing.T) {
	dial, _ := serveH2(t, nothing)
	var made atomic.Int64
	sink := attack(t, func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := dial(ctx, network, address)
		if made.Add(1) == 1 {
			return &deaf{Conn: conn, closed: make(chan struct{})}, err
		}
		return conn, err
	}, func(a *Attack) {
		overH2(a)
		a.Spec.Timeout = history.Duration(100 * time.Millisecond)
	})
	bad, good := 0, 0
	for _, r := range sink.requests {
		if r.Expected {
			good++
		} else {
			bad++
		}
	}
	if bad == 0 || good == 0 {
		t.Errorf("%d bad and %d good; want the first ones bad, and the others good", bad, good)
	}
}

// deaf is a connection on which nothing arrives any more.
type deaf struct {
	net.Conn
	once   sync.Once
	closed chan struct{}
}

func (d *deaf) Read([]byte) (int, error) {
	<-d.closed
	return 0, net.ErrClosed
}

func (d *deaf) Close() error {
	d.once.Do(func() { close(d.closed) })
	return d.Conn.Close()
}

func TestH2HungDialHoldsNothingUp(t *testing.T) {
	hang := make(chan struct{})
	defer close(hang)
	sink := attack(t, func(ctx context.Context, _, _ string) (net.Conn, error) {
		select {
		case <-hang:
		case <-ctx.Done():
		}
		return nil, context.Cause(ctx)
	}, func(a *Attack) { overH2(a); impatient(a) })
	sink.each(t, "unsent and bad", func(r history.Request) bool {
		return !r.Expected && r.Err == "timeout" && !r.Sent.Happened() && r.Attempts == 0
	})
}

func TestH2RefusedConnections(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	listener.Close()
	sink := attack(t, to(listener.Addr().String()), overH2)
	sink.each(t, "refused, without ports that differ", func(r history.Request) bool {
		return !r.Sent.Happened() && r.Err == "dial: connect: connection refused"
	})
}

// Whether a connection could be made is learned by many at once.
func TestH2ConnectionsThatCannotBeMade(t *testing.T) {
	refused := errors.New("refused")
	spec := valid()
	spec.Protocol = H2C
	c := newH2Carrier(spec.WithDefaults(), func(context.Context, string, string) (net.Conn, error) { return nil, refused })
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 2000 {
				request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://shop/", nil)
				if err != nil {
					t.Error(err)
					return
				}
				if response, err := c.RoundTrip(request); !errors.Is(err, refused) {
					if err == nil {
						response.Body.Close()
					}
					t.Errorf("got %v, want %v", err, refused)
					return
				}
			}
		})
	}
	all.Wait()
}

// A server that speaks HTTP/1.1 alone is no server of HTTP/2.
func TestH2OfAnHTTP1Server(t *testing.T) {
	attack(t, serve(t, nothing), func(a *Attack) { overH2(a); impatient(a) }).
		each(t, "bad", func(r history.Request) bool { return !r.Expected && r.Err != "" })
}

// A server that dies takes what is on its way along, and nothing is sent twice.
func TestH2ServerDies(t *testing.T) {
	var received atomic.Int64
	dial, server := serveH2(t, func(http.ResponseWriter, *http.Request) {
		received.Add(1)
		<-time.After(20 * time.Millisecond)
	})
	time.AfterFunc(150*time.Millisecond, func() {
		server.Listener.Close()
		server.CloseClientConnections()
	})
	sink := attack(t, dial, func(a *Attack) { overH2(a); impatient(a) })
	good, cut := 0, 0
	for _, r := range sink.requests {
		switch {
		case r.Expected:
			good++
		case r.Err != "" && r.Attempts <= 1:
			cut++
		default:
			t.Fatalf("%+v", r)
		}
	}
	if good == 0 || cut == 0 || received.Load() > int64(len(sink.requests)) {
		t.Errorf("%d good, %d cut, %d received", good, cut, received.Load())
	}
}

// h2Script is a server that does with each request what it is told to, frame by frame.
// It counts what it receives.
func h2Script(t *testing.T, received *atomic.Int64, on func(fr *http2.Framer, conn net.Conn, stream uint32, n int) (goOn bool)) Dialer {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	serveOne := func(conn net.Conn) {
		defer conn.Close()
		if _, err := io.ReadFull(conn, make([]byte, len(http2.ClientPreface))); err != nil {
			return
		}
		fr := http2.NewFramer(conn, conn)
		_ = fr.WriteSettings()
		for n := 0; ; {
			frame, err := fr.ReadFrame()
			if err != nil {
				return
			}
			switch frame := frame.(type) {
			case *http2.SettingsFrame:
				if !frame.IsAck() {
					_ = fr.WriteSettingsAck()
				}
			case *http2.PingFrame:
				_ = fr.WritePing(true, frame.Data)
			case *http2.HeadersFrame:
				received.Add(1)
				n++
				if !on(fr, conn, frame.StreamID, n) {
					return
				}
			}
		}
	}
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go serveOne(conn)
		}
	}()
	return to(listener.Addr().String())
}

// drain has the other side read what was written before it finds the connection closed.
func drain(conn net.Conn) {
	_ = conn.(*net.TCPConn).CloseWrite()
	_, _ = io.Copy(io.Discard, conn)
}

// good answers 200.
func good(fr *http2.Framer, stream uint32) {
	var block strings.Builder
	_ = hpack.NewEncoder(&block).WriteField(hpack.HeaderField{Name: ":status", Value: "200"})
	_ = fr.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: []byte(block.String()), EndHeaders: true, EndStream: true})
}

const goingAway = "http2: Transport received Server's graceful shutdown GOAWAY"

// TestH2NothingIsRetriedSilently: net/http's own carrier would send all of these again.
func TestH2NothingIsRetriedSilently(t *testing.T) {
	for _, tt := range []struct {
		name string
		on   func(fr *http2.Framer, conn net.Conn, stream uint32, n int) bool
		err  string // of the requests that are bad
	}{
		{"refused streams", func(fr *http2.Framer, _ net.Conn, stream uint32, n int) bool {
			if n%2 == 0 {
				_ = fr.WriteRSTStream(stream, http2.ErrCodeRefusedStream)
			} else {
				good(fr, stream)
			}
			return true
		}, "stream error: REFUSED_STREAM; received from peer"},
		{"GOAWAY in the middle", func(fr *http2.Framer, conn net.Conn, stream uint32, n int) bool {
			if n < 10 {
				good(fr, stream)
				return true
			}
			_ = fr.WriteGoAway(stream-2, http2.ErrCodeNo, nil) // this one was not looked at
			drain(conn)
			return false
		}, goingAway},
		{"GOAWAY with an error", func(fr *http2.Framer, conn net.Conn, stream uint32, n int) bool {
			if n < 10 {
				good(fr, stream)
				return true
			}
			_ = fr.WriteGoAway(stream, http2.ErrCodeInternal, nil)
			drain(conn)
			return false
		}, "http2: server sent GOAWAY and closed the connection; ErrCode=INTERNAL_ERROR, debug=\"\""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var received atomic.Int64
			sink := attack(t, h2Script(t, &received, tt.on), func(a *Attack) { overH2(a); a.Spec.Arrivals = Constant })
			well, badly := 0, 0
			for _, r := range sink.requests {
				switch {
				case r.Expected: // another attempt is one of which nothing was written
					well++
				case r.Err == tt.err:
					badly++
				case r.Err == goingAway: // more of them were on their way
				default:
					t.Errorf("%+v", r)
				}
			}
			if well == 0 || badly == 0 || received.Load() > int64(len(sink.requests)) {
				t.Errorf("%d good, %d bad; %d received of %d", well, badly, received.Load(), len(sink.requests))
			}
		})
	}
}

// TestH2OfAFewAtOnce: a server that allows three at a time gets more connections, once it
// has said so.
func TestH2OfAFewAtOnce(t *testing.T) {
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-time.After(50 * time.Millisecond) }))
	server.Config.Protocols, server.Config.HTTP2 = protocols(H2C), &http.HTTP2Config{MaxConcurrentStreams: 3}
	server.Start()
	defer server.Close()
	var connections atomic.Int64
	sink := attack(t, counting(to(server.Listener.Addr().String()), &connections), func(a *Attack) { overH2(a); a.Spec.Arrivals = Constant })
	bad := 0
	for _, r := range sink.requests {
		if !r.Expected {
			bad++
		}
	}
	// 10 are on their way at a time. Before the server said how many it allows, more than
	// these may be refused.
	if n := connections.Load(); n < 3 || n > int64(len(sink.requests))/2 || bad > len(sink.requests)/4 {
		t.Errorf("%d requests over %d connections, %d bad", len(sink.requests), n, bad)
	}
}

// A server that closes every connection at once is not asked for ever.
func TestH2ClosesAtOnce(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			conn.Close()
		}
	}()
	var connections atomic.Int64
	sink := attack(t, counting(to(listener.Addr().String()), &connections), overH2)
	sink.each(t, "bad", func(r history.Request) bool { return !r.Expected && r.Err != "" })
	if n := connections.Load(); n > int64(boardings*len(sink.requests)) {
		t.Errorf("%d connections for %d requests", n, len(sink.requests))
	}
}

// TestNetHTTPRetries is why connections are our own: it shows the test above a carrier
// that does.
func TestNetHTTPRetries(t *testing.T) {
	var received atomic.Int64
	dial := h2Script(t, &received, func(fr *http2.Framer, _ net.Conn, stream uint32, n int) bool {
		if n == 1 {
			_ = fr.WriteRSTStream(stream, http2.ErrCodeRefusedStream)
		} else {
			good(fr, stream)
		}
		return true
	})
	request, err := http.NewRequestWithContext(t.Context(), "GET", "http://shop/", nil)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{DialContext: dial, Protocols: protocols(H2C)}
	defer transport.CloseIdleConnections()
	response, err := transport.RoundTrip(request)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if received.Load() != 2 {
		t.Errorf("%d received; net/http does not retry any more, and h2Carrier may go", received.Load())
	}
}
