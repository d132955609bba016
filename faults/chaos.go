package faults

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/cutover-dev/cutover/safety"
)

// chaos is a fault that is a chaos object, and the evidence by which its damage is
// seen at a pod. Kinds of faults differ in these two and in how they are parsed.
type chaos struct {
	name, kind, action string
	lasting            time.Duration                                     // 0 of a one-shot one
	object             func(lasting time.Duration, t Target) chaosObject // a fresh one that lasts so long
	evidence           evidence

	injection *injection
}

var _ Fault = (*chaos)(nil)

// evidence is how a kind of damage shows, by our own measurement. Both may be called
// side by side, for pods that were born at different times.
type evidence interface {
	// before notes what pods are like without the fault.
	before(context.Context, Target, []corev1.Pod) error
	// during measures what was hit. An error means that nobody could measure.
	during(context.Context, Target, []hit) (Effect, error)
}

func (f *chaos) Name() string           { return f.name }
func (f *chaos) Kind() string           { return f.kind }
func (f *chaos) Action() string         { return f.action }
func (f *chaos) OneShot() bool          { return f.lasting == 0 }
func (f *chaos) Lasting() time.Duration { return f.lasting }

var errInjectedTwice = errors.New("this fault has been injected before: parse its spec again for another injection")

func nothing(context.Context) error { return nil }

// Inject implements Fault.
func (f *chaos) Inject(ctx context.Context, t Target) (safety.Undo, error) {
	if f.injection != nil {
		return nothing, errInjectedTwice
	}
	pods, err := t.pods(ctx)
	if err != nil {
		return nothing, err
	}
	if err := f.evidence.before(ctx, t, pods); err != nil {
		return nothing, err
	}
	f.injection = newInjection(f, t)
	return f.injection.begin(ctx, pods)
}

// Prove implements Fault.
func (f *chaos) Prove(ctx context.Context) (Effect, error) {
	if f.injection == nil {
		return Effect{Because: "nothing was injected"}, nil
	}
	hits, err := f.injection.hits(ctx)
	if err == nil && len(hits) == 0 {
		return Effect{Because: "no pod was hit"}, nil
	}
	var effect Effect
	if err == nil {
		effect, err = f.evidence.during(ctx, f.injection.target, hits)
	}
	if err != nil {
		return Effect{Because: err.Error()}, err
	}
	return effect, nil
}

// notes are what was noted of each pod before the fault. The zero value is ready.
type notes[T any] struct {
	mu sync.Mutex
	of map[types.UID]T
}

func (n *notes[T]) put(pod types.UID, note T) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.of == nil {
		n.of = map[types.UID]T{}
	}
	n.of[pod] = note
}

func (n *notes[T]) get(pod types.UID) (T, bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	note, noted := n.of[pod]
	return note, noted
}

func (n *notes[T]) all() []T {
	n.mu.Lock()
	defer n.mu.Unlock()
	var all []T
	for _, note := range n.of {
		all = append(all, note)
	}
	return all
}

// tally gathers what was seen at each pod into one effect, which is proven only if
// every pod shows it.
type tally struct {
	pods   []string
	seen   []string // at those, for people
	doubts []string // at the others
}

func (t *tally) shows(pod, seen string) {
	t.pods = append(t.pods, pod)
	t.seen = append(t.seen, seen)
}

func (t *tally) doubt(why string) { t.doubts = append(t.doubts, why) }

// effect is the outcome. asked is what was asked for.
func (t *tally) effect(asked string) Effect {
	if len(t.doubts) > 0 || len(t.pods) == 0 {
		return Effect{Pods: t.pods, Because: asked + ": " + strings.Join(append(t.doubts, t.seen...), "; ")}
	}
	return Effect{Proven: true, Pods: t.pods, Because: strings.Join(t.seen, "; ") + " (" + asked + ")"}
}
