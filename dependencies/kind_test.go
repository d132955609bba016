package dependencies

import (
	"context"
	"os"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"

	"github.com/cutover-dev/cutover/cluster/kind"
)

// Pods of a real cluster reach a dependency by what references to it stand for.
func TestPodsReachIt(t *testing.T) {
	place := newPlace(t)
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
	up, err := kind.Up(t.Context(), kind.Options{Owned: true, Executable: binary, Out: t.Output()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := up.Close(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	})
	place.Dial = up.Dial
	// The control: in another network the container is ready, and of no use.
	if _, err := Start(t.Context(), []Spec{listening("elsewhere")}, place); err == nil {
		t.Error("a dependency in another network is said to be usable")
	}
	place.Network = up.Network()
	running, err := Start(t.Context(), []Spec{listening("web")}, place)
	if err != nil {
		t.Fatal(err)
	}
	url, err := running.Values.Fill("http://${dependencies.web.host}:${dependencies.web.port}/fine")
	if err != nil {
		t.Fatal(err)
	}
	built := place.Images[server]
	if err := up.LoadImage(t.Context(), built.Ref, built.Image); err != nil {
		t.Fatal(err)
	}
	client, err := kubernetes.NewForConfig(up.REST())
	if err != nil {
		t.Fatal(err)
	}
	runToSuccess(t, client, built.Ref, "-ask", url)
	place.Network = "cutover-" + place.Run // for the clean-up
	undone(t, place)
}

func runToSuccess(t *testing.T, client kubernetes.Interface, image string, args ...string) {
	t.Helper()
	pods := client.CoreV1().Pods(metav1.NamespaceDefault)
	_, err := pods.Create(t.Context(), &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "asking"}, Spec: corev1.PodSpec{
		RestartPolicy: corev1.RestartPolicyOnFailure,
		Containers:    []corev1.Container{{Name: "asking", Image: image, ImagePullPolicy: corev1.PullNever, Args: args}},
	}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var last corev1.PodStatus
	err = wait.PollUntilContextTimeout(t.Context(), 200*time.Millisecond, time.Minute, true, func(ctx context.Context) (bool, error) {
		pod, err := pods.Get(ctx, "asking", metav1.GetOptions{})
		if err != nil {
			return false, err
		}
		last = pod.Status
		return pod.Status.Phase == corev1.PodSucceeded, nil
	})
	if err != nil {
		t.Fatalf("the pod is %s: %+v: %v", last.Phase, last.ContainerStatuses, err)
	}
}
