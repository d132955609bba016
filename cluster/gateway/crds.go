package gateway

import (
	"strings"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
)

// watched are the kinds that Traefik's Gateway API provider watches, with the
// versions it asks for. It starts serving only when it can list every one of them.
var watched = []struct {
	kind, plural, version string
	scope                 apiextensionsv1.ResourceScope
}{
	{"GatewayClass", "gatewayclasses", "v1", apiextensionsv1.ClusterScoped},
	{"Gateway", "gateways", "v1", apiextensionsv1.NamespaceScoped},
	{"HTTPRoute", "httproutes", "v1", apiextensionsv1.NamespaceScoped},
	{"GRPCRoute", "grpcroutes", "v1", apiextensionsv1.NamespaceScoped},
	{"ReferenceGrant", "referencegrants", "v1beta1", apiextensionsv1.NamespaceScoped},
	{"BackendTLSPolicy", "backendtlspolicies", "v1", apiextensionsv1.NamespaceScoped},
}

// CRDs are the Gateway API's kinds without their schemas, for clusters that do not
// have the API. Nothing is defaulted or validated by them: whoever writes an object
// states every field. A cluster that has the real ones keeps them.
func CRDs() []client.Object {
	crds := make([]client.Object, 0, len(watched))
	for _, w := range watched {
		crds = append(crds, &apiextensionsv1.CustomResourceDefinition{
			TypeMeta: metav1.TypeMeta{APIVersion: apiextensionsv1.SchemeGroupVersion.String(), Kind: "CustomResourceDefinition"},
			ObjectMeta: metav1.ObjectMeta{
				Name:   w.plural + "." + gatewayv1.GroupName,
				Labels: ours(),
				// The API server asks this of every kind in a *.k8s.io group.
				Annotations: map[string]string{"api-approved.kubernetes.io": "unapproved, a stand-in without schema for test clusters"},
			},
			Spec: apiextensionsv1.CustomResourceDefinitionSpec{
				Group: gatewayv1.GroupName,
				Names: apiextensionsv1.CustomResourceDefinitionNames{
					Kind:     w.kind,
					ListKind: w.kind + "List",
					Plural:   w.plural,
					Singular: strings.ToLower(w.kind),
				},
				Scope:    w.scope,
				Versions: []apiextensionsv1.CustomResourceDefinitionVersion{anything(w.version)},
			},
		})
	}
	return crds
}

// anything is a version that takes any content. Status is a subresource: Traefik
// writes it so, and it must not count as a new generation of the object.
func anything(version string) apiextensionsv1.CustomResourceDefinitionVersion {
	return apiextensionsv1.CustomResourceDefinitionVersion{
		Name:         version,
		Served:       true,
		Storage:      true,
		Subresources: &apiextensionsv1.CustomResourceSubresources{Status: &apiextensionsv1.CustomResourceSubresourceStatus{}},
		Schema: &apiextensionsv1.CustomResourceValidation{OpenAPIV3Schema: &apiextensionsv1.JSONSchemaProps{
			Type:                   "object",
			XPreserveUnknownFields: new(true),
		}},
	}
}
