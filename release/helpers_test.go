package release

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/cutover-dev/cutover/history"
)

// sink keeps the events it is given.
type sink struct {
	mu     sync.Mutex
	events []history.Event
}

func (s *sink) Event(e history.Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.events = append(s.events, e)
}

func (s *sink) Request(history.Request) {}

// lives tells the recorded life of each pod: "starting ready gone killed (Evicted)".
func (s *sink) lives() map[string]string {
	s.mu.Lock()
	defer s.mu.Unlock()
	lives := map[string]string{}
	for _, e := range history.All[history.PodSeen](s.events) {
		life := lives[e.Data.Pod] + " " + e.Data.Phase
		if e.Data.Restarts > 0 {
			life += fmt.Sprintf(" restarts=%d", e.Data.Restarts)
		}
		if e.Data.Killed {
			life += " killed"
		}
		if e.Data.Reason != "" {
			life += " (" + e.Data.Reason + ")"
		}
		lives[e.Data.Pod] = strings.TrimSpace(life)
	}
	return lives
}

// unlisted is a fake client that says of itself that it cannot stream a list.
type unlisted struct{ client.WithWatch }

func (unlisted) IsWatchListSemanticsUnSupported() bool { return true }

func builder(t *testing.T) *fake.ClientBuilder {
	t.Helper()
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, gatewayv1.Install} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	return fake.NewClientBuilder().WithScheme(scheme).WithStatusSubresource(&appsv1.Deployment{}, &gatewayv1.HTTPRoute{})
}

func shop() App {
	seconds := func(n int) history.Duration { return history.Duration(n) * history.Duration(time.Second) }
	return App{
		Image:     "ko://./apps/shop",
		Service:   "shop",
		Ports:     map[string]int{"http": 8080, "metrics": 9090},
		Replicas:  2,
		Env:       map[string]string{"VERSION": "none", "CURRENCY": "EUR"},
		Readiness: Readiness{Path: "/ready", Period: seconds(1), Timeout: history.Duration(200 * time.Millisecond), Failures: 3},
		Drain:     history.Duration(1500 * time.Millisecond),
		Grace:     seconds(30),
		Baseline:  Variant{Env: map[string]string{"VERSION": "v1"}},
		Candidate: Variant{Env: map[string]string{"VERSION": "v2"}, Args: []string{"--slow"}, Replicas: 3},
	}
}

func installation(c client.Client, events history.Sink) *Installation {
	return &Installation{
		Client:    c,
		Namespace: "run-1",
		Run:       "r1",
		App:       shop(),
		Images:    map[string]string{"ko://./apps/shop": "cutover.local/shop:abc"},
		Layout:    Layout{Entry: ByVersion},
		Pods:      NewPods(history.NewClock(), events),
	}
}

// replicaSet is what the Deployment controller makes of a Deployment.
func replicaSet(deployment, hash string) *appsv1.ReplicaSet {
	return &appsv1.ReplicaSet{ObjectMeta: metav1.ObjectMeta{
		Namespace: "run-1", Name: deployment + "-" + hash,
		Labels:          map[string]string{DeploymentLabel: deployment, appsv1.DefaultDeploymentUniqueLabelKey: hash},
		OwnerReferences: []metav1.OwnerReference{{UID: types.UID(""), Controller: new(true), Kind: "Deployment", Name: deployment}},
	}}
}

func podOf(deployment, name, hash, ip string) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: "run-1", Name: name, UID: types.UID(name),
			Labels: map[string]string{DeploymentLabel: deployment, appsv1.DefaultDeploymentUniqueLabelKey: hash},
		},
		Status: corev1.PodStatus{PodIP: ip},
	}
}

func readyPod(pod *corev1.Pod, ready bool) *corev1.Pod {
	pod = pod.DeepCopy()
	status := corev1.ConditionFalse
	if ready {
		status = corev1.ConditionTrue
	}
	pod.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: status}}
	return pod
}

func slice(service string, ready ...bool) *discoveryv1.EndpointSlice {
	slice := &discoveryv1.EndpointSlice{
		ObjectMeta:  metav1.ObjectMeta{Namespace: "run-1", Name: service + "-x", Labels: map[string]string{discoveryv1.LabelServiceName: service}},
		AddressType: discoveryv1.AddressTypeIPv4,
	}
	for i, r := range ready {
		slice.Endpoints = append(slice.Endpoints, discoveryv1.Endpoint{
			Addresses:  []string{"10.0.0." + string(rune('1'+i))},
			Conditions: discoveryv1.EndpointConditions{Ready: new(r)},
		})
	}
	return slice
}

// within gives a test of something that must not happen a moment to happen in.
func within(t *testing.T, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}
