package loadgen

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/cutover-dev/cutover/history"
)

// listen has serve talk over every connection, and closes all of them in the end.
func listen(t testing.TB, serve func(net.Conn)) Dialer {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var open []net.Conn
	t.Cleanup(func() {
		listener.Close()
		mu.Lock()
		defer mu.Unlock()
		for _, conn := range open {
			conn.Close()
		}
	})
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			open = append(open, conn)
			mu.Unlock()
			go serve(conn)
		}
	}()
	return to(listener.Addr().String())
}

const noContent = "HTTP/1.1 204 No Content\r\n\r\n"

// moody answers each request as chance has it: well, badly, never, with an answer that is
// cut off, or by closing the connection. It counts the requests by id.
func moody(received *sync.Map) func(net.Conn) {
	return func(conn net.Conn) {
		defer conn.Close()
		lines := bufio.NewReader(conn)
		for {
			request, err := http.ReadRequest(lines)
			if err != nil {
				return
			}
			times, _ := received.LoadOrStore(request.Header.Get(requestIDHeader), new(atomic.Int64))
			times.(*atomic.Int64).Add(1)
			switch rand.IntN(12) {
			case 0:
				_, _ = io.WriteString(conn, "HTTP/1.1 500 No\r\nContent-Length: 3\r\n\r\nno!")
			case 1:
				_, _ = io.Copy(io.Discard, conn) // never
				return
			case 2:
				return
			case 3:
				_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 30\r\n\r\ncut")
				return
			case 4:
				_, _ = io.WriteString(conn, "what?\r\n")
			case 5:
				_ = conn.(*net.TCPConn).SetLinger(0)
				return
			case 6:
				_, _ = io.WriteString(conn, noContent)
				return // while it is idle
			case 7:
				_, _ = io.WriteString(conn, noContent+noContent) // one too many
			default:
				_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
			}
		}
	}
}

func TestAccountsAreExactWhateverTheServerDoes(t *testing.T) {
	var received sync.Map
	sink := attack(t, listen(t, moody(&received)), func(a *Attack) {
		impatient(a)
		a.Spec.Rate = Rate{1000, time.Second}
		a.Spec.Connections = 100
	})
	outcomes := map[string]int{}
	var sent int
	for _, r := range sink.requests {
		switch {
		case !r.Sent.Happened():
			outcomes["unsent"]++
			continue
		case r.Status > 0 && r.Err == "":
			outcomes["answered"]++
		case r.Err == "timeout":
			outcomes["timed out"]++
		default:
			outcomes["failed"]++
		}
		sent++
		if r.Attempts != 1 || r.Expected != (r.Err == "" && r.Status < 400) {
			t.Errorf("%+v contradicts itself", r)
		}
	}
	t.Log(outcomes)
	for _, outcome := range []string{"answered", "timed out", "failed"} {
		if outcomes[outcome] == 0 {
			t.Errorf("none was %s: the server is not moody enough", outcome)
		}
	}
	seen := 0
	received.Range(func(id, times any) bool {
		if n := times.(*atomic.Int64).Load(); n != 1 {
			t.Errorf("%s came %d times", id, n)
		}
		seen++
		return true
	})
	// One that is written to a connection that the server closes at that moment reaches nobody.
	if seen > sent || seen < sent/2 {
		t.Errorf("%d of %d requests came", seen, sent)
	}
}

// tally is a sink that keeps nothing.
type tally struct {
	requests, unsent atomic.Int64
	ended            atomic.Pointer[history.LoadEnded]
}

func (c *tally) Event(e history.Event) {
	if ended, ok := history.Decode[history.LoadEnded](e); ok {
		c.ended.Store(&ended)
	}
}

func (c *tally) Request(r history.Request) {
	c.requests.Add(1)
	if !r.Sent.Happened() {
		c.unsent.Add(1)
	}
}

// full is a listener that accepts nothing and whose backlog is full, so that nobody gets a
// connection.
func full(t *testing.T) Dialer {
	t.Helper()
	socket, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(socket) })
	if err := errors.Join(unix.Bind(socket, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}), unix.Listen(socket, 0)); err != nil {
		t.Fatal(err)
	}
	name, err := unix.Getsockname(socket)
	if err != nil {
		t.Fatal(err)
	}
	dial := to(fmt.Sprintf("127.0.0.1:%d", name.(*unix.SockaddrInet4).Port))
	for {
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		conn, err := dial(ctx, "tcp", "")
		cancel()
		if err != nil {
			return dial
		}
		t.Cleanup(func() { conn.Close() })
	}
}

// cost is what a load takes at its height, above what there was before.
type cost struct {
	goroutines int
	memory     int64 // bytes of heap and stacks
}

func measureCost(t *testing.T, dial Dialer, courier func(*Attack, Spec, *inbox) (courier, error)) (cost, *tally) {
	t.Helper()
	spec := valid()
	spec.Rate, spec.Arrivals = Rate{5000, time.Second}, Constant
	spec.SLO.Latency, spec.Timeout = history.Duration(100*time.Millisecond), history.Duration(1500*time.Millisecond)
	sink := &tally{}
	a := &Attack{Spec: spec, Seed: 1, RunID: "run", Host: "shop", Dial: dial, Clock: history.NewClock(), Sink: sink}
	ctx, cancel := context.WithTimeout(t.Context(), 2500*time.Millisecond)
	defer cancel()
	before, height := use(), cost{}
	ended := make(chan error, 1)
	go func() { ended <- a.run(ctx, courier) }()
	for ticker := time.Tick(100 * time.Millisecond); ; {
		select {
		case err := <-ended:
			if err != nil {
				t.Fatal(err)
			}
			return cost{height.goroutines - before.goroutines, height.memory - before.memory}, sink
		case <-ticker:
			now := use()
			height.goroutines, height.memory = max(height.goroutines, now.goroutines), max(height.memory, now.memory)
		}
	}
}

func use() cost {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return cost{runtime.NumGoroutine(), int64(m.HeapSys - m.HeapReleased + m.StackSys)}
}

func TestBlackHolesCostLittle(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes half a minute")
	}
	const most = 2*dialsAtOnce + 100 // goroutines; package net may use two for a dial
	silence := func(t *testing.T) Dialer { return listen(t, func(net.Conn) {}) }
	for _, row := range []struct {
		name    string
		hole    func(*testing.T) Dialer
		courier func(*Attack, Spec, *inbox) (courier, error)
		control bool
	}{
		// Connections are taken and nothing is said.
		{"silence", silence, newCourier, false},
		// No connection comes about.
		{"full", full, newCourier, false},
		// CONTROL: what has a goroutine for each request is found out.
		{"goroutines", silence, byGoroutines, true},
	} {
		t.Run(row.name, func(t *testing.T) {
			took, sink := measureCost(t, row.hole(t), row.courier)
			ended := sink.ended.Load()
			t.Logf("%d goroutines, %.1f MB; planned %d, sent %d, unsent %d", took.goroutines, float64(took.memory)/1e6, ended.Planned, ended.Sent, ended.Unsent)
			if ended.Planned < 4096 || ended.Planned != sink.requests.Load() || ended.Unsent != sink.unsent.Load() || ended.Sent > 2*4096 {
				t.Errorf("books %+v, %d requests recorded, %d of them unsent", ended, sink.requests.Load(), sink.unsent.Load())
			}
			if row.control != (took.goroutines > most) || !row.control && took.memory > 64<<20 {
				t.Errorf("%d goroutines and %.1f MB, want %d and 64 at most (control: %t)", took.goroutines, float64(took.memory)/1e6, most, row.control)
			}
		})
	}
}

// turnUntil has the loop go on until a condition holds.
func (l *loop) turnUntil(t testing.TB, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !holds(); {
		if time.Now().After(end) {
			t.Fatalf("not %s within a minute", what)
		}
		now := l.now()
		l.handedIn = now // nothing is handed in, so that it can be looked at
		l.turn(now, now+handIn)
	}
}

// open is how many connections there are.
func (x *exchanges) open() (n int) {
	for _, p := range x.places {
		n += p.open
	}
	return n
}

// waits reports whether a request waits for a connection.
func (x *exchanges) waits() bool {
	for _, p := range x.places {
		if p.waiting.first() != nil {
			return true
		}
	}
	return false
}

// carry has the loop carry a request, and returns what became of it.
func (l *loop) carry(t testing.TB, next arrival, meanwhile ...func()) history.Request {
	t.Helper()
	l.batch.reset()
	l.send(next, micros(l.now()))
	l.turnUntil(t, "answered", func() bool {
		for _, do := range meanwhile {
			do()
		}
		return l.underway == 0
	})
	return l.batch.notes[len(l.batch.notes)-1].request
}

// A crowd that finds no connection gets no more in a millisecond than can be opened in it;
// but all of them in the end, where nothing comes free before.
func TestConnectionsAreOpenedLittleByLittle(t *testing.T) {
	crowd := 5 * dialsEach
	var connected atomic.Int64
	everybody := make(chan struct{})
	l, next := newTestLoop(t, listen(t, func(conn net.Conn) {
		if connected.Add(1) == int64(crowd) {
			close(everybody)
		}
		<-everybody
		echo(conn)
	}))
	defer l.finish()
	l.connections = crowd
	began := l.now()
	for range crowd {
		l.send(next(), micros(began))
	}
	if most := dialsEach * (1 + int((l.now()-began)/time.Millisecond) + 1); l.dials.atOnce > most {
		t.Errorf("%d connections are being opened, want %d at most", l.dials.atOnce, most)
	}
	l.turnUntil(t, "answered", func() bool { return l.underway == 0 && l.dials.atOnce == 0 })
	if l.open() != crowd || l.dials.held {
		t.Errorf("%d connections, want %d; one is still held back: %t", l.open(), crowd, l.dials.held)
	}
}

func TestDialsInAMillisecond(t *testing.T) {
	var d dials
	all := 0
	for at := time.Duration(0); at < 3*time.Millisecond; at += 100 * time.Microsecond {
		for d.may(at) {
			d.begun++
			all++
		}
		if want := dialsEach * (1 + int(at/time.Millisecond)); all != want {
			t.Errorf("%d were begun by %s, want %d", all, at, want)
		}
		if next := d.again(); next <= at || next > at+time.Millisecond {
			t.Errorf("at %s, more may be at %s", at, next)
		}
	}
}

func TestDeadIdleConnectionsAreNotUsed(t *testing.T) {
	var connections atomic.Int64
	closed := make(chan struct{}, 2)
	l, next := newTestLoop(t, listen(t, func(conn net.Conn) {
		connections.Add(1)
		if _, err := http.ReadRequest(bufio.NewReader(conn)); err == nil {
			_, _ = io.WriteString(conn, noContent)
		}
		conn.Close()
		closed <- struct{}{}
	}))
	defer l.finish()
	for range 2 {
		if r := l.carry(t, next()); r.Status != 204 {
			t.Errorf("%+v", r)
		}
		<-closed // and the loop is not told of it before it sends again
	}
	if connections.Load() != 2 {
		t.Errorf("%d connections, want one for each", connections.Load())
	}
}

func TestDeadIdleConnectionsAreDropped(t *testing.T) {
	hangUp := make(chan struct{})
	l, next := newTestLoop(t, listen(t, func(conn net.Conn) {
		_, _ = http.ReadRequest(bufio.NewReader(conn))
		_, _ = io.WriteString(conn, noContent)
		<-hangUp
		conn.Close()
	}))
	defer l.finish()
	if r := l.carry(t, next()); r.Status != 204 || l.open() != 1 {
		t.Fatalf("%+v, %d connections are open", r, l.open())
	}
	close(hangUp)
	l.turnUntil(t, "dropped", func() bool { return l.open() == 0 })
}

// CONTROL: a connection that dies under a request is no silent success.
func TestConnectionsThatDieUnderARequest(t *testing.T) {
	dial := listen(t, func(conn net.Conn) {
		_, _ = http.ReadRequest(bufio.NewReader(conn))
		conn.Close()
	})
	sink := attack(t, dial, nil)
	sink.each(t, "cut", func(r history.Request) bool { return !r.Expected && r.Err == "EOF" && r.Attempts == 1 && r.Status == 0 })
}

// What has come before its time was over counts, although the loop stood still meanwhile.
func TestStandingStillMakesNoTimeout(t *testing.T) {
	for _, answers := range []bool{true, false} { // CONTROL: without an answer it is a timeout
		asked, answered := make(chan struct{}), make(chan struct{})
		l, next := newTestLoop(t, listen(t, func(conn net.Conn) {
			_, _ = http.ReadRequest(bufio.NewReader(conn))
			<-asked
			if answers {
				_, _ = io.WriteString(conn, noContent)
			}
			close(answered)
		}))
		l.spec.Timeout = history.Duration(time.Second)
		first := true
		r := l.carry(t, next(), func() {
			if first && !l.waits() {
				first = false
				close(asked)
				<-answered
				time.Sleep(1200 * time.Millisecond)
			}
		})
		if answers != (r.Status == 204 && r.Err == "") || answers == (r.Err == "timeout") {
			t.Errorf("answers %t: %+v", answers, r)
		}
		l.finish()
	}
}

func TestSlowInBothDirections(t *testing.T) {
	const size = 256 << 10
	open := listen(t, func(conn net.Conn) {
		defer conn.Close()
		time.Sleep(20 * time.Millisecond)
		request, err := http.ReadRequest(bufio.NewReaderSize(conn, 1<<10))
		if err != nil {
			return
		}
		if n, err := io.Copy(io.Discard, request.Body); n != size || err != nil {
			t.Errorf("%d bytes came, %v", n, err)
		}
		answer := "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX-Cutover-Generation: 7\r\n\r\n3\r\nabc\r\n0\r\nX-Sum: 1\r\n\r\n"
		for i := range answer {
			_, _ = io.WriteString(conn, answer[i:i+1])
			time.Sleep(50 * time.Microsecond)
		}
	})
	l, next := newTestLoop(t, func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := open(ctx, network, address)
		if err == nil {
			err = conn.(*net.TCPConn).SetWriteBuffer(16 << 10)
		}
		return conn, err
	})
	defer l.finish()
	post := next()
	spec := RequestSpec{Method: "POST", Path: "/", Body: strings.Repeat("x", size)}
	post.spec, post.target = &spec, spec.target("shop")
	partly := false
	r := l.carry(t, post, func() { partly = partly || l.open() == 1 && len(l.conns.table[0].unwritten) > 0 })
	if r.Status != 200 || !r.Expected || r.Gen != 7 || l.open() != 1 {
		t.Errorf("%+v, %d connections are kept", r, l.open())
	}
	if !partly {
		t.Error("all of the request was written at once: nothing is shown")
	}
}

func TestAnswersThatComeBeforeTheRequestIsWritten(t *testing.T) {
	var connections atomic.Int64
	l, next := newTestLoop(t, listen(t, func(conn net.Conn) {
		connections.Add(1)
		_, _ = io.ReadFull(conn, make([]byte, 1<<10))
		_, _ = io.WriteString(conn, "HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n")
	}))
	defer l.finish()
	post := next()
	spec := RequestSpec{Method: "POST", Path: "/", Body: strings.Repeat("x", 16<<20)}
	post.spec, post.target = &spec, spec.target("shop")
	if r := l.carry(t, post); r.Status != 413 || r.Err != "" || l.open() != 0 {
		t.Errorf("%+v, %d connections are kept", r, l.open())
	}
}

func TestIDsInBodies(t *testing.T) {
	dial := serve(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if want := fmt.Sprintf(`{"order":"%[1]s","again":"%[1]s"}`, r.Header.Get(requestIDHeader)); string(body) != want {
			t.Errorf("body %q, want %q", body, want)
		}
	})
	sink := attack(t, dial, func(a *Attack) {
		a.Spec.Requests = []RequestSpec{{Method: "POST", Path: "/", Body: `{"order":"{{.ID}}","again":"{{.ID}}"}`}}
	})
	sink.each(t, "good", func(r history.Request) bool { return r.Expected })
}

func TestVersionsInBodies(t *testing.T) {
	dial := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = fmt.Fprintf(w, `{"pad":%q,"build":{"version":"v2"}}`, strings.Repeat("x", 20_000))
	})
	versions := &Versions{}
	versions.Learn("v2", history.Candidate)
	sink := attack(t, dial, func(a *Attack) {
		a.Attribution = &Attribution{Source: VersionSource{JSON: "build.version"}, Versions: versions}
	})
	sink.each(t, "attributed", func(r history.Request) bool {
		return r.Expected && r.Version == history.Candidate && r.Attributed == "json" && r.Body == ""
	})
}

func TestConnectionsWithoutADescriptor(t *testing.T) {
	sink := attack(t, func(context.Context, string, string) (net.Conn, error) {
		one, _ := net.Pipe()
		return one, nil
	}, nil)
	sink.each(t, "refused with a reason", func(r history.Request) bool {
		return !r.Sent.Happened() && strings.Contains(r.Err, "has no descriptor")
	})
}

func TestHeadersThatCannotBeSent(t *testing.T) {
	sink := attack(t, serve(t, nothing), func(a *Attack) {
		a.Spec.Requests = []RequestSpec{{Path: "/", Headers: map[string]string{"A": "b\nc"}}}
	})
	sink.each(t, "unsent", func(r history.Request) bool {
		return !r.Sent.Happened() && r.Err == `header "A" cannot be sent`
	})
}

// stubborn is a sink that takes nothing until it is told to.
type stubborn struct {
	*memory
	until <-chan struct{}
}

func (s *stubborn) Request(r history.Request) {
	<-s.until
	s.memory.Request(r)
}

func TestSinksThatStandStillHoldNothingUp(t *testing.T) {
	enough := make(chan struct{})
	var came atomic.Int64
	dial := serve(t, func(http.ResponseWriter, *http.Request) {
		if came.Add(1) == 15 {
			close(enough)
		}
	})
	attack(t, dial, func(a *Attack) { a.Sink = &stubborn{a.Sink.(*memory), enough} }) // or it never ends
}

// newTestLoop is a loop whose notes nobody reads, and its arrivals.
func newTestLoop(t testing.TB, dial Dialer) (*loop, func() arrival) {
	t.Helper()
	spec := valid().WithDefaults()
	spec.Timeout = history.Duration(time.Minute)
	notes := &inbox{news: make(chan struct{}, 1)}
	a := &Attack{RunID: "run", Dial: dial, Clock: history.NewClock()}
	made, err := newLoop(a, spec, notes)
	if err != nil {
		t.Fatal(err)
	}
	stop := make(chan struct{})
	t.Cleanup(func() { close(stop) })
	go func() {
		var b batch
		for {
			select {
			case <-notes.news:
				notes.empty(&b)
			case <-stop:
				return
			}
		}
	}()
	plan := (&Attack{Host: "shop", Seed: 1}).newPlan(spec)
	return made.(*loop), func() arrival {
		next, err := plan.next()
		if err != nil {
			t.Fatal(err)
		}
		return next
	}
}

// echo answers each piece that comes as a request, and allocates nothing for it.
func echo(conn net.Conn) {
	buffer, answer := make([]byte, 4096), []byte("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-Version: v1\r\n\r\nok")
	for {
		if _, err := conn.Read(buffer); err != nil {
			return
		}
		if _, err := conn.Write(answer); err != nil {
			return
		}
	}
}

func TestNothingIsAllocatedForARequest(t *testing.T) {
	l, next := newTestLoop(t, listen(t, echo))
	defer l.finish()
	l.version = "x-version"
	one := func() {
		l.send(next(), micros(l.now()))
		for l.underway > 0 {
			now := l.now()
			l.turn(now, now+time.Millisecond)
		}
	}
	for range 2000 { // until buffers have their sizes
		one()
	}
	if n := testing.AllocsPerRun(1000, one); n > 0.1 { // others allocate, too: less than one in ten
		t.Errorf("%.3f allocations for a request", n)
	}
	// CONTROL: one that allocates is found out.
	if n := testing.AllocsPerRun(1000, func() { one(); l.id = nil }); n < 0.9 {
		t.Errorf("%.3f allocations, where there is one for sure", n)
	}
}

// TestAnswersDoNotDelayArrivals has the loop wait for instants while there is always
// more to read than it can.
func TestAnswersDoNotDelayArrivals(t *testing.T) {
	l, next := newTestLoop(t, listen(t, func(conn net.Conn) {
		_, _ = http.ReadRequest(bufio.NewReader(conn))
		_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 999999999999\r\n\r\n")
		flood := make([]byte, 256<<10)
		for {
			if _, err := conn.Write(flood); err != nil {
				return
			}
		}
	}))
	defer l.finish()
	for range 64 {
		l.send(next(), micros(l.now()))
	}
	l.wait(t.Context(), time.Now().Add(300*time.Millisecond))
	lateness := func(wait func(time.Time)) time.Duration {
		late := make([]time.Duration, 100)
		for i := range late {
			at := time.Now().Add(700 * time.Microsecond)
			wait(at)
			late[i] = time.Since(at)
		}
		slices.Sort(late)
		return late[len(late)/2]
	}
	ours := lateness(func(at time.Time) { l.wait(t.Context(), at) })
	// CONTROL: one that reads all that is ready before it looks at the clock is late.
	greedy := lateness(func(at time.Time) {
		for time.Now().Before(at) {
			l.poller.wait(0)
			for event, ok := l.poller.next(); ok; event, ok = l.poller.next() {
				l.take(&event)
			}
		}
	})
	t.Logf("median lateness %s; of one that reads all there is %s", ours, greedy)
	if ours > 100*time.Microsecond || greedy < 2*ours {
		t.Errorf("median lateness %s, want 100 µs at most; of one that reads all there is %s, want more than twice that", ours, greedy)
	}
	for e := l.pending.first(); e != nil; e = l.pending.first() { // it would never end
		l.giveUp(e)
	}
}

func TestPollerOfOldKernels(t *testing.T) {
	p, err := newPoller()
	if err != nil {
		t.Fatal(err)
	}
	defer p.close()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	if err := p.add(int(r.Fd()), 5, 6); err != nil {
		t.Fatal(err)
	}
	for _, p.coarse = range []bool{false, true} {
		began := time.Now()
		p.wait(3500 * time.Microsecond)
		if _, ok := p.next(); ok || time.Since(began) < 3*time.Millisecond {
			t.Errorf("coarse %t: waited %s for nothing", p.coarse, time.Since(began))
		}
	}
	_, _ = w.Write([]byte("x"))
	for _, p.coarse = range []bool{false, true} {
		for _, d := range []time.Duration{0, 100 * time.Microsecond, time.Minute} {
			p.wait(d)
			if event, ok := p.next(); !ok || event.Fd != 5 || event.Pad != 6 {
				t.Errorf("coarse %t, %s: event %+v, %t", p.coarse, d, event, ok)
			}
		}
	}
}

// processorTime is what this process has used.
func processorTime(b *testing.B) time.Duration {
	b.Helper()
	var used unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &used); err != nil {
		b.Fatal(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

// BenchmarkLoop carries requests to a minimal server in this process, 64 at once. The
// processor's time is the server's, too.
func BenchmarkLoop(b *testing.B) {
	const atOnce = 64
	defer makeRoom()()
	report := func(b *testing.B, before time.Duration) {
		b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "requests/s")
		b.ReportMetric(float64(processorTime(b)-before)/float64(b.N), "cpu-ns/op")
	}
	b.Run("loop", func(b *testing.B) {
		l, next := newTestLoop(b, listen(b, echo))
		defer l.finish()
		b.ReportAllocs()
		before := processorTime(b)
		b.ResetTimer()
		for range b.N {
			for l.underway == atOnce {
				now := l.now()
				l.turn(now, now+time.Millisecond)
			}
			l.send(next(), micros(l.now()))
		}
		for l.underway > 0 {
			now := l.now()
			l.turn(now, now+time.Millisecond)
		}
		report(b, before)
	})
	b.Run("net-http", func(b *testing.B) {
		l, next := newTestLoop(b, nil)
		defer l.finish()
		spec := l.spec
		spec.Connections = atOnce
		c := newClient(spec, listen(b, echo), history.NewClock())
		defer c.transport.CloseIdleConnections()
		b.ReportAllocs()
		before := processorTime(b)
		b.ResetTimer()
		var underway sync.WaitGroup
		slots := make(chan struct{}, atOnce)
		for range b.N {
			slots <- struct{}{}
			a := next()
			underway.Go(func() {
				var r history.Request
				ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
				c.do(ctx, &a.target, a.spec.Expect, &r)
				cancel()
				<-slots
			})
		}
		underway.Wait()
		report(b, before)
	})
}
