package faults

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chaos-mesh/chaos-mesh/api/v1alpha1"
	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/cutover-dev/cutover/history"
	"github.com/cutover-dev/cutover/safety"
)

// world is a cluster with pods at scripted addresses and nobody who serves chaos
// objects but the test.
type world struct {
	t      *testing.T
	client client.WithWatch
	ledger *safety.Ledger

	mu      sync.Mutex
	answers map[string]answer // by address
	told    []history.Payload
}

// answer is what a connect meets.
type answer struct {
	after time.Duration
	err   error
}

func newWorld(t *testing.T, pods ...string) *world {
	t.Helper()
	scheme := runtime.NewScheme()
	if err := errors.Join(clientgoscheme.AddToScheme(scheme), AddToScheme(scheme, MeshGroup)); err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, client: fake.NewClientBuilder().WithScheme(scheme).Build(), answers: map[string]answer{}}
	for i, name := range pods {
		w.born(name, fmt.Sprintf("10.0.0.%d", i+1))
	}
	ledger, err := safety.OpenLedger(t.TempDir(), "run-1", safety.Header{}, Undoers(w.client))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ledger.Close() })
	w.ledger = ledger
	return w
}

func (w *world) born(name, ip string) {
	w.t.Helper()
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: name, UID: types.UID("uid-" + name), Labels: map[string]string{"pod-template-hash": "abc"}},
		Spec:       corev1.PodSpec{NodeName: "node-0", Containers: []corev1.Container{{Name: "shop", Image: "shop:v1"}}},
		Status: corev1.PodStatus{PodIP: ip, ContainerStatuses: []corev1.ContainerStatus{{
			Name: "shop", ContainerID: "containerd://" + name, Image: "shop:v1", ImageID: "sha256:shop",
			State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}},
		}}},
	}
	if err := w.client.Create(w.t.Context(), pod); err != nil {
		w.t.Fatal(err)
	}
	w.answer(ip, answer{})
}

func (w *world) answer(ip string, a answer) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.answers[ip+":8080"] = a
}

func (w *world) dial(ctx context.Context, addr string) (net.Conn, error) {
	w.mu.Lock()
	a, known := w.answers[addr]
	w.mu.Unlock()
	if !known {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	time.Sleep(a.after)
	if a.err != nil {
		return nil, &net.OpError{Op: "dial", Err: a.err}
	}
	ours, theirs := net.Pipe()
	theirs.Close()
	return ours, nil
}

func (w *world) target() Target {
	return Target{
		Client: w.client, Namespace: "ns", RunID: "r1", Fault: 3, Port: 8080, Container: "shop", Dial: w.dial, Ledger: w.ledger, Seed: 7,
		Selector: metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{
			{Key: "pod-template-hash", Operator: metav1.LabelSelectorOpIn, Values: []string{"abc"}},
		}},
		Emit: func(p history.Payload) { w.mu.Lock(); defer w.mu.Unlock(); w.told = append(w.told, p) },
	}
}

// serve waits for the object and then plays its controller once.
func (w *world) serve(obj chaosObject, play func(chaosObject)) {
	go func() {
		for w.t.Context().Err() == nil {
			if w.client.Get(w.t.Context(), client.ObjectKey{Namespace: "ns", Name: "cutover-r1-3"}, obj) == nil {
				play(obj)
				w.update(obj)
				return
			}
			time.Sleep(5 * time.Millisecond)
		}
	}()
}

func (w *world) update(obj client.Object) {
	if err := w.client.Update(w.t.Context(), obj); err != nil {
		w.t.Error(err)
	}
}

func status(obj chaosObject, selected, injected corev1.ConditionStatus, pods ...string) {
	s := obj.GetStatus()
	s.Conditions = []v1alpha1.ChaosCondition{
		{Type: v1alpha1.ConditionSelected, Status: selected}, {Type: v1alpha1.ConditionAllInjected, Status: injected},
	}
	s.Experiment = v1alpha1.ExperimentStatus{DesiredPhase: v1alpha1.RunningPhase}
	for _, pod := range pods {
		s.Experiment.Records = append(s.Experiment.Records, &v1alpha1.Record{Id: "ns/" + pod, SelectorKey: ".", Phase: v1alpha1.Injected, InjectedCount: 1})
	}
}

func parse(t *testing.T, s Spec) Fault {
	t.Helper()
	f, err := Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func delay(t *testing.T, latency string) Fault {
	return parse(t, spec("NetworkChaos", `{"action":"delay","delay":{"latency":"`+latency+`"}}`, 20*time.Second))
}

func within(t *testing.T, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

func (w *world) heard() []history.Payload {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]history.Payload(nil), w.told...)
}

func TestDelayIsInjectedFollowedAndUndone(t *testing.T) {
	w := newWorld(t, "a", "b")
	obj := &v1alpha1.NetworkChaos{}
	w.serve(obj, func(o chaosObject) { status(o, corev1.ConditionTrue, corev1.ConditionTrue, "a", "b") })
	undo, err := delay(t, "600ms").Inject(within(t, 5*time.Second), w.target())
	if err != nil {
		t.Fatal(err)
	}
	if obj.Labels[RunLabel] != "r1" || *obj.Spec.Duration != "20s" || obj.Spec.Mode != v1alpha1.AllMode ||
		obj.Spec.Selector.Namespaces[0] != "ns" || obj.Spec.Selector.ExpressionSelectors[0].Values[0] != "abc" {
		t.Errorf("object %+v, %+v", obj.ObjectMeta, obj.Spec)
	}
	if pending := w.ledger.Pending(); len(pending) != 1 || !strings.Contains(pending[0].String(), "cutover-r1-3") {
		t.Errorf("ledger: %v", pending)
	}
	status(obj, corev1.ConditionTrue, corev1.ConditionTrue, "a", "b", "newborn")
	w.update(obj)
	eventually(t, func() bool { return len(w.heard()) == 4 })
	for range 2 {
		if err := undo(within(t, 5*time.Second)); err != nil {
			t.Fatal(err)
		}
	}
	want := []history.Payload{
		history.FaultApplied{Fault: 3}, history.FaultInjected{Fault: 3, Pod: "a"}, history.FaultInjected{Fault: 3, Pod: "b"},
		history.FaultInjected{Fault: 3, Pod: "newborn"}, history.FaultEnded{Fault: 3, By: "undo"},
	}
	if got := w.heard(); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("told %+v, want %+v", got, want)
	}
	if left, err := Residue(t.Context(), w.client, "r1"); len(left) != 0 || err != nil || len(w.ledger.Pending()) != 0 {
		t.Errorf("left %v, %v, pending %v", left, err, w.ledger.Pending())
	}
}

func TestExpiryEndsALastingFault(t *testing.T) {
	w := newWorld(t, "a")
	obj := &v1alpha1.NetworkChaos{}
	w.serve(obj, func(o chaosObject) { status(o, corev1.ConditionTrue, corev1.ConditionTrue, "a") })
	undo, err := delay(t, "600ms").Inject(within(t, 5*time.Second), w.target())
	if err != nil {
		t.Fatal(err)
	}
	obj.Status.Experiment.DesiredPhase = v1alpha1.StoppedPhase
	obj.Status.Experiment.Records[0].Phase = v1alpha1.NotInjected
	obj.Status.Conditions = append(obj.Status.Conditions, v1alpha1.ChaosCondition{Type: v1alpha1.ConditionAllRecovered, Status: corev1.ConditionTrue})
	w.update(obj)
	eventually(t, func() bool { return len(w.heard()) == 3 })
	if err := undo(within(t, 5*time.Second)); err != nil {
		t.Fatal(err)
	}
	if got := w.heard(); fmt.Sprint(got[2:]) != fmt.Sprint([]history.Payload{history.FaultEnded{Fault: 3, By: "expiry"}}) {
		t.Errorf("told %+v", got)
	}
}

// What Chaos Mesh calls injected is not always an effect.
func TestInjectWaitsForARealEffect(t *testing.T) {
	cases := []struct {
		name string
		play func(chaosObject)
		want string
	}{
		{"nobody serves it", func(chaosObject) {}, "neither Chaos Mesh nor the cutover agent"},
		{"nothing is selected", func(o chaosObject) { status(o, corev1.ConditionTrue, corev1.ConditionTrue) }, "AllInjected=True"},
		{"half is injected", func(o chaosObject) { status(o, corev1.ConditionTrue, corev1.ConditionFalse, "a") }, "AllInjected=False"},
		{"the agent cannot", func(o chaosObject) {
			status(o, corev1.ConditionFalse, corev1.ConditionFalse)
			o.GetStatus().Conditions[0].Reason = NotServed + ": device"
		}, "not going to take effect"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, "a")
			w.serve(&v1alpha1.NetworkChaos{}, c.play)
			undo, err := delay(t, "600ms").Inject(within(t, 200*time.Millisecond), w.target())
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("Inject = %v, want it to say %q", err, c.want)
			}
			if err := undo(within(t, 5*time.Second)); err != nil {
				t.Error(err)
			}
			if left, _ := Residue(t.Context(), w.client, ""); len(left) != 0 {
				t.Errorf("left %v", left)
			}
		})
	}
}

func TestDelayIsProvenAtEachPod(t *testing.T) {
	cases := []struct {
		name, latency string
		a, b          answer
		proven        bool
	}{
		{"both delayed", "40ms", answer{after: 40 * time.Millisecond}, answer{after: 40 * time.Millisecond}, true},
		{"a refusal is an answer too", "40ms", answer{after: 40 * time.Millisecond}, answer{40 * time.Millisecond, unix.ECONNREFUSED}, true},
		{"one not delayed", "40ms", answer{after: 40 * time.Millisecond}, answer{}, false},
		{"one not to be reached", "40ms", answer{after: 40 * time.Millisecond}, answer{40 * time.Millisecond, unix.EHOSTUNREACH}, false},
		{"asked for nothing", "0ms", answer{after: 40 * time.Millisecond}, answer{after: 40 * time.Millisecond}, false},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, "a", "b")
			w.serve(&v1alpha1.NetworkChaos{}, func(o chaosObject) { status(o, corev1.ConditionTrue, corev1.ConditionTrue, "a", "b") })
			f := delay(t, c.latency)
			undo, err := f.Inject(within(t, 5*time.Second), w.target())
			if err != nil {
				t.Fatal(err)
			}
			w.answer("10.0.0.1", c.a)
			w.answer("10.0.0.2", c.b)
			effect, err := f.Prove(within(t, 5*time.Second))
			if err != nil || effect.Proven != c.proven || effect.Because == "" {
				t.Errorf("Prove = %+v, %v; want proven %v", effect, err, c.proven)
			}
			t.Log(effect.Because)
			if err := undo(within(t, 5*time.Second)); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestKillIsProvenByTheEndOfTheContainer(t *testing.T) {
	cases := []struct {
		name   string
		after  func(w *world)
		proven bool
	}{
		{"refused", func(w *world) { w.answer("10.0.0.1", answer{err: unix.ECONNREFUSED}) }, true},
		{"unreachable", func(w *world) { w.answer("10.0.0.1", answer{err: unix.EHOSTUNREACH}) }, true},
		{"another pod has the address", func(w *world) { w.born("next", "10.0.0.1") }, true},
		// Gone from the API while the process still runs.
		{"still answers", func(*world) {}, false},
		{"silent", func(w *world) { w.answer("10.0.0.1", answer{err: unix.ETIMEDOUT}) }, false},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, "a")
			w.serve(&v1alpha1.PodChaos{}, func(o chaosObject) {
				pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "a"}}
				if err := w.client.Delete(t.Context(), pod); err != nil {
					t.Error(err)
				}
				status(o, corev1.ConditionTrue, corev1.ConditionTrue, "a")
			})
			f := parse(t, spec("PodChaos", `{"action":"pod-kill"}`, 0))
			undo, err := f.Inject(within(t, 5*time.Second), w.target())
			if err != nil {
				t.Fatal(err)
			}
			c.after(w)
			effect, err := f.Prove(within(t, 300*time.Millisecond))
			if err != nil || effect.Proven != c.proven {
				t.Errorf("Prove = %+v, %v; want proven %v", effect, err, c.proven)
			}
			if err := undo(within(t, 5*time.Second)); err != nil {
				t.Error(err)
			}
			for _, p := range w.heard() {
				if _, ended := p.(history.FaultEnded); ended {
					t.Error("a one-shot fault was said to have ended")
				}
			}
		})
	}
}

func TestAFaultIsInjectedOnce(t *testing.T) {
	w := newWorld(t, "a")
	f := delay(t, "1ms")
	if _, err := f.Inject(within(t, 50*time.Millisecond), w.target()); err == nil {
		t.Error("in effect with nobody to serve it")
	}
	undo, err := f.Inject(within(t, 50*time.Millisecond), w.target())
	if undo == nil || !errors.Is(err, errInjectedTwice) {
		t.Errorf("second Inject = %v", err)
	}
	if effect, err := delay(t, "1ms").Prove(t.Context()); effect.Proven || err != nil {
		t.Errorf("proven without injection: %+v, %v", effect, err)
	}
}

func TestUndoByDataAloneAndSweepByLabel(t *testing.T) {
	w := newWorld(t, "a")
	w.serve(&v1alpha1.NetworkChaos{}, func(o chaosObject) { status(o, corev1.ConditionTrue, corev1.ConditionTrue, "a") })
	if _, err := delay(t, "600ms").Inject(within(t, 5*time.Second), w.target()); err != nil {
		t.Fatal(err)
	}
	if err := Sweep(within(t, 5*time.Second), w.client, "another"); err != nil {
		t.Fatal(err)
	}
	if left, _ := Residue(t.Context(), w.client, "r1"); len(left) != 1 {
		t.Fatalf("another run's sweep took ours: %v", left)
	}
	action := w.ledger.Pending()[0]
	for range 2 {
		if err := Undoers(w.client)[action.Kind](within(t, 5*time.Second), json.RawMessage(action.Params)); err != nil {
			t.Fatal(err)
		}
	}
	if left, _ := Residue(t.Context(), w.client, "r1"); len(left) != 0 {
		t.Errorf("left %v", left)
	}
}

func TestSuffering(t *testing.T) {
	now := time.Now()
	lasting := func(phase v1alpha1.Phase, expires string) chaosObject {
		obj := &v1alpha1.NetworkChaos{}
		status(obj, corev1.ConditionTrue, corev1.ConditionTrue, "a")
		obj.Status.Experiment.Records[0].Phase = phase
		if expires != "" {
			obj.Annotations = map[string]string{ExpiresAnnotation: expires}
		}
		return obj
	}
	oneShot := &v1alpha1.PodChaos{Spec: v1alpha1.PodChaosSpec{Action: v1alpha1.PodKillAction}}
	status(oneShot, corev1.ConditionTrue, corev1.ConditionTrue, "a")
	past, future := now.Add(-2*time.Second).Format(time.RFC3339Nano), now.Add(time.Minute).Format(time.RFC3339Nano)
	cases := []struct {
		name string
		obj  chaosObject
		ok   bool
	}{
		{"a kill is over", oneShot, true},
		{"the node has ended it", lasting(v1alpha1.Injected, past), true},
		{"never injected, by Chaos Mesh", lasting(v1alpha1.NotInjected, ""), true},
		{"the node has not ended it yet", lasting(v1alpha1.Injected, future), false},
		// The agent may have died between the damage and its word.
		{"not said to be injected, but promised", lasting(v1alpha1.NotInjected, future), false},
		{"Chaos Mesh promises nothing", lasting(v1alpha1.Injected, ""), false},
		{"an unreadable promise", lasting(v1alpha1.Injected, "soon"), false},
	}
	for _, c := range cases {
		if why := suffering(c.obj, now); (why == "") != c.ok {
			t.Errorf("%s: %q", c.name, why)
		}
	}
}

func TestUndoSaysWhyAnObjectStaysAndTakesItsFinalizerWhenItIsSafe(t *testing.T) {
	w := newWorld(t, "a")
	obj := &v1alpha1.NetworkChaos{ObjectMeta: metav1.ObjectMeta{
		Namespace: "ns", Name: "stuck", Labels: map[string]string{RunLabel: "r1"}, Finalizers: []string{RecordsFinalizer},
	}}
	status(obj, corev1.ConditionTrue, corev1.ConditionTrue, "a")
	if err := w.client.Create(t.Context(), obj); err != nil {
		t.Fatal(err)
	}
	ref := reference{MeshGroup, v1alpha1.KindNetworkChaos, "ns", "stuck"}
	if err := remove(within(t, 100*time.Millisecond), w.client, ref); err == nil || !strings.Contains(err.Error(), "is not gone") {
		t.Errorf("remove = %v", err)
	}
	let := func() (why string) {
		t.Helper()
		untyped, typed, err := ref.get(t.Context(), w.client)
		if err == nil {
			err = letGo(t.Context(), w.client, untyped, typed, &why)
		}
		if err != nil {
			t.Fatal(err)
		}
		return why
	}
	if why := let(); !strings.Contains(why, "does not answer") {
		t.Errorf("letGo says %q", why)
	}
	if err := w.client.Get(t.Context(), ref.key(), obj); err != nil {
		t.Fatal(err)
	}
	obj.Annotations = map[string]string{ExpiresAnnotation: time.Now().Add(-time.Minute).Format(time.RFC3339Nano)}
	w.update(obj)
	let()
	if err := remove(within(t, time.Second), w.client, ref); err != nil {
		t.Error(err)
	}
}

func eventually(t *testing.T, cond func() bool) {
	t.Helper()
	for range 400 {
		if cond() {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	t.Fatal("it did not happen")
}
