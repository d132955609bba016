package agent

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chaos-mesh/chaos-mesh/api/v1alpha1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/cutover-dev/cutover/faults"
)

// notebook is a driver that writes down what it is asked for.
type notebook struct {
	hit    map[types.UID]time.Time // pods under a fault, and until when
	healed int
	fail   error
}

func (n *notebook) Apply(_ context.Context, _ types.UID, _ Delay, pod Pod, until time.Time) error {
	if n.fail == nil {
		n.hit[pod.UID] = until
	}
	return n.fail
}

func (n *notebook) Heal(context.Context, types.UID) error {
	n.healed++
	clear(n.hit)
	return nil
}

func (n *notebook) Sweep(ctx context.Context) error { return n.Heal(ctx, "") }

// cluster is an API with a namespace of a run, and agents on its nodes.
type cluster struct {
	t        *testing.T
	client   client.WithWatch
	now      time.Time
	conflict bool // the next update meets one
}

var key = types.NamespacedName{Namespace: "ns", Name: "fault"}

func newCluster(t *testing.T) *cluster {
	t.Helper()
	scheme := runtime.NewScheme()
	if err := errors.Join(clientgoscheme.AddToScheme(scheme), faults.AddToScheme(scheme, faults.MeshGroup)); err != nil {
		t.Fatal(err)
	}
	c := &cluster{t: t, now: time.Now()}
	c.client = fake.NewClientBuilder().WithScheme(scheme).WithInterceptorFuncs(interceptor.Funcs{
		Update: func(ctx context.Context, below client.WithWatch, obj client.Object, opts ...client.UpdateOption) error {
			if c.conflict {
				c.conflict = false
				return apierrors.NewConflict(schema.GroupResource{}, obj.GetName(), errors.New("another was faster"))
			}
			return below.Update(ctx, obj, opts...)
		},
	}).Build()
	c.create(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "ns", Labels: map[string]string{faults.RunLabel: "r1"}}})
	c.create(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "foreign"}})
	return c
}

func (c *cluster) create(obj client.Object) {
	c.t.Helper()
	if err := c.client.Create(c.t.Context(), obj); err != nil {
		c.t.Fatal(err)
	}
}

func (c *cluster) pod(name, node string) *corev1.Pod {
	c.t.Helper()
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: name, UID: types.UID("uid-" + name), Labels: map[string]string{"app": "shop"}},
		Spec:       corev1.PodSpec{NodeName: node},
		Status:     corev1.PodStatus{PodIP: "10.0.0.1"},
	}
	c.create(pod)
	return pod
}

func (c *cluster) delete(obj client.Object) {
	c.t.Helper()
	if err := c.client.Delete(c.t.Context(), obj); err != nil {
		c.t.Fatal(err)
	}
}

func (c *cluster) agent(node string) (*reconciler, *notebook) {
	book := &notebook{hit: map[types.UID]time.Time{}}
	r := newReconciler(networkDelay{book}, c.client, c.client, node)
	r.now = func() time.Time { return c.now }
	return r, book
}

func (c *cluster) killer(node string) *reconciler {
	r := newReconciler(podKill{client: c.client, live: c.client}, c.client, c.client, node)
	r.now = func() time.Time { return c.now }
	return r
}

func (c *cluster) reconcile(r *reconciler) reconcile.Result {
	c.t.Helper()
	result, err := r.Reconcile(c.t.Context(), ctrl.Request{NamespacedName: key})
	if err != nil {
		c.t.Fatal(err)
	}
	return result
}

func (c *cluster) delay(change func(*v1alpha1.NetworkChaos)) {
	c.t.Helper()
	duration := "20s"
	obj := &v1alpha1.NetworkChaos{
		ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "fault", UID: "uid-fault", CreationTimestamp: metav1.NewTime(c.now)},
		Spec: v1alpha1.NetworkChaosSpec{
			Action: v1alpha1.DelayAction, Duration: &duration,
			PodSelector: v1alpha1.PodSelector{Mode: v1alpha1.AllMode, Selector: v1alpha1.PodSelectorSpec{
				GenericSelectorSpec: v1alpha1.GenericSelectorSpec{Namespaces: []string{"ns"}, LabelSelectors: map[string]string{"app": "shop"}},
			}},
			TcParameter: v1alpha1.TcParameter{Delay: &v1alpha1.DelaySpec{Latency: "100ms"}},
		},
	}
	if change != nil {
		change(obj)
	}
	c.create(obj)
}

func (c *cluster) kill(grace int64) {
	c.t.Helper()
	c.create(&v1alpha1.PodChaos{
		ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "fault", UID: "uid-fault", CreationTimestamp: metav1.NewTime(c.now)},
		Spec: v1alpha1.PodChaosSpec{
			Action: v1alpha1.PodKillAction, GracePeriod: grace,
			ContainerSelector: v1alpha1.ContainerSelector{PodSelector: v1alpha1.PodSelector{Mode: v1alpha1.AllMode, Selector: v1alpha1.PodSelectorSpec{
				GenericSelectorSpec: v1alpha1.GenericSelectorSpec{LabelSelectors: map[string]string{"app": "shop"}},
			}}},
		},
	})
}

func (c *cluster) object(r *reconciler) chaosObject {
	c.t.Helper()
	obj := r.kind.object()
	if err := c.client.Get(c.t.Context(), key, obj); err != nil {
		c.t.Fatal(err)
	}
	return obj
}

// phases are the records in short: "a=Injected".
func phases(obj chaosObject) []string {
	var all []string
	for _, record := range obj.GetStatus().Experiment.Records {
		all = append(all, podName(record)+"="+string(record.Phase))
	}
	slices.Sort(all)
	return all
}

func holds(obj chaosObject, kind v1alpha1.ChaosConditionType) bool {
	return slices.ContainsFunc(obj.GetStatus().Conditions, func(c v1alpha1.ChaosCondition) bool {
		return c.Type == kind && c.Status == corev1.ConditionTrue
	})
}

func (c *cluster) expect(obj chaosObject, want ...string) {
	c.t.Helper()
	if got := phases(obj); !slices.Equal(got, want) {
		c.t.Errorf("records %v, want %v", got, want)
	}
}

func TestEachAgentHitsThePodsOfItsNodeOnly(t *testing.T) {
	c := newCluster(t)
	c.pod("a", "one")
	c.pod("b", "two")
	c.delay(nil)
	one, onesBook := c.agent("one")
	two, twosBook := c.agent("two")
	if result := c.reconcile(one); result.RequeueAfter != 20*time.Second {
		t.Errorf("looks again after %v, want the fault's end", result.RequeueAfter)
	}
	obj := c.object(one)
	c.expect(obj, "a=Injected", "b=Not Injected")
	if holds(obj, v1alpha1.ConditionAllInjected) || !holds(obj, v1alpha1.ConditionSelected) {
		t.Errorf("conditions %v", obj.GetStatus().Conditions)
	}
	if !slices.Contains(obj.GetFinalizers(), faults.RecordsFinalizer) || obj.GetAnnotations()[faults.ExpiresAnnotation] == "" {
		t.Errorf("finalizers %v, annotations %v", obj.GetFinalizers(), obj.GetAnnotations())
	}
	c.conflict = true
	c.reconcile(two)
	obj = c.object(two)
	c.expect(obj, "a=Injected", "b=Injected")
	if !holds(obj, v1alpha1.ConditionAllInjected) || holds(obj, v1alpha1.ConditionAllRecovered) {
		t.Errorf("conditions %v", obj.GetStatus().Conditions)
	}
	if len(onesBook.hit) != 1 || len(twosBook.hit) != 1 {
		t.Errorf("hit %v and %v", onesBook.hit, twosBook.hit)
	}

	c.delete(obj)
	c.reconcile(one)
	c.expect(c.object(one), "a=Not Injected", "b=Injected")
	c.reconcile(two)
	if err := c.client.Get(t.Context(), key, one.kind.object()); !apierrors.IsNotFound(err) {
		t.Errorf("the object stays after both have healed: %v", err)
	}
	if onesBook.healed == 0 || twosBook.healed == 0 {
		t.Error("an agent let go without healing")
	}
}

func TestNewbornPodsAreHitForTheRemainingTime(t *testing.T) {
	c := newCluster(t)
	c.delay(nil)
	r, book := c.agent("one")
	c.reconcile(r)
	if obj := c.object(r); holds(obj, v1alpha1.ConditionSelected) || len(book.hit) != 0 {
		t.Errorf("nothing to select, and conditions %v", obj.GetStatus().Conditions)
	}
	c.now = c.now.Add(15 * time.Second)
	c.pod("late", "one")
	c.reconcile(r)
	c.expect(c.object(r), "late=Injected")
	if left := book.hit["uid-late"].Sub(c.now); left < 4*time.Second || left > 6*time.Second {
		t.Errorf("hit for %v, want the remaining 5s", left)
	}
}

func TestFaultEndsAtItsTimeAndPodsThatAreGoneDoNotHoldItUp(t *testing.T) {
	c := newCluster(t)
	a := c.pod("a", "one")
	c.pod("b", "one")
	c.delay(nil)
	r, book := c.agent("one")
	c.reconcile(r)
	c.delete(a)
	c.reconcile(r)
	c.expect(c.object(r), "a=Injected", "b=Injected")
	c.now = c.now.Add(21 * time.Second)
	c.reconcile(r)
	obj := c.object(r)
	c.expect(obj, "a=Not Injected", "b=Not Injected")
	if len(book.hit) != 0 || !holds(obj, v1alpha1.ConditionAllRecovered) || obj.GetStatus().Experiment.DesiredPhase != v1alpha1.StoppedPhase {
		t.Errorf("hit %v, status %+v", book.hit, obj.GetStatus())
	}
	if record := obj.GetStatus().Experiment.Records[0]; record.InjectedCount != 1 || record.RecoveredCount != 1 || len(record.Events) != 2 {
		t.Errorf("record %+v", record)
	}
}

func TestAgentResumesFromTheObject(t *testing.T) {
	c := newCluster(t)
	c.pod("a", "one")
	c.delay(nil)
	first, _ := c.agent("one")
	c.reconcile(first)
	c.now = c.now.Add(10 * time.Second)
	next, book := c.agent("one")
	c.reconcile(next)
	if left := book.hit["uid-a"].Sub(c.now); left < 9*time.Second || left > 11*time.Second {
		t.Errorf("resumed for %v, want the remaining 10s", left)
	}
}

func TestAgentKeepsItsHandsOff(t *testing.T) {
	cases := []struct {
		name   string
		change func(*v1alpha1.NetworkChaos)
		want   string // in the reason; "" if the object stays untouched
	}{
		{"namespace of no run", func(o *v1alpha1.NetworkChaos) { o.Namespace = "foreign" }, ""},
		{"another action", func(o *v1alpha1.NetworkChaos) { o.Spec.Action = v1alpha1.LossAction }, "loss"},
		{"no end", func(o *v1alpha1.NetworkChaos) { o.Spec.Duration = nil }, "without an end"},
		{"pods of other namespaces", func(o *v1alpha1.NetworkChaos) { o.Spec.Selector.Namespaces = []string{"kube-system"} }, "namespaces"},
		{"both directions", func(o *v1alpha1.NetworkChaos) { o.Spec.Direction = v1alpha1.Both }, "direction"},
		{"bad latency", func(o *v1alpha1.NetworkChaos) { o.Spec.Delay.Latency = "x" }, "latency"},
		{"nodes", func(o *v1alpha1.NetworkChaos) { o.Spec.Selector.Nodes = []string{"one"} }, "nodes"},
	}
	for _, example := range cases {
		t.Run(example.name, func(t *testing.T) {
			c := newCluster(t)
			c.pod("a", "one")
			c.delay(example.change)
			r, book := c.agent("one")
			at := key
			if example.want == "" {
				at.Namespace = "foreign"
			}
			if _, err := r.Reconcile(t.Context(), ctrl.Request{NamespacedName: at}); err != nil {
				t.Fatal(err)
			}
			obj := &v1alpha1.NetworkChaos{}
			if err := c.client.Get(t.Context(), at, obj); err != nil {
				t.Fatal(err)
			}
			if len(book.hit) != 0 || len(obj.Finalizers) != 0 {
				t.Errorf("hit %v, finalizers %v", book.hit, obj.Finalizers)
			}
			if example.want == "" {
				if len(obj.Status.Conditions) != 0 {
					t.Errorf("conditions %v on a foreign object", obj.Status.Conditions)
				}
				return
			}
			reason := obj.Status.Conditions[0].Reason
			if !strings.HasPrefix(reason, faults.NotServed) || !strings.Contains(reason, example.want) {
				t.Errorf("reason %q, want %q", reason, example.want)
			}
		})
	}
}

func TestFailureIsOnRecordAndTriedAgain(t *testing.T) {
	c := newCluster(t)
	c.pod("a", "one")
	c.delay(nil)
	r, book := c.agent("one")
	book.fail = errors.New("no route to the pod")
	for range 3 {
		if result := c.reconcile(r); result.RequeueAfter != retryAfter {
			t.Errorf("looks again after %v", result.RequeueAfter)
		}
	}
	obj := c.object(r)
	c.expect(obj, "a=Not Injected")
	events := obj.GetStatus().Experiment.Records[0].Events
	if len(events) != 1 || events[0].Type != v1alpha1.TypeFailed || events[0].Message != book.fail.Error() {
		t.Errorf("events %+v", events)
	}
	book.fail = nil
	c.reconcile(r)
	c.expect(c.object(r), "a=Injected")
}

func TestVanishedObjectIsHealed(t *testing.T) {
	c := newCluster(t)
	c.pod("a", "one")
	c.delay(nil)
	r, book := c.agent("one")
	c.reconcile(r)
	obj := c.object(r)
	obj.SetFinalizers(nil)
	if err := c.client.Update(t.Context(), obj); err != nil {
		t.Fatal(err)
	}
	c.delete(obj)
	c.reconcile(r)
	if book.healed != 1 || len(book.hit) != 0 {
		t.Errorf("healed %d times, hit %v", book.healed, book.hit)
	}
}

func TestPauseHealsForAWhile(t *testing.T) {
	c := newCluster(t)
	c.pod("a", "one")
	c.delay(nil)
	r, book := c.agent("one")
	c.reconcile(r)
	for _, paused := range []bool{true, false} {
		obj := c.object(r)
		annotate(obj, v1alpha1.PauseAnnotationKey, map[bool]string{true: "true", false: "false"}[paused])
		if err := c.client.Update(t.Context(), obj); err != nil {
			t.Fatal(err)
		}
		c.reconcile(r)
		if hit := len(book.hit) == 1; hit == paused || holds(c.object(r), v1alpha1.ConditionPaused) != paused {
			t.Errorf("paused %v, and hit %v", paused, book.hit)
		}
	}
}

func TestKillTakesItsVictimsAndNobodyElse(t *testing.T) {
	c := newCluster(t)
	c.pod("a", "one")
	b := c.pod("b", "two")
	c.kill(0)
	one, two := c.killer("one"), c.killer("two")
	c.reconcile(one)
	c.expect(c.object(one), "a=Injected", "b=Not Injected")
	c.pod("newborn", "one")
	c.delete(b)
	b.ResourceVersion, b.UID = "", "another" // a namesake, as StatefulSets make them
	c.create(b)
	c.reconcile(one)
	c.reconcile(two)
	obj := c.object(two)
	c.expect(obj, "a=Injected", "b=Injected")
	if !holds(obj, v1alpha1.ConditionAllInjected) || len(obj.GetFinalizers()) != 0 {
		t.Errorf("conditions %v, finalizers %v", obj.GetStatus().Conditions, obj.GetFinalizers())
	}
	var left corev1.PodList
	if err := c.client.List(t.Context(), &left); err != nil || len(left.Items) != 2 {
		t.Errorf("left %d pods, want the newborn and the namesake: %v", len(left.Items), err)
	}
}

func TestKillIsDoneWhenThePodIsGone(t *testing.T) {
	c := newCluster(t)
	pod := c.pod("a", "one")
	pod.Finalizers = []string{"test/hold"}
	if err := c.client.Update(t.Context(), pod); err != nil {
		t.Fatal(err)
	}
	c.kill(5)
	r := c.killer("one")
	if result := c.reconcile(r); result.RequeueAfter != retryAfter {
		t.Errorf("looks again after %v", result.RequeueAfter)
	}
	c.expect(c.object(r), "a=Not Injected")
	if err := c.client.Get(t.Context(), client.ObjectKeyFromObject(pod), pod); err != nil || pod.DeletionTimestamp == nil {
		t.Fatalf("the pod was not deleted: %v", err)
	}
	pod.Finalizers = nil
	if err := c.client.Update(t.Context(), pod); err != nil {
		t.Fatal(err)
	}
	c.reconcile(r)
	c.expect(c.object(r), "a=Injected")
}

func TestObjectsNearAPod(t *testing.T) {
	c := newCluster(t)
	c.delay(nil)
	r, _ := c.agent("one")
	if got := r.objectsNear(t.Context(), c.pod("a", "one")); len(got) != 1 || got[0].NamespacedName != key {
		t.Errorf("requests %v", got)
	}
}

func TestManifests(t *testing.T) {
	scheme := runtime.NewScheme()
	if err := clientgoscheme.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	c := fake.NewClientBuilder().WithScheme(scheme).Build()
	for _, obj := range Manifests("cutover:test", faults.AgentGroup) {
		if obj.GetObjectKind().GroupVersionKind().Kind == "" {
			t.Errorf("%T does not say its kind", obj)
		}
		if err := c.Create(t.Context(), obj); err != nil {
			t.Error(err)
		}
	}
}
