package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cutover-dev/cutover/bench/stalls"
	"github.com/cutover-dev/cutover/history"
	"github.com/cutover-dev/cutover/loadgen"
)

// The tools and the sink are this binary again.
func TestMain(m *testing.M) {
	roles["late sink"] = func(_ context.Context, in *os.File, out io.Writer) error {
		return serve(in, out, func() int64 { return stalls.Monotonic() + lateBy.Nanoseconds() })
	}
	if len(os.Args) == 2 && roles[os.Args[1]] != nil {
		if err := run(context.Background(), os.Args[1:]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// lateBy is the negative control: a sink that stamps this much late.
const lateBy = 10 * time.Hour

func newTestLab(t *testing.T, sink string) *lab {
	t.Helper()
	l, err := newLab(context.Background(), sink, stalls.NewSeen(), t.TempDir()) // it ends after the test
	if err != nil {
		t.Fatal(err)
	}
	l.shared = true // with all that else is tested now: the sink must not take a processor
	t.Cleanup(func() {
		if err := l.close(); err != nil {
			t.Error(err)
		}
	})
	return l
}

// Tool and sink look at one clock, and call a request by one number: each is read after it
// was sent and before it was answered. Bounds on lateness are for any machine, however busy.
func TestReadsStandBetweenSendingAndAnswer(t *testing.T) {
	l := newTestLab(t, "sink")
	for _, role := range []string{"ours", "vegeta"} {
		for _, poisson := range []bool{false, true} {
			j := job{Rate: 200, Poisson: poisson, Lasting: 500 * time.Millisecond, Timeout: time.Minute, Seed: 1}
			o, was, err := l.run(t.Context(), role, manner{Room: j.room()}, j)
			if err != nil {
				t.Fatal(err)
			}
			if len(was.Seq) == 0 || len(was.Seq) != len(o.Intended) {
				t.Fatalf("%s: of %d requests the sink read %d", role, len(o.Intended), len(was.Seq))
			}
			const whole = int64(time.Microsecond) // ours tells whole ones
			for i, seq := range was.Seq {
				if at := was.At[i]; at < o.Sent[seq]-whole || at > o.Done[seq]+whole || at < o.Intended[seq]-whole {
					t.Errorf("%s: number %d, intended at %d, sent at %d, was read at %d and answered by %d", role, seq, o.Intended[seq], o.Sent[seq], at, o.Done[seq])
				}
			}
			if r := join(len(o.Intended), o, was, stalls.NewSeen()); r.absent > 0 || len(r.fair) != len(o.Intended) {
				t.Errorf("%s: %d of %d never came", role, r.absent, len(o.Intended))
			}
			if role == "ours" {
				if s := account(0, o, was, false); s.wrong != 0 {
					t.Errorf("books of a good run: %s", s)
				}
			} else if s := vegetasAccount(0, o, was); s.wrong != 0 {
				t.Errorf("results of a good run: %s", s)
			}
			if off := rateOff(j.Rate, o.Intended); !poisson && off > 10 {
				t.Errorf("%s: the mean rate is %g ppm off", role, off)
			}
		}
	}
}

func TestLateStampsAreNoticed(t *testing.T) {
	for _, row := range []struct {
		sink string
		late bool
	}{{"sink", false}, {"late sink", true}} {
		l := newTestLab(t, row.sink)
		j := job{Rate: 200, Lasting: 500 * time.Millisecond, Timeout: time.Minute, Seed: 1}
		o, was, err := l.run(t.Context(), "ours", manner{Room: j.room()}, j)
		if err != nil {
			t.Fatal(err)
		}
		p50, ok := join(len(o.Intended), o, was, stalls.NewSeen()).quantile(0.5)
		if late := p50 >= lateBy/2; !ok || late != row.late {
			t.Errorf("%s: the median is %s late", row.sink, p50)
		}
	}
}

func TestJoin(t *testing.T) {
	const ms = int64(time.Millisecond)
	o := outcome{Intended: []int64{100 * ms, 200 * ms, 300 * ms, never}}
	was := seen{Seq: []int64{2, 0, 1, 0, 7}, At: []int64{301 * ms, 105 * ms, 202 * ms, 150 * ms, 400 * ms}}
	for _, row := range []struct {
		why     string
		planned int
		stalls  []stalls.Stall
		want    []time.Duration
		absent  int
		voided  int
	}{
		{"the first reading counts, in whatever order they come", 3, nil, []time.Duration{5 * time.Millisecond, 2 * time.Millisecond, time.Millisecond}, 0, 0},
		{"what was planned further on is not looked at", 1, nil, []time.Duration{5 * time.Millisecond}, 0, 0},
		{"one without a record, and one that was not even released, are lost", 5, nil, []time.Duration{5 * time.Millisecond, 2 * time.Millisecond, time.Millisecond, lost, lost}, 2, 0},
		{"a stall while one was on its way", 3, []stalls.Stall{{From: 201 * ms, To: 250 * ms}}, []time.Duration{5 * time.Millisecond, time.Millisecond}, 0, 1},
		{"what a stall held up is still on its way a little later", 3, []stalls.Stall{{From: 150 * ms, To: 195 * ms}}, []time.Duration{5 * time.Millisecond, time.Millisecond}, 0, 1},
		{"a stall between them", 3, []stalls.Stall{{From: 106 * ms, To: 189 * ms}}, []time.Duration{5 * time.Millisecond, 2 * time.Millisecond, time.Millisecond}, 0, 0},
	} {
		r := join(row.planned, o, was, stalls.NewSeen(row.stalls...))
		if !slices.Equal(r.fair, row.want) || r.absent != row.absent || r.voided != row.voided {
			t.Errorf("%s: %+v", row.why, r)
		}
	}
	late := join(1, outcome{Intended: []int64{0}}, seen{Seq: []int64{0}, At: []int64{50 * ms}}, stalls.NewSeen(stalls.Stall{From: 20 * ms, To: 30 * ms}))
	if late.voided > 0 {
		t.Error("a stall excuses what was late before it")
	}
	if _, ok := (release{fair: make([]time.Duration, 94), voided: 6}).quantile(0.99); ok {
		t.Error("6 of 100 were voided, and yet there is a figure")
	}
	if _, ok := (release{fair: make([]time.Duration, 95), voided: 5}).quantile(0.99); !ok {
		t.Error("5 of 100 were voided, and there is no figure")
	}
}

// right are the books of five requests: two were answered, one failed, one is pending and one
// was not sent.
func right() (outcome, seen) {
	return outcome{
			Intended: []int64{10, 20, 30, 40, 50}, Sent: []int64{11, 21, 31, 41, never}, Done: []int64{12, 22, 39, never, 50},
			Status: []int16{200, 503, 0, 0, 0}, Records: 5, Ended: history.LoadEnded{Planned: 5, Sent: 4, Unsent: 1},
		},
		seen{Seq: []int64{0, 1, 2}, At: []int64{11, 21, 31}}
}

func TestAccount(t *testing.T) {
	o, was := right()
	if s := account(5, o, was, false); s.wrong != 0 || s.planned != 5 || s.sent != 4 || s.unsent != 1 || s.answered != 2 || s.failed != 1 || s.pending != 1 || s.read != 3 {
		t.Errorf("books that are right: %s", s)
	}
	if s := account(5, o, seen{}, true); s.wrong != 0 {
		t.Errorf("a black hole reads nothing: %s", s)
	}
	for _, row := range []struct {
		why   string
		wrong func(*outcome, *seen)
	}{
		{"one was sent more than the books say", func(o *outcome, _ *seen) { o.Ended.Sent, o.Ended.Unsent = 3, 2 }},
		{"one has no record", func(o *outcome, _ *seen) { o.Intended[2] = never }},
		{"one was planned that nobody knows", func(o *outcome, _ *seen) { o.Ended.Planned, o.Ended.Unsent = 6, 2 }},
		{"one was due, and is left out", func(o *outcome, was *seen) {
			o.Intended, o.Sent, o.Done, o.Status = o.Intended[:4], o.Sent[:4], o.Done[:4], o.Status[:4]
			o.Records, o.Ended = 4, history.LoadEnded{Planned: 4, Sent: 4}
		}},
		{"one has two records", func(o *outcome, _ *seen) { o.Records++ }},
		{"one was sent twice", func(_ *outcome, was *seen) { was.Seq, was.At = append(was.Seq, 1), append(was.At, 25) }},
		{"one was sent, and told as not sent", func(_ *outcome, was *seen) { was.Seq, was.At = append(was.Seq, 4), append(was.At, 51) }},
		{"one was answered that nobody read", func(_ *outcome, was *seen) { was.Seq, was.At = was.Seq[1:], was.At[1:] }},
		{"one was read that was not planned", func(_ *outcome, was *seen) { was.Seq, was.At = append(was.Seq, 5), append(was.At, 61) }},
		{"one was answered before it was sent", func(o *outcome, _ *seen) { o.Done[0] = 10 }},
		{"one was answered without an end", func(o *outcome, _ *seen) { o.Done[0] = never }},
	} {
		o, was := right()
		row.wrong(&o, &was)
		if s := account(5, o, was, false); s.wrong == 0 || s.first == "" {
			t.Errorf("%s, and nothing is wrong: %s", row.why, s)
		}
	}
}

func TestRateOff(t *testing.T) {
	var even, fast []int64
	for i := range int64(1001) {
		even, fast = append(even, i*int64(time.Millisecond)), append(fast, i*999_998)
	}
	if off := rateOff(1000, even); off > 1e-3 {
		t.Errorf("an even load is %g ppm off", off)
	}
	if off := rateOff(1000, fast); off < 1.9 || off > 2.1 {
		t.Errorf("a load that is 2 ppm too fast is %g ppm off", off)
	}
	if off := rateOff(1000, even[:1]); off < 1 {
		t.Error("one request has a rate")
	}
}

// simulated are the waits of open-loop load on a server as the oracle has it.
func simulated(o oracle, periods int) (all latencies) {
	f := freeze{First: int64(o.every) / 2, For: o.stands, Every: o.every}
	gap, each, next := int64(1e9/o.arrivals), int64(0), int64(0)
	if o.rate > 0 {
		each = int64(1e9 / o.rate)
	}
	for at := gap; at <= int64(periods)*int64(o.every); at += gap {
		due := f.over(max(at, next))
		next = due + each
		all = append(all, time.Duration(due-at))
	}
	return all
}

func TestOracle(t *testing.T) {
	known := oracle{stands: time.Second, every: 10 * time.Second, arrivals: 1000}
	for q, want := range map[float64]time.Duration{0.5: 0, 0.95: 500 * time.Millisecond, 0.99: 900 * time.Millisecond, 0.999: 990 * time.Millisecond} {
		if got := known.quantile(q); (got - want).Abs() > time.Microsecond {
			t.Errorf("p%g is %s, want %s", 100*q, got, want)
		}
	}
	for _, rate := range []float64{0, 1250, 2000, 4000} {
		for _, stands := range []time.Duration{time.Second, 500 * time.Millisecond} {
			o := oracle{stands: stands, every: 10 * stands, arrivals: 1000, rate: rate}
			waits := simulated(o, 3)
			if off, at := o.off(waits.quantile); off > 1 {
				t.Errorf("%+v is %.2f times what is allowed off a simulation, at p%g", o, off, 100*at)
			}
			// The negative controls: one who sends no more than a few requests while the server
			// stands still, and one who takes it to catch up at once.
			stalled := 10 * 3
			closed := append(make(latencies, len(waits)-stalled), slices.Repeat(latencies{stands}, stalled)...)
			if off, _ := o.off(closed.quantile); off < 50 {
				t.Errorf("a closed loop is only %.2f times what is allowed off %+v", off, o)
			}
			if quick := (oracle{stands: stands, every: o.every, arrivals: 1000}); rate > 0 {
				if off, _ := quick.off(waits.quantile); off < 5 {
					t.Errorf("%+v passes for one that catches up at once: %.2f", o, off)
				}
			}
		}
	}
}

// The sink keeps to what the oracle says of it, by whatever clock it has.
func TestSinkFollowsTheOracle(t *testing.T) {
	for _, rate := range []int{0, 1500, paced} {
		o := oracle{stands: 500 * time.Millisecond, every: 4 * time.Second, arrivals: 1000, rate: float64(rate)}
		var now, came int64
		s := &sink{now: func() int64 { return now }, manner: manner{Freeze: freeze{First: o.every.Nanoseconds() / 2, For: o.stands, Every: o.every, Rate: rate}}}
		var waits latencies
		for gap := time.Millisecond.Nanoseconds(); now < 2*o.every.Nanoseconds(); now += gap / 20 {
			if now%gap == 0 {
				s.waiting = append(s.waiting, waiting{conn: &conn{}, at: now}) // nobody is there any more to be answered
				came++
			}
			s.release()
			for left := int64(len(s.waiting) - s.first); int64(len(waits)) < came-left; {
				waits = append(waits, time.Duration(now-int64(len(waits))*gap))
			}
		}
		if off, at := o.off(waits.quantile); off > 1 || int64(len(waits)) != came {
			t.Errorf("at %d answers a second the sink is %.2f times what is allowed off, at p%g; %d of %d were answered", rate, off, 100*at, len(waits), came)
		}
	}
}

func TestFreeze(t *testing.T) {
	f := freeze{First: 1000, For: 100, Every: 500}
	for _, row := range []struct{ now, over, ended int64 }{
		{900, 900, 0}, {1000, 1100, 1100}, {1099, 1100, 1100}, {1100, 1100, 1100}, {1499, 1499, 1100}, {1550, 1600, 1600}, {1601, 1601, 1600},
	} {
		if over, ended := f.over(row.now), f.ended(row.now); over != row.over || ended != row.ended {
			t.Errorf("at %d it is over at %d, and the last one ended at %d", row.now, over, ended)
		}
	}
	if (freeze{}).over(7) != 7 || (freeze{}).ended(7) != 0 {
		t.Error("a server that never stands still does")
	}
}

// The sink itself stands still: what comes meanwhile is answered when that is over, and no
// faster than it may. Ours tells so; bounds are for any machine.
func TestSinkStandsStill(t *testing.T) {
	l := newTestLab(t, "sink")
	j := job{Rate: 100, Lasting: time.Second, Timeout: time.Minute}
	m := from(manner{Freeze: freeze{For: 400 * time.Millisecond, Every: time.Second, Rate: 400}})
	o, was, err := l.run(t.Context(), "ours", m, j)
	if err != nil {
		t.Fatal(err)
	}
	waited, longest := 0, time.Duration(0)
	for _, latency := range told(o, len(o.Intended)) {
		longest = max(longest, latency)
		if latency > 100*time.Millisecond {
			waited++
		}
	}
	if waited == 0 || longest < 350*time.Millisecond || int(was.Requests) != len(o.Intended) {
		t.Errorf("of %d requests %d waited, the longest for %s", was.Requests, waited, longest)
	}
	if last := told(outcome{}, 1); last[0] != lost {
		t.Errorf("a request that was not sent took %s", last[0])
	}
}

// The other sink speaks HTTP/2 alone, and answers calls of gRPC as such.
func TestStreams(t *testing.T) {
	l := newTestLab(t, "streams")
	if _, err := l.be(manner{Room: 10}); err != nil {
		t.Fatal(err)
	}
	client := &http.Transport{Protocols: new(http.Protocols)}
	client.Protocols.SetUnencryptedHTTP2(true)
	defer client.CloseIdleConnections()
	for i, kind := range []string{"", "application/grpc"} {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, l.url(), strings.NewReader("\x00\x00\x00\x00\x00"))
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("X-Request-Id", fmt.Sprintf("bench-%d", i))
		request.Header.Set("Content-Type", kind)
		response, err := client.RoundTrip(request)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(response.Body)
		if err != nil || response.ProtoMajor != 2 || kind == "" && string(body) != "ok" || kind != "" && (len(body) != 5 || response.Trailer.Get("Grpc-Status") != "0") {
			t.Errorf("%s was answered %q over %s, and then %v (%v)", kind, body, response.Proto, response.Trailer, err)
		}
		response.Body.Close()
	}
	if was, err := l.be(manner{}); err != nil || !slices.Equal(was.Seq, []int64{0, 1}) || was.Requests != 2 || was.At[1] < was.At[0] {
		t.Errorf("%+v (%v)", was, err)
	}
}

// Over HTTP/2, too, a request is read after it was sent and before it was answered, and is in
// the books once.
func TestProtocols(t *testing.T) {
	l := newTestLab(t, "streams")
	for _, protocol := range []string{loadgen.H2C, loadgen.GRPC} {
		j := job{Rate: 200, Protocol: protocol, Lasting: 500 * time.Millisecond, Timeout: time.Minute, Seed: 1}
		o, was, err := l.run(t.Context(), "ours", manner{Room: j.room()}, j)
		if err != nil {
			t.Fatal(err)
		}
		if s := account(0, o, was, false); s.wrong != 0 || s.answered == 0 || s.failed > 0 {
			t.Errorf("%s: books of a good run: %s", protocol, s)
		}
		if r := join(len(o.Intended), o, ownStamps(o), stalls.NewSeen()); r.absent > 0 || len(r.fair) != len(o.Intended) {
			t.Errorf("%s: %d of %d were not sent", protocol, r.absent, len(o.Intended))
		}
	}
}

func TestBlackHole(t *testing.T) {
	l := newTestLab(t, "sink")
	j := job{Rate: 500, Lasting: time.Second, Timeout: time.Minute, Seed: 1, Count: true, Addresses: l.addresses}
	grown, o, held, err := l.blackHole(t.Context(), "ours", j)
	if err != nil {
		t.Fatal(err)
	}
	if s := account(0, o, seen{}, true); s.wrong != 0 || s.failed == 0 || held == 0 || o.Goroutines == 0 {
		t.Errorf("%d connections, %d goroutines: %s", held, o.Goroutines, s)
	}
	peer, _, peerHeld, err := l.blackHole(t.Context(), "vegeta", j)
	if err != nil {
		t.Fatal(err)
	}
	if peerHeld == 0 || peer <= 0 {
		t.Errorf("vegeta held %d connections and took %.1f MB; ours took %.1f MB", peerHeld, peer, grown)
	}
	// What was held is gone, and the sink answers again.
	if o, was, err := l.run(t.Context(), "ours", manner{Room: 100}, job{Rate: 100, Lasting: 200 * time.Millisecond, Timeout: time.Minute}); err != nil || int(was.Requests) != len(o.Intended) || was.Held != 0 {
		t.Errorf("afterwards %d of %d requests were read (%v)", was.Requests, len(o.Intended), err)
	}
}

func TestHighest(t *testing.T) {
	for _, limit := range []int{0, 999, 1000, 3333, 47_000, 64_000, 1 << 30} {
		asked := 0
		got, err := highest(1.1, func(rate int) (bool, error) { asked++; return rate <= limit, nil })
		switch {
		case err != nil || asked > 13:
			t.Errorf("%d looks for %d (%v)", asked, limit, err)
		case limit < lowest && got != 0, limit >= lowest && limit < most && (got > limit || float64(got)*1.1 < float64(limit)), limit > most && got < most/2:
			t.Errorf("%d was found for %d", got, limit)
		}
	}
	broken := errors.New("no sink")
	if _, err := highest(1.1, func(int) (bool, error) { return false, broken }); !errors.Is(err, broken) {
		t.Errorf("%v", err)
	}
}

func TestPacer(t *testing.T) {
	for _, j := range []job{{Rate: 1000, Lasting: time.Second}, {Rate: 1000, Lasting: time.Second, Poisson: true, Seed: 3}} {
		p := newPacer(j)
		if p.hits < 850 || p.hits > 1150 {
			t.Errorf("%d hits", p.hits)
		}
		for hit := range p.hits {
			if wait, stop := p.Pace(0, hit); stop || wait != p.due(hit) {
				t.Fatalf("hit %d is awaited for %s, and due after %s", hit, wait, p.due(hit))
			}
		}
		if _, stop := p.Pace(0, p.hits); !stop {
			t.Error("there is no last hit")
		}
		if _, stop := p.Pace(j.Lasting+2*time.Second, 0); !stop {
			t.Error("what is due is never given up")
		}
	}
}

func TestNumber(t *testing.T) {
	for _, row := range []struct {
		why, head string
		want      int64
		ok        bool
	}{
		{"ours", "GET / HTTP/1.1\r\nHost: sink\r\nX-Request-Id: bench-1234", 1234, true},
		{"in other letters", "GET / HTTP/1.1\r\nx-request-id: bench-0\r\nhost: sink", 0, true},
		{"vegeta's", "GET / HTTP/1.1\r\nX-Vegeta-Seq: 17\r\nHost: sink", 17, true},
		{"no number in it", "GET / HTTP/1.1\r\nX-Request-Id: bench-", 0, false},
		{"wrk and hey have none", "GET / HTTP/1.1\r\nHost: 127.0.0.1", 0, false},
		{"not in the path", "GET /X-Request-Id:7 HTTP/1.1", 0, false},
	} {
		if got, ok := number([]byte(row.head)); got != row.want || ok != row.ok {
			t.Errorf("%s: %d, %v", row.why, got, ok)
		}
	}
}

func FuzzNumber(f *testing.F) {
	f.Add("bench-", int64(7), "GET / HTTP/1.1")
	f.Fuzz(func(t *testing.T, run string, seq int64, before string) {
		if seq < 0 || strings.ContainsAny(run+before, "\r\n") || strings.Contains(before, ":") || run != "" && run[len(run)-1] >= '0' && run[len(run)-1] <= '9' {
			t.Skip()
		}
		if got, ok := number([]byte(before + "\r\nX-Request-Id: " + run + strconv.FormatInt(seq, 10))); !ok || got != seq {
			t.Errorf("%d, %v", got, ok)
		}
	})
}

func TestWhatOthersPrint(t *testing.T) {
	if rate, err := perSecond("Running 2s test\nRequests/sec:  81234.56\nTransfer/sec: 7MB\n"); err != nil || rate != 81234.56 {
		t.Errorf("%g (%v)", rate, err)
	}
	if _, err := perSecond("unable to connect"); err == nil {
		t.Error("nothing is a rate")
	}
	wrk, err := readWrk("Requests/sec: 5\nquantile\t50\t120\nquantile\t99.99\t500000.0\n")
	if err != nil || wrk(0.5) != 120*time.Microsecond || wrk(0.9999) != 500*time.Millisecond {
		t.Errorf("wrk's quantiles: %v", err)
	}
	hey, err := readHey("response-time,DNS+dialup,DNS\n0.0010,0.1,0\n0.5,0,0\n0.0020,0,0\n")
	if err != nil || hey(0.5) != 2*time.Millisecond || hey(0.9999) != 500*time.Millisecond {
		t.Errorf("hey's quantiles: %v", err)
	}
	for _, read := range []func(string) (func(float64) time.Duration, error){readWrk, readHey} {
		if _, err := read("unable to connect"); err == nil {
			t.Error("nothing has quantiles")
		}
	}
}

func TestMissingPeers(t *testing.T) {
	t.Setenv("PATH", "")
	l := &lab{peersAt: t.TempDir()}
	if _, _, err := l.find("wrk"); !errors.As(err, new(missing)) {
		t.Errorf("%v", err)
	}
	folder := l.peersAt + "/usr/bin"
	if err := errors.Join(os.MkdirAll(folder, 0o755), os.MkdirAll(l.peersAt+"/usr/lib/x86_64-linux-gnu", 0o755), os.WriteFile(folder+"/wrk", nil, 0o755)); err != nil {
		t.Fatal(err)
	}
	if path, libraries, err := l.find("wrk"); err != nil || path != folder+"/wrk" || libraries != l.peersAt+"/usr/lib/x86_64-linux-gnu" {
		t.Errorf("%s with %s (%v)", path, libraries, err)
	}
}
