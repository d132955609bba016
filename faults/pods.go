package faults

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// pods lists the target's pods that have an address and are not going away.
func (t Target) pods(ctx context.Context) ([]corev1.Pod, error) {
	selector, err := metav1.LabelSelectorAsSelector(&t.Selector)
	if err != nil {
		return nil, fmt.Errorf("the target's selector: %w", err)
	}
	var list corev1.PodList
	err = t.Client.List(ctx, &list, client.InNamespace(t.Namespace), client.MatchingLabelsSelector{Selector: selector})
	if err != nil {
		return nil, fmt.Errorf("list the target's pods: %w", err)
	}
	var living []corev1.Pod
	for _, pod := range list.Items {
		if pod.DeletionTimestamp == nil && pod.Status.PodIP != "" {
			living = append(living, pod)
		}
	}
	return living, nil
}

// podsNamed fetches pods by name and leaves out those that are gone or going.
func (t Target) podsNamed(ctx context.Context, names []string) ([]corev1.Pod, error) {
	var living []corev1.Pod
	for _, name := range names {
		var pod corev1.Pod
		err := t.Client.Get(ctx, client.ObjectKey{Namespace: t.Namespace, Name: name}, &pod)
		if apierrors.IsNotFound(err) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("look at pod %s: %w", name, err)
		}
		if pod.DeletionTimestamp == nil && pod.Status.PodIP != "" {
			living = append(living, pod)
		}
	}
	return living, nil
}

// living are the pods that were hit and are still there.
func (t Target) living(ctx context.Context, hits []hit) ([]corev1.Pod, error) {
	var names []string
	for _, h := range hits {
		if !slices.Contains(names, h.pod) {
			names = append(names, h.pod)
		}
	}
	return t.podsNamed(ctx, names)
}

// untilShown looks again, while ctx lasts, until the effect is proven, and returns
// what was seen last.
func untilShown(ctx context.Context, look func() Effect) Effect {
	effect := look()
	for !effect.Proven && pause(ctx, pollEvery) {
		if last := look(); last.Proven || ctx.Err() == nil {
			effect = last
		}
	}
	return effect
}

func (t Target) addr(pod corev1.Pod) string {
	return net.JoinHostPort(pod.Status.PodIP, strconv.Itoa(t.Port))
}

// tries is how often a round trip is measured; the fastest counts, since noise
// only ever adds.
const tries = 3

// roundTrip is the time of a TCP connect to the pod. A refusal counts: it is the
// answer of the pod's own kernel and takes the same way.
func (t Target) roundTrip(ctx context.Context, pod corev1.Pod) (time.Duration, error) {
	var fastest time.Duration
	var failure error
	for range tries {
		began := time.Now()
		conn, err := t.Dial(ctx, t.addr(pod))
		took := time.Since(began)
		if err != nil && !errors.Is(err, unix.ECONNREFUSED) {
			failure = err
			continue
		}
		if err == nil {
			conn.Close()
		}
		if fastest == 0 || took < fastest {
			fastest = took
		}
	}
	if fastest == 0 {
		return 0, fmt.Errorf("measure a round trip to pod %s: %w", pod.Name, failure)
	}
	return fastest, nil
}

// measured is a round trip to one pod, or why there is none.
type measured struct {
	pod  corev1.Pod
	took time.Duration
	err  error
}

// roundTrips measures all pods at once.
func (t Target) roundTrips(ctx context.Context, pods []corev1.Pod) []measured {
	all := make([]measured, len(pods))
	var running sync.WaitGroup
	for i, pod := range pods {
		running.Go(func() {
			took, err := t.roundTrip(ctx, pod)
			all[i] = measured{pod, took, err}
		})
	}
	running.Wait()
	return all
}
