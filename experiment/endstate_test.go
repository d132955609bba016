package experiment

import (
	"reflect"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

func service(namespace, colour string, more map[string]any) unstructured.Unstructured {
	metadata := map[string]any{"name": "shop", "namespace": namespace, "uid": "uid-" + namespace, "resourceVersion": namespace, "labels": map[string]any{"app": "shop"}}
	spec := map[string]any{"selector": map[string]any{"colour": colour}, "clusterIP": "10.0.0." + namespace, "ports": []any{map[string]any{"port": int64(80), "nodePort": int64(len(namespace))}}}
	for key, value := range more {
		metadata[key] = value
	}
	return unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec,
		"data": "shop." + namespace + ".svc", "status": map[string]any{"seen": namespace},
	}}
}

func TestObjectsOfTwoRunsAreCompared(t *testing.T) {
	one := normalised(service("one", "green", nil), "one")
	for _, c := range []struct {
		comment string
		other   unstructured.Unstructured
		same    bool
	}{
		{"in another namespace", service("another", "green", nil), true},
		{"applied in another way", service("another", "green", map[string]any{"annotations": map[string]any{"kubectl.kubernetes.io/last-applied-configuration": "{}"}}), true},
		// What somebody meant.
		{"with another selector", service("another", "blue", nil), false},
		{"with another label", service("another", "green", map[string]any{"labels": map[string]any{"app": "cart"}}), false},
		{"with a finalizer", service("another", "green", map[string]any{"finalizers": []any{"x/y"}}), false},
	} {
		if same := normalised(c.other, "another") == one; same != c.same {
			t.Errorf("%s: the same is %v, want %v\n%s\n%s", c.comment, same, c.same, one, normalised(c.other, "another"))
		}
	}
}

// Helm's record of a release says when it was, but also what became of it.
func TestHelmsRecordsOfTwoRunsAreCompared(t *testing.T) {
	record := func(status, second string) string {
		return normalised(unstructured.Unstructured{Object: map[string]any{
			"apiVersion": "v1", "kind": "Secret", "type": "helm.sh/release.v1", "data": map[string]any{"release": second},
			"metadata": map[string]any{"name": "sh.helm.release.v1.shop.v2", "labels": map[string]any{"status": status, "modifiedAt": second}},
		}}, "one")
	}
	if record("deployed", "1") != record("deployed", "2") {
		t.Error("one that was made a second later is another one")
	}
	if record("deployed", "1") == record("pending-upgrade", "1") {
		t.Error("one that is pending is the same as one that is deployed")
	}
}

func TestWhatNobodyMeantDoesNotCount(t *testing.T) {
	for _, c := range []struct {
		kind, name string
		metadata   map[string]any
		want       bool
	}{
		{"Service", "shop", nil, true},
		{"ConfigMap", "release-lock", nil, true},
		{"ConfigMap", "kube-root-ca.crt", nil, false},
		{"ServiceAccount", "default", nil, false},
		{"Event", "x", nil, false},
		{"HTTPRoute", "shop", map[string]any{"labels": map[string]any{"cutover.dev/run": "r"}}, false},
		{"HTTPRoute", "theirs", nil, true},
		{"ReplicaSet", "shop-1", map[string]any{"ownerReferences": []any{map[string]any{"kind": "Deployment", "name": "shop", "uid": "1", "apiVersion": "apps/v1"}}}, false},
	} {
		metadata := map[string]any{"name": c.name}
		for key, value := range c.metadata {
			metadata[key] = value
		}
		o := unstructured.Unstructured{Object: map[string]any{"apiVersion": "v1", "kind": c.kind, "metadata": metadata}}
		if got := counts(o); got != c.want {
			t.Errorf("%s/%s counts: %v, want %v", c.kind, c.name, got, c.want)
		}
	}
}

func TestDifferences(t *testing.T) {
	want := endState{"Service/shop": "green", "Deployment/green": "3", "Deployment/x": "x"}
	if got := want.differences(want); len(got) != 0 {
		t.Errorf("differs from itself: %q", got)
	}
	is := endState{"Service/shop": "blue", "Deployment/green": "3", "ConfigMap/lock": ""}
	got := is.differences(want)
	if expected := []string{"Deployment/x is missing", "Service/shop is another one", "ConfigMap/lock is left over"}; !reflect.DeepEqual(got, expected) {
		t.Errorf("differences %q, want %q", got, expected)
	}
}
