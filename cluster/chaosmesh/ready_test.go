package chaosmesh

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/chaos-mesh/chaos-mesh/api/v1alpha1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	runtimeclient "sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
)

// A user's own Chaos Mesh may be in any namespace.
const theirs = "resilience"

func labelled(name, part string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: theirs, Name: name, Labels: map[string]string{
		nameLabel: chartName, componentLabel: part, versionLabel: "2.8.4",
	}}
}

// whole is a cluster of two nodes with Chaos Mesh in it.
func whole() map[string]runtimeclient.Object {
	objects := map[string]runtimeclient.Object{
		"node a":     &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "a"}},
		"node b":     &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "b"}},
		"controller": &appsv1.Deployment{ObjectMeta: labelled("chaos-controller-manager", controllerLabel), Status: appsv1.DeploymentStatus{ReadyReplicas: 1}},
		"daemon":     &appsv1.DaemonSet{ObjectMeta: labelled("chaos-daemon", daemonLabel), Status: appsv1.DaemonSetStatus{NumberReady: 2}},
	}
	for _, plural := range served {
		objects[plural] = definition(plural, apiextensionsv1.ConditionTrue)
	}
	return objects
}

func definition(plural string, established apiextensionsv1.ConditionStatus) *apiextensionsv1.CustomResourceDefinition {
	return &apiextensionsv1.CustomResourceDefinition{
		ObjectMeta: metav1.ObjectMeta{Name: plural + ".chaos-mesh.org"},
		Status: apiextensionsv1.CustomResourceDefinitionStatus{Conditions: []apiextensionsv1.CustomResourceDefinitionCondition{
			{Type: apiextensionsv1.Established, Status: established},
		}},
	}
}

// answering is a cluster whose webhooks do as given with what is created.
func answering(t *testing.T, objects map[string]runtimeclient.Object, webhook func(*v1alpha1.NetworkChaos) error) client {
	t.Helper()
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, apiextensionsv1.AddToScheme, v1alpha1.AddToScheme} {
		must(t, add(scheme))
	}
	build := fake.NewClientBuilder().WithScheme(scheme)
	for _, object := range objects {
		build = build.WithObjects(object)
	}
	return build.WithInterceptorFuncs(interceptor.Funcs{
		Create: func(ctx context.Context, c runtimeclient.WithWatch, object runtimeclient.Object, options ...runtimeclient.CreateOption) error {
			var asked runtimeclient.CreateOptions
			asked.ApplyOptions(options)
			if len(asked.DryRun) == 0 {
				t.Error("a fault was made for real")
			}
			return webhook(object.(*v1alpha1.NetworkChaos))
		},
	}).Build()
}

func completes(fault *v1alpha1.NetworkChaos) error {
	fault.Spec.Delay.Jitter = v1alpha1.DefaultJitter
	return nil
}

func TestReady(t *testing.T) {
	for _, test := range []struct {
		name    string
		change  func(map[string]runtimeclient.Object)
		webhook func(*v1alpha1.NetworkChaos) error
		want    string
	}{
		{"all of it", func(map[string]runtimeclient.Object) {}, completes, ""},
		{"nothing", func(o map[string]runtimeclient.Object) { clear(o) }, completes, "controller is not there"},
		{"a kind is missing", func(o map[string]runtimeclient.Object) { delete(o, "stresschaos") }, completes, "stresschaos.chaos-mesh.org"},
		{"a kind is just defined", func(o map[string]runtimeclient.Object) {
			o["podchaos"] = definition("podchaos", apiextensionsv1.ConditionFalse)
		}, completes, "podchaos.chaos-mesh.org is not served yet"},
		{"the controller starts", func(o map[string]runtimeclient.Object) {
			o["controller"].(*appsv1.Deployment).Status.ReadyReplicas = 0
		}, completes, "controller is not ready"},
		{"a node without a daemon", func(o map[string]runtimeclient.Object) {
			o["daemon"].(*appsv1.DaemonSet).Status.NumberReady = 1
		}, completes, "ready on 1 of 2 nodes"},
		{"no daemon at all", func(o map[string]runtimeclient.Object) { delete(o, "daemon") }, completes, "ready on 0 of 2 nodes"},
		// the first words of what is wrong with a pod
		{"an image that is not there", func(o map[string]runtimeclient.Object) {
			o["daemon"].(*appsv1.DaemonSet).Status.NumberReady = 1
			o["pod"] = &corev1.Pod{ObjectMeta: labelled("chaos-daemon-x", daemonLabel), Spec: corev1.PodSpec{NodeName: "b"},
				Status: corev1.PodStatus{ContainerStatuses: []corev1.ContainerStatus{{State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "ErrImagePull"}}}}}}
		}, completes, "chaos-daemon-x on b: ErrImagePull"},
		{"webhooks that cannot be reached", func(map[string]runtimeclient.Object) {}, func(*v1alpha1.NetworkChaos) error {
			return errors.New("connection refused")
		}, "webhooks do not answer: connection refused"},
		// an API server that was not told of them yet
		{"no webhooks", func(map[string]runtimeclient.Object) {}, func(*v1alpha1.NetworkChaos) error { return nil }, "do not complete"},
	} {
		t.Run(test.name, func(t *testing.T) {
			objects := whole()
			test.change(objects)
			err := ready(t.Context(), answering(t, objects, test.webhook))
			if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
}

// Who gives up waiting is told what for.
func TestAwaitReadySaysWhatIsMissing(t *testing.T) {
	objects := whole()
	delete(objects, "daemon")
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	err := awaitReady(ctx, answering(t, objects, completes))
	if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "ready on 0 of 2 nodes") {
		t.Errorf("got %v", err)
	}
}

func TestInstalled(t *testing.T) {
	unlabelled := whole()
	delete(unlabelled["controller"].GetLabels(), versionLabel)
	definitions := whole()
	delete(definitions, "controller")
	for _, test := range []struct {
		name    string
		objects map[string]runtimeclient.Object
		want    string
	}{
		{"there, in a namespace of the user's", whole(), "2.8.4"},
		{"there, of a chart that does not say", unlabelled, "unknown"},
		// our agent serves the same kinds where Chaos Mesh is not
		{"definitions alone", definitions, ""},
		{"nothing", nil, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := Installed(t.Context(), answering(t, test.objects, completes))
			if got != test.want || err != nil {
				t.Errorf("got %q, %v, want %q", got, err, test.want)
			}
		})
	}
}
