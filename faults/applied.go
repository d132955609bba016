package faults

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/chaos-mesh/chaos-mesh/api/v1alpha1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/cutover-dev/cutover/history"
)

// applied is a chaos object that was put into a cluster, and what is seen of it.
type applied struct {
	of  *injection
	ref reference

	mu        sync.Mutex
	seen      map[string]bool // pods that were hit
	lastSeen  string
	lastErr   error
	effective chan struct{} // closed once in effect
	refused   chan struct{} // closed if it never will be
	over      chan struct{} // closed when nobody looks any more
}

func newApplied(of *injection, obj chaosObject) *applied {
	return &applied{
		of: of, ref: reference{of.target.By.group(), of.fault.kind, obj.GetNamespace(), obj.GetName()}, seen: map[string]bool{},
		lastSeen: "nothing", effective: make(chan struct{}), refused: make(chan struct{}), over: make(chan struct{}),
	}
}

func (a *applied) await(ctx context.Context) error {
	select {
	case <-a.effective:
		return nil
	case <-a.refused:
		return fmt.Errorf("%s is not going to take effect: %s", a.ref, a.last())
	case <-a.over:
		return fmt.Errorf("%s went away before it took effect; last seen: %s", a.ref, a.last())
	case <-ctx.Done():
		return fmt.Errorf("%s did not take effect (Selected, AllInjected and one pod injected); last seen: %s: %w", a.ref, a.last(), ctx.Err())
	}
}

func (a *applied) last() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.lastErr != nil {
		return a.lastSeen + "; " + a.lastErr.Error()
	}
	return a.lastSeen
}

// follow looks at every state of the object until it is gone or its time is over.
func (a *applied) follow(ctx context.Context) {
	defer close(a.over)
	// A watch ends, as watches do, or the API server is away: begin again.
	for again := true; again; again = pause(ctx, 100*time.Millisecond) {
		gone, err := a.watch(ctx)
		if gone {
			return
		}
		a.mu.Lock()
		a.lastErr = err
		a.mu.Unlock()
	}
}

// pause is false if ctx ended before d was over.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// watch begins to watch before it looks, so that nothing is missed in between.
func (a *applied) watch(ctx context.Context) (gone bool, err error) {
	c := a.of.target.Client
	watcher, err := c.Watch(ctx, a.ref.listOf(), client.InNamespace(a.ref.Namespace), client.MatchingFields{"metadata.name": a.ref.Name})
	if err != nil {
		return false, fmt.Errorf("watch %s: %w", a.ref, err)
	}
	defer watcher.Stop()
	_, obj, err := a.ref.get(ctx, c)
	if apierrors.IsNotFound(err) {
		return true, nil
	} else if err != nil {
		return false, fmt.Errorf("look at %s: %w", a.ref, err)
	}
	a.see(obj)
	for event := range watcher.ResultChan() {
		obj, err := a.ref.watched(event)
		if err != nil {
			return false, err
		}
		if obj.GetName() != a.ref.Name {
			continue
		}
		a.see(obj)
		if event.Type == watch.Deleted {
			return true, nil
		}
	}
	return false, errors.New("the watch ended")
}

// see tells of what is new in a state of the object.
func (a *applied) see(obj chaosObject) {
	status := obj.GetStatus()
	for _, pod := range a.newlyHit(status) {
		a.of.emit(history.FaultInjected{Fault: a.of.target.Fault, Pod: pod})
	}
	if inEffect(status) {
		closeOnce(a.effective)
	}
	if isHopeless(status) {
		closeOnce(a.refused)
	}
	if isOver(status) && !obj.IsDeleted() {
		a.of.end("expiry")
	}
}

// patienceWithFailures is how many failures of one pod it takes to believe that the
// next try will fail, too. Chaos Mesh tries again within milliseconds.
const patienceWithFailures = 3

// isHopeless is true of an object that is never going to take effect: the agent says
// that it does not do what is asked for, or Chaos Mesh fails at a pod again and again.
func isHopeless(status *v1alpha1.ChaosStatus) bool {
	for _, c := range status.Conditions {
		if strings.HasPrefix(c.Reason, NotServed) {
			return true
		}
	}
	return slices.ContainsFunc(status.Experiment.Records, func(record *v1alpha1.Record) bool {
		failures := 0
		for _, event := range record.Events {
			if event.Operation == v1alpha1.Apply && event.Type == v1alpha1.TypeFailed {
				failures++
			}
		}
		return failures >= patienceWithFailures && !wasHit(record)
	})
}

// closeOnce is called by one goroutine at a time.
func closeOnce(c chan struct{}) {
	select {
	case <-c:
	default:
		close(c)
	}
}

func (a *applied) newlyHit(status *v1alpha1.ChaosStatus) []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.lastSeen = describe(status)
	var pods []string
	for _, record := range status.Experiment.Records {
		if wasHit(record) && !a.seen[record.Id] {
			a.seen[record.Id] = true
			pods = append(pods, hitOf(record).pod)
		}
	}
	return pods
}

// hit is what a fault is on, or was done to.
type hit struct {
	pod       string
	container string // of kinds that hit containers
}

// hitOf a record: its id is namespace/name, and /container for some kinds.
func hitOf(record *v1alpha1.Record) hit {
	_, rest, _ := strings.Cut(record.Id, "/")
	pod, container, _ := strings.Cut(rest, "/")
	return hit{pod, container}
}

func (a *applied) hits(ctx context.Context) ([]hit, error) {
	_, obj, err := a.ref.get(ctx, a.of.target.Client)
	if err != nil {
		return nil, fmt.Errorf("look at %s: %w", a.ref, err)
	}
	var hits []hit
	for _, record := range obj.GetStatus().Experiment.Records {
		if isInjected(record) {
			hits = append(hits, hitOf(record))
		}
	}
	return hits, nil
}
