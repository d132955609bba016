package agent

import (
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Namespace is where the agent runs.
const Namespace = "cutover-system"

// GroupVariable is the environment variable that tells the agent the one API group
// whose objects it serves.
const GroupVariable = "CHAOS_GROUP"

// NodeNameVariable is the environment variable that tells the agent its node.
const NodeNameVariable = "NODE_NAME"

const name = "cutover-agent"

// Manifests are the objects that run the agent on every node, in the order in
// which to create them. The image's entry point is cutover; group is the one API
// group whose chaos objects it serves.
func Manifests(image, group string) []client.Object {
	meta := metav1.ObjectMeta{Name: name, Namespace: Namespace}
	wide := metav1.ObjectMeta{Name: name}
	return []client.Object{
		&corev1.Namespace{
			TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Namespace"},
			ObjectMeta: metav1.ObjectMeta{Name: Namespace, Labels: map[string]string{"pod-security.kubernetes.io/enforce": "privileged"}},
		},
		&corev1.ServiceAccount{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "ServiceAccount"}, ObjectMeta: meta},
		&rbacv1.ClusterRole{
			TypeMeta: metav1.TypeMeta{APIVersion: rbacv1.SchemeGroupVersion.String(), Kind: "ClusterRole"}, ObjectMeta: wide,
			Rules: []rbacv1.PolicyRule{
				{APIGroups: []string{""}, Resources: []string{"namespaces"}, Verbs: []string{"get", "list", "watch"}},
				{APIGroups: []string{""}, Resources: []string{"pods"}, Verbs: []string{"get", "list", "watch", "delete"}},
				{APIGroups: []string{group}, Resources: []string{"networkchaos", "podchaos"}, Verbs: []string{"get", "list", "watch", "update"}},
			},
		},
		&rbacv1.ClusterRoleBinding{
			TypeMeta: metav1.TypeMeta{APIVersion: rbacv1.SchemeGroupVersion.String(), Kind: "ClusterRoleBinding"}, ObjectMeta: wide,
			RoleRef:  rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: name},
			Subjects: []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Name: name, Namespace: Namespace}},
		},
		&appsv1.DaemonSet{
			TypeMeta: metav1.TypeMeta{APIVersion: appsv1.SchemeGroupVersion.String(), Kind: "DaemonSet"}, ObjectMeta: meta,
			Spec: appsv1.DaemonSetSpec{
				Selector: &metav1.LabelSelector{MatchLabels: labelled()},
				Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labelled()}, Spec: podSpec(image, group)},
			},
		},
	}
}

func labelled() map[string]string { return map[string]string{"app.kubernetes.io/name": name} }

// podSpec is on the node's own network, where the pods' packets pass, and among
// its processes, by which a pod's network namespace is found.
func podSpec(image, group string) corev1.PodSpec {
	privileged, grace := true, int64(15)
	return corev1.PodSpec{
		ServiceAccountName:            name,
		HostNetwork:                   true,
		HostPID:                       true,
		PriorityClassName:             "system-node-critical",
		TerminationGracePeriodSeconds: &grace,
		Tolerations:                   []corev1.Toleration{{Operator: corev1.TolerationOpExists}},
		Containers: []corev1.Container{{
			Name:            "agent",
			Image:           image,
			ImagePullPolicy: corev1.PullIfNotPresent,
			Args:            []string{"agent"},
			SecurityContext: &corev1.SecurityContext{Privileged: &privileged},
			Env: []corev1.EnvVar{{Name: GroupVariable, Value: group}, {Name: NodeNameVariable, ValueFrom: &corev1.EnvVarSource{
				FieldRef: &corev1.ObjectFieldSelector{FieldPath: "spec.nodeName"},
			}}},
			Resources: corev1.ResourceRequirements{Requests: corev1.ResourceList{
				corev1.ResourceCPU: resource.MustParse("50m"), corev1.ResourceMemory: resource.MustParse("64Mi"),
			}},
		}},
	}
}
