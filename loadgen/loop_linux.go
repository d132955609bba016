package loadgen

import (
	"context"
	"strings"
	"time"

	"github.com/cutover-dev/cutover/history"
)

// hasLoop says that requests are carried by an event loop, as they can be on Linux.
const hasLoop = true

const (
	// guard is the time before an instant at which nothing else is begun: about what
	// reading an answer takes.
	guard = 5 * time.Microsecond
	// shortestNap is the shortest wait that is worth giving up the processor.
	shortestNap = 20 * time.Microsecond
	// handIn is how often notes are handed in while there is no long wait.
	handIn = time.Millisecond
	// maxWires bounds the kinds of requests that are kept as they are written.
	maxWires = 4096
	// maxInterned bounds the different versions of which the text is kept.
	maxInterned = 1000
)

// loop carries requests over HTTP/1.1 on a single thread. An arrival that is due goes
// first; answers are read one at a time between arrivals. So reading never delays a
// request by more than one read, and a late release is all that a lack of time can do.
type loop struct {
	*exchanges // of users
	spec       Spec
	fill       bool   // {{.ID}} stands for the id
	full       string // why an arrival is turned away
	notes      *inbox
	batch      batch // not yet handed in
	handedIn   time.Duration
	keepAll    bool // of bodies, also those of good answers
	interned   map[string]string
	wires      map[*RequestSpec]*wire
	asks       *loopAsks // nil if nothing is compared
}

func newLoop(a *Attack, spec Spec, notes *inbox) (courier, error) {
	l := &loop{
		spec: spec, fill: spec.Replay == nil, // what was recorded is sent as it was
		full: allInUse(spec), notes: notes,
		interned: map[string]string{}, wires: map[*RequestSpec]*wire{},
	}
	x := exchangesSpec{
		zero: a.Clock.Began(), prefix: a.RunID + "-", connections: spec.Connections, age: spec.ConnectionAge.D(),
		dial: a.Dial, timeout: spec.Timeout.D(), keep: sampleBody, ended: l.noteEnd,
	}
	if at := a.Attribution; at != nil {
		x.version = strings.ToLower(at.Source.Header)
		if at.Source.JSON != "" {
			x.keep, l.keepAll = keptBody, true
		}
	}
	var err error
	if l.exchanges, err = newExchanges(x); err != nil {
		return nil, err
	}
	return l, nil
}

// wait reads answers until the instant.
func (l *loop) wait(ctx context.Context, at time.Time) bool {
	until := at.Sub(l.zero)
	for {
		if ctx.Err() != nil {
			return false
		}
		now := l.now()
		if now >= until-guard {
			break
		}
		l.turn(now, until) //nolint:contextcheck // requests and their connections outlive the load
	}
	for l.now() < until {
	}
	return true
}

// finish reads answers until none is awaited, and closes everything.
func (l *loop) finish() {
	for l.underway > 0 || l.asks != nil && l.asks.goOn() {
		now := l.now()
		l.turn(now, now+longestNap)
	}
	for len(l.batch.notes) > 0 && !l.handIn(l.now()) {
		nap(handIn)
	}
	if l.asks != nil {
		l.asks.close()
	}
	l.close()
}

// turn does one thing, for users if there is one to be done, or else for comparing; or it
// waits until shortly before the next arrival.
func (l *loop) turn(now, until time.Duration) {
	rest, done := l.step(now)
	if done {
		return
	}
	if l.asks != nil {
		others, done := l.asks.step(now, l.underway)
		if done {
			l.poll(now, 0) // what has come for users goes first again
			return
		}
		rest = min(rest, others)
	}
	pause := min(until-spin-now, rest)
	if pause < shortestNap {
		pause = 0
	}
	if len(l.batch.notes) > 0 && (pause > handIn || now-l.handedIn > handIn) {
		if l.handIn(now) {
			return
		}
		pause = min(pause, handIn)
	}
	l.poll(now, pause)
}

// handIn hands in the notes, unless that would have to wait.
func (l *loop) handIn(now time.Duration) bool {
	l.handedIn = now
	return l.notes.swap(&l.batch)
}

func (l *loop) note(n note) { l.batch.notes = append(l.batch.notes, n) }

// send begins a request.
func (l *loop) send(next arrival, intended history.Micros) {
	released := l.now()
	w, err := l.wire(&next)
	if err != nil {
		r := newRecord(next.spec, next.spec.Name(), next.seq, intended)
		l.note(note{kind: begins, released: micros(released), request: r, spec: next.spec})
		r.Done, r.Err = micros(released), err.Error()
		l.note(note{kind: ends, request: r, spec: next.spec})
		return
	}
	r := newRecord(w.spec, w.name, next.seq, intended)
	if l.underway >= l.connections {
		r.Done, r.Err = intended, l.full
		l.note(note{kind: turnedAway, released: micros(released), request: r, spec: w.spec})
		return
	}
	l.note(note{kind: begins, released: micros(released), request: r, spec: w.spec})
	l.dispatch(l.begin(w, l.place(w.address), next.seq, intended, intended.Sub(0)+l.spec.Timeout.D()))
}

// wire is the request as it is written. The first of a kind lays it out.
func (l *loop) wire(next *arrival) (*wire, error) {
	if w, ok := l.wires[next.spec]; ok {
		return w, nil
	}
	w, err := newWire(next.spec, next.target, l.fill, *l.spec.KeepAlive)
	if err != nil {
		return nil, err
	}
	if len(l.wires) == maxWires {
		clear(l.wires)
	}
	l.wires[next.spec] = w
	return w, nil
}

// noteEnd notes what became of a request. why is empty if it was answered.
func (l *loop) noteEnd(e *exchange, why string) {
	r := newRecord(e.wire.spec, e.wire.name, e.seq, e.intended)
	r.Sent, r.Done = e.sent, micros(l.now())
	if r.Sent.Happened() {
		r.Attempts = 1
	}
	r.Status, r.Gen, r.Err = e.heard.status, e.heard.generation, why
	r.Expected = why == "" && e.wire.spec.Expect.met(r.Status)
	n := note{kind: ends, request: r, spec: e.wire.spec}
	if r.Status > 0 {
		n.told = l.intern(e.heard.version)
	}
	if l.keepAll || !r.Expected {
		n.body = l.batch.hold(e.heard.body)
	}
	l.note(n)
}

// intern is a text that is kept, so that the same again allocates nothing.
func (l *loop) intern(text []byte) string {
	if kept, ok := l.interned[string(text)]; ok {
		return kept
	}
	kept := string(text)
	if len(l.interned) < maxInterned {
		l.interned[kept] = kept
	}
	return kept
}
