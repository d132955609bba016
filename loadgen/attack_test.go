package loadgen

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cutover-dev/cutover/history"
)

// memory is a sink that keeps everything.
type memory struct {
	mu              sync.Mutex
	events          []history.Event
	requests        []history.Request
	began, answered map[int64]int
}

func (m *memory) Event(e history.Event) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.events = append(m.events, e)
}

func (m *memory) Request(r history.Request) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.requests = append(m.requests, r)
}

func (m *memory) Began(r history.Request) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.began[r.Seq]++
}

func (m *memory) Answered(r history.Request) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.answered[r.Seq]++
}

// to dials one address, whatever it is asked for.
func to(address string) Dialer {
	return func(ctx context.Context, network, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, network, address)
	}
}

func serve(t *testing.T, handler http.HandlerFunc) Dialer {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	t.Cleanup(server.CloseClientConnections)
	return to(server.Listener.Addr().String())
}

// attack runs load of 200/s for a third of a second and checks the books.
func attack(t *testing.T, dial Dialer, change func(*Attack)) *memory {
	t.Helper()
	return attackBy(t, newCourier, dial, change)
}

func attackBy(t *testing.T, courier func(*Attack, Spec, *inbox) (courier, error), dial Dialer, change func(*Attack)) *memory {
	t.Helper()
	sink := &memory{began: map[int64]int{}, answered: map[int64]int{}}
	spec := valid()
	spec.SLO.Latency = history.Duration(100 * time.Millisecond)
	spec.Timeout = history.Duration(5 * time.Second)
	a := &Attack{Spec: spec, Seed: 7, RunID: "run", Host: "shop", Dial: dial, Clock: history.NewClock(), Sink: sink}
	if change != nil {
		change(a)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 350*time.Millisecond)
	defer cancel()
	if err := a.run(ctx, courier); err != nil {
		t.Fatal(err)
	}
	audit(t, a, sink)
	return sink
}

// impatient shortens the timeout, for servers that never answer.
func impatient(a *Attack) { a.Spec.Timeout = history.Duration(300 * time.Millisecond) }

// timedOut reports whether r was given up at its timeout, give or take what a busy
// machine adds.
func timedOut(r history.Request) bool {
	return !r.Expected && r.Err == "timeout" && r.Latency() >= 300*time.Millisecond && r.Latency() < 3*time.Second
}

// audit checks that every arrival of the plan is in the record exactly once, at its
// intended instant.
func audit(t *testing.T, a *Attack, sink *memory) {
	t.Helper()
	ended, ok := history.First[history.LoadEnded](sink.events)
	if !ok || ended.Data.Planned == 0 {
		t.Fatalf("load ended %+v, want some planned", ended)
	}
	planned := arrivals(t, a.Spec, a.Seed, int(ended.Data.Planned))
	if len(sink.requests) != len(planned) {
		t.Fatalf("%d records of %d arrivals", len(sink.requests), len(planned))
	}
	seen := map[int64]history.Request{}
	sent := int64(0)
	for _, r := range sink.requests {
		seen[r.Seq] = r
		if r.Sent.Happened() {
			sent++
		}
		if r.Expected && r.Err != "" || !r.Done.Happened() || r.Done < r.Intended {
			t.Errorf("record %+v contradicts itself", r)
		}
	}
	if len(seen) != len(planned) || sent != ended.Data.Sent || sent+ended.Data.Unsent != ended.Data.Planned {
		t.Errorf("%d distinct records, %d sent, books %+v", len(seen), sent, ended.Data)
	}
	began := seen[0].Intended.Sub(0) - planned[0].offset
	for i, p := range planned {
		if off := seen[int64(i)].Intended.Sub(0) - began - p.offset; off.Abs() > 2*time.Microsecond {
			t.Fatalf("arrival %d is %s off the plan", i, off)
		}
	}
}

// each checks every request.
func (m *memory) each(t *testing.T, what string, holds func(history.Request) bool) {
	t.Helper()
	for _, r := range m.requests {
		if !holds(r) {
			t.Fatalf("not %s: %+v", what, r)
		}
	}
}

func TestGoodAnswers(t *testing.T) {
	ids := sync.Map{}
	dial := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if _, twice := ids.LoadOrStore(r.Header.Get("X-Request-Id"), true); twice || r.Host != "shop" || r.Header.Get("A") != "b" {
			t.Errorf("request to %q with headers %v", r.Host, r.Header)
		}
		if body, _ := io.ReadAll(r.Body); string(body) != `{"sku":1}` || r.Method != "POST" {
			t.Errorf("%s with body %q", r.Method, body)
		}
		w.Header().Set("X-Cutover-Generation", "3")
		w.WriteHeader(http.StatusCreated)
	})
	sink := attack(t, dial, func(a *Attack) {
		a.Spec.Requests = []RequestSpec{{Method: "POST", Path: "/orders", Body: `{"sku":1}`, Write: true,
			Headers: map[string]string{"a": "b"}, Expect: ExpectSpec{Status: []int{201}}}}
	})
	sink.each(t, "as answered", func(r history.Request) bool {
		return r.Expected && r.Status == 201 && r.Gen == 3 && r.Attempts == 1 && r.Write && r.Name == "POST /orders" &&
			r.Sent >= r.Intended && r.Done >= r.Sent && r.Body == "" && r.ID == "run-"+strconv.FormatInt(r.Seq, 10) &&
			sink.began[r.Seq] == 1 && sink.answered[r.Seq] == 1
	})
}

func TestBadAnswers(t *testing.T) {
	dial := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, strings.Repeat("x", 1000)+"\xff", http.StatusInternalServerError)
	})
	sink := attack(t, dial, nil)
	sink.each(t, "bad, with a sample", func(r history.Request) bool {
		return !r.Expected && r.Status == 500 && len(r.Body) == sampleBody && r.Err == ""
	})
}

func TestRedirectsAreAnswers(t *testing.T) {
	var followed atomic.Bool
	dial := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/" {
			followed.Store(true)
		}
		http.Redirect(w, r, "/elsewhere", http.StatusFound)
	})
	sink := attack(t, dial, nil)
	sink.each(t, "a good 302", func(r history.Request) bool { return r.Expected && r.Status == 302 })
	if followed.Load() {
		t.Error("a redirect was followed")
	}
}

func TestSlowBodyIsLateOrTimesOut(t *testing.T) {
	dial := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusOK)
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	})
	sink := attack(t, dial, impatient)
	sink.each(t, "timed out in the body", func(r history.Request) bool { return timedOut(r) && r.Status == 200 })
}

func TestLargeBodyIsReadToItsEnd(t *testing.T) {
	var connections sync.Map
	dial := serve(t, func(w http.ResponseWriter, r *http.Request) {
		connections.Store(r.RemoteAddr, true)
		_, _ = w.Write(make([]byte, 3*keptBody))
	})
	sink := attack(t, dial, func(a *Attack) { a.Spec.Connections = 2 })
	good, used := 0, 0
	for _, r := range sink.requests {
		if r.Expected {
			good++
		}
	}
	connections.Range(func(_, _ any) bool { used++; return true })
	if good == 0 || used > 2 {
		t.Errorf("%d good over %d connections; a body that is not read to its end costs its connection", good, used)
	}
}

func TestBlackHole(t *testing.T) {
	dial := serve(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	sink := attack(t, dial, impatient)
	sink.each(t, "timed out", func(r history.Request) bool { return timedOut(r) && r.Sent.Happened() && r.Status == 0 })
}

func TestHungDialHoldsNothingUp(t *testing.T) {
	hang := make(chan struct{})
	defer close(hang)
	sink := attack(t, func(context.Context, string, string) (net.Conn, error) {
		<-hang // deaf to its context, as some proxies' dialers are
		return nil, errors.New("hung")
	}, impatient)
	sink.each(t, "unsent and timed out", func(r history.Request) bool {
		return timedOut(r) && !r.Sent.Happened() && r.Attempts == 0
	})
}

func TestRefusedConnections(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	listener.Close()
	sink := attack(t, to(listener.Addr().String()), nil)
	sink.each(t, "refused, without ports that differ", func(r history.Request) bool {
		return !r.Sent.Happened() && r.Err == "dial: connect: connection refused"
	})
}

func TestConnectionCap(t *testing.T) {
	var open, most atomic.Int64
	dial := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		most.Store(max(most.Load(), open.Add(1)))
		defer open.Add(-1)
		<-r.Context().Done()
	})
	sink := attack(t, dial, func(a *Attack) { impatient(a); a.Spec.Connections = 5 })
	turnedAway := 0
	for _, r := range sink.requests {
		if strings.HasPrefix(r.Err, "not sent") {
			turnedAway++
			if r.Sent.Happened() || r.Done != r.Intended || !r.Bad(time.Second) || sink.began[r.Seq] != 0 {
				t.Fatalf("turned away as %+v, want bad at its intended instant", r)
			}
		}
	}
	if turnedAway == 0 || most.Load() > 5 {
		t.Errorf("%d turned away, %d open at once; want some, and 5 at most", turnedAway, most.Load())
	}
}

// cutter answers the first request of each connection and cuts it on the second.
func cutter(t *testing.T, received *atomic.Int64) Dialer {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				lines := bufio.NewReader(conn)
				for i := range 2 {
					request, err := http.ReadRequest(lines)
					if err != nil {
						return
					}
					received.Add(1)
					_, _ = io.Copy(io.Discard, request.Body)
					if i == 0 {
						_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
					}
				}
			}()
		}
	}()
	return to(listener.Addr().String())
}

func TestNothingIsRetriedSilently(t *testing.T) {
	for _, request := range []RequestSpec{
		{Path: "/"},
		{Method: "DELETE", Path: "/"},
		{Method: "POST", Path: "/", Body: "x", Headers: map[string]string{"Idempotency-Key": "1"}},
		{Method: "POST", Path: "/"},
	} {
		t.Run(request.Name(), func(t *testing.T) {
			var received atomic.Int64
			sink := attack(t, cutter(t, &received), func(a *Attack) { a.Spec.Requests = []RequestSpec{request} })
			cut := 0
			for _, r := range sink.requests {
				if r.Attempts != 1 {
					t.Errorf("%d attempts: %+v", r.Attempts, r)
				}
				if !r.Expected {
					cut++
				}
			}
			if cut == 0 || received.Load() != int64(len(sink.requests)) {
				t.Errorf("%d cut; %d received of %d sent", cut, received.Load(), len(sink.requests))
			}
		})
	}
}

func TestConnectionsLiveAsLongAsTheyShould(t *testing.T) {
	off := false
	tests := []struct {
		name   string
		change func(*Spec)
		holds  func(connections, requests int) bool
	}{
		// Kept: one does, more if requests overlap.
		{"kept", func(*Spec) {}, func(c, n int) bool { return c < n/2 }},
		// Aged: renewed every 50 ms of a third of a second, without an error.
		{"aged", func(s *Spec) { s.ConnectionAge = history.Duration(50 * time.Millisecond) }, func(c, n int) bool { return c >= 5 && c < n }},
		// Not kept: one for each.
		{"not kept", func(s *Spec) { s.KeepAlive = &off }, func(c, n int) bool { return c == n }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var connections sync.Map
			dial := serve(t, func(_ http.ResponseWriter, r *http.Request) { connections.Store(r.RemoteAddr, true) })
			sink := attack(t, dial, func(a *Attack) { a.Spec.Arrivals = Constant; tt.change(&a.Spec) })
			sink.each(t, "good", func(r history.Request) bool { return r.Expected })
			used := 0
			connections.Range(func(_, _ any) bool { used++; return true })
			if !tt.holds(used, len(sink.requests)) {
				t.Errorf("%d requests over %d connections", len(sink.requests), used)
			}
		})
	}
}

func TestRunRefuses(t *testing.T) {
	if err := (&Attack{}).Run(t.Context()); err == nil {
		t.Error("an empty spec was run")
	}
	if err := (&Attack{Spec: valid()}).Run(t.Context()); err == nil {
		t.Error("an attack without dialer and sink was run")
	}
}

func TestStalls(t *testing.T) {
	const ms = history.Micros(1000)
	sink := &memory{}
	l := newLateness(sink)
	l.released(0, 1*ms)
	l.released(10*ms, 90*ms) // the machine stood still: three arrivals are late
	l.released(50*ms, 90*ms)
	l.released(60*ms, 91*ms)
	l.released(80*ms, 92*ms) // late, but not by much; within the stall
	l.released(100*ms, 100*ms)
	l.released(200*ms, 250*ms) // another one, until the end
	p99 := l.end()
	got := history.All[history.Stall](sink.events)
	want := []history.Stall{{From: 10 * ms, To: 91 * ms}, {From: 200 * ms, To: 250 * ms}}
	if len(got) != 2 || got[0].Data != want[0] || got[1].Data != want[1] {
		t.Errorf("stalls %+v, want %+v", got, want)
	}
	if p99 < 79_000 || p99 > 81_000 {
		t.Errorf("p99 of the release error is %d µs, want 80 ms", p99)
	}
}

func TestRecordOfAnAttack(t *testing.T) {
	dir, clock := t.TempDir(), history.NewClock()
	recorder, err := history.Open(dir, clock, 100*time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	// Every other request is swallowed.
	var count atomic.Int64
	dial := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Version", "v1")
		if count.Add(1)%2 == 0 {
			<-r.Context().Done()
		}
	})
	versions := &Versions{}
	versions.Learn("v1", history.Baseline)
	attack(t, dial, func(a *Attack) {
		impatient(a)
		a.Clock = clock
		a.Sink = both{a.Sink.(*memory), recorder}
		a.Attribution = &Attribution{Source: VersionSource{Header: "X-Version"}, Versions: versions}
	})
	live := recorder.Window(0, recorder.Now()+1)
	if err := recorder.Close(); err != nil {
		t.Fatal(err)
	}
	h, err := history.Read(dir)
	if err != nil {
		t.Fatal(err)
	}
	good, swallowed := live.Versions[history.Baseline], live.Versions[history.Unattributed]
	if good.N == 0 || good.Errors != 0 || swallowed.N == 0 || swallowed.Bad != swallowed.N || good.N+swallowed.N != len(h.Requests) {
		t.Errorf("live: %d answered, %d swallowed of %d recorded", good.N, swallowed.N, len(h.Requests))
	}
	if _, ok := history.First[history.LoadEnded](h.Events); !ok {
		t.Error("the books were not closed in the record")
	}
}

// both is a sink that feeds two.
type both struct {
	memory   *memory
	recorder *history.Recorder
}

func (b both) Event(e history.Event)      { b.memory.Event(e); b.recorder.Event(e) }
func (b both) Request(r history.Request)  { b.memory.Request(r); b.recorder.Request(r) }
func (b both) Began(r history.Request)    { b.memory.Began(r); b.recorder.Began(r) }
func (b both) Answered(r history.Request) { b.memory.Answered(r); b.recorder.Answered(r) }
