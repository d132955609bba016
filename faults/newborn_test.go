package faults

import (
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chaos-mesh/chaos-mesh/api/v1alpha1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/cutover-dev/cutover/history"
)

// mesh plays Chaos Mesh: it takes the pods that an object names, once, and brings
// them under the fault.
func (w *world) mesh(kind string, inject func(pod string)) {
	seen := map[string]bool{}
	go func() {
		for w.t.Context().Err() == nil {
			of := reference{Group: MeshGroup, Kind: kind, Namespace: "ns"}
			list := of.listOf()
			if err := w.client.List(w.t.Context(), list, client.InNamespace("ns")); err != nil {
				return
			}
			for _, item := range list.Items {
				if !seen[item.GetName()] {
					seen[item.GetName()] = true
					w.bringUnder(of, item, inject)
				}
			}
			time.Sleep(5 * time.Millisecond)
		}
	}()
}

func (w *world) bringUnder(of reference, item unstructured.Unstructured, inject func(pod string)) {
	obj, err := of.typed(&item)
	if err != nil {
		w.t.Error(err)
		return
	}
	pods := podSelector(obj).Selector.Pods["ns"]
	for _, pod := range pods {
		inject(pod)
	}
	status(obj, corev1.ConditionTrue, corev1.ConditionTrue, pods...)
	w.update(obj)
}

// silent makes the pod answer no more.
func (w *world) silent(ip string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.answers, ip+":8080")
}

func (w *world) byChaosMesh() Target {
	target := w.target()
	target.By = Service{ChaosMesh, MeshGroup}
	return target
}

func partition(t *testing.T, mode string) Fault {
	return parse(t, spec("NetworkChaos", `{"action":"partition",`+mode+`}`, 20*time.Second))
}

// Chaos Mesh never takes in a pod that is born later: an object of its own does, and
// it is proven and undone like the first.
func TestAPodBornLaterGetsAnObjectOfItsOwn(t *testing.T) {
	w := newWorld(t, "a", "b")
	address := map[string]string{"a": "10.0.0.1", "b": "10.0.0.2", "born": "10.0.0.3"}
	w.mesh("NetworkChaos", func(pod string) { w.silent(address[pod]) })
	f := partition(t, `"mode":"all"`)
	undo, err := f.Inject(within(t, 5*time.Second), w.byChaosMesh())
	if err != nil {
		t.Fatal(err)
	}
	if effect, err := f.Prove(within(t, 10*time.Second)); err != nil || !effect.Proven {
		t.Fatalf("Prove = %+v, %v", effect, err)
	}
	w.born("born", address["born"])
	proven := func() bool {
		return slices.ContainsFunc(w.heard(), func(p history.Payload) bool {
			proof, is := p.(history.FaultProven)
			return is && proof.Proven && slices.Equal(proof.Pods, []string{"born"})
		})
	}
	eventuallyWithin(t, 10*time.Second, proven)
	if !slices.Contains(w.heard(), history.Payload(history.FaultInjected{Fault: 3, Pod: "born"})) {
		t.Errorf("told %+v", w.heard())
	}
	var later v1alpha1.NetworkChaos
	if err := w.client.Get(t.Context(), client.ObjectKey{Namespace: "ns", Name: "cutover-r1-3-1"}, &later); err != nil {
		t.Fatal(err)
	}
	if d, err := time.ParseDuration(*later.Spec.Duration); err != nil || d >= 20*time.Second || d < 5*time.Second {
		t.Errorf("the second object lasts %s of 20s", *later.Spec.Duration)
	}
	if len(w.ledger.Pending()) != 2 {
		t.Errorf("ledger: %v", w.ledger.Pending())
	}
	for range 2 {
		if err := undo(within(t, 5*time.Second)); err != nil {
			t.Fatal(err)
		}
	}
	if left, err := Residue(t.Context(), w.client, "r1"); len(left) != 0 || err != nil || len(w.ledger.Pending()) != 0 {
		t.Errorf("left %v, %v, pending %v", left, err, w.ledger.Pending())
	}
	told := w.heard()
	if last := told[len(told)-1]; last != history.Payload(history.FaultEnded{Fault: 3, By: "undo"}) {
		t.Errorf("the last word is %+v", last)
	}
}

// A pod that is born later and shows nothing of the fault denies it.
func TestAPodBornLaterThatShowsNothingDeniesTheFault(t *testing.T) {
	w := newWorld(t, "a")
	w.mesh("NetworkChaos", func(pod string) {
		if pod == "a" {
			w.silent("10.0.0.1")
		}
	})
	undo, err := partition(t, `"mode":"all"`).Inject(within(t, 5*time.Second), w.byChaosMesh())
	if err != nil {
		t.Fatal(err)
	}
	w.born("born", "10.0.0.9")
	eventuallyWithin(t, 10*time.Second, func() bool {
		return slices.ContainsFunc(w.heard(), func(p history.Payload) bool {
			proof, is := p.(history.FaultProven)
			return is && !proof.Proven
		})
	})
	if err := undo(within(t, 5*time.Second)); err != nil {
		t.Fatal(err)
	}
}

// A fault of one pod stays on it, however many are born; when it goes, another takes
// its place.
func TestAFaultOfOnePodFollowsTheModeWhenPodsAreBorn(t *testing.T) {
	w := newWorld(t, "a")
	var mu sync.Mutex
	var hit []string
	w.mesh("NetworkChaos", func(pod string) { mu.Lock(); hit = append(hit, pod); mu.Unlock() })
	hits := func() []string { mu.Lock(); defer mu.Unlock(); return slices.Clone(hit) }
	undo, err := partition(t, `"mode":"one"`).Inject(within(t, 5*time.Second), w.byChaosMesh())
	if err != nil {
		t.Fatal(err)
	}
	w.born("b", "10.0.0.2")
	time.Sleep(300 * time.Millisecond)
	if got := hits(); !slices.Equal(got, []string{"a"}) {
		t.Fatalf("hit %v", got)
	}
	if err := w.client.Delete(t.Context(), &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "a"}}); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() bool { return slices.Equal(hits(), []string{"a", "b"}) })
	if err := undo(within(t, 5*time.Second)); err != nil {
		t.Fatal(err)
	}
	w.born("c", "10.0.0.3")
	time.Sleep(200 * time.Millisecond)
	if got := hits(); !slices.Equal(got, []string{"a", "b"}) {
		t.Errorf("after the undo, hit %v", got)
	}
}

// Only pods whose containers have been started are given to Chaos Mesh: on others it
// fails, and its object never takes effect.
func TestPodsThatAreComingAreNotChosen(t *testing.T) {
	w := newWorld(t, "a")
	coming := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "coming", UID: "uid-coming", Labels: map[string]string{"pod-template-hash": "abc"}},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "shop"}}},
		Status:     corev1.PodStatus{PodIP: "10.0.0.9"},
	}
	if err := w.client.Create(t.Context(), coming); err != nil {
		t.Fatal(err)
	}
	w.answer("10.0.0.9", answer{})
	var mu sync.Mutex
	var hit []string
	w.mesh("NetworkChaos", func(pod string) { mu.Lock(); hit = append(hit, pod); mu.Unlock() })
	undo, err := partition(t, `"mode":"all"`).Inject(within(t, 5*time.Second), w.byChaosMesh())
	if err != nil {
		t.Fatal(err)
	}
	mu.Lock()
	if !slices.Equal(hit, []string{"a"}) {
		t.Errorf("hit %v", hit)
	}
	mu.Unlock()
	if err := undo(within(t, 5*time.Second)); err != nil {
		t.Fatal(err)
	}
	empty := newWorld(t)
	if undo, err := partition(t, `"mode":"all"`).Inject(within(t, time.Second), empty.byChaosMesh()); err == nil || undo == nil {
		t.Errorf("a fault on nothing is in effect: %v", err)
	}
}

// What Chaos Mesh fails on again and again is not waited for.
func TestFailuresEndTheWaitWithTheirMessage(t *testing.T) {
	obj := &v1alpha1.NetworkChaos{}
	status(obj, corev1.ConditionTrue, corev1.ConditionFalse, "a")
	record := obj.Status.Experiment.Records[0]
	record.Phase, record.InjectedCount = "Not Injected/Wait", 0
	for n := range 4 {
		if isHopeless(obj.GetStatus()) != (n >= patienceWithFailures) {
			t.Errorf("after %d failures: hopeless is %v", n, n < patienceWithFailures)
		}
		record.Events = append(record.Events, *v1alpha1.NewRecordEvent(v1alpha1.TypeFailed, v1alpha1.Apply, "Specified qdisc kind is unknown", metav1.Now()))
	}
	record.InjectedCount = 1
	if isHopeless(obj.GetStatus()) {
		t.Error("one that was injected in the end is given up")
	}
	w := newWorld(t, "a")
	w.serve(&v1alpha1.NetworkChaos{}, func(o chaosObject) {
		status(o, corev1.ConditionTrue, corev1.ConditionFalse, "a")
		*o.GetStatus().Experiment.Records[0] = *record
		o.GetStatus().Experiment.Records[0].InjectedCount = 0
	})
	began := time.Now()
	_, err := partition(t, `"mode":"all"`).Inject(within(t, 10*time.Second), w.byChaosMesh())
	if err == nil || time.Since(began) > 5*time.Second {
		t.Fatalf("Inject = %v after %s", err, time.Since(began))
	}
	if want := "Specified qdisc kind is unknown"; !strings.Contains(err.Error(), want) {
		t.Errorf("%v does not say %q", err, want)
	}
}

func eventuallyWithin(t *testing.T, d time.Duration, cond func() bool) {
	t.Helper()
	for began := time.Now(); time.Since(began) < d; time.Sleep(5 * time.Millisecond) {
		if cond() {
			return
		}
	}
	t.Fatal("it did not happen")
}
