package experiment

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/cutover-dev/cutover/faults"
	"github.com/cutover-dev/cutover/history"
	"github.com/cutover-dev/cutover/release"
	"github.com/cutover-dev/cutover/safety"
)

// injections are the faults of a run, each waiting for the instant it is pinned to.
type injections struct {
	run     *run
	planned []*pinned
	// underway counts injections that are being made and proven: a step does not
	// end before its faults have been.
	underway atomic.Int32
	waiting  sync.WaitGroup
	stopped  chan struct{} // closed to end offsets that have not come and injections that hang
}

// pinned is one fault of the scenario.
type pinned struct {
	index int
	spec  faults.Spec
	fault faults.Fault

	mu    sync.Mutex
	undo  safety.Undo
	fired bool

	onRequest
}

// Instants of a step that a fault can be pinned to.
const (
	whenBefore = "before" // held until the fault is proven
	whenBegin  = "begin"
	whenLive   = "live"
)

func newInjections(r *run) (*injections, error) {
	all := &injections{run: r, stopped: make(chan struct{})}
	for i, spec := range r.scenario.Faults {
		fault, err := faults.Parse(spec)
		if err != nil {
			return nil, fmt.Errorf("faults[%d]: %w", i, err)
		}
		all.planned = append(all.planned, &pinned{index: i, spec: spec, fault: fault})
	}
	return all, nil
}

// describe lists the faults for the plan.
func (all *injections) describe() []history.PlannedFault {
	described := []history.PlannedFault{}
	for _, p := range all.planned {
		when := p.spec.At.When
		switch {
		case p.spec.At.After != nil:
			when = "after " + p.spec.At.After.String()
		case p.spec.At.Event != "":
			when = "event " + p.spec.At.Event
		case p.spec.At.Request != nil:
			when = strings.TrimSpace(when + " " + p.spec.At.Request.String())
		case when == "":
			when = whenLive
		}
		by, _ := all.run.Platform.Serving.Of(p.fault) // by nobody: preflight says so
		described = append(described, history.PlannedFault{
			Name: p.fault.Name(), Kind: p.fault.Kind(), Step: pinnedTo(p.spec.At), When: when,
			For: history.Duration(p.fault.Lasting()), Target: p.spec.Target, OneShot: p.fault.OneShot(), Driver: string(by.Driver),
		})
	}
	return described
}

// before injects the faults pinned before a step and returns when they are proven.
func (all *injections) before(ctx context.Context, step string) {
	done := all.fire(ctx, step, whenBefore)
	select {
	case <-done:
	case <-ctx.Done():
	}
}

func (all *injections) begin(ctx context.Context, step string) { all.fire(ctx, step, whenBegin) }
func (all *injections) live(ctx context.Context, step string)  { all.fire(ctx, step, whenLive) }

// fire injects the faults pinned to an instant, and closes done when all of them
// are proven, or known not to be.
func (all *injections) fire(ctx context.Context, step, when string) (done <-chan struct{}) {
	return all.inject(ctx, func(at faults.At) bool {
		return pinnedTo(at) == step && (at.When == when || (at.When == "" && when == whenLive))
	})
}

// pinnedTo is the step that a fault is pinned to; "" if to none.
func pinnedTo(at faults.At) string {
	if at.Write > 0 {
		return release.StepOfWrite(at.Write)
	}
	return at.Step
}

// event injects the faults pinned to an event.
func (all *injections) event(ctx context.Context, name string) {
	all.inject(ctx, func(at faults.At) bool { return at.Event == name })
}

// after waits for the offsets of the faults pinned to one.
func (all *injections) after(ctx context.Context) {
	for _, p := range all.planned {
		if p.spec.At.After == nil {
			continue
		}
		all.waiting.Go(func() {
			timer := time.NewTimer(p.spec.At.After.D())
			defer timer.Stop()
			select {
			case <-timer.C:
				<-all.inject(ctx, func(at faults.At) bool { return at == p.spec.At })
			case <-ctx.Done():
			case <-all.stopped:
			}
		})
	}
}

func (all *injections) inject(ctx context.Context, wanted func(faults.At) bool) <-chan struct{} {
	var group sync.WaitGroup
	for _, p := range all.planned {
		if !wanted(p.spec.At) || !p.claim() {
			continue
		}
		all.underway.Add(1)
		all.waiting.Add(1)
		group.Go(func() {
			defer all.waiting.Done()
			defer all.underway.Add(-1)
			all.perform(ctx, p)
		})
	}
	done := make(chan struct{})
	go func() { group.Wait(); close(done) }()
	return done
}

// claim reports whether the fault is fired for the first time.
func (p *pinned) claim() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	first := !p.fired
	p.fired = true
	return first
}

// injectWithin bounds one injection and its proof.
const injectWithin = 20 * time.Second

// perform injects one fault and proves it. What goes wrong makes the fault
// unproven: whatever rests on it is then not judged. An injection outlives the step
// that fired it, and even the release.
func (all *injections) perform(ctx context.Context, p *pinned) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), injectWithin)
	defer cancel()
	go func() {
		select {
		case <-all.stopped:
			cancel()
		case <-ctx.Done():
		}
	}()
	target, err := all.run.target(p)
	if err == nil {
		var undo safety.Undo
		undo, err = p.fault.Inject(ctx, target)
		p.mu.Lock()
		p.undo = undo
		p.mu.Unlock()
	}
	var effect faults.Effect
	if err == nil {
		effect, err = p.fault.Prove(ctx)
	}
	if err != nil {
		effect = faults.Effect{Because: err.Error()}
	}
	all.run.tell(effect.Payload(p.index))
}

// settled reports whether no injection is under way.
func (all *injections) settled() bool { return all.underway.Load() == 0 }

// heal undoes every fault that was fired. What fails stays in the ledger.
func (all *injections) heal(ctx context.Context) {
	close(all.stopped)
	all.waiting.Wait()
	for _, p := range all.planned {
		p.mu.Lock()
		undo := p.undo
		p.mu.Unlock()
		if undo != nil && !lost(ctx) {
			_ = undo(ctx) // the ledger has told the record, and tries again
		}
	}
}

// target is what a fault of the scenario is injected into: the pods of the
// versions that it names, told by their template hash.
func (r *run) target(p *pinned) (faults.Target, error) {
	if faults.IsOwn(p.fault.Kind()) {
		return r.ownTarget(p), nil
	}
	versions := map[string][]history.Version{
		"baseline": {history.Baseline}, "candidate": {history.Candidate}, "both": {history.Baseline, history.Candidate},
	}[p.spec.Target]
	var hashes []string
	for _, version := range versions {
		if hash, known := r.pods.Hash(version); known {
			hashes = append(hashes, hash)
		}
	}
	if len(hashes) == 0 {
		return faults.Target{}, fmt.Errorf("the %s is not deployed at this point, so there is nothing to inject into: pin the fault to a later step", p.spec.Target)
	}
	target, err := r.targetOf(p, metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{
		{Key: r.scenario.App.HashLabel(), Operator: metav1.LabelSelectorOpIn, Values: hashes},
	}}, r.scenario.App.Ports["http"])
	if err != nil {
		return faults.Target{}, err
	}
	target.Emit = func(payload history.Payload) { r.tell(payload) }
	return target, nil
}

func (r *run) targetOf(p *pinned, selector metav1.LabelSelector, port int) (faults.Target, error) {
	by, err := r.Platform.Serving.Of(p.fault)
	if err != nil {
		return faults.Target{}, err
	}
	return faults.Target{
		Client: r.client, By: by, Namespace: r.namespace, RunID: r.id, Fault: p.index, Selector: selector, Port: port,
		Container: r.scenario.App.Service, Dial: r.Cluster.Dial, OnNodes: nodeRunner(r.Cluster),
		Ledger: r.ledger, Seed: r.Seed + int64(p.index),
	}, nil
}
