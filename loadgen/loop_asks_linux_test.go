package loadgen

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cutover-dev/cutover/history"
)

// pod answers requests when it is told to, one for each time.
func pod(t *testing.T, tell <-chan struct{}) Dialer {
	t.Helper()
	return listen(t, func(conn net.Conn) {
		buffer := make([]byte, 4096)
		for {
			if _, err := conn.Read(buffer); err != nil {
				return
			}
			<-tell
			if _, err := conn.Write([]byte(noContent)); err != nil {
				return
			}
		}
	})
}

// comparing is a loop and the mirror of all that is offered to it, whose pods are named
// and dialled by name.
func comparing(t *testing.T, users Dialer, dial Dialer) (*loop, *mirror, func() arrival) {
	t.Helper()
	l, next := newTestLoop(t, users)
	l.spec.Diff = &DiffSpec{Share: 1}
	m, err := newMirror(&Attack{RunID: "run", Direct: &Direct{Dial: dial}}, l.spec, l)
	if err != nil {
		t.Fatal(err)
	}
	m.pods.Store(&pods{baseline: []string{"one", "two"}, candidate: []string{"three"}})
	t.Cleanup(func() { close(m.came) })
	go m.compareAll()
	return l, m, next
}

// An ask takes its turn when nobody awaits an answer, neither a user nor another ask.
func TestAsksGoIntoTheGaps(t *testing.T) {
	users, pods := make(chan struct{}, 10), make(chan struct{}, 10)
	l, m, next := comparing(t, pod(t, users), pod(t, pods))
	defer l.finish()
	defer close(pods)
	a := l.asks

	l.send(next(), micros(l.now()))
	m.offer(next())
	m.offer(next())
	offered := l.now()
	// Either is patient while the user is: what is to be seen is that it was not sent before.
	l.turnUntil(t, "sent", func() bool { return a.underway > 0 })
	if waited := l.now() - offered; l.underway == 0 || waited < patience {
		t.Errorf("an ask was sent after %s, while %d users awaited an answer", waited, l.underway)
	}
	l.turnUntil(t, "sent", func() bool { return a.underway == 2 })

	users <- struct{}{}
	pods <- struct{}{}
	pods <- struct{}{}
	l.turnUntil(t, "answered", func() bool { return l.underway == 0 && a.underway == 0 })
	// Now nobody awaits anything: one of the two goes at once, and the other when that is answered.
	for from := l.now(); l.now()-from < patience/2; {
		l.turn(l.now(), l.now()+time.Millisecond)
	}
	if a.underway != 1 || len(a.queue) != 1 {
		t.Errorf("%d asks are under way and %d wait, want one of each", a.underway, len(a.queue))
	}
	pods <- struct{}{}
	l.turnUntil(t, "answered", func() bool { return a.queue[0].came == 1 || a.queue[0].came == 2 })
}

// Whatever has come for comparing, what came for users is taken after one step at most.
func TestUsersComeBeforeAsks(t *testing.T) {
	users, pods := make(chan struct{}, 1), make(chan struct{}, 10)
	l, m, next := comparing(t, pod(t, users), pod(t, pods))
	defer l.finish()
	defer close(pods)
	l.send(next(), micros(l.now()))
	for range 5 {
		m.offer(next())
	}
	l.turnUntil(t, "sent", func() bool { return l.asks.open() == 5 && !l.asks.waits() })
	for range 5 {
		pods <- struct{}{}
	}
	for end := time.Now().Add(time.Minute); len(l.asks.poller.ready) < 5; l.asks.poll(l.now(), time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the pods do not answer")
		}
	}
	users <- struct{}{}
	for silent(l.conns.table[0].fd) {
	}
	for range 3 { // a step for comparing, perhaps the event that says that there are such, and the user's
		l.turn(l.now(), l.now()+time.Second)
	}
	if l.underway > 0 || len(l.asks.poller.ready) < 3 {
		t.Errorf("a user still waits: %t; of five answers that are compared, %d are not taken yet", l.underway > 0, len(l.asks.poller.ready))
	}
}

// A connection goes to nobody but who wants to go where it leads, however late it comes.
func TestConnectionsLeadWhereTheyWereDialledTo(t *testing.T) {
	opened := map[string]chan struct{}{"one": make(chan struct{}), "two": make(chan struct{})}
	tell := make(chan struct{})
	close(tell)
	answering := pod(t, tell)
	ended := map[*place]string{}
	x, err := newExchanges(exchangesSpec{
		zero: time.Now(), prefix: "run-", connections: 10, timeout: time.Minute,
		dial: func(ctx context.Context, network, address string) (net.Conn, error) {
			<-opened[address]
			return answering(ctx, network, address)
		},
		ended: func(e *exchange, why string) { ended[e.to] = why },
	})
	if err != nil {
		t.Fatal(err)
	}
	defer x.close()
	spec := valid().WithDefaults().Requests[0]
	w, err := newWire(&spec, spec.target("shop"), true, true)
	if err != nil {
		t.Fatal(err)
	}
	one, two := x.place("one"), x.place("two")
	until := func(what string, holds func() bool) {
		t.Helper()
		for end := time.Now().Add(time.Minute); !holds(); {
			if time.Now().After(end) {
				t.Fatalf("not %s within a minute", what)
			}
			if _, done := x.step(x.now()); !done {
				x.poll(x.now(), time.Millisecond)
			}
		}
	}
	first := x.begin(w, one, 7, 0, time.Hour)
	x.dispatch(first)
	x.giveUp(first)
	second := x.begin(w, two, 7, 0, time.Hour) // of the same arrival, and in the same place of memory
	if second != first {
		t.Fatal("an exchange that is over was not used again: the test shows nothing")
	}
	x.dispatch(second)
	close(opened["one"])
	until("open", func() bool { return one.open == 1 })
	if second.conn != nil || one.idle.first() == nil {
		t.Error("a connection to one place is used for another")
	}
	close(opened["two"])
	until("answered", func() bool { return x.underway == 0 })
	if ended[one] != "timeout" || ended[two] != "" || two.open != 1 {
		t.Errorf("ended with %v, and %d connections to the second", ended, two.open)
	}
}

// The first whose time is over is the first to be given up, in whatever order they began.
func TestDeadlinesAreInOrder(t *testing.T) {
	x, err := newExchanges(exchangesSpec{zero: time.Now(), ended: func(*exchange, string) {}})
	if err != nil {
		t.Fatal(err)
	}
	defer x.close()
	want := []time.Duration{1, 2, 2, 3, 4, 5}
	for _, deadline := range []time.Duration{3, 5, 2, 1, 4, 2} {
		x.begin(nil, nil, 0, 0, deadline)
	}
	var got []time.Duration
	for e := x.pending.first(); e != nil; e = x.pending.first() {
		got = append(got, e.deadline)
		x.end(e, "timeout")
	}
	if !slices.Equal(got, want) {
		t.Errorf("they end in the order %v, want %v", got, want)
	}
}

// Answers that are too large to be taken apart are compared as a whole, whichever way they come.
func TestMirrorOfLargeAnswers(t *testing.T) {
	for _, told := range []bool{true, false} {
		s := newShops()
		answer := func(last string) http.HandlerFunc {
			body := strings.Repeat("x", parsedBody) + last
			return func(w http.ResponseWriter, _ *http.Request) {
				if told {
					w.Header().Set("Content-Length", fmt.Sprint(len(body)))
				}
				_, _ = w.Write([]byte(body))
			}
		}
		s.open(t, history.Baseline, answer("a"))
		s.open(t, history.Baseline, answer("a"))
		s.open(t, history.Candidate, answer("b"))
		_, d := diffing(t, s, func(a *Attack) { a.Spec.Timeout = history.Duration(10 * time.Second) })
		odd := ofTheCandidate(d)
		if d.Compared == 0 || d.Large != d.Compared || len(odd) != 1 || odd[0].Field != "body" || odd[0].Candidate != d.Compared {
			t.Errorf("length told: %t; %+v", told, d)
		}
	}
}
