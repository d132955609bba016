package registry

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/v1/remote"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"

	"github.com/cutover-dev/cutover/cluster/image"
	"github.com/cutover-dev/cutover/cluster/kind"
)

// What was pushed to the registry from here runs on the nodes of a real cluster, which
// have never seen it.
func TestNodesPullWhatWasPushedHere(t *testing.T) {
	o := newOptions(t)
	binary := os.Getenv("CUTOVER_BINARY")
	if binary == "" {
		t.Skip("CUTOVER_BINARY does not name the program; `make test` does")
	}
	if os.Getenv("CLUSTER") != "kind" {
		t.Skip("it takes a minute or more: `make test CLUSTER=kind` runs it")
	}
	if _, err := kind.Usable(t.Context()); err != nil {
		t.Skip(err)
	}
	up, err := kind.Up(t.Context(), kind.Options{Name: o.Cluster, Owned: true, Executable: binary, Out: t.Output()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := up.Close(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	})
	o.Network = up.Network()
	r, err := Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	client, err := kubernetes.NewForConfig(up.REST())
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Join(t.Context(), client); err != nil {
		t.Fatal(err)
	}
	pushed, err := image.Build(t.Context(), "ko://./cluster/container/testdata/server", image.Options{CacheDir: t.TempDir(), Dir: "../..", TempDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	// The control: before it is pushed, it is not to be had.
	runPod(t, client, "too-early", r.Host+"/server:v1", corev1.PodPending)
	if err := remote.Write(reference(t, r.Host+"/server:v1"), pushed, remote.WithContext(t.Context())); err != nil {
		t.Fatal(err)
	}
	runPod(t, client, "in-time", r.Host+"/server:v1", corev1.PodRunning)
}

// runPod waits until the pod has the phase, and a pending one a reason that it will not
// overcome by itself.
func runPod(t *testing.T, client kubernetes.Interface, name, reference string, want corev1.PodPhase) {
	t.Helper()
	pods := client.CoreV1().Pods(metav1.NamespaceDefault)
	_, err := pods.Create(t.Context(), &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "server", Image: reference, ImagePullPolicy: corev1.PullAlways}}}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	last := "nothing"
	err = wait.PollUntilContextTimeout(t.Context(), 200*time.Millisecond, time.Minute, true, func(ctx context.Context) (bool, error) {
		pod, err := pods.Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return false, err
		}
		reason := ""
		if s := pod.Status.ContainerStatuses; len(s) > 0 && s[0].State.Waiting != nil {
			reason = s[0].State.Waiting.Reason
		}
		last = fmt.Sprintf("%s %s", pod.Status.Phase, reason)
		return pod.Status.Phase == want && (want == corev1.PodRunning || reason == "ErrImagePull" || reason == "ImagePullBackOff"), nil
	})
	if err != nil {
		t.Fatalf("pod %s with %s: %s: %v", name, reference, last, err)
	}
}
