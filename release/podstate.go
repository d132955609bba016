package release

import (
	"cmp"
	"fmt"

	corev1 "k8s.io/api/core/v1"

	"github.com/cutover-dev/cutover/history"
)

// stateOf is where a pod's life stands, as traffic sees it. A kill stays known.
func stateOf(pod *corev1.Pod, before history.PodSeen) history.PodSeen {
	now := history.PodSeen{Pod: pod.Name, Phase: phaseOf(pod, before.Phase), Killed: before.Killed, Reason: before.Reason}
	for _, status := range pod.Status.ContainerStatuses {
		now.Restarts += int(status.RestartCount)
		if last := status.LastTerminationState.Terminated; last != nil && !now.Killed {
			now.Reason = exitOf(*last)
		}
	}
	switch {
	case pod.Status.Phase == corev1.PodFailed:
		now.Killed, now.Reason = true, failureOf(pod)
	case deniedGrace(pod, before.Phase):
		now.Killed, now.Reason = true, "deleted without its grace period"
	}
	return now
}

// phaseOf is the stage of a pod's life.
func phaseOf(pod *corev1.Pod, before string) string {
	switch {
	case pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed:
		return "gone"
	case pod.DeletionTimestamp != nil:
		return "terminating"
	case IsReady(pod):
		return "ready"
	case before == "ready" || before == "unready":
		return "unready"
	default:
		return "starting"
	}
}

// IsReady reports whether the pod's kubelet counts it as ready.
func IsReady(pod *corev1.Pod) bool {
	for _, condition := range pod.Status.Conditions {
		if condition.Type == corev1.PodReady {
			return condition.Status == corev1.ConditionTrue
		}
	}
	return false
}

// deniedGrace reports whether a pod that lived on a node is deleted without the time
// to terminate that its spec grants it. The last word on a drained pod is a deletion
// without grace, too: only the first one tells.
func deniedGrace(pod *corev1.Pod, before string) bool {
	granted, given := pod.Spec.TerminationGracePeriodSeconds, pod.DeletionGracePeriodSeconds
	return pod.Spec.NodeName != "" && granted != nil && *granted > 0 &&
		pod.DeletionTimestamp != nil && given != nil && *given == 0 &&
		before != "terminating" && before != "gone"
}

// failureOf is why the node ended a pod: evicted, refused, lost.
func failureOf(pod *corev1.Pod) string {
	if pod.Status.Reason != "" {
		return pod.Status.Reason
	}
	for _, status := range pod.Status.ContainerStatuses {
		if ended := status.State.Terminated; ended != nil {
			return exitOf(*ended)
		}
	}
	return ""
}

// exitOf is how a container ended: "OOMKilled, exit code 137".
func exitOf(ended corev1.ContainerStateTerminated) string {
	return fmt.Sprintf("%s, exit code %d", cmp.Or(ended.Reason, "ended"), ended.ExitCode)
}
