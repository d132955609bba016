package faults

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/chaos-mesh/chaos-mesh/api/v1alpha1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/cutover-dev/cutover/apiproxy"
	"github.com/cutover-dev/cutover/history"
	"github.com/cutover-dev/cutover/safety"
)

// Fault is one injection of one kind of damage. It is good for one Inject: Parse
// the spec again for another.
type Fault interface {
	// Name is what people call it: "NetworkChaos delay 600ms".
	Name() string
	// Kind is Chaos Mesh's kind.
	Kind() string
	// Action is Chaos Mesh's action; "" of a kind that has none.
	Action() string
	// OneShot faults happen and are over; others last.
	OneShot() bool
	// Lasting is how long the fault lasts; 0 for a one-shot one.
	Lasting() time.Duration
	// Inject does the damage and returns when it is in effect: on all pods chosen,
	// and on one at least. The undo is never nil, also with an error.
	Inject(context.Context, Target) (safety.Undo, error)
	// Prove measures at the targets whether the damage is there. It may be called
	// again. An error means that nobody could measure.
	Prove(context.Context) (Effect, error)
}

// Target is what a fault is injected into, and all it needs for that.
type Target struct {
	Client    client.WithWatch
	By        Service // who does the damage; the agent where Chaos Mesh is not, if empty
	Namespace string
	RunID     string
	Fault     int                  // index into the plan's faults
	Object    string               // name of the chaos object; default cutover-<run>-<fault>
	Selector  metav1.LabelSelector // the target's pods
	Port      int                  // TCP port of the pods that is measured at
	Container string               // of the pods: what a fault of containers hits if its spec names none
	Dial      Dialer
	OnNodes   NodeRunner     // nil where nodes cannot be reached: what takes a look from there is not proven then
	Ledger    *safety.Ledger // its undoers have [Undoers]
	Seed      int64
	// Emit is told FaultApplied, FaultInjected for each pod, also those born while
	// the fault lasts, and FaultEnded for a lasting one. It may be nil.
	Emit func(history.Payload)
	// Procedure is the release's own process; nil of a built-in strategy.
	Procedure Stoppable
	// Rule says what becomes of the request that the fault is pinned to; nil if it is
	// pinned to none.
	Rule func(apiproxy.Ruling)
}

// Dialer opens a TCP connection to a pod's address, from inside the cluster's network.
type Dialer func(ctx context.Context, addr string) (net.Conn, error)

// NodeRunner runs the cutover program once in the network of every node and gives
// what each printed, by node.
type NodeRunner func(ctx context.Context, arguments ...string) (map[string]string, error)

// Effect is what was measured at the targets.
type Effect struct {
	Proven  bool
	Pods    []string       // on which it was seen
	Added   *time.Duration // smallest added round trip; nil if the kind adds none
	Because string
}

// Payload is the effect as it stands in the record.
func (e Effect) Payload(fault int) history.FaultProven {
	payload := history.FaultProven{Fault: fault, Proven: e.Proven, Pods: e.Pods, Because: e.Because}
	if e.Added != nil {
		ms := float64(e.Added.Microseconds()) / 1000
		payload.EffectMs = &ms
	}
	return payload
}

// parser makes a fault of a spec whose kind and action are its own.
type parser func(Spec) (Fault, error)

// registry maps "Kind action", or the kind alone if it has no actions, to what is
// built.
var registry = map[string]parser{}

// register adds a kind of fault; each calls it once, in its own file.
func register(kind, action string, parse parser) struct{} {
	key := keyOf(kind, action)
	if _, twice := registry[key]; twice {
		panic("faults: two faults are registered as " + key)
	}
	registry[key] = parse
	return struct{}{}
}

// keyOf a kind of fault is its name in tables and for people.
func keyOf(kind, action string) string { return strings.TrimSpace(kind + " " + action) }

// Supported lists what is built, as "Kind action".
func Supported() []string {
	var keys []string
	for key := range registry {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}

// Parse reads a spec strictly. What Chaos Mesh has and we have not is refused as
// not supported yet; what nobody has, as unknown.
func Parse(spec Spec) (Fault, error) {
	kind := spec.Chaos.Kind
	if IsOwn(kind) {
		return parseOwn(spec)
	}
	if spec.Target == TargetProcedure || spec.Target == TargetAPIServer {
		return nil, fmt.Errorf("target: a %s is on pods, and the %s is none: write candidate, baseline or both, or a kind of our own: %s",
			kind, spec.Target, list(slices.Sorted(maps.Keys(own))))
	}
	if _, known := v1alpha1.AllKindsIncludeScheduleAndWorkflow()[kind]; !known {
		return nil, fmt.Errorf("chaos.kind: unknown kind %q: Chaos Mesh knows %s; supported are %s",
			kind, list(chaosKinds()), list(Supported()))
	}
	if !slices.Contains(kinds(), kind) {
		return nil, fmt.Errorf("chaos.kind: %s is not supported yet: supported are %s", kind, list(Supported()))
	}
	if parse, whole := registry[kind]; whole { // a kind without actions
		return parse(spec)
	}
	var head struct {
		Action string `json:"action"`
	}
	if err := json.Unmarshal(spec.Chaos.Spec, &head); err != nil {
		return nil, fmt.Errorf("chaos.spec: %w: write Chaos Mesh's spec of a %s, such as {action: …}", err, kind)
	}
	parse, built := registry[keyOf(kind, head.Action)]
	switch {
	case head.Action == "":
		return nil, fmt.Errorf("chaos.spec.action is missing: supported are %s", list(Supported()))
	case !built && slices.Contains(knownActions[kind], head.Action):
		return nil, fmt.Errorf("chaos.spec.action: %s %s is not supported yet: supported are %s", kind, head.Action, list(Supported()))
	case !built:
		return nil, fmt.Errorf("chaos.spec.action: unknown action %q: a %s has %s; supported are %s",
			head.Action, kind, list(knownActions[kind]), list(Supported()))
	}
	return parse(spec)
}

// knownActions are those of Chaos Mesh, for telling a slip from what is not built.
var knownActions = map[string][]string{
	v1alpha1.KindNetworkChaos: {
		string(v1alpha1.NetemAction), string(v1alpha1.DelayAction), string(v1alpha1.LossAction), string(v1alpha1.DuplicateAction),
		string(v1alpha1.CorruptAction), string(v1alpha1.PartitionAction), string(v1alpha1.BandwidthAction),
	},
	v1alpha1.KindPodChaos: {
		string(v1alpha1.PodKillAction), string(v1alpha1.PodFailureAction), string(v1alpha1.ContainerKillAction),
	},
}

func chaosKinds() []string {
	var kinds []string
	for kind := range v1alpha1.AllKindsIncludeScheduleAndWorkflow() {
		kinds = append(kinds, kind)
	}
	slices.Sort(kinds)
	return kinds
}

func list(words []string) string { return strings.Join(words, ", ") }
