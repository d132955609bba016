package faults

import (
	"context"
	"errors"
	"fmt"

	"github.com/chaos-mesh/chaos-mesh/api/v1alpha1"
	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"
)

var _ = register(v1alpha1.KindPodChaos, string(v1alpha1.PodFailureAction), parsePodFailure)

// parsePodFailure reads the fault that has pods run an image that does nothing.
func parsePodFailure(spec Spec) (Fault, error) {
	var read v1alpha1.PodChaosSpec
	if err := decode(spec.Chaos.Spec, &read, "action", "mode", "value", "duration"); err != nil {
		return nil, err
	}
	lasts, err := lasting(spec, read.Duration)
	if err != nil {
		return nil, err
	}
	if err := checkMode(&read.PodSelector, v1alpha1.AllMode); err != nil {
		return nil, err
	}
	return podChaos("PodChaos pod-failure", read, lasts, &impostor{})
}

// impostor is the evidence of a failed pod: other containers of another image run in
// it, and nobody is at its port.
type impostor struct {
	noted notes[map[string]corev1.ContainerStatus] // by name of the container
}

func (e *impostor) before(_ context.Context, _ Target, pods []corev1.Pod) error {
	for _, pod := range pods {
		statuses := map[string]corev1.ContainerStatus{}
		for _, status := range pod.Status.ContainerStatuses {
			statuses[status.Name] = status
		}
		e.noted.put(pod.UID, statuses)
	}
	return nil
}

// during waits, while ctx lasts, until the pods' own containers have ended and what
// does nothing runs in their place.
func (e *impostor) during(ctx context.Context, t Target, hits []hit) (Effect, error) {
	return untilShown(ctx, func() Effect {
		pods, err := t.living(ctx, hits)
		if err != nil || len(pods) == 0 {
			return Effect{Because: "no pod under the fault is alive, or nobody could look"}
		}
		var seen tally
		for _, pod := range pods {
			if err := e.replaced(ctx, t, pod); err != nil {
				seen.doubt(fmt.Sprintf("pod %s: %v", pod.Name, err))
				continue
			}
			seen.shows(pod.Name, fmt.Sprintf("pod %s runs %s and refuses connections", pod.Name, pod.Status.ContainerStatuses[0].Image))
		}
		return seen.effect("asked for pods that run and do nothing")
	}), nil
}

// replaced is nil if none of the containers that ran before is there any more, those
// in their place run another image, and the port refuses.
func (e *impostor) replaced(ctx context.Context, t Target, pod corev1.Pod) error {
	before, noted := e.noted.get(pod.UID)
	if !noted {
		return errors.New("it was not seen before, so what it ran then is unknown")
	}
	if len(pod.Status.ContainerStatuses) == 0 {
		return errors.New("it has no containers yet")
	}
	for _, now := range pod.Status.ContainerStatuses {
		was := before[now.Name]
		switch {
		case now.State.Running == nil:
			return fmt.Errorf("container %s does not run", now.Name)
		case now.ContainerID == was.ContainerID:
			return fmt.Errorf("container %s is still the one from before", now.Name)
		case now.ImageID == was.ImageID:
			return fmt.Errorf("container %s still runs its own image", now.Name)
		}
	}
	conn, err := t.Dial(ctx, t.addr(pod))
	switch {
	case err == nil:
		conn.Close()
		return errors.New("somebody is still at its port")
	case errors.Is(err, unix.ECONNREFUSED):
		return nil
	}
	return fmt.Errorf("its port does not refuse: %w", err)
}
