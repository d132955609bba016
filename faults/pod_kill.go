package faults

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/chaos-mesh/chaos-mesh/api/v1alpha1"
	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

var _ = register(v1alpha1.KindPodChaos, string(v1alpha1.PodKillAction), parsePodKill)

// parsePodKill reads the fault that deletes pods, at once unless the spec grants a
// grace period.
func parsePodKill(spec Spec) (Fault, error) {
	var read v1alpha1.PodChaosSpec
	if err := decode(spec.Chaos.Spec, &read, "action", "gracePeriod", "mode", "value", "duration"); err != nil {
		return nil, err
	}
	if err := oneShot(spec, read.Duration, read.Action); err != nil {
		return nil, err
	}
	if read.GracePeriod < 0 {
		return nil, fmt.Errorf("chaos.spec.gracePeriod: %d is negative: write seconds, 0 or more", read.GracePeriod)
	}
	if err := checkMode(&read.PodSelector, v1alpha1.OneMode); err != nil {
		return nil, err
	}
	return podChaos("PodChaos pod-kill", read, 0, &death{})
}

// podChaos is the fault of a PodChaos.
func podChaos(name string, spec v1alpha1.PodChaosSpec, lasts time.Duration, by evidence) (Fault, error) {
	f := &chaos{
		name: name, kind: v1alpha1.KindPodChaos, action: string(spec.Action), lasting: lasts, evidence: by,
		object: func(lasting time.Duration, t Target) chaosObject {
			obj := &v1alpha1.PodChaos{Spec: *spec.DeepCopy()}
			if lasting > 0 {
				obj.Spec.Duration = new(lasting.String())
			}
			if spec.Action == v1alpha1.ContainerKillAction && len(spec.ContainerNames) == 0 {
				obj.Spec.ContainerNames = []string{t.Container}
			}
			return obj
		},
	}
	return f, accept(context.Background(), f.object(lasts, Target{Container: "app"}))
}

// death is the evidence of a killed pod: its containers have exited. The pods that
// can be hit are noted down first: once killed, nobody can ask them for their
// address.
type death struct {
	victims notes[corev1.Pod]
}

func (d *death) before(_ context.Context, _ Target, pods []corev1.Pod) error {
	for _, pod := range pods {
		d.victims.put(pod.UID, pod)
	}
	return nil
}

// during waits, while ctx lasts, until the containers of the killed pods have exited.
func (d *death) during(ctx context.Context, t Target, hits []hit) (Effect, error) {
	noted := map[string]corev1.Pod{}
	for _, pod := range d.victims.all() {
		noted[pod.Name] = pod
	}
	gone := map[string]bool{} // those that the API has no more, or whose containers ended
	return untilShown(ctx, func() Effect {
		var seen tally
		for _, h := range hits {
			victim, known := noted[h.pod]
			if !known {
				seen.doubt("pod " + h.pod + " was killed but not seen before, so its end cannot be measured")
			} else if err := exited(ctx, t, victim, gone); err != nil {
				seen.doubt(fmt.Sprintf("pod %s: %v", h.pod, err))
			} else {
				seen.shows(h.pod, "")
			}
		}
		effect := seen.effect("asked for the end of pods")
		if effect.Proven {
			effect.Because = fmt.Sprintf("%d pods are gone and answer no more", len(effect.Pods))
		}
		return effect
	}), nil
}

// exited is nil if the pod is gone from the API, or its containers have ended, and
// its address is dead. The API alone does not prove it: a pod that is deleted by
// force is gone there before its container has even been signalled.
func exited(ctx context.Context, t Target, victim corev1.Pod, gone map[string]bool) error {
	if !gone[victim.Name] {
		var now corev1.Pod
		err := t.Client.Get(ctx, client.ObjectKeyFromObject(&victim), &now)
		if err != nil && !apierrors.IsNotFound(err) {
			return fmt.Errorf("look at it: %w", err)
		}
		if err == nil && now.UID == victim.UID && !terminated(now) {
			return errors.New("its containers are still running")
		}
		gone[victim.Name] = true
	}
	conn, err := t.Dial(ctx, t.addr(victim))
	switch {
	case err == nil:
		conn.Close()
		return readdressed(ctx, t, victim)
	case errors.Is(err, unix.ECONNREFUSED), errors.Is(err, unix.EHOSTUNREACH), errors.Is(err, unix.ENETUNREACH):
		return nil
	}
	return fmt.Errorf("its address is silent, which proves nothing: %w", err)
}

// terminated is true if no container of the pod runs any more.
func terminated(pod corev1.Pod) bool {
	for _, status := range pod.Status.ContainerStatuses {
		if status.State.Terminated == nil {
			return false
		}
	}
	return len(pod.Status.ContainerStatuses) > 0
}

// readdressed is nil if what answers at the victim's address is another pod, which
// gets the address only after the victim's sandbox is gone.
func readdressed(ctx context.Context, t Target, victim corev1.Pod) error {
	var list corev1.PodList
	if err := t.Client.List(ctx, &list); err != nil {
		return fmt.Errorf("it still answers, and whether another pod has its address is unknown: %w", err)
	}
	for _, pod := range list.Items {
		if pod.UID != victim.UID && pod.Status.PodIP == victim.Status.PodIP && !pod.Spec.HostNetwork {
			return nil
		}
	}
	return errors.New("it still answers")
}
