package faults

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// leastRemaining is what must be left of a fault's time for a pod born later to be
// worth an object.
const leastRemaining = time.Second

// adoptWithin bounds the injection into one pod born later, and its proof.
const adoptWithin = 20 * time.Second

// adopt gives every pod that is born while the fault lasts an object of its own:
// Chaos Mesh chooses pods when it first sees an object, and never again.
func (i *injection) adopt(ctx context.Context, first *applied, chosen []string, until time.Time) {
	defer close(i.adopted)
	ctx, cancel := context.WithDeadline(ctx, until.Add(-leastRemaining))
	defer cancel()
	go func() { // it ends with the first object, and with the undo
		select {
		case <-i.leaving:
		case <-first.over:
		case <-ctx.Done():
		}
		cancel()
	}()
	select {
	case <-first.effective:
	case <-ctx.Done():
		return
	}
	var born sync.WaitGroup
	defer born.Wait()
	under := map[string]bool{}
	for _, name := range chosen {
		under[name] = true
	}
	known := map[types.UID]bool{}
	for again := true; again; again = pause(ctx, 100*time.Millisecond) {
		_ = i.eachChange(ctx, func(living []corev1.Pod) { // what ends it begins anew
			names, err := i.choose(living, under)
			if err != nil {
				return // nobody is there, or running yet
			}
			for _, name := range names {
				pod := podNamed(living, name)
				if under[name] || known[pod.UID] {
					continue
				}
				under[name], known[pod.UID] = true, true
				born.Go(func() { i.take(ctx, pod, until) })
			}
		})
	}
}

func podNamed(pods []corev1.Pod, name string) corev1.Pod {
	for _, pod := range pods {
		if pod.Name == name {
			return pod
		}
	}
	return corev1.Pod{}
}

// eachChange calls look with the target's pods, now and whenever one of them has
// changed, until the watch ends.
func (i *injection) eachChange(ctx context.Context, look func(living []corev1.Pod)) error {
	t := i.target
	selector, err := metav1.LabelSelectorAsSelector(&t.Selector)
	if err != nil {
		return fmt.Errorf("the target's selector: %w", err)
	}
	watcher, err := t.Client.Watch(ctx, &corev1.PodList{}, client.InNamespace(t.Namespace), client.MatchingLabelsSelector{Selector: selector})
	if err != nil {
		return fmt.Errorf("watch the target's pods: %w", err)
	}
	defer watcher.Stop()
	for {
		living, err := t.pods(ctx)
		if err != nil {
			return err
		}
		look(living)
		select {
		case _, open := <-watcher.ResultChan():
			if !open {
				return errors.New("the watch ended")
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// take puts one pod under the fault, for as long as it still lasts, and proves it.
// What it could not do stands in the record: a pod without the fault has escaped it.
func (i *injection) take(ctx context.Context, pod corev1.Pod, until time.Time) {
	bounded, cancel := context.WithTimeout(ctx, adoptWithin)
	defer cancel()
	effect, err := i.takeAndProve(bounded, pod, until)
	if err != nil {
		effect = Effect{Because: fmt.Sprintf("pod %s, born later: %v", pod.Name, err)}
	}
	if !effect.Proven && !i.stillThere(ctx, pod) {
		return // a pod that has gone, and a fault that is being ended, prove nothing
	}
	i.emit(effect.Payload(i.target.Fault))
}

func (i *injection) stillThere(ctx context.Context, pod corev1.Pod) bool {
	living, err := i.target.podsNamed(ctx, []string{pod.Name})
	return err == nil && len(living) == 1 && living[0].UID == pod.UID
}

func (i *injection) takeAndProve(ctx context.Context, pod corev1.Pod, until time.Time) (Effect, error) {
	if err := i.fault.evidence.before(ctx, i.target, []corev1.Pod{pod}); err != nil {
		return Effect{}, err
	}
	a, err := i.put(ctx, []string{pod.Name}, max(leastRemaining, time.Until(until).Round(time.Millisecond)))
	if err != nil {
		return Effect{}, err
	}
	if err := a.await(ctx); err != nil {
		return Effect{}, err
	}
	hits, err := a.hits(ctx)
	if err != nil {
		return Effect{}, err
	}
	return i.fault.evidence.during(ctx, i.target, hits)
}
