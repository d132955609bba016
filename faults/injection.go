package faults

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/cutover-dev/cutover/history"
	"github.com/cutover-dev/cutover/safety"
)

// injection is a fault in a cluster: its chaos object and, where whoever serves it
// chooses pods once only, one more for each pod that is born while it lasts.
type injection struct {
	fault  *chaos
	target Target

	mu      sync.Mutex
	made    int // objects that have a name
	objects []*applied
	undos   []safety.Undo // of all objects
	begun   bool          // the API took the first
	ended   bool
	leaving chan struct{} // closed by the undo: no more objects then
	adopted chan struct{} // closed when nobody looks for pods born later any more
}

func newInjection(f *chaos, t Target) *injection {
	return &injection{fault: f, target: t, leaving: make(chan struct{}), adopted: make(chan struct{})}
}

// afterlife is how long an object is followed beyond the fault's own end, in case
// that nobody ever undoes it.
const afterlife = 10 * time.Minute

// name of the fault's n-th object.
func (i *injection) name(n int) string {
	name := i.target.Object
	if name == "" {
		name = fmt.Sprintf("cutover-%s-%d", i.target.RunID, i.target.Fault)
	}
	if n > 0 {
		name += fmt.Sprintf("-%d", n)
	}
	return name
}

// begin creates the object, through the ledger, and waits until it is in effect. It
// is followed until it is gone.
func (i *injection) begin(ctx context.Context, pods []corev1.Pod) (safety.Undo, error) {
	var names []string
	if i.target.By.byChaosMesh() {
		var err error
		if names, err = i.choose(pods, nil); err != nil {
			close(i.adopted)
			return nothing, err
		}
	}
	first, err := i.put(ctx, names, i.fault.lasting)
	if err != nil || !i.target.By.byChaosMesh() || i.fault.OneShot() {
		close(i.adopted)
	} else {
		go i.adopt(context.WithoutCancel(ctx), first, names, time.Now().Add(i.fault.lasting))
	}
	if err != nil {
		return i.undo, err
	}
	return i.undo, first.await(ctx)
}

// choose which of the living pods to be on: the pods' names go into the object.
// Chaos Mesh would draw with chance of its own, and among pods that are coming or
// going, which it then fails on.
func (i *injection) choose(living []corev1.Pod, before map[string]bool) ([]string, error) {
	var started []corev1.Pod
	for _, pod := range living {
		if hasStarted(pod) {
			started = append(started, pod)
		}
	}
	selector := *podSelector(i.fault.object(i.fault.lasting, i.target))
	names, err := Choose(fmt.Sprint(i.target.Seed), selector, started, before)
	if err == nil && len(names) == 0 {
		err = fmt.Errorf("%s: none of the target's %d pods runs yet, or mode %s lets none be chosen", i.fault.name, len(living), selector.Mode)
	}
	return names, err
}

// hasStarted is true once all containers of a pod have been started: Chaos Mesh
// finds a pod by its containers.
func hasStarted(pod corev1.Pod) bool {
	if len(pod.Status.ContainerStatuses) < len(pod.Spec.Containers) {
		return false
	}
	for _, status := range pod.Status.ContainerStatuses {
		if status.ContainerID == "" {
			return false
		}
	}
	return true
}

// put creates one object, on the pods of those names or on whatever its selector
// says, and begins to follow it.
func (i *injection) put(ctx context.Context, names []string, lasting time.Duration) (*applied, error) {
	i.mu.Lock()
	n := i.made
	i.made++
	i.mu.Unlock()
	obj := i.fault.object(lasting, i.target)
	address(obj, i.name(n), names, i.target)
	if err := accept(ctx, obj); err != nil {
		return nil, err
	}
	a := newApplied(i, obj)
	undo, err := i.target.Ledger.Do(ctx, safety.Action{Kind: chaosAction, Params: a.ref.params()}, func(ctx context.Context) error {
		return a.ref.create(ctx, i.target.Client, obj)
	})
	i.mu.Lock()
	i.undos = append(i.undos, undo)
	if err == nil {
		i.objects = append(i.objects, a)
		i.begun = true
	}
	i.mu.Unlock()
	if err != nil {
		return nil, fmt.Errorf("create %s: %w", a.ref, err)
	}
	if n == 0 {
		i.emit(history.FaultApplied{Fault: i.target.Fault, Driver: string(i.target.By.Driver)})
	}
	// Longer than this call, which returns as soon as the first pods are hit.
	following, stop := context.WithTimeout(context.WithoutCancel(ctx), i.fault.lasting+afterlife)
	go func() {
		defer stop()
		a.follow(following)
	}()
	return a, nil
}

// undo is the ledger's, of all objects, and then the end of the following: whoever
// gets nil has been told everything.
func (i *injection) undo(ctx context.Context) error {
	i.mu.Lock()
	closeOnce(i.leaving)
	i.mu.Unlock()
	select { // whoever creates an object has noted its undo then
	case <-i.adopted:
	case <-ctx.Done():
		return fmt.Errorf("%s: an object for a pod born later is being made: %w", i.fault.name, ctx.Err())
	}
	i.mu.Lock()
	undos, objects := i.undos, i.objects
	i.mu.Unlock()
	failures := make([]error, len(undos))
	var running sync.WaitGroup
	for n, undo := range undos {
		running.Go(func() { failures[n] = undo(ctx) })
	}
	running.Wait()
	if err := errors.Join(failures...); err != nil {
		return err
	}
	for _, a := range objects {
		select {
		case <-a.over:
		case <-ctx.Done():
		}
	}
	i.end("undo")
	return nil
}

// hits lists what the objects say is under the fault now, or was hit by a one-shot
// one.
func (i *injection) hits(ctx context.Context) ([]hit, error) {
	i.mu.Lock()
	objects := i.objects
	i.mu.Unlock()
	var hits []hit
	for _, a := range objects {
		of, err := a.hits(ctx)
		if err != nil {
			return nil, err
		}
		hits = append(hits, of...)
	}
	return hits, nil
}

func (i *injection) end(by string) {
	i.mu.Lock()
	first := i.begun && !i.ended
	i.ended = true
	i.mu.Unlock()
	if first && !i.fault.OneShot() {
		i.emit(history.FaultEnded{Fault: i.target.Fault, By: by})
	}
}

func (i *injection) emit(payload history.Payload) {
	if i.target.Emit != nil {
		i.target.Emit(payload)
	}
}
