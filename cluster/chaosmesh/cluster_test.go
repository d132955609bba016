package chaosmesh

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/chaos-mesh/chaos-mesh/api/v1alpha1"
	"helm.sh/helm/v3/pkg/release"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	runtimeclient "sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/cutover-dev/cutover/cluster/embedded/components"
	"github.com/cutover-dev/cutover/cluster/kind"
)

// realCluster skips where there can be no cluster of kind. The source is what fits its
// node image.
func realCluster(t *testing.T) (*kind.Cluster, Source) {
	t.Helper()
	binary := os.Getenv("CUTOVER_BINARY")
	switch {
	case testing.Short():
		t.Skip("it starts a cluster")
	case os.Geteuid() != 0:
		t.Skip("a kind cluster needs root")
	case os.Getenv("CLUSTER") != "kind":
		t.Skip("it takes a minute or more: `make test CLUSTER=kind` runs it")
	case binary == "":
		t.Skip("CUTOVER_BINARY does not name the program; `make test` does")
	}
	image, err := kind.Usable(t.Context())
	if err != nil {
		t.Skip(err)
	}
	source := Published()
	if kind.BuiltHere(image) {
		if debian, err := debianFolder(); err != nil || holdsTools(debian) != nil {
			t.Skip("`make chaos-mesh-images` was not run")
		}
		programs, err := components.Ensure(t.Context(), os.Stderr, components.Kind)
		must(t, err)
		source, err = Local(programs)
		must(t, err)
	}
	up, err := kind.Up(t.Context(), kind.Options{Owned: true, Out: os.Stderr, Executable: binary})
	must(t, err)
	t.Cleanup(func() {
		if err := up.Close(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	})
	return up, source
}

// TestInACluster installs Chaos Mesh over what a killed install left, and has each of
// its kinds do something that is seen at a pod.
func TestInACluster(t *testing.T) {
	cluster, source := realCluster(t)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	kube, err := newClient(cluster.REST())
	must(t, err)
	if version, err := Installed(ctx, kube); version != "" || err != nil {
		t.Fatalf("before: %q, %v", version, err)
	}
	must(t, kube.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: Namespace}}))
	helm, err := helmFor(cluster)
	must(t, err)
	must(t, helm.Releases.Create(&release.Release{Name: releaseName, Namespace: Namespace, Version: 1, Info: &release.Info{Status: release.StatusPendingInstall}}))

	began := time.Now()
	must(t, Install(ctx, cluster, source, Options{}))
	t.Logf("installed in %.1f s", time.Since(began).Seconds())
	before, err := findController(ctx, kube)
	must(t, err)
	must(t, Install(ctx, cluster, source, Options{}))
	after, err := findController(ctx, kube)
	must(t, err)
	if before.UID != after.UID || before.Generation != after.Generation {
		t.Error("the second Install changed what was there")
	}
	if version, err := Installed(ctx, kube); version == "" || err != nil {
		t.Errorf("after: %q, %v", version, err)
	}
	_, _, pause := source.refs()
	victim := victimPod(t, kube, pause)
	t.Run("NetworkChaos", func(t *testing.T) { partitions(t, kube, cluster, victim) })
	t.Run("StressChaos", func(t *testing.T) { stresses(t, kube, cluster, victim) })
	t.Run("PodChaos", func(t *testing.T) { killsAContainer(t, kube, victim) })
}

// victimPod runs and listens to nothing: its kernel refuses at once.
func victimPod(t *testing.T, kube client, image string) runtimeclient.ObjectKey {
	t.Helper()
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "victim"},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "victim", Image: image}}},
	}
	must(t, kube.Create(t.Context(), pod))
	key := runtimeclient.ObjectKeyFromObject(pod)
	within(t, "the victim runs", func() bool {
		now := look(t, kube, key)
		return now.Status.Phase == corev1.PodRunning && now.Status.PodIP != ""
	})
	return key
}

func look(t *testing.T, kube client, key runtimeclient.ObjectKey) *corev1.Pod {
	t.Helper()
	pod := new(corev1.Pod)
	must(t, kube.Get(t.Context(), key, pod))
	return pod
}

func only(pod runtimeclient.ObjectKey) v1alpha1.PodSelector {
	return v1alpha1.PodSelector{Mode: v1alpha1.AllMode, Selector: v1alpha1.PodSelectorSpec{Pods: map[string][]string{pod.Namespace: {pod.Name}}}}
}

func named(name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: "default", Name: name}
}

func partitions(t *testing.T, kube client, cluster *kind.Cluster, victim runtimeclient.ObjectKey) {
	address := net.JoinHostPort(look(t, kube, victim).Status.PodIP, "9")
	refuses := func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := cluster.Dial(ctx, address)
		return errors.Is(err, syscall.ECONNREFUSED)
	}
	within(t, "the pod refuses", refuses)
	fault := &v1alpha1.NetworkChaos{ObjectMeta: named("partition"), Spec: v1alpha1.NetworkChaosSpec{PodSelector: only(victim), Action: v1alpha1.PartitionAction}}
	must(t, kube.Create(t.Context(), fault))
	within(t, "the pod gives no answer", func() bool { return !refuses() })
	isInjected(t, kube, fault)
	must(t, kube.Delete(t.Context(), fault))
	within(t, "the pod refuses again", refuses)
}

func stresses(t *testing.T, kube client, cluster *kind.Cluster, victim runtimeclient.ObjectKey) {
	const size = 128 << 20
	if used := memoryOf(t, cluster, look(t, kube, victim)); used > size/2 {
		t.Fatalf("the pod uses %d bytes before", used)
	}
	fault := &v1alpha1.StressChaos{ObjectMeta: named("stress"), Spec: v1alpha1.StressChaosSpec{
		ContainerSelector: v1alpha1.ContainerSelector{PodSelector: only(victim)},
		Stressors: &v1alpha1.Stressors{
			MemoryStressor: &v1alpha1.MemoryStressor{Stressor: v1alpha1.Stressor{Workers: 1}, Size: fmt.Sprint(size)},
			CPUStressor:    &v1alpha1.CPUStressor{Stressor: v1alpha1.Stressor{Workers: 1}, Load: new(20)},
		},
	}}
	must(t, kube.Create(t.Context(), fault))
	within(t, "the kubelet counts the memory as the pod's", func() bool { return memoryOf(t, cluster, look(t, kube, victim)) > size/2 })
	isInjected(t, kube, fault)
	must(t, kube.Delete(t.Context(), fault))
	within(t, "the memory is given back", func() bool { return memoryOf(t, cluster, look(t, kube, victim)) < size/2 })
}

// memoryOf is what the kubelet has measured last.
func memoryOf(t *testing.T, cluster *kind.Cluster, pod *corev1.Pod) (bytes uint64) {
	t.Helper()
	core, err := kubernetes.NewForConfig(cluster.REST())
	must(t, err)
	answer, err := core.CoreV1().RESTClient().Get().Resource("nodes").Name(pod.Spec.NodeName).SubResource("proxy").Suffix("stats/summary").DoRaw(t.Context())
	must(t, err)
	var summary struct {
		Pods []struct {
			PodRef struct{ UID types.UID }
			Memory struct{ WorkingSetBytes uint64 }
		}
	}
	must(t, json.Unmarshal(answer, &summary))
	for _, one := range summary.Pods {
		if one.PodRef.UID == pod.UID {
			bytes = one.Memory.WorkingSetBytes
		}
	}
	return bytes
}

func killsAContainer(t *testing.T, kube client, victim runtimeclient.ObjectKey) {
	fault := &v1alpha1.PodChaos{ObjectMeta: named("kill"), Spec: v1alpha1.PodChaosSpec{
		ContainerSelector: v1alpha1.ContainerSelector{PodSelector: only(victim), ContainerNames: []string{"victim"}},
		Action:            v1alpha1.ContainerKillAction,
	}}
	must(t, kube.Create(t.Context(), fault))
	within(t, "the container was killed and runs again", func() bool {
		status := look(t, kube, victim).Status.ContainerStatuses[0]
		killed := status.LastTerminationState.Terminated
		return killed != nil && killed.ExitCode == 137 && status.State.Running != nil
	})
	must(t, kube.Delete(t.Context(), fault))
}

// isInjected waits for what the object says, which comes after the effect.
func isInjected(t *testing.T, kube client, fault v1alpha1.InnerObject) {
	t.Helper()
	within(t, "the object says that it is injected", func() bool {
		must(t, kube.Get(t.Context(), runtimeclient.ObjectKeyFromObject(fault), fault))
		for _, condition := range fault.GetStatus().Conditions {
			if condition.Type == v1alpha1.ConditionAllInjected {
				return condition.Status == corev1.ConditionTrue
			}
		}
		return false
	})
}

func within(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(2 * time.Minute); !holds(); time.Sleep(200 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("not in two minutes: ", what)
		}
	}
}
