package faults

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/chaos-mesh/chaos-mesh/api/v1alpha1"
	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/cutover-dev/cutover/faults/podstat"
	"github.com/cutover-dev/cutover/faults/train"
)

// trains answers trains of echoes as a node of nodes would: what comes back of each
// pod's is the test's.
func trains(node string, of func(pod netip.Addr, plan train.Plan) train.Result) NodeRunner {
	return func(_ context.Context, arguments ...string) (map[string]string, error) {
		if arguments[0] != train.Command {
			return nil, fmt.Errorf("unknown command %q", arguments[0])
		}
		plan, err := train.ParsePlan(arguments[1])
		if err != nil {
			return nil, err
		}
		results := []train.Result{}
		for _, pod := range plan.Pods {
			result := of(pod, plan)
			result.Pod = pod
			results = append(results, result)
		}
		text, err := json.Marshal(results)
		return map[string]string{node: string(text), "node-that-is-down": ""}, err
	}
}

// judged gives the evidence of one pod, a, before and during.
func judged(t *testing.T, by evidence, change func(w *world, target *Target)) (Effect, error) {
	t.Helper()
	w := newWorld(t, "a")
	target := w.byChaosMesh()
	target.OnNodes = trains("node-0", func(_ netip.Addr, plan train.Plan) train.Result {
		return train.Result{Sent: plan.Count, Whole: plan.Count, Took: time.Second}
	})
	pods, err := target.pods(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := by.before(t.Context(), target, pods); err != nil {
		return Effect{}, err
	}
	change(w, &target)
	return by.during(within(t, 300*time.Millisecond), target, []hit{{pod: "a", container: "shop"}})
}

func evidenceOf(t *testing.T, kind, body string, lasts time.Duration) evidence {
	t.Helper()
	return parse(t, spec(kind, body, lasts)).(*chaos).evidence
}

func TestEchoesShowWhatWasAskedFor(t *testing.T) {
	of := func(share func(train.Plan) train.Result) func(*world, *Target) {
		return func(_ *world, target *Target) {
			target.OnNodes = trains("node-0", func(_ netip.Addr, plan train.Plan) train.Result { return share(plan) })
		}
	}
	part := func(n int, share float64) int { return int(math.Round(float64(n) * share)) }
	const loss, duplicate, corrupt = `{"action":"loss","loss":{"loss":"30"}}`, `{"action":"duplicate","duplicate":{"duplicate":"30"}}`, `{"action":"corrupt","corrupt":{"corrupt":"30"}}`
	for _, row := range []struct {
		name, body string
		during     func(train.Plan) train.Result
		proven     bool
	}{
		{"three in ten are lost", loss, func(p train.Plan) train.Result {
			return train.Result{Sent: p.Count, Whole: part(p.Count, 0.7)}
		}, true},
		{"all come back", loss, func(p train.Plan) train.Result { return train.Result{Sent: p.Count, Whole: p.Count} }, false},
		{"one in ten is lost", loss, func(p train.Plan) train.Result {
			return train.Result{Sent: p.Count, Whole: part(p.Count, 0.9)}
		}, false},
		// That is another fault.
		{"all are lost", loss, func(p train.Plan) train.Result { return train.Result{Sent: p.Count} }, false},
		{"all are to be lost, and are", `{"action":"loss","loss":{"loss":"100"}}`, func(p train.Plan) train.Result { return train.Result{Sent: p.Count} }, true},
		{"damaged is not lost", loss, func(p train.Plan) train.Result {
			return train.Result{Sent: p.Count, Whole: part(p.Count, 0.5), Damaged: part(p.Count, 0.5)}
		}, false},
		{"nobody sent anything", loss, func(train.Plan) train.Result { return train.Result{} }, false},
		{"three in ten come twice", duplicate, func(p train.Plan) train.Result {
			return train.Result{Sent: p.Count, Whole: p.Count, Again: part(p.Count, 0.3)}
		}, true},
		{"none comes twice", duplicate, func(p train.Plan) train.Result { return train.Result{Sent: p.Count, Whole: p.Count} }, false},
		{"three in ten are damaged", corrupt, func(p train.Plan) train.Result {
			return train.Result{Sent: p.Count, Whole: part(p.Count, 0.7), Damaged: part(p.Count, 0.3)}
		}, true},
		{"three in ten are lost, none is damaged", corrupt, func(p train.Plan) train.Result {
			return train.Result{Sent: p.Count, Whole: part(p.Count, 0.7)}
		}, false},
		{"asked for nothing", `{"action":"loss","loss":{"loss":"0"}}`, func(p train.Plan) train.Result { return train.Result{Sent: p.Count} }, false},
		{"asked for too little to be seen", `{"action":"loss","loss":{"loss":"0.5"}}`, func(p train.Plan) train.Result {
			return train.Result{Sent: p.Count, Whole: part(p.Count, 0.5)}
		}, false},
	} {
		t.Run(row.name, func(t *testing.T) {
			effect, err := judged(t, evidenceOf(t, "NetworkChaos", row.body, time.Second), of(row.during))
			if err != nil || effect.Proven != row.proven || effect.Because == "" || effect.Added != nil {
				t.Errorf("%+v, %v; want proven %v", effect, err, row.proven)
			}
			t.Log(effect.Because)
		})
	}
}

// A path that loses as much without the fault proves nothing.
func TestALossThatWasThereBeforeProvesNothing(t *testing.T) {
	w := newWorld(t, "a")
	target := w.byChaosMesh()
	target.OnNodes = trains("node-0", func(_ netip.Addr, plan train.Plan) train.Result {
		return train.Result{Sent: plan.Count, Whole: plan.Count * 7 / 10}
	})
	by := evidenceOf(t, "NetworkChaos", `{"action":"loss","loss":{"loss":"30"}}`, time.Second)
	pods, err := target.pods(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := by.before(t.Context(), target, pods); err != nil {
		t.Fatal(err)
	}
	if effect, err := by.during(t.Context(), target, []hit{{pod: "a"}}); err != nil || effect.Proven {
		t.Errorf("%+v, %v", effect, err)
	}
}

// The length of a train is argued by a bound; here it is tried: faults as asked for
// are never missed, and half of a fault mostly is.
func TestATrainTellsAFaultFromItsHalf(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	draw := func(n int, p float64) (k int) {
		for range n {
			if random.Float64() < p {
				k++
			}
		}
		return k
	}
	for _, percent := range []float64{1, 2, 10, 30, 50, 90, 99, 100} {
		e := &echoes{percent: percent}
		n, p := e.length(), percent/100
		if n < leastEchoes || n > mostEchoes {
			t.Errorf("%g %%: a train of %d", percent, n)
		}
		for range 200 {
			if k := draw(n, p); float64(k)/float64(n) < p/2 {
				t.Errorf("%g %%: %d of %d suffered: the fault is missed", percent, k, n)
			}
			if k := draw(n, p/8); float64(k)/float64(n) >= p/2 {
				t.Errorf("%g %%: %d of %d suffered: an eighth of the fault passes", percent, k, n)
			}
		}
	}
}

func TestEveryPodMustShowIt(t *testing.T) {
	w := newWorld(t, "a", "b")
	target := w.byChaosMesh()
	lossy := map[string]bool{}
	target.OnNodes = trains("node-0", func(pod netip.Addr, plan train.Plan) train.Result {
		if lossy[pod.String()] {
			return train.Result{Sent: plan.Count, Whole: plan.Count / 2}
		}
		return train.Result{Sent: plan.Count, Whole: plan.Count}
	})
	by := evidenceOf(t, "NetworkChaos", `{"action":"loss","loss":{"loss":"50"}}`, time.Second)
	pods, err := target.pods(t.Context())
	if err == nil {
		err = by.before(t.Context(), target, pods)
	}
	if err != nil {
		t.Fatal(err)
	}
	lossy["10.0.0.1"] = true
	effect, err := by.during(t.Context(), target, []hit{{pod: "a"}, {pod: "b"}})
	if err != nil || effect.Proven || !strings.Contains(effect.Because, "pod b") {
		t.Errorf("%+v, %v", effect, err)
	}
	lossy["10.0.0.2"] = true
	if effect, err := by.during(t.Context(), target, []hit{{pod: "a"}, {pod: "b"}}); err != nil || !effect.Proven || len(effect.Pods) != 2 {
		t.Errorf("%+v, %v", effect, err)
	}
	target.OnNodes = nil
	if _, err := by.during(t.Context(), target, []hit{{pod: "a"}}); err == nil {
		t.Error("measured without a way to")
	}
}

func TestBandwidthIsProvenByTheRateOfWhatComesBack(t *testing.T) {
	const body = `{"action":"bandwidth","bandwidth":{"rate":"1mbps","limit":20000,"buffer":10000}}`
	for _, row := range []struct {
		name           string
		before, during float64 // of the rate
		proven         bool
	}{
		{"at its rate", 2, 1, true},
		{"a little over", 2, 1.2, true},
		{"as fast as before", 2, 2, false},
		{"hardly anything", 2, 0.1, false},
		// The path itself does not carry twice the rate: no limit can be seen.
		{"too slow before", 1.1, 1, false},
	} {
		t.Run(row.name, func(t *testing.T) {
			by := evidenceOf(t, "NetworkChaos", body, time.Second)
			carries := row.before
			answer := trains("node-0", func(_ netip.Addr, plan train.Plan) train.Result {
				bytes := float64(plan.Count*(plan.Size+train.Headers)) - 10_000
				return train.Result{Sent: plan.Count, Whole: plan.Count, Took: time.Duration(bytes / (carries * 1e6) * 1e9)}
			})
			w := newWorld(t, "a")
			target := w.byChaosMesh()
			target.OnNodes = answer
			pods, err := target.pods(t.Context())
			if err == nil {
				err = by.before(t.Context(), target, pods)
			}
			if err != nil {
				t.Fatal(err)
			}
			carries = row.during
			effect, err := by.during(t.Context(), target, []hit{{pod: "a"}})
			if err != nil || effect.Proven != row.proven {
				t.Errorf("%+v, %v; want proven %v", effect, err, row.proven)
			}
			t.Log(effect.Because)
		})
	}
}

func TestRates(t *testing.T) {
	for text, want := range map[string]float64{
		"8bit": 1, "8kbit": 1e3, "8mbit": 1e6, "8 gbit": 1e9, "1bps": 1, "2kbps": 2e3, "1mbps": 1e6, "1MBPS": 1e6, "3gbps": 3e9, "1tbps": 1e12,
		"1": 0, "mbps": 0, "-1mbps": 0, "1.5mbps": 0, "0mbps": 0,
	} {
		got, err := bytesPerSecond(text)
		if got != want || (err == nil) != (want > 0) {
			t.Errorf("%s is %v B/s, %v; want %v", text, got, err, want)
		}
	}
}

func TestAPartitionIsProvenBySilenceOfAPodThatRuns(t *testing.T) {
	for _, row := range []struct {
		name   string
		change func(w *world)
		proven bool
	}{
		{"silent", func(w *world) { w.silent("10.0.0.1") }, true},
		{"answers", func(*world) {}, false},
		{"refuses", func(w *world) { w.answer("10.0.0.1", answer{err: unix.ECONNREFUSED}) }, false},
		{"cannot be reached", func(w *world) { w.answer("10.0.0.1", answer{err: unix.EHOSTUNREACH}) }, false},
		// It is silent because it is dead.
		{"its container has ended", func(w *world) {
			w.silent("10.0.0.1")
			w.changePod("a", func(pod *corev1.Pod) {
				pod.Status.ContainerStatuses[0].State = corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{}}
			})
		}, false},
		{"it is gone", func(w *world) { w.silent("10.0.0.1"); w.gone("a") }, false},
	} {
		t.Run(row.name, func(t *testing.T) {
			by := evidenceOf(t, "NetworkChaos", `{"action":"partition"}`, time.Second)
			w := newWorld(t, "a")
			target := w.byChaosMesh()
			pods, err := target.pods(t.Context())
			if err == nil {
				err = by.before(t.Context(), target, pods)
			}
			if err != nil {
				t.Fatal(err)
			}
			row.change(w)
			effect, err := by.during(t.Context(), target, []hit{{pod: "a"}})
			if err != nil || effect.Proven != row.proven || effect.Because == "" {
				t.Errorf("%+v, %v; want proven %v", effect, err, row.proven)
			}
			t.Log(effect.Because)
		})
	}
}

func (w *world) changePod(name string, change func(*corev1.Pod)) {
	w.t.Helper()
	pod := &corev1.Pod{}
	if err := w.client.Get(w.t.Context(), client.ObjectKey{Namespace: "ns", Name: name}, pod); err != nil {
		w.t.Fatal(err)
	}
	change(pod)
	status := pod.Status
	w.update(pod)
	pod.Status = status
	if err := w.client.Status().Update(w.t.Context(), pod); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) gone(name string) {
	w.t.Helper()
	if err := w.client.Delete(w.t.Context(), &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: name}}); err != nil {
		w.t.Fatal(err)
	}
}

func TestAFailedPodIsProvenByWhatRunsInIt(t *testing.T) {
	pause := func(pod *corev1.Pod) {
		status := &pod.Status.ContainerStatuses[0]
		status.ContainerID, status.Image, status.ImageID = "containerd://pause", "pause:latest", "sha256:pause"
	}
	refuse := func(w *world) { w.answer("10.0.0.1", answer{err: unix.ECONNREFUSED}) }
	for _, row := range []struct {
		name   string
		change func(w *world, _ *Target)
		proven bool
	}{
		{"the pause image runs and nobody is at the port", func(w *world, _ *Target) { w.changePod("a", pause); refuse(w) }, true},
		{"nothing has changed", func(*world, *Target) {}, false},
		{"the port refuses, but its own container runs", func(w *world, _ *Target) { refuse(w) }, false},
		{"it was only started again", func(w *world, _ *Target) {
			w.changePod("a", func(pod *corev1.Pod) { pod.Status.ContainerStatuses[0].ContainerID = "containerd://again" })
			refuse(w)
		}, false},
		{"the pause image runs and somebody answers", func(w *world, _ *Target) { w.changePod("a", pause) }, false},
		{"the pause image does not run yet", func(w *world, _ *Target) {
			w.changePod("a", func(pod *corev1.Pod) {
				pause(pod)
				pod.Status.ContainerStatuses[0].State = corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{}}
			})
			refuse(w)
		}, false},
		{"it is gone", func(w *world, _ *Target) { w.gone("a") }, false},
	} {
		t.Run(row.name, func(t *testing.T) {
			effect, err := judged(t, evidenceOf(t, "PodChaos", `{"action":"pod-failure"}`, time.Second), row.change)
			if err != nil || effect.Proven != row.proven || effect.Because == "" {
				t.Errorf("%+v, %v; want proven %v", effect, err, row.proven)
			}
		})
	}
}

func TestAKilledContainerIsProvenByItsEnd(t *testing.T) {
	for _, row := range []struct {
		name   string
		change func(w *world, _ *Target)
		proven bool
	}{
		{"another runs in its place", func(w *world, _ *Target) {
			w.changePod("a", func(pod *corev1.Pod) { pod.Status.ContainerStatuses[0].ContainerID = "containerd://again" })
		}, true},
		{"it has ended", func(w *world, _ *Target) {
			w.changePod("a", func(pod *corev1.Pod) {
				pod.Status.ContainerStatuses[0].State = corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{}}
			})
		}, true},
		{"it still runs", func(*world, *Target) {}, false},
		{"its pod is gone", func(w *world, _ *Target) { w.gone("a") }, true},
	} {
		t.Run(row.name, func(t *testing.T) {
			effect, err := judged(t, evidenceOf(t, "PodChaos", `{"action":"container-kill"}`, 0), row.change)
			if err != nil || effect.Proven != row.proven || effect.Because == "" {
				t.Errorf("%+v, %v; want proven %v", effect, err, row.proven)
			}
		})
	}
}

func TestContainersThatAFaultNames(t *testing.T) {
	target := Target{Container: "shop"}
	for body, want := range map[string]string{
		`{"action":"container-kill"}`:                               "shop",
		`{"action":"container-kill","containerNames":["side","a"]}`: "side a",
	} {
		f := parse(t, spec("PodChaos", body, 0)).(*chaos)
		if got := strings.Join(f.object(0, target).(*v1alpha1.PodChaos).Spec.ContainerNames, " "); got != want {
			t.Errorf("%s is on %q, want %q", body, got, want)
		}
	}
}

// node plays the processes and the cgroup of pod a on its node: cores that the app
// and that others in its pod run on or wait for, and bytes.
type node struct {
	mu       sync.Mutex
	at       time.Time
	app, new time.Duration
	cores    struct{ app, new float64 }
	memory   int64
}

func (n *node) uses(app, others float64, memory int64) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.count()
	n.cores.app, n.cores.new, n.memory = app, others, memory
}

func (n *node) count() {
	now := time.Now()
	if !n.at.IsZero() {
		n.app += time.Duration(float64(now.Sub(n.at)) * n.cores.app)
		n.new += time.Duration(float64(now.Sub(n.at)) * n.cores.new)
	}
	n.at = now
}

func (n *node) run(_ context.Context, arguments ...string) (map[string]string, error) {
	if len(arguments) != 2 || arguments[0] != podstat.Command || arguments[1] != "uid-a" {
		return nil, fmt.Errorf("unknown command %q", arguments)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.count()
	wanted := map[string]time.Duration{"1/100": n.app}
	if n.cores.new > 0 {
		wanted["2/200"] = n.new
	}
	text, err := json.Marshal([]podstat.Stat{{UID: "uid-a", At: n.at, Wanted: wanted, Memory: n.memory}})
	return map[string]string{"node-0": string(text), "node-that-is-down": ""}, err
}

func TestStressIsProvenByWhatNewProcessesAreAfter(t *testing.T) {
	const cpu, memory = `{"stressors":{"cpu":{"workers":2,"load":100}}}`, `{"stressors":{"memory":{"workers":1,"size":"100MB"}}}`
	for _, row := range []struct {
		name, body string
		cores      float64
		memory     int64
		limit      string // of the container's processors
		proven     bool
	}{
		{"two cores are busy", cpu, 2, 1e6, "", true},
		{"one of two is", cpu, 1.1, 1e6, "", true},
		// But the app of the pod has much to do, which is not the fault.
		{"none is", cpu, 0, 1e6, "", false},
		{"half of one of two", cpu, 0.5, 1e6, "", false},
		// It cannot have more than its limit.
		{"half a core, its limit", cpu, 0.5, 1e6, "500m", true},
		{"memory is taken", memory, 0, 90e6, "", true},
		{"a third of it is", memory, 0, 34e6, "", false},
		{"only processors are busy", memory, 2, 1e6, "", false},
		{"both are wanted, one is there", `{"stressors":{"cpu":{"workers":1},"memory":{"workers":1,"size":"100MB"}}}`, 1.1, 1e6, "", false},
		{"both are wanted and there", `{"stressors":{"cpu":{"workers":1},"memory":{"workers":1,"size":"100MB"}}}`, 1.1, 101e6, "", true},
		{"a share of the node's memory", `{"stressors":{"memory":{"workers":1,"size":"10%"}}}`, 0.1, 400e6, "", true},
		{"much less than that share", `{"stressors":{"memory":{"workers":1,"size":"10%"}}}`, 0.1, 100e6, "", false},
	} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, "a")
				machine := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "node-0"}, Status: corev1.NodeStatus{Capacity: corev1.ResourceList{
					corev1.ResourceCPU: resource.MustParse("4"), corev1.ResourceMemory: resource.MustParse("4G"),
				}}}
				if err := w.client.Create(t.Context(), machine); err != nil {
					t.Fatal(err)
				}
				if row.limit != "" {
					w.changePod("a", func(pod *corev1.Pod) {
						pod.Spec.Containers[0].Resources.Limits = corev1.ResourceList{corev1.ResourceCPU: resource.MustParse(row.limit)}
					})
				}
				var cgroups node
				cgroups.uses(0.1, 0, 1e6)
				target := w.byChaosMesh()
				target.OnNodes = cgroups.run
				by := evidenceOf(t, "StressChaos", row.body, time.Second)
				pods, err := target.pods(t.Context())
				if err == nil {
					err = by.before(t.Context(), target, pods)
				}
				if err != nil {
					t.Fatal(err)
				}
				cgroups.uses(3, row.cores, row.memory)
				effect, err := by.during(within(t, 5*time.Second), target, []hit{{pod: "a", container: "shop"}})
				if err != nil || effect.Proven != row.proven || effect.Because == "" {
					t.Errorf("%+v, %v; want proven %v", effect, err, row.proven)
				}
				t.Log(effect.Because)
			})
		})
	}
}

func TestStressNeedsAWayToTheNodes(t *testing.T) {
	w := newWorld(t, "a")
	pods, err := w.target().pods(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	by := evidenceOf(t, "StressChaos", `{"stressors":{"cpu":{"workers":1}}}`, time.Second)
	if err := by.before(t.Context(), w.target(), pods); err == nil {
		t.Error("measured without a way to")
	}
}
