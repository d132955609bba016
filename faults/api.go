package faults

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/chaos-mesh/chaos-mesh/api/v1alpha1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Chaos objects go through the API without a scheme: a scheme knows a Go type under
// one group only, and these are of two.

// AddToScheme adds the types of the chaos objects that the agent serves, under a
// group, to the scheme of a client that wants types.
func AddToScheme(scheme *runtime.Scheme, group string) error {
	version := schema.GroupVersion{Group: group, Version: v1alpha1.SchemeGroupVersion.Version}
	for _, kind := range kindsOf(byAgent) {
		types := v1alpha1.AllKinds()[kind]
		scheme.AddKnownTypes(version, types.SpawnObject(), types.SpawnList())
	}
	metav1.AddToGroupVersion(scheme, version)
	return nil
}

// reference names a chaos object to another process; it is the params of an action.
type reference struct {
	Group     string `json:"group"`
	Kind      string `json:"kind"`
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
}

func (r reference) String() string { return fmt.Sprintf("%s %s/%s", r.Kind, r.Namespace, r.Name) }

func (r reference) params() json.RawMessage {
	params, err := json.Marshal(r)
	if err != nil {
		panic(fmt.Sprintf("faults: strings that cannot be encoded: %v", err))
	}
	return params
}

func (r reference) key() client.ObjectKey {
	return client.ObjectKey{Namespace: r.Namespace, Name: r.Name}
}

func (r reference) gvk() schema.GroupVersionKind {
	return schema.GroupVersionKind{Group: r.Group, Version: v1alpha1.SchemeGroupVersion.Version, Kind: r.Kind}
}

// bare is the object with nothing but its name.
func (r reference) bare() *unstructured.Unstructured {
	obj := &unstructured.Unstructured{}
	obj.SetGroupVersionKind(r.gvk())
	obj.SetNamespace(r.Namespace)
	obj.SetName(r.Name)
	return obj
}

// listOf is an empty list of objects of the reference's kind.
func (r reference) listOf() *unstructured.UnstructuredList {
	list := &unstructured.UnstructuredList{}
	gvk := r.gvk()
	gvk.Kind += "List"
	list.SetGroupVersionKind(gvk)
	return list
}

// create puts the object into the API under the reference.
func (r reference) create(ctx context.Context, c client.Client, obj chaosObject) error {
	fields, err := runtime.DefaultUnstructuredConverter.ToUnstructured(obj)
	if err != nil {
		return fmt.Errorf("write down the object: %w", err)
	}
	untyped := &unstructured.Unstructured{Object: fields}
	untyped.SetGroupVersionKind(r.gvk())
	return c.Create(ctx, untyped)
}

// get reads the object. The first of its two forms is what a patch goes by.
func (r reference) get(ctx context.Context, c client.Reader) (*unstructured.Unstructured, chaosObject, error) {
	untyped := r.bare()
	if err := c.Get(ctx, r.key(), untyped); err != nil {
		return nil, nil, err
	}
	obj, err := r.typed(untyped)
	return untyped, obj, err
}

// typed is the object in Chaos Mesh's own type.
func (r reference) typed(obj runtime.Object) (chaosObject, error) {
	kind, known := v1alpha1.AllKinds()[r.Kind]
	if !known {
		return nil, fmt.Errorf("unknown chaos object %s.%s", r.Kind, r.Group)
	}
	typed, ok := kind.SpawnObject().(chaosObject)
	if !ok {
		return nil, fmt.Errorf("chaos object %s has no status to go by", r.Kind)
	}
	text, err := json.Marshal(obj)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", r, err)
	}
	if err := json.Unmarshal(text, typed); err != nil {
		return nil, fmt.Errorf("read %s: %w", r, err)
	}
	return typed, nil
}

// watched is the object that an event of a watch is about.
func (r reference) watched(event watch.Event) (chaosObject, error) {
	if event.Type == watch.Error {
		return nil, fmt.Errorf("watch %s: %w", r, apierrors.FromObject(event.Object))
	}
	return r.typed(event.Object)
}
