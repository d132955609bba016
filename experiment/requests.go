package experiment

import (
	"context"
	"sync"

	"github.com/cutover-dev/cutover/apiproxy"
	"github.com/cutover-dev/cutover/faults"
	"github.com/cutover-dev/cutover/history"
)

const whenAfter = "after" // answered, and the answer held until the fault is proven

// onRequest is what a fault that is pinned to a request knows of it.
type onRequest struct {
	counting sync.Mutex
	seen     int   // how many have matched
	number   int64 // of the one that it is pinned to; 0 before it came
	ruling   apiproxy.Ruling
}

// chooses counts a request, and reports whether it is the one.
func (p *pinned) chooses(r apiproxy.Request) bool {
	p.counting.Lock()
	defer p.counting.Unlock()
	want := p.spec.At.Request
	if want == nil || !want.Matches(r) {
		return false
	}
	p.seen++
	if p.seen != max(want.Nth, 1) {
		return false
	}
	p.number = r.Number
	return true
}

// chose reports whether a request was the one.
func (p *pinned) chose(r apiproxy.Request) bool {
	p.counting.Lock()
	defer p.counting.Unlock()
	return p.number == r.Number
}

var _ apiproxy.Interceptor = (*injections)(nil)

// Before implements apiproxy.Interceptor: it fires what is pinned to before a request.
func (all *injections) Before(ctx context.Context, r apiproxy.Request) (ruling apiproxy.Ruling) {
	for _, p := range all.planned {
		if p.chooses(r) && p.spec.At.When != whenAfter {
			all.await(ctx, p)
			ruling = ruling.With(p.ruling)
		}
	}
	return ruling
}

// After implements apiproxy.Interceptor: it fires what is pinned to after an answer.
func (all *injections) After(ctx context.Context, r apiproxy.Request, _ apiproxy.Response) {
	for _, p := range all.planned {
		if p.spec.At.Request != nil && p.spec.At.When == whenAfter && p.chose(r) {
			all.await(ctx, p)
		}
	}
}

// await injects the fault, and returns when it is proven or known not to be. It does
// not end with ctx, which may be that of a procedure that is just being killed.
func (all *injections) await(ctx context.Context, p *pinned) {
	<-all.inject(ctx, func(at faults.At) bool { return at == p.spec.At })
}

// own injects the faults of our own kinds that are pinned to an instant of a step, and
// returns when they are proven: what kills a procedure after a write comes before its
// answer.
func (all *injections) own(ctx context.Context, step, when string) {
	for _, p := range all.planned {
		if faults.IsOwn(p.fault.Kind()) && pinnedTo(p.spec.At) == step && p.spec.At.When == when {
			all.await(ctx, p)
		}
	}
}

// ownTarget is what a fault of a kind of our own is on.
func (r *run) ownTarget(p *pinned) faults.Target {
	target := faults.Target{Fault: p.index, RunID: r.id, Emit: func(payload history.Payload) { r.tell(payload) }}
	if procedure, can := r.strategy.(faults.Stoppable); can {
		target.Procedure = procedure
	}
	if p.spec.At.Request != nil {
		target.Rule = func(ruling apiproxy.Ruling) { p.ruling = ruling }
	}
	return target
}
