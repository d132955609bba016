package release

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/cache"

	"github.com/cutover-dev/cutover/history"
)

func TestPodLives(t *testing.T) {
	plain := podOf("shop", "shop-1", "aaa", "10.0.0.1")
	leaving := readyPod(plain, true)
	leaving.DeletionTimestamp = &metav1.Time{Time: time.Now()}
	failed := plain.DeepCopy()
	failed.Status.Phase = corev1.PodFailed
	for _, test := range []struct {
		name   string
		states []*corev1.Pod
		gone   bool
		want   string
	}{
		// HAPPY PATH: what a drained pod goes through
		{"whole life", []*corev1.Pod{plain, readyPod(plain, true), leaving}, true, "starting ready terminating gone"},
		// a probe that fails for a while
		{"unready", []*corev1.Pod{readyPod(plain, true), readyPod(plain, false), readyPod(plain, true)}, false, "ready unready ready"},
		// never ready is not the same as ready no more
		{"slow start", []*corev1.Pod{plain, readyPod(plain, false)}, false, "starting"},
		// a state seen twice is no news
		{"repeated", []*corev1.Pod{readyPod(plain, true), readyPod(plain, true)}, false, "ready"},
		// an evicted pod stays as an object
		{"failed", []*corev1.Pod{readyPod(plain, true), failed}, true, "ready gone"},
	} {
		t.Run(test.name, func(t *testing.T) {
			events := &sink{}
			pods := NewPods(history.NewClock(), events)
			pods.Learn("aaa", history.Baseline)
			for _, state := range test.states {
				pods.observe(state, false)
			}
			if test.gone {
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
