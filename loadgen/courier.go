package loadgen

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/cutover-dev/cutover/history"
)

// courier takes requests to the service, each at its instant, and hands in notes of what
// becomes of them: one when it begins and one when it ends, or a single one if it was
// turned away. One goroutine calls it, which has its thread to itself.
type courier interface {
	// wait returns at the instant, or at once if it is over; false if ctx was done first.
	wait(ctx context.Context, at time.Time) bool
	// send begins a request and waits for nothing. The end of the load does not end it.
	send(next arrival, intended history.Micros)
	// asker is who asks for the mirror, from the same goroutine.
	asker(m *mirror) (asker, error)
	// finish returns when nothing is under way any more, which takes no longer than the
	// timeout of one request.
	finish()
}

// newCourier chooses who carries the requests of a load. Notes go to the inbox.
func newCourier(a *Attack, spec Spec, notes *inbox) (courier, error) {
	// The requests of a targeter need not be alike, nor go to one address.
	if hasLoop && spec.Protocol == HTTP1 && a.Targeter == nil {
		return newLoop(a, spec, notes)
	}
	return newGoroutines(a, spec, notes), nil
}

// goroutines carry each request on one of their own, by package net/http.
type goroutines struct {
	attack   *Attack
	spec     Spec
	client   *client
	slots    chan struct{} // one for each request that may be out at once
	notes    *inbox
	asks     *goroutineAsks // nil if nothing is compared
	underway sync.WaitGroup
}

func newGoroutines(a *Attack, spec Spec, notes *inbox) *goroutines {
	return &goroutines{
		attack: a, spec: spec, client: newClient(spec, a.Dial, a.Clock),
		slots: make(chan struct{}, spec.Connections), notes: notes,
	}
}

func (g *goroutines) wait(ctx context.Context, at time.Time) bool { return waitUntil(ctx, at) }

func (g *goroutines) send(next arrival, intended history.Micros) {
	next.identify(g.attack.RunID, g.spec.Replay == nil) // what was recorded is sent as it was
	select {
	case g.slots <- struct{}{}:
		g.underway.Go(func() { g.carry(next, intended) })
	default:
		r := newRecord(next.spec, next.spec.Name(), next.seq, intended)
		r.Done, r.Err = intended, allInUse(g.spec)
		g.notes.put(note{kind: turnedAway, released: g.attack.Clock.Now(), request: r, spec: next.spec})
	}
}

// carry is the life of one request.
func (g *goroutines) carry(next arrival, intended history.Micros) {
	r := newRecord(next.spec, next.spec.Name(), next.seq, intended)
	g.notes.put(note{kind: begins, released: g.attack.Clock.Now(), request: r, spec: next.spec})

	// The load outlives no request: the timeout alone ends it.
	ctx, cancel := context.WithDeadline(context.Background(), g.attack.Clock.Time(intended.After(g.spec.Timeout.D())))
	r.ID = next.id
	got := g.client.do(ctx, &next.target, next.spec.Expect, &r)
	cancel()
	<-g.slots

	told := ""
	if at := g.attack.Attribution; at != nil {
		told = at.Source.value(got)
	}
	g.notes.put(note{kind: ends, request: r, spec: next.spec, told: told})
}

func (g *goroutines) finish() {
	g.underway.Wait()
	g.client.transport.CloseIdleConnections()
	if g.asks != nil {
		g.asks.finish()
	}
}

// newRecord is a request of which nothing is known yet.
func newRecord(spec *RequestSpec, name string, seq int64, intended history.Micros) history.Request {
	return history.Request{
		Seq: seq, Name: name, Write: spec.Write,
		Intended: intended, Sent: history.Never, Done: history.Never,
	}
}

// allInUse is why an arrival is not sent for which there is no connection. It is bad at once.
func allInUse(spec Spec) string {
	return fmt.Sprintf("not sent: all %d connections were in use", spec.Connections)
}
