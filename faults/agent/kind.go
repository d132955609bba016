package agent

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/chaos-mesh/chaos-mesh/api/v1alpha1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// chaosObject is what all of Chaos Mesh's experiments have in common.
type chaosObject = v1alpha1.InnerObjectWithSelector

// kind serves one kind of chaos object.
type kind interface {
	// object is an empty one, list an empty list of them.
	object() chaosObject
	list() client.ObjectList
	// refuse says what of the object is not served; "" if all is.
	refuse(chaosObject) string
	selector(chaosObject) v1alpha1.PodSelector
	// inject hits a pod of this node. It may be called again for the same pod.
	// errPending means that it is under way.
	inject(ctx context.Context, obj chaosObject, pod *corev1.Pod, until time.Time) error
	// heal ends the object's fault on this node.
	heal(ctx context.Context, object types.UID) error
}

var errPending = errors.New("under way")

// selectorOf turns Chaos Mesh's selector into one of the API's.
func selectorOf(spec v1alpha1.PodSelectorSpec) (labels.Selector, error) {
	selector, err := metav1.LabelSelectorAsSelector(&metav1.LabelSelector{
		MatchLabels: spec.LabelSelectors, MatchExpressions: spec.ExpressionSelectors,
	})
	if err != nil {
		return nil, fmt.Errorf("spec.selector: %w", err)
	}
	return selector, nil
}

// refuseSelector says what of a selector is not served.
func refuseSelector(namespace string, spec v1alpha1.PodSelectorSpec) string {
	switch {
	case len(spec.Namespaces) > 1 || len(spec.Namespaces) == 1 && spec.Namespaces[0] != namespace:
		return "spec.selector.namespaces other than the object's own"
	case len(spec.FieldSelectors) > 0:
		return "spec.selector.fieldSelectors"
	case len(spec.AnnotationSelectors) > 0:
		return "spec.selector.annotationSelectors"
	case len(spec.Nodes) > 0 || len(spec.NodeSelectors) > 0:
		return "spec.selector by nodes"
	case len(spec.Pods) > 0:
		return "spec.selector.pods"
	case len(spec.PodPhaseSelectors) > 0:
		return "spec.selector.podPhaseSelectors"
	}
	return ""
}
