package release

import (
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/cutover-dev/cutover/history"
)

func laidOut(c client.Client, events history.Sink, layout Layout, view history.Live) (*Installation, *GatewayAPI) {
	i := installation(c, events)
	i.Layout = layout
	route := router(c, view, events)
	route.Entry = layout.Entry
	return i, route
}

func TestServiceSelector(t *testing.T) {
	c, events := builder(t).Build(), &sink{}
	i, route := laidOut(c, events, Layout{Entry: BySelector}, answering{history.Candidate})
	r := NewRouter(i, route, i)
	for n, weight := range []int{0, 100, 0} {
		generation, err := r.Shift(t.Context(), Split{Candidate: weight})
		if err != nil || generation != Generation(n+1) {
			t.Fatalf("generation %d, %v", generation, err)
		}
		var service corev1.Service
		if err := c.Get(t.Context(), client.ObjectKey{Namespace: "run-1", Name: "shop"}, &service); err != nil {
			t.Fatal(err)
		}
		want := map[int]string{0: "shop", 100: "shop-candidate"}[weight]
		if got := service.Spec.Selector; len(got) != 1 || got[DeploymentLabel] != want {
			t.Errorf("at %d%% the Service selects %v", weight, got)
		}
	}
	if refs := routeIn(t, c).Spec.Rules[0].BackendRefs; len(refs) != 1 || refs[0].Name != "shop" {
		t.Errorf("the route leads to %+v", refs)
	}
	if routed := history.All[history.Routed](events.events); len(routed) != 3 || routed[1].Data != (history.Routed{Gen: 2, Weight: 100}) {
		t.Errorf("recorded %v", routed)
	}
	// a Service has no shares, and knows no headers
	for _, split := range []Split{{Candidate: 50}, {Match: &Match{Header: "X-Group", Value: "beta"}}} {
		if _, err := r.Shift(t.Context(), split); err == nil {
			t.Errorf("took %+v", split)
		}
	}
	// seen, as the candidate alone answers
	if err := r.Serving(t.Context(), 2); err != nil {
		t.Error(err)
	}
	// not seen
	if err := r.Serving(within(t, time.Second), 3); err == nil || !strings.Contains(err.Error(), "the switch to the baseline is not seen") || !strings.Contains(err.Error(), "the candidate still answers") {
		t.Errorf("got %v", err)
	}
}

func TestReplicaShare(t *testing.T) {
	layout := Layout{Entry: ByPods}
	c := builder(t).WithObjects(replicaSet("shop", "aaa"), replicaSet("shop-candidate", "bbb")).Build()
	i, route := laidOut(c, &sink{}, layout, answering{history.Candidate})
	j := &journal{}
	r := NewRouter(i, route, j)
	replicas := func(v history.Version) int32 {
		var deployment appsv1.Deployment
		if err := c.Get(t.Context(), client.ObjectKeyFromObject(i.empty(v)), &deployment); err != nil {
			t.Fatal(err)
		}
		return *deployment.Spec.Replicas
	}
	if err := i.Deploy(t.Context(), history.Baseline); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Shift(t.Context(), Split{}); err != nil {
		t.Fatal(err)
	}
	if err := i.Deploy(t.Context(), history.Candidate); err != nil {
		t.Fatal(err)
	}
	if n := replicas(history.Candidate); n != 0 {
		t.Errorf("a candidate without a share has %d pods in the Service", n)
	}
	for _, step := range []struct {
		weight              int
		candidate, baseline int32  // pods, once it serves
		asked               string // of the versions
	}{
		// one of the two pods, before one of the old ones goes
		{50, 1, 1, "ready candidate ready baseline"},
		// all of them: the old ones go, drained
		{100, 2, 1, "ready candidate retire baseline"},
	} {
		generation, err := r.Shift(t.Context(), Split{Candidate: step.weight})
		if err != nil {
			t.Fatal(err)
		}
		j.entries = nil
		if err := r.Serving(t.Context(), generation); err != nil {
			t.Error(err)
		}
		if got := strings.Join(j.entries, " "); got != step.asked {
			t.Errorf("at %d%%: %s, want %s", step.weight, got, step.asked)
		}
		if candidate, baseline := replicas(history.Candidate), replicas(history.Baseline); candidate != step.candidate || baseline != step.baseline {
			t.Errorf("at %d%%: %d and %d pods", step.weight, candidate, baseline)
		}
	}
	// on the way back the old version grows, and is not given up on
	if _, err := r.Shift(t.Context(), Split{}); err != nil || replicas(history.Baseline) != 2 {
		t.Errorf("%v; the baseline has %d pods", err, replicas(history.Baseline))
	}
	// a candidate that does not come up ends the step, not the run
	j.fails = []string{"ready candidate"}
	if err := r.Serving(t.Context(), 2); err == nil || !strings.Contains(err.Error(), ErrCandidateNotReady.Error()) {
		t.Errorf("got %v", err)
	}
}

func TestCandidatePods(t *testing.T) {
	for _, test := range []struct{ weight, replicas, want int }{
		{0, 4, 0}, {25, 4, 1}, {50, 4, 2}, {100, 4, 4},
		{1, 4, 1},  // somebody, or it is no canary
		{99, 4, 3}, // not everybody
		{33, 10, 3},
		{35, 10, 4},
	} {
		if got := candidatePods(test.weight, test.replicas); got != test.want {
			t.Errorf("%d%% of %d pods are %d, want %d", test.weight, test.replicas, got, test.want)
		}
	}
}

// The manifests of the strategies that replace in place.
func TestInPlaceManifests(t *testing.T) {
	i := installation(nil, &sink{})
	i.Layout = Layout{InPlace: true, Entry: ByPods}
	i.Spec = Spec{Strategy: "rolling", MaxSurge: amount("1"), MaxUnavailable: amount("0"), ProgressDeadline: history.Duration(8 * time.Second)}
	object, err := i.manifest(history.Candidate)
	if err != nil {
		t.Fatal(err)
	}
	deployment := object.(*appsv1.Deployment)
	update := deployment.Spec.Strategy.RollingUpdate
	if deployment.Name != "shop" || update.MaxSurge.IntValue() != 1 || update.MaxUnavailable.IntValue() != 0 || *deployment.Spec.ProgressDeadlineSeconds != 8 {
		t.Errorf("got %s, %+v", deployment.Name, deployment.Spec)
	}
	baseline, err := i.manifest(history.Baseline)
	if err != nil {
		t.Fatal(err)
	}
	if selector := baseline.(*appsv1.Deployment).Spec.Selector.MatchLabels; selector[DeploymentLabel] != deployment.Spec.Template.Labels[DeploymentLabel] {
		t.Errorf("the candidate's pods are not selected by %v", selector)
	}
	if services := i.services(); len(services) != 1 || services[0].Name != "shop" {
		t.Errorf("services are %v", services)
	}
	for h2c, want := range map[bool]string{false: "http", true: "kubernetes.io/h2c"} {
		i.App.H2C = h2c
		for _, port := range i.services()[0].Spec.Ports {
			if told := port.AppProtocol; (told != nil) != (port.Name == httpPort) || told != nil && *told != want {
				t.Errorf("port %s speaks %v, want %s of http, and nothing of others", port.Name, told, want)
			}
		}
	}
	i.Spec = Spec{Strategy: "recreate"}
	if object, err = i.manifest(history.Baseline); err != nil || object.(*appsv1.Deployment).Spec.Strategy.Type != appsv1.RecreateDeploymentStrategyType {
		t.Errorf("%v; strategy %+v", err, object)
	}
	i.App.Kind, i.Spec = KindStatefulSet, Spec{Strategy: "rolling", Partitions: []int{0}}
	for v, want := range map[history.Version]int32{history.Baseline: 0, history.Candidate: 3} { // nobody has it until a partition says so
		object, err := i.manifest(v)
		if err != nil {
			t.Fatal(err)
		}
		if got := *object.(*appsv1.StatefulSet).Spec.UpdateStrategy.RollingUpdate.Partition; got != want {
			t.Errorf("the %s has partition %d, want %d", v, got, want)
		}
	}
}

// What the controller of a Deployment says once it has given up.
func TestProgressDeadline(t *testing.T) {
	d := deployed(3, 1, 2)
	d.Spec.ProgressDeadlineSeconds = new(int32(8))
	d.Status.Conditions = []appsv1.DeploymentCondition{{Type: appsv1.DeploymentProgressing, Reason: "ProgressDeadlineExceeded"}}
	c := builder(t).WithObjects(d).WithStatusSubresource(d).Build()
	i := installation(c, &sink{})
	for _, await := range []func() error{
		func() error { return i.AwaitReady(within(t, 5*time.Second), history.Baseline) },
		func() error { return i.AwaitPods(within(t, 5*time.Second), history.Baseline, 3) },
	} {
		if err := await(); err == nil || !strings.Contains(err.Error(), "no further pod became ready within its progress deadline, 8s") {
			t.Errorf("got %v", err)
		}
	}
}

// A controller that had given up on the template before goes on saying so for a while.
func TestAProgressDeadlineOfTheTemplateBefore(t *testing.T) {
	d := deployed(3, 1, 2)
	condition := appsv1.DeploymentCondition{Type: appsv1.DeploymentProgressing, Reason: "ProgressDeadlineExceeded", LastUpdateTime: metav1.Unix(100, 0)}
	d.Spec.ProgressDeadlineSeconds = new(int32(8))
	d.Status.Conditions = []appsv1.DeploymentCondition{condition}
	i := installation(builder(t).WithObjects(d).WithStatusSubresource(d).Build(), &sink{})
	if err := i.forgive(t.Context(), history.Baseline); err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct {
		comment string
		since   int64
		givenUp bool
	}{
		{"as it was before", 100, false},
		{"anew", 110, true},
	} {
		d.Status.Conditions[0].LastUpdateTime = metav1.Unix(row.since, 0)
		if state := i.stateOfDeployment(d); (state.given != nil) != row.givenUp {
			t.Errorf("%s: given up: %v", row.comment, state.given)
		}
	}
}
