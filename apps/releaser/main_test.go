package main

import (
	"reflect"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"
)

func deployment(generation int64, replicas, updated, available int32) *appsv1.Deployment {
	wanted := int32(3)
	return &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: "shop", Namespace: "ns", Generation: 2}, Spec: appsv1.DeploymentSpec{Replicas: &wanted},
		Status: appsv1.DeploymentStatus{ObservedGeneration: generation, Replicas: replicas, UpdatedReplicas: updated, AvailableReplicas: available},
	}
}

func TestTemplate(t *testing.T) {
	container := corev1.Container{Name: "app", Image: "shop:1", Env: []corev1.EnvVar{{Name: "VERSION", Value: "v1"}}}
	made, err := newTemplate("shop:2", []string{"VERSION=v2", "A=b=c"})
	if err != nil {
		t.Fatal(err)
	}
	made.into(&container)
	if want := (corev1.Container{Name: "app", Image: "shop:2", Env: []corev1.EnvVar{{Name: "VERSION", Value: "v2"}, {Name: "A", Value: "b=c"}}}); !reflect.DeepEqual(container, want) {
		t.Errorf("got %+v", container)
	}
	if _, err := newTemplate("shop:2", []string{"VERSION"}); err == nil {
		t.Error("a variable without a value is accepted")
	}
}

func TestRolledOut(t *testing.T) {
	for _, c := range []struct {
		comment string
		now     *appsv1.Deployment
		want    bool
	}{
		{"all pods are new", deployment(2, 3, 3, 3), true},
		{"its controller has not seen it", deployment(1, 3, 3, 3), false},
		{"an old pod is left", deployment(2, 4, 3, 3), false},
		{"a new pod is not ready", deployment(2, 3, 3, 2), false},
	} {
		if got := isRolledOut(c.now, 2); got != c.want {
			t.Errorf("%s: %v", c.comment, got)
		}
	}
	// One that is rolled out already, such as after a kill, is not waited for.
	if err := rolledOut(t.Context(), fake.NewClientset(deployment(2, 3, 3, 3)), "ns", "shop", 2); err != nil {
		t.Error(err)
	}
}
