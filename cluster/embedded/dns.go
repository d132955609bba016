package embedded

import (
	"context"
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/client-go/kubernetes"
	"k8s.io/utils/ptr"

	"github.com/cutover-dev/cutover/cluster"
)

const corednsImage = "cutover.local/coredns:1"

// There is no forward plugin: nothing outside can be reached, and waiting for it
// would cost five seconds a name.
const corefile = `.:53 {
    errors
    health :8080
    ready :8181
    kubernetes ` + clusterDomain + ` in-addr.arpa {
        ttl 5
    }
    cache 5
    loadbalance
}
`

// installDNS deploys CoreDNS behind the cluster's DNS address.
func installDNS(ctx context.Context, client kubernetes.Interface) error {
	const name, namespace = "coredns", "kube-system"
	meta := metav1.ObjectMeta{Name: name, Namespace: namespace, Labels: map[string]string{"k8s-app": "kube-dns"}}
	role := &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: "cutover:coredns"}, Rules: []rbacv1.PolicyRule{
		{APIGroups: []string{""}, Resources: []string{"endpoints", "services", "pods", "namespaces"}, Verbs: []string{"list", "watch"}},
		{APIGroups: []string{"discovery.k8s.io"}, Resources: []string{"endpointslices"}, Verbs: []string{"list", "watch"}},
	}}
	binding := &rbacv1.ClusterRoleBinding{ObjectMeta: role.ObjectMeta,
		RoleRef:  rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role.Name},
		Subjects: []rbacv1.Subject{{Kind: "ServiceAccount", Name: name, Namespace: namespace}}}
	service := &corev1.Service{ObjectMeta: meta, Spec: corev1.ServiceSpec{ClusterIP: dnsServiceIP, Selector: meta.Labels, Ports: []corev1.ServicePort{
		{Name: "dns", Port: 53, Protocol: corev1.ProtocolUDP}, {Name: "dns-tcp", Port: 53, Protocol: corev1.ProtocolTCP}}}}
	service.Name = "kube-dns"
	create := metav1.CreateOptions{}
	for _, step := range []func() error{
		func() error {
			_, err := client.CoreV1().ServiceAccounts(namespace).Create(ctx, &corev1.ServiceAccount{ObjectMeta: meta}, create)
			return err
		},
		func() error { _, err := client.RbacV1().ClusterRoles().Create(ctx, role, create); return err },
		func() error { _, err := client.RbacV1().ClusterRoleBindings().Create(ctx, binding, create); return err },
		func() error {
			_, err := client.CoreV1().ConfigMaps(namespace).Create(ctx, &corev1.ConfigMap{ObjectMeta: meta, Data: map[string]string{"Corefile": corefile}}, create)
			return err
		},
		func() error {
			_, err := client.AppsV1().Deployments(namespace).Create(ctx, dnsDeployment(meta), create)
			return err
		},
		func() error { _, err := client.CoreV1().Services(namespace).Create(ctx, service, create); return err },
	} {
		if err := step(); err != nil {
			return fmt.Errorf("install CoreDNS: %w", err)
		}
	}
	return nil
}

func dnsDeployment(meta metav1.ObjectMeta) *appsv1.Deployment {
	pod := corev1.PodSpec{
		ServiceAccountName: meta.Name,
		DNSPolicy:          corev1.DNSDefault,
		PriorityClassName:  "system-cluster-critical",
		Containers: []corev1.Container{{
			Name: meta.Name, Image: corednsImage, Args: []string{"-conf", "/etc/coredns/Corefile"},
			VolumeMounts: []corev1.VolumeMount{{Name: "config", MountPath: "/etc/coredns"}},
			ReadinessProbe: &corev1.Probe{PeriodSeconds: 1, ProbeHandler: corev1.ProbeHandler{
				HTTPGet: &corev1.HTTPGetAction{Path: "/ready", Port: intstr.FromInt32(8181)}}},
		}},
		Volumes: []corev1.Volume{{Name: "config", VolumeSource: corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{
			LocalObjectReference: corev1.LocalObjectReference{Name: meta.Name}}}}},
	}
	cluster.BesideControlPlane(&pod)
	return &appsv1.Deployment{ObjectMeta: meta, Spec: appsv1.DeploymentSpec{
		Replicas: ptr.To[int32](1),
		Selector: &metav1.LabelSelector{MatchLabels: meta.Labels},
		Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: meta.Labels}, Spec: pod},
	}}
}
