package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	benchmark "github.com/cutover-dev/cutover/bench"
)

// lay writes files into a folder of the test.
func lay(t *testing.T, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	for name, content := range files {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func TestProportional(t *testing.T) {
	proc := lay(t, map[string]string{
		"1/smaps_rollup": "00400000-7fff rollup\nRss: 900 kB\nPss:               100 kB\nPss_Dirty: 50 kB\n",
		"2/smaps_rollup": "00400000-7fff rollup\nPss:                24 kB\n",
		"4/smaps_rollup": "00400000-7fff rollup\nRss: 900 kB\n",
	})
	// 3 has ended meanwhile.
	if got, err := proportional(proc, []int{1, 2, 3}); err != nil || got != 124<<10 {
		t.Errorf("%d bytes, %v; want %d", got, err, 124<<10)
	}
	// A kernel that does not say must not look like a cluster that takes nothing.
	if _, err := proportional(proc, []int{1, 4}); err == nil {
		t.Error("a process without a figure counts as nothing")
	}
}

func TestMembersOf(t *testing.T) {
	const id = "0123456789abcdef"
	proc := lay(t, map[string]string{
		"10/cgroup": "12:memory:/docker/" + id + "/init.scope\n0::/\n",
		"11/cgroup": "0::/system.slice/docker-" + id + ".scope/kubelet.slice/pod1\n", // a pod, on version 2
		"12/cgroup": "12:memory:/docker/ffff\n",                                      // another container
		"13/status": "Name: just ended\n",
	})
	got, err := membersOf(proc, id)
	if want := []int{10, 11}; err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%v, %v; want %v", got, err, want)
	}
	if _, err := membersOf(proc, "no-such-container"); err == nil {
		t.Error("a container without processes takes no memory")
	}
}

func TestNodeImage(t *testing.T) {
	no := errors.New("no")
	for _, row := range []struct {
		why     string
		named   string
		answers map[string]string // by the command's first word; others fail
		image   string
		missing string // part of it
	}{
		{"no engine", "", nil, "", "no container engine"},
		{"an engine without the image", "", map[string]string{"version": "29", "ls": ""}, "", "KIND_NODE_IMAGE"},
		{"the first of two", "", map[string]string{"version": "29", "ls": "kindest/node:v1.36.1\nkindest/node:v1.35.0", "inspect kindest/node:v1.36.1": "sha256:1"}, "kindest/node:v1.36.1", ""},
		{"the one that is named", "mine:1", map[string]string{"version": "29", "ls": "kindest/node:v1.36.1", "inspect mine:1": "sha256:1"}, "mine:1", ""},
		{"named and not there: nothing else is taken", "mine:1", map[string]string{"version": "29", "ls": "kindest/node:v1.36.1"}, "", "mine:1 is not on this machine"},
	} {
		engine := docker(func(_ context.Context, arguments ...string) (string, error) {
			word := arguments[0]
			switch {
			case word == "image" && arguments[1] == "inspect":
				word = "inspect " + arguments[len(arguments)-1]
			case word == "image":
				word = "ls"
			}
			if answer, known := row.answers[word]; known {
				return answer, nil
			}
			return "", no
		})
		image, missing := engine.nodeImage(t.Context(), row.named)
		if image != row.image || !strings.Contains(missing, row.missing) || (missing == "") != (row.missing == "") {
			t.Errorf("%s: image %q, missing %q", row.why, image, missing)
		}
	}
}

func TestCredentials(t *testing.T) {
	dir := lay(t, map[string]string{"super-admin.conf": `apiVersion: v1
kind: Config
clusters: [{name: c, cluster: {server: "https://bench-kind-control-plane:6443", insecure-skip-tls-verify: true}}]
users: [{name: u, user: {token: secret}}]
contexts: [{name: x, context: {cluster: c, user: u}}]
current-context: x
`, "half.conf": "apiVersion: v1\nkind: Config\nclusters: [{na"})
	config, err := credentials(filepath.Join(dir, "super-admin.conf"), 45678)
	if err != nil || config.Host != "https://127.0.0.1:45678" || config.BearerToken != "secret" {
		t.Errorf("%+v, %v", config, err)
	}
	// It is read while it is written: half of it is no credentials yet.
	if _, err := credentials(filepath.Join(dir, "half.conf"), 1); err == nil {
		t.Error("half a file is taken")
	}
}

func TestListen(t *testing.T) {
	var s story
	s.begin(time.Now().Add(-time.Second))
	up := &oursStarting{story: &s}
	rest := up.listen(strings.NewReader("component  1/7 kube: built\nphase       0.47 s  components checked\nphase      12.00 s  nodes Ready\n"))
	if rest != "component  1/7 kube: built\n" {
		t.Errorf("the rest is %q", rest)
	}
	told := s.soFar()
	// When the line came counts, not what it says: the process is older than its clock.
	if len(told) != 2 || told["components checked"] < 1 || told["nodes Ready"] > 10 {
		t.Errorf("told %v", told)
	}
}

func TestStoryKeepsTheFirst(t *testing.T) {
	var s story
	began := time.Now()
	s.begin(began)
	s.mark("once", began.Add(time.Second))
	s.mark("once", began.Add(time.Minute))
	if got := s.soFar()["once"]; got != 1 {
		t.Errorf("%v s, want 1", got)
	}
}

func TestAwait(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	pod := func(name string, ready corev1.ConditionStatus) *corev1.Pod {
		return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, Labels: map[string]string{appLabel: "shop"}},
			Status: corev1.PodStatus{Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: ready}}}}
	}
	c := fake.NewClientBuilder().WithObjects(pod("there", corev1.ConditionTrue), pod("late", corev1.ConditionFalse)).WithStatusSubresource(&corev1.Pod{}).Build()
	if _, err := await(ctx, c, &corev1.PodList{}, isReady); err != nil {
		t.Errorf("one that is there is not seen: %v", err)
	}
	late := make(chan error, 1)
	go func() {
		_, err := await(ctx, c, &corev1.PodList{}, func(p *corev1.Pod) bool { return p.Name == "late" && isReady(p) })
		late <- err
	}()
	select {
	case err := <-late:
		t.Fatalf("one that is not ready is taken (%v)", err)
	case <-time.After(50 * time.Millisecond):
	}
	if err := c.Status().Update(ctx, pod("late", corev1.ConditionTrue)); err != nil {
		t.Fatal(err)
	}
	if err := <-late; err != nil {
		t.Errorf("a change is not seen: %v", err)
	}
	gone := make(chan error, 1)
	go func() { gone <- awaitNone[*corev1.Pod](ctx, c, &corev1.PodList{}, client.InNamespace(namespace)) }()
	for _, name := range []string{"there", "late"} {
		select {
		case err := <-gone:
			t.Fatalf("some are left and it says none (%v)", err)
		case <-time.After(20 * time.Millisecond):
		}
		if err := c.Delete(ctx, pod(name, corev1.ConditionTrue)); err != nil {
			t.Fatal(err)
		}
	}
	if err := <-gone; err != nil {
		t.Errorf("none are left: %v", err)
	}
	short, stop := context.WithTimeout(ctx, 50*time.Millisecond)
	defer stop()
	if _, err := await(short, c, &corev1.PodList{}, isReady); err == nil {
		t.Error("it waits for ever for what does not come")
	}
}

// TestWatchEnds: a server ends watches when it likes, which says nothing.
func TestWatchEnds(t *testing.T) {
	changes := watch.NewFake()
	go changes.Stop()
	if _, over := watchUntil(t.Context(), changes, func(watch.EventType, *corev1.Pod) {}, func() bool { return true }); over {
		t.Error("a watch that ended without a change counts as done")
	}
}

func TestReport(t *testing.T) {
	b := &bench{noKind: "no node image", ours: []figures{{apiReady: 3, nodeReady: 4}, {apiReady: 5}}, kind: []figures{{nodeReady: 20}}}
	broken := errors.New("round 2: it broke")
	whole, cut := b.report(benchmark.Head{}, nil), b.report(benchmark.Head{}, broken)
	for i, target := range targets {
		samples := whole.Rows[i].Samples
		switch target.of {
		case apiReady:
			if len(samples.Ours) != 2 || len(samples.Peer) != 0 || whole.Rows[i].Because != "no node image" {
				t.Errorf("%s: %+v because %q", target.text, samples, whole.Rows[i].Because)
			}
		case nodeReady:
			if len(samples.Ours) != 1 || len(samples.Peer) != 1 || whole.Rows[i].Because != "" {
				t.Errorf("%s: %+v because %q", target.text, samples, whole.Rows[i].Because)
			}
		case down:
			if cut.Rows[i].Met != nil || cut.Rows[i].Because != broken.Error() {
				t.Errorf("%s was not reached: met %v because %q", target.text, cut.Rows[i].Met, cut.Rows[i].Because)
			}
		}
	}
}

// TestPhasesAreInOrder: each comes behind what it waits for, or its time is wrong.
func TestPhasesAreInOrder(t *testing.T) {
	before := map[string]bool{}
	for _, phase := range phases {
		for _, earlier := range phase.After {
			if !before[earlier] {
				t.Errorf("%q waits for %q, which does not stand before it", phase.Name, earlier)
			}
		}
		before[phase.Name] = true
	}
}
