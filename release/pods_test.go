package release

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/cache"

	"github.com/cutover-dev/cutover/history"
)

// end is how the watch learns that a pod is gone.
type end int

const (
	stays end = iota
	seen
	forcedAway
	unseen
)

func TestPodLives(t *testing.T) {
	plain := podOf("shop", "shop-1", "aaa", "10.0.0.1")
	leaving := readyPod(plain, true)
	leaving.DeletionTimestamp = &metav1.Time{Time: time.Now()}
	failed := plain.DeepCopy()
	failed.Status.Phase = corev1.PodFailed
	placed := readyPod(plain, true)
	placed.Spec.NodeName, placed.Spec.TerminationGracePeriodSeconds = "node", new(int64(30))
	drained := placed.DeepCopy()
	drained.DeletionTimestamp, drained.DeletionGracePeriodSeconds = leaving.DeletionTimestamp, new(int64(30))
	forced := drained.DeepCopy()
	forced.DeletionGracePeriodSeconds = new(int64(0))
	unplaced := forced.DeepCopy()
	unplaced.Spec.NodeName = ""
	hasty := forced.DeepCopy()
	hasty.Spec.TerminationGracePeriodSeconds = new(int64(0))
	restarted := placed.DeepCopy()
	restarted.Status.ContainerStatuses = []corev1.ContainerStatus{{RestartCount: 1, LastTerminationState: corev1.ContainerState{
		Terminated: &corev1.ContainerStateTerminated{Reason: "OOMKilled", ExitCode: 137}}}}
	thenKilled := restarted.DeepCopy()
	thenKilled.DeletionTimestamp, thenKilled.DeletionGracePeriodSeconds = forced.DeletionTimestamp, forced.DeletionGracePeriodSeconds
	evicted := placed.DeepCopy()
	evicted.Status.Phase, evicted.Status.Reason = corev1.PodFailed, "Evicted"
	for _, test := range []struct {
		name   string
		states []*corev1.Pod
		gone   end
		want   string
	}{
		// HAPPY PATH: what a drained pod goes through
		{"whole life", []*corev1.Pod{plain, readyPod(plain, true), leaving}, unseen, "starting ready terminating gone"},
		// a probe that fails for a while
		{"unready", []*corev1.Pod{readyPod(plain, true), readyPod(plain, false), readyPod(plain, true)}, stays, "ready unready ready"},
		// never ready is not the same as ready no more
		{"slow start", []*corev1.Pod{plain, readyPod(plain, false)}, stays, "starting"},
		// a state seen twice is no news
		{"repeated", []*corev1.Pod{readyPod(plain, true), readyPod(plain, true)}, stays, "ready"},
		// an evicted pod stays as an object
		{"failed", []*corev1.Pod{readyPod(plain, true), failed}, unseen, "ready gone killed"},
		// why it failed, where the kubelet says
		{"evicted", []*corev1.Pod{placed, evicted}, seen, "ready gone killed (Evicted)"},
		// a deletion with no grace, as the API server tells it
		{"killed", []*corev1.Pod{placed, forced}, seen, "ready terminating killed (deleted without its grace period) gone killed (deleted without its grace period)"},
		// the same in one event
		{"killed at once", []*corev1.Pod{placed}, forcedAway, "ready gone killed (deleted without its grace period)"},
		// negative control: the last word on a drained pod looks the same
		{"drained", []*corev1.Pod{placed, drained, forced}, forcedAway, "ready terminating gone"},
		// it has no grace to be denied: every rollout would be a massacre
		{"no grace of its own", []*corev1.Pod{placed, hasty}, seen, "ready terminating gone"},
		// the watch was down, so nobody saw whether it was given notice
		{"end unseen", []*corev1.Pod{placed}, unseen, "ready gone"},
		// deleted before a node had it
		{"never placed", []*corev1.Pod{plain, unplaced}, seen, "starting terminating gone"},
		// a restart within the same phase is news, once
		{"restarted", []*corev1.Pod{placed, restarted, restarted}, stays, "ready ready restarts=1 (OOMKilled, exit code 137)"},
		// what a kill is due to is not what an earlier restart was
		{"restarted, then killed", []*corev1.Pod{restarted, thenKilled}, stays, "ready restarts=1 (OOMKilled, exit code 137) terminating restarts=1 killed (deleted without its grace period)"},
	} {
		t.Run(test.name, func(t *testing.T) {
			events := &sink{}
			pods := NewPods(history.NewClock(), events)
			pods.Learn("aaa", history.Baseline)
			for _, state := range test.states {
				pods.observe(state, false)
			}
			switch test.gone {
			case seen:
				pods.observe(test.states[len(test.states)-1], true)
			case forcedAway:
				pods.observe(forced, true)
			case unseen:
				pods.observe(cache.DeletedFinalStateUnknown{Obj: test.states[0]}, true)
			}
			if got := events.lives()["shop-1"]; got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

func TestResolve(t *testing.T) {
	now := time.Now()
	old, young := podOf("shop", "old", "aaa", "10.0.0.1"), podOf("shop-candidate", "young", "bbb", "10.0.0.1")
	old.CreationTimestamp = metav1.NewTime(now.Add(-time.Minute))
	young.CreationTimestamp = metav1.NewTime(now)
	stranger := podOf("other", "stranger", "ccc", "10.0.0.9")
	for _, test := range []struct {
		name     string
		observed []*corev1.Pod
		ip       string
		version  history.Version
		pod      string
		ok       bool
	}{
		// the address of a living pod
		{"known", []*corev1.Pod{old}, "10.0.0.1", history.Baseline, "old", true},
		// an address used again
		{"reused", []*corev1.Pod{old, young}, "10.0.0.1", history.Candidate, "young", true},
		// a dying pod's last words come late
		{"old one speaks last", []*corev1.Pod{old, young, old}, "10.0.0.1", history.Candidate, "young", true},
		// a list may tell them in any order
		{"young one first", []*corev1.Pod{young, old}, "10.0.0.1", history.Candidate, "young", true},
		// a pod of nobody's version
		{"stranger", []*corev1.Pod{stranger}, "10.0.0.9", history.Unattributed, "stranger", false},
		// never seen
		{"unknown", nil, "10.0.0.1", history.Unattributed, "", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			pods := NewPods(history.NewClock(), &sink{})
			pods.Learn("aaa", history.Baseline)
			pods.Learn("bbb", history.Candidate)
			for _, pod := range test.observed {
				pods.observe(pod, false)
			}
			v, pod, ok := pods.Resolve(test.ip)
			if v != test.version || pod != test.pod || ok != test.ok {
				t.Errorf("got %q %q %v", v, pod, ok)
			}
		})
	}
}

// An answer of a pod that is gone can still be placed.
func TestResolveGone(t *testing.T) {
	pods := NewPods(history.NewClock(), &sink{})
	pods.Learn("aaa", history.Baseline)
	pods.observe(podOf("shop", "shop-1", "aaa", "10.0.0.1"), false)
	pods.observe(podOf("shop", "shop-1", "aaa", ""), true)
	if v, pod, ok := pods.Resolve("10.0.0.1"); v != history.Baseline || pod != "shop-1" || !ok {
		t.Errorf("got %q %q %v", v, pod, ok)
	}
}

// A pod may be seen before its hash is learned, and a hash is learned once.
func TestLearn(t *testing.T) {
	events := &sink{}
	pods := NewPods(history.NewClock(), events)
	pods.observe(podOf("shop", "shop-1", "aaa", "10.0.0.1"), false)
	if len(events.lives()) != 0 {
		t.Error("a pod of an unknown version was recorded")
	}
	pods.Learn("aaa", history.Baseline)
	pods.Learn("aaa", history.Candidate)
	if v, _, _ := pods.Resolve("10.0.0.1"); v != history.Baseline || events.lives()["shop-1"] != "starting" {
		t.Errorf("got %q %v", v, events.lives())
	}
}

func TestWatch(t *testing.T) {
	c := unlisted{builder(t).WithObjects(podOf("shop", "there", "aaa", "10.0.0.1")).Build()}
	events := &sink{}
	pods := NewPods(history.NewClock(), events)
	pods.Learn("aaa", history.Baseline)
	if err := pods.Watch(t.Context(), c, "run-1"); err != nil {
		t.Fatal(err)
	}
	elsewhere := podOf("shop", "elsewhere", "aaa", "10.0.0.3")
	elsewhere.Namespace = "run-2"
	born := podOf("shop", "born", "aaa", "10.0.0.2")
	for _, pod := range []*corev1.Pod{elsewhere, born} {
		if err := c.Create(t.Context(), pod); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.Delete(t.Context(), born); err != nil {
		t.Fatal(err)
	}
	for deadline := time.After(5 * time.Second); events.lives()["born"] != "starting gone"; {
		select {
		case <-deadline:
			t.Fatalf("saw %v", events.lives())
		case <-time.After(5 * time.Millisecond):
		}
	}
	if lives := events.lives(); lives["there"] != "starting" || lives["elsewhere"] != "" {
		t.Errorf("saw %v", lives)
	}
}
