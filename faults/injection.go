package faults

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/chaos-mesh/chaos-mesh/api/v1alpha1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/cutover-dev/cutover/history"
	"github.com/cutover-dev/cutover/safety"
)

// injection is a chaos object that was put into a cluster, and what is seen of it.
type injection struct {
	target  Target
	ref     reference
	oneShot bool

	mu        sync.Mutex
	seen      map[string]bool // pods that were hit
	lastSeen  string
	lastErr   error
	ended     bool
	effective chan struct{} // closed once in effect
	refused   chan struct{} // closed if it never will be
	over      chan struct{} // closed when nobody looks any more
}

// afterlife is how long an object is followed beyond the fault's own end, in case
// that nobody ever undoes it.
const afterlife = 10 * time.Minute

// inject creates the object, through the ledger, and waits until it is in effect.
// The object is followed until it is gone, for pods born later.
func inject(ctx context.Context, t Target, obj chaosObject, kind string, lasting time.Duration) (*injection, safety.Undo, error) {
	i := &injection{
		target: t, ref: referTo(obj, kind), oneShot: lasting == 0, seen: map[string]bool{},
		lastSeen: "nothing", effective: make(chan struct{}), refused: make(chan struct{}), over: make(chan struct{}),
	}
	undo, err := t.Ledger.Do(ctx, safety.Action{Kind: chaosAction, Params: i.ref.params()}, func(ctx context.Context) error {
		return t.Client.Create(ctx, obj)
	})
	if err != nil {
		return i, undo, fmt.Errorf("create %s: %w", i.ref, err)
	}
	i.emit(history.FaultApplied{Fault: t.Fault})
	// Longer than this call, which returns as soon as the first pods are hit.
	following, stop := context.WithTimeout(context.WithoutCancel(ctx), lasting+afterlife)
	go func() {
		defer stop()
		i.follow(following)
	}()
	return i, i.undo(undo), i.await(ctx)
}

// undo is the ledger's, and then the end of the following: whoever gets nil has
// been told everything.
func (i *injection) undo(undo safety.Undo) safety.Undo {
	return func(ctx context.Context) error {
		if err := undo(ctx); err != nil {
			return err
		}
		select {
		case <-i.over:
		case <-ctx.Done():
		}
		i.end("undo")
		return nil
	}
}

func (i *injection) await(ctx context.Context) error {
	select {
	case <-i.effective:
		return nil
	case <-i.refused:
		return fmt.Errorf("%s is not going to take effect: %s", i.ref, i.last())
	case <-i.over:
		return fmt.Errorf("%s went away before it took effect; last seen: %s", i.ref, i.last())
	case <-ctx.Done():
		return fmt.Errorf("%s did not take effect (Selected, AllInjected and one pod injected); last seen: %s: %w", i.ref, i.last(), ctx.Err())
	}
}

func (i *injection) last() string {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.lastErr != nil {
		return i.lastSeen + "; " + i.lastErr.Error()
	}
	return i.lastSeen
}

// follow looks at every state of the object until it is gone or its time is over.
func (i *injection) follow(ctx context.Context) {
	defer close(i.over)
	// A watch ends, as watches do, or the API server is away: begin again.
	for again := true; again; again = pause(ctx, 100*time.Millisecond) {
		gone, err := i.watch(ctx)
		if gone {
			return
		}
		i.mu.Lock()
		i.lastErr = err
		i.mu.Unlock()
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
func (i *injection) watch(ctx context.Context) (gone bool, err error) {
	obj, list, err := i.ref.spawn()
	if err != nil {
		return false, err
	}
	watcher, err := i.target.Client.Watch(ctx, list,
		client.InNamespace(i.ref.Namespace), client.MatchingFields{"metadata.name": i.ref.Name})
	if err != nil {
		return false, fmt.Errorf("watch %s: %w", i.ref, err)
	}
	defer watcher.Stop()
	if err := i.target.Client.Get(ctx, i.ref.key(), obj); apierrors.IsNotFound(err) {
		return true, nil
	} else if err != nil {
		return false, fmt.Errorf("look at %s: %w", i.ref, err)
	}
	i.see(obj)
	for event := range watcher.ResultChan() {
		obj, ok := event.Object.(chaosObject)
		if !ok {
			return false, fmt.Errorf("watch %s: %w", i.ref, apierrors.FromObject(event.Object))
		}
		if obj.GetName() != i.ref.Name {
			continue
		}
		i.see(obj)
		if event.Type == watch.Deleted {
			return true, nil
		}
	}
	return false, errors.New("the watch ended")
}

// see tells of what is new in a state of the object.
func (i *injection) see(obj chaosObject) {
	status := obj.GetStatus()
	for _, pod := range i.newlyHit(status) {
		i.emit(history.FaultInjected{Fault: i.target.Fault, Pod: pod})
	}
	if inEffect(status) {
		closeOnce(i.effective)
	}
	for _, c := range status.Conditions {
		if strings.HasPrefix(c.Reason, NotServed) {
			closeOnce(i.refused)
		}
	}
	if isOver(status) && !obj.IsDeleted() {
		i.end("expiry")
	}
}

// closeOnce is called by the following goroutine only.
func closeOnce(c chan struct{}) {
	select {
	case <-c:
	default:
		close(c)
	}
}

func (i *injection) newlyHit(status *v1alpha1.ChaosStatus) []string {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.lastSeen = describe(status)
	var pods []string
	for _, record := range status.Experiment.Records {
		if wasHit(record) && !i.seen[record.Id] {
			i.seen[record.Id] = true
			pods = append(pods, podOf(record))
		}
	}
	return pods
}

// podOf is the pod's name: a record's id is namespace/name, and /container for some kinds.
func podOf(record *v1alpha1.Record) string {
	_, rest, _ := strings.Cut(record.Id, "/")
	name, _, _ := strings.Cut(rest, "/")
	return name
}

func (i *injection) end(by string) {
	i.mu.Lock()
	first := !i.ended
	i.ended = true
	i.mu.Unlock()
	if first && !i.oneShot {
		i.emit(history.FaultEnded{Fault: i.target.Fault, By: by})
	}
}

func (i *injection) emit(payload history.Payload) {
	if i.target.Emit != nil {
		i.target.Emit(payload)
	}
}

// hit lists the pods that the object says are under the fault now, or were hit by
// a one-shot one.
func (i *injection) hit(ctx context.Context) ([]string, error) {
	obj, _, err := i.ref.spawn()
	if err != nil {
		return nil, err
	}
	if err := i.target.Client.Get(ctx, i.ref.key(), obj); err != nil {
		return nil, fmt.Errorf("look at %s: %w", i.ref, err)
	}
	var pods []string
	for _, record := range obj.GetStatus().Experiment.Records {
		if isInjected(record) {
			pods = append(pods, podOf(record))
		}
	}
	return pods, nil
}
