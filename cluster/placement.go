package cluster

import corev1 "k8s.io/api/core/v1"

// ControlPlaneLabel is on the nodes that the control plane runs on.
const ControlPlaneLabel = "node-role.kubernetes.io/control-plane"

// BesideControlPlane has a pod run on a node of the control plane if it can. What
// the harness itself depends on goes there: tests lose and drain the other nodes,
// and a measurement must not be lost with them.
func BesideControlPlane(pod *corev1.PodSpec) {
	pod.Tolerations = append(pod.Tolerations, corev1.Toleration{Key: ControlPlaneLabel, Operator: corev1.TolerationOpExists, Effect: corev1.TaintEffectNoSchedule})
	pod.Affinity = &corev1.Affinity{NodeAffinity: &corev1.NodeAffinity{PreferredDuringSchedulingIgnoredDuringExecution: []corev1.PreferredSchedulingTerm{{
		Weight:     100,
		Preference: corev1.NodeSelectorTerm{MatchExpressions: []corev1.NodeSelectorRequirement{{Key: ControlPlaneLabel, Operator: corev1.NodeSelectorOpExists}}},
	}}}}
}
