package gateway

import (
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
)

// Namespace is where the gateway and the rest of what runs share lives.
const Namespace = "cutover-system"

const (
	name      = "cutover-gateway"
	owner     = "cutover"
	managedBy = "app.kubernetes.io/managed-by"
	listener  = "http"
)

// Gateway is the shared Gateway that routes attach to.
func Gateway() types.NamespacedName {
	return types.NamespacedName{Namespace: Namespace, Name: name}
}

// Mark is the label of what is ours. Objects of Traefik's own kinds need it, too: the
// gateway obeys no others.
func Mark() map[string]string { return map[string]string{managedBy: owner} }

func podLabels() map[string]string {
	return map[string]string{"app.kubernetes.io/name": name, managedBy: owner}
}

func named(name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: Namespace, Name: name, Labels: Mark()}
}

func clusterWide(name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Name: name, Labels: Mark()}
}

// Manifests is all of the gateway but the [Definitions], in an order in which it can be
// created. The image holds Traefik 3.6 at /app/traefik.
func Manifests(image string, onlyRoot bool) []client.Object {
	return []client.Object{
		&corev1.Namespace{
			TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Namespace"},
			ObjectMeta: clusterWide(Namespace),
		},
		&corev1.ServiceAccount{
			TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "ServiceAccount"},
			ObjectMeta: named(name),
		},
		clusterRole(),
		&rbacv1.ClusterRoleBinding{
			TypeMeta:   metav1.TypeMeta{APIVersion: rbacv1.SchemeGroupVersion.String(), Kind: "ClusterRoleBinding"},
			ObjectMeta: clusterWide(name),
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: name},
			Subjects:   []rbacv1.Subject{{Kind: "ServiceAccount", Namespace: Namespace, Name: name}},
		},
		&gatewayv1.GatewayClass{
			TypeMeta:   metav1.TypeMeta{APIVersion: gatewayv1.GroupVersion.String(), Kind: "GatewayClass"},
			ObjectMeta: clusterWide(owner),
			Spec:       gatewayv1.GatewayClassSpec{ControllerName: "traefik.io/gateway-controller"},
		},
		sharedGateway(),
		deployment(image, onlyRoot),
	}
}

// clusterRole is what Traefik's providers list before they start. They insist on
// Secrets and ConfigMaps, for certificates, though we give them none to use.
func clusterRole() *rbacv1.ClusterRole {
	read := []string{"get", "list", "watch"}
	return &rbacv1.ClusterRole{
		TypeMeta:   metav1.TypeMeta{APIVersion: rbacv1.SchemeGroupVersion.String(), Kind: "ClusterRole"},
		ObjectMeta: clusterWide(name),
		Rules: []rbacv1.PolicyRule{
			{APIGroups: []string{""}, Resources: []string{"namespaces", "services", "secrets", "configmaps"}, Verbs: read},
			{APIGroups: []string{"discovery.k8s.io"}, Resources: []string{"endpointslices"}, Verbs: read},
			{APIGroups: []string{gatewayv1.GroupName}, Resources: watched[gatewayv1.GroupName], Verbs: read},
			{APIGroups: []string{TraefikGroup}, Resources: watched[TraefikGroup], Verbs: read},
			{
				APIGroups: []string{gatewayv1.GroupName},
				Resources: []string{"gatewayclasses/status", "gateways/status", "httproutes/status", "grpcroutes/status", "backendtlspolicies/status"},
				Verbs:     []string{"update"},
			},
		},
	}
}

// sharedGateway takes routes from every namespace: each run has one of its own.
func sharedGateway() *gatewayv1.Gateway {
	return &gatewayv1.Gateway{
		TypeMeta:   metav1.TypeMeta{APIVersion: gatewayv1.GroupVersion.String(), Kind: "Gateway"},
		ObjectMeta: named(name),
		Spec: gatewayv1.GatewaySpec{
			GatewayClassName: owner,
			Listeners: []gatewayv1.Listener{{
				Name:     listener,
				Port:     webPort,
				Protocol: gatewayv1.HTTPProtocolType,
				AllowedRoutes: &gatewayv1.AllowedRoutes{
					Namespaces: &gatewayv1.RouteNamespaces{From: new(gatewayv1.NamespacesFromAll)},
				},
			}},
		},
	}
}
