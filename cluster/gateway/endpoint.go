package gateway

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Endpoint waits until the gateway is ready and says where it answers, and which
// pod of [Namespace] writes its access log. A route may still take a moment to be
// served.
func Endpoint(ctx context.Context, c client.Client) (podIP string, port int, podName string, err error) {
	last := "nothing was seen yet"
	err = wait.PollUntilContextCancel(ctx, lookEvery, true, func(ctx context.Context) (bool, error) {
		var pods corev1.PodList
		if err := c.List(ctx, &pods, client.InNamespace(Namespace), client.MatchingLabels(podLabels())); err != nil {
			last = err.Error()
			return false, nil
		}
		last = "it has no pod"
		for _, pod := range pods.Items {
			if isReady(&pod) {
				podIP, podName = pod.Status.PodIP, pod.Name
				return true, nil
			}
			last = describe(&pod)
		}
		return false, nil
	})
	if err != nil {
		return "", 0, "", fmt.Errorf("the gateway %s is not ready (%w): %s", Gateway(), context.Cause(ctx), last)
	}
	return podIP, webPort, podName, nil
}

func isReady(pod *corev1.Pod) bool {
	if pod.DeletionTimestamp != nil || pod.Status.PodIP == "" {
		return false
	}
	for _, condition := range pod.Status.Conditions {
		if condition.Type == corev1.PodReady {
			return condition.Status == corev1.ConditionTrue
		}
	}
	return false
}

func describe(pod *corev1.Pod) string {
	for _, status := range pod.Status.ContainerStatuses {
		if waiting := status.State.Waiting; waiting != nil {
			return fmt.Sprintf("pod %s waits: %s: %s", pod.Name, waiting.Reason, waiting.Message)
		}
	}
	return fmt.Sprintf("pod %s is %s and does not pass its readiness probe; read its log", pod.Name, pod.Status.Phase)
}
