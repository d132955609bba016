package faults

import (
	"context"
	"fmt"

	"github.com/chaos-mesh/chaos-mesh/api/v1alpha1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

var _ = register(v1alpha1.KindPodChaos, string(v1alpha1.ContainerKillAction), parseContainerKill)

// parseContainerKill reads the fault that kills containers, which their pods then
// start again.
func parseContainerKill(spec Spec) (Fault, error) {
	var read v1alpha1.PodChaosSpec
	if err := decode(spec.Chaos.Spec, &read, "action", "containerNames", "mode", "value", "duration"); err != nil {
		return nil, err
	}
	if err := oneShot(spec, read.Duration, read.Action); err != nil {
		return nil, err
	}
	if err := checkMode(&read.PodSelector, v1alpha1.OneMode); err != nil {
		return nil, err
	}
	return podChaos("PodChaos container-kill", read, 0, &exits{})
}

// exits are the evidence of a killed container: the container that was there has
// ended, whatever runs in its place by now.
type exits struct {
	noted notes[corev1.Pod]
}

func (e *exits) before(_ context.Context, _ Target, pods []corev1.Pod) error {
	for _, pod := range pods {
		e.noted.put(pod.UID, pod)
	}
	return nil
}

// during waits, while ctx lasts, until the kubelet has seen the containers end.
func (e *exits) during(ctx context.Context, t Target, hits []hit) (Effect, error) {
	noted := map[string]corev1.Pod{}
	for _, pod := range e.noted.all() {
		noted[pod.Name] = pod
	}
	return untilShown(ctx, func() Effect {
		var seen tally
		for _, h := range hits {
			was, known := containerOf(noted[h.pod], h.container)
			if !known {
				seen.doubt(fmt.Sprintf("container %s of pod %s was not seen before, so its end cannot be told", h.container, h.pod))
				continue
			}
			ended, err := hasEnded(ctx, t, noted[h.pod], was)
			switch {
			case err != nil:
				seen.doubt(fmt.Sprintf("pod %s: %v", h.pod, err))
			case !ended:
				seen.doubt(fmt.Sprintf("container %s of pod %s still runs", h.container, h.pod))
			default:
				seen.shows(h.pod, fmt.Sprintf("container %s of pod %s has ended", h.container, h.pod))
			}
		}
		return seen.effect("asked for the end of containers")
	}), nil
}

// containerOf a pod; the first one if it is not named.
func containerOf(pod corev1.Pod, name string) (corev1.ContainerStatus, bool) {
	for _, status := range pod.Status.ContainerStatuses {
		if name == "" || status.Name == name {
			return status, status.ContainerID != ""
		}
	}
	return corev1.ContainerStatus{}, false
}

// hasEnded is true if a container that ran in a pod does not any more.
func hasEnded(ctx context.Context, t Target, pod corev1.Pod, was corev1.ContainerStatus) (bool, error) {
	var now corev1.Pod
	err := t.Client.Get(ctx, client.ObjectKeyFromObject(&pod), &now)
	if apierrors.IsNotFound(err) || err == nil && now.UID != pod.UID {
		return true, nil
	}
	if err != nil {
		return false, fmt.Errorf("look at it: %w", err)
	}
	status, there := containerOf(now, was.Name)
	return there && (status.ContainerID != was.ContainerID || status.State.Terminated != nil), nil
}
