package faults

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/cutover-dev/cutover/apiproxy"
	"github.com/cutover-dev/cutover/history"
	"github.com/cutover-dev/cutover/safety"
)

// Kinds of our own, for what Chaos Mesh has no kind for. They damage nothing in the
// cluster: cutover itself does them, and nobody need serve them.
const (
	KindProcedure = "ProcedureChaos" // the procedure's own process
	KindRequest   = "RequestChaos"   // one request to the API server on its way
)

// Targets of the kinds of our own.
const (
	TargetProcedure = "procedure"
	TargetAPIServer = "apiserver"
)

// ownTargets says what each kind of our own is on.
var ownTargets = map[string]string{KindProcedure: TargetProcedure, KindRequest: TargetAPIServer}

// own are the faults of those kinds, by kind and action.
var own = map[string]parser{}

func registerOwn(kind, action string, parse parser) struct{} {
	key := keyOf(kind, action)
	if _, twice := own[key]; twice {
		panic("faults: two faults are registered as " + key)
	}
	own[key] = parse
	return struct{}{}
}

// IsOwn reports whether cutover itself does faults of the kind.
func IsOwn(kind string) bool { return ownTargets[kind] != "" }

// parseOwn reads a spec of a kind of our own.
func parseOwn(spec Spec) (Fault, error) {
	action, err := actionOf(spec)
	if err != nil {
		return nil, err
	}
	kind := spec.Chaos.Kind
	parse, built := own[keyOf(kind, action)]
	if !built {
		return nil, fmt.Errorf("chaos.spec.action: a %s has no action %q; known are %s", kind, action, list(slices.Sorted(maps.Keys(own))))
	}
	if spec.Target != ownTargets[kind] {
		return nil, fmt.Errorf("target: a %s is on the %s: write target: %s", kind, ownTargets[kind], ownTargets[kind])
	}
	return parse(spec)
}

// readOwn reads the spec of a kind of our own, which has these keys.
func readOwn(spec Spec, into any, keys ...string) error {
	if err := checkKeys("chaos.spec", spec.Chaos.Spec, into, keys); err != nil {
		return err
	}
	if err := json.Unmarshal(spec.Chaos.Spec, into); err != nil {
		return fmt.Errorf("chaos.spec: %w", err)
	}
	return nil
}

// doing is a fault that happens at once, where this process can see that it does.
type doing struct {
	kind, action, name string
	// do does it and says what was seen. The undo may be nil.
	do func(context.Context, Target) (seen string, undo safety.Undo, err error)

	seen string
}

var _ Fault = (*doing)(nil)

func (d *doing) Name() string   { return d.name }
func (d *doing) Kind() string   { return d.kind }
func (d *doing) Action() string { return d.action }
func (d *doing) OneShot() bool  { return true }

// Lasting implements Fault.
func (d *doing) Lasting() time.Duration { return 0 }

// Inject implements Fault.
func (d *doing) Inject(ctx context.Context, t Target) (safety.Undo, error) {
	seen, undo, err := d.do(ctx, t)
	if undo == nil {
		undo = nothing
	}
	if err != nil {
		return undo, fmt.Errorf("%s: %w", d.name, err)
	}
	d.seen = seen
	if t.Emit != nil {
		t.Emit(history.FaultApplied{Fault: t.Fault, Driver: string(Cutover)})
	}
	return undo, nil
}

// Prove implements Fault: whoever did it saw it.
func (d *doing) Prove(context.Context) (Effect, error) {
	return Effect{Proven: d.seen != "", Because: d.seen}, nil
}

// Stoppable is a release whose own process can be stopped.
type Stoppable interface {
	Kill() error                         // as it stands
	Interrupt(grace time.Duration) error // and kill it if it has not ended after the grace
}

// ruling is a fault that is a ruling on the request that it is pinned to.
func ruling(action, name, seen string, rule func() (apiproxy.Ruling, safety.Undo)) Fault {
	return &doing{kind: KindRequest, action: action, name: name, do: func(_ context.Context, t Target) (string, safety.Undo, error) {
		if t.Rule == nil {
			return "", nil, fmt.Errorf("it is pinned to no request")
		}
		r, undo := rule()
		t.Rule(r)
		return seen, undo, nil
	}}
}

// onRequest refuses a spec that is pinned to anything else than to before a request.
func onRequest(spec Spec) error {
	if spec.At.Request == nil {
		return fmt.Errorf("at: a %s is on one request: write, for example, at: {request: {verb: patch, kind: Service}}", KindRequest)
	}
	if spec.At.When == "after" {
		return fmt.Errorf("at.when: after its answer a request can no longer be held, delayed or refused: write before, or leave it out")
	}
	return nil
}
