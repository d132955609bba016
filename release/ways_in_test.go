package release

import (
	"math"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
)

// route is one of the procedure's own: each rule is weights of the Services stable,
// canary and front, in this order.
func route(host string, rules ...[]int32) *gatewayv1.HTTPRoute {
	r := &gatewayv1.HTTPRoute{ObjectMeta: metav1.ObjectMeta{Namespace: "run-1", Name: "mine"}, Spec: gatewayv1.HTTPRouteSpec{Hostnames: []gatewayv1.Hostname{gatewayv1.Hostname(host)}}}
	for _, weights := range rules {
		var rule gatewayv1.HTTPRouteRule
		for i, weight := range weights {
			rule.BackendRefs = append(rule.BackendRefs, gatewayv1.HTTPBackendRef{BackendRef: gatewayv1.BackendRef{
				BackendObjectReference: gatewayv1.BackendObjectReference{Name: gatewayv1.ObjectName([]string{"stable", "canary", "front"}[i])}, Weight: new(weight),
			}})
		}
		r.Spec.Rules = append(r.Spec.Rules, rule)
	}
	return r
}

func serviceOf(name string, selector map[string]string) *corev1.Service {
	return &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "run-1", Name: name}, Spec: corev1.ServiceSpec{Selector: selector}}
}

func deploymentOf(track, image string, replicas int32) *appsv1.Deployment {
	return &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: "run-1", Name: track}, Spec: appsv1.DeploymentSpec{Replicas: new(replicas), Template: corev1.PodTemplateSpec{
		ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"app": "shop", "track": track}},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "app", Image: image}}},
	}}}
}

func TestReach(t *testing.T) {
	var (
		everybody = serviceOf("shop", map[string]string{"app": "shop"})
		stable    = serviceOf("stable", map[string]string{"track": "stable"})
		canary    = serviceOf("canary", map[string]string{"track": "canary"})
		front     = serviceOf("front", map[string]string{"track": "front"})
		host      = Hostname("shop", "run-1")
	)
	for _, row := range []struct {
		comment string
		objects []client.Object
		want    float64
	}{
		{"by pods behind one Service", []client.Object{everybody, deploymentOf("stable", "shop:1", 3), deploymentOf("canary", "shop:2", 1)}, 0.25},
		{"scaled to nothing", []client.Object{everybody, deploymentOf("stable", "shop:1", 3), deploymentOf("canary", "shop:2", 0)}, 0},
		{"selected alone", []client.Object{serviceOf("shop", map[string]string{"track": "canary"}), deploymentOf("stable", "shop:1", 3), deploymentOf("canary", "shop:2", 1)}, 1},
		{"a Service that selects nothing", []client.Object{serviceOf("shop", nil), deploymentOf("canary", "shop:2", 1)}, 0},
		{"no Service", []client.Object{deploymentOf("canary", "shop:2", 1)}, 0},
		{"by weights", []client.Object{route(host, []int32{75, 25}), stable, canary, deploymentOf("stable", "shop:1", 3), deploymentOf("canary", "shop:2", 1)}, 0.25},
		{"by weights, and released in place too", []client.Object{route(host, []int32{75, 25}), stable, canary, deploymentOf("stable", "shop:2", 3), deploymentOf("canary", "shop:2", 1)}, 1},
		{"by weights that say nothing", []client.Object{route(host, []int32{0, 0}), stable, canary, deploymentOf("stable", "shop:1", 3), deploymentOf("canary", "shop:2", 1)}, 0},
		{"to a Deployment that is gone", []client.Object{route(host, []int32{75, 25}), stable, canary, deploymentOf("stable", "shop:1", 3)}, 0},
		{"by one rule of two", []client.Object{route(host, []int32{0, 1}, []int32{1}), stable, canary, deploymentOf("stable", "shop:1", 3), deploymentOf("canary", "shop:2", 1)}, 0.5},
		{"a route for another host", []client.Object{route("other.example", []int32{0, 1}), everybody, deploymentOf("stable", "shop:1", 3), deploymentOf("canary", "shop:2", 1)}, 0.25},
		{"pods of a proxy", []client.Object{route(host, []int32{1, 0, 1}), stable, canary, front, deploymentOf("front", "nginx", 3), deploymentOf("stable", "shop:1", 3)}, 0},
	} {
		i := installation(builder(t).WithObjects(row.objects...).Build(), &sink{})
		got, err := i.Reach(t.Context(), &Recogniser{images: []string{"shop:1", "shop:2"}, baseline: corev1.Container{Image: "shop:1"}})
		if err != nil || math.Abs(got-row.want) > 1e-9 {
			t.Errorf("%s: %g, %v; want %g", row.comment, got, err, row.want)
		}
	}
}

func TestWhoseRouteItIs(t *testing.T) {
	ours := route(Hostname("shop", "run-1"), []int32{1})
	ours.Labels = map[string]string{RunLabel: "r1"}
	for _, row := range []struct {
		comment string
		routes  []client.Object
		own     bool
	}{
		{"none", nil, false},
		{"cutover's", []client.Object{ours}, false},
		{"for another host", []client.Object{route("other.example", []int32{1})}, false},
		{"the procedure's", []client.Object{route(Hostname("shop", "run-1"), []int32{1})}, true},
	} {
		i := installation(builder(t).WithObjects(row.routes...).Build(), &sink{})
		if own, err := i.HasOwnRoute(t.Context()); own != row.own || err != nil {
			t.Errorf("%s: %t, %v", row.comment, own, err)
		}
	}
}

// The baseline is found behind the routes of a procedure, and not behind a Service to
// which they lead nobody.
func TestTheBaselineIsWhatUsersComeInTo(t *testing.T) {
	pod := func(track, image string) *corev1.Pod {
		return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "run-1", Name: track, Labels: map[string]string{"track": track}}, Spec: corev1.PodSpec{Containers: []corev1.Container{{Image: image}}}}
	}
	i := installation(builder(t).WithObjects(
		route(Hostname("shop", "run-1"), []int32{100, 0}), serviceOf("stable", map[string]string{"track": "stable"}), serviceOf("canary", map[string]string{"track": "canary"}),
		pod("canary", "cutover.local/shop:2"), pod("stable", "cutover.local/shop:1"),
	).Build(), &sink{})
	i.App.Baseline.Image, i.App.Candidate.Image = "one", "two"
	i.Images = map[string]string{"one": "cutover.local/shop:1", "two": "cutover.local/shop:2"}
	r, err := i.Recognise(t.Context())
	if err != nil || r.baseline.Image != "cutover.local/shop:1" {
		t.Errorf("recognised %+v, %v", r, err)
	}
	if err := i.Client.Delete(t.Context(), pod("stable", "")); err != nil {
		t.Fatal(err)
	}
	if _, err := i.Recognise(t.Context()); err == nil {
		t.Error("a baseline was found that nobody comes in to")
	}
}
