package suites_test

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/cutover-dev/cutover/cluster"
	"github.com/cutover-dev/cutover/cluster/kind"
	"github.com/cutover-dev/cutover/faults"
	"github.com/cutover-dev/cutover/faults/agent"
)

// What the kill test looks for on every ground: processes and networks of a cluster,
// ledgers, what runs leave in a cluster that lives on, and whether that is of use.

func ledgerFolder() string { return filepath.Join(stateFolder(), "ledgers") }

func stateFolder() string {
	GinkgoHelper()
	dir, err := cluster.StateDir()
	Expect(err).NotTo(HaveOccurred())
	return dir
}

// killCluster is the detached cluster of this kill test; others may be under way.
var killCluster = "kill-" + strconv.Itoa(os.Getpid())

// clusterProcess is a process of a cluster, as the host sees it.
type clusterProcess struct {
	pid       int
	arguments []string
	network   string // "net:[4026531840]"
}

func (p clusterProcess) String() string { return fmt.Sprintf("%s %v", processName(p.pid), p.arguments) }

func processName(pid int) string { return fmt.Sprint("process ", pid) }

// processesThat lists the processes of this machine with such arguments and cgroups.
func processesThat(are func(arguments []string, groups []byte) bool) []clusterProcess {
	var found []clusterProcess
	paths, _ := filepath.Glob("/proc/[0-9]*")
	for _, dir := range paths {
		command, err := os.ReadFile(filepath.Join(dir, "cmdline"))
		if err != nil || len(command) == 0 {
			continue // it ended, or is the kernel's
		}
		arguments := strings.Split(strings.TrimSuffix(string(command), "\x00"), "\x00")
		groups, err := os.ReadFile(filepath.Join(dir, "cgroup"))
		if err != nil || !are(arguments, groups) {
			continue
		}
		pid, err := strconv.Atoi(filepath.Base(dir))
		if err != nil {
			continue
		}
		network, _ := os.Readlink(filepath.Join(dir, "ns", "net"))
		found = append(found, clusterProcess{pid, arguments, network})
	}
	return found
}

// networksOf looks for the processes' network namespaces: whether any process is in
// one, or holds one open. The host's own is no leftover.
func networksOf(seen []clusterProcess) []string {
	host, _ := os.Readlink("/proc/self/ns/net")
	gone := map[string]bool{}
	for _, p := range seen {
		gone[p.network] = p.network != host && p.network != ""
	}
	var found []string
	for _, pattern := range []string{"/proc/[0-9]*/ns/net", "/proc/[0-9]*/fd/*"} {
		paths, _ := filepath.Glob(pattern)
		for _, path := range paths {
			if network, err := os.Readlink(path); err == nil && gone[network] {
				found = append(found, "network "+network+", held by "+path)
			}
		}
	}
	return found
}

// ledgersOf lists the ledgers of runs on the cluster.
func ledgersOf(name string) []string {
	var found []string
	entries, _ := os.ReadDir(ledgerFolder())
	for _, entry := range entries {
		path := filepath.Join(ledgerFolder(), entry.Name())
		data, err := os.ReadFile(path)
		if err == nil && bytes.Contains(data, fmt.Appendf(nil, "%q:%q", "cluster", name)) {
			found = append(found, "ledger "+path)
		}
	}
	return found
}

// left lists everything that is left of runs on a cluster: of the cluster, unless that
// is the detached one and alive, and then in it.
func (t *killTest) left(ctx SpecContext, name string, seen sighting) []string {
	if name == "" {
		return nil
	}
	found := ledgersOf(name)
	if name != killCluster || !t.ground.alive(ctx, name) {
		return append(found, t.ground.left(ctx, name, seen, everything)...)
	}
	return append(found, leftInCluster(ctx, t.ground, name)...)
}

// leftInCluster lists what runs have left in a living cluster.
func leftInCluster(ctx SpecContext, ground killGround, name string) []string {
	c, err := attach(ctx, name)
	if err != nil {
		return []string{err.Error()}
	}
	api := clientOf(c)
	found, err := faults.Residue(ctx, api, "")
	if err != nil {
		found = append(found, err.Error())
	}
	var namespaces corev1.NamespaceList
	if err := api.List(ctx, &namespaces, client.HasLabels{faults.RunLabel}); err != nil {
		found = append(found, err.Error())
	}
	for _, namespace := range namespaces.Items {
		found = append(found, "namespace "+namespace.Name)
	}
	return append(found, ground.leftInside(ctx, name)...)
}

// detachedCluster is the name of the detached cluster, which is started if need be.
func (t *killTest) detachedCluster(ctx SpecContext) string {
	GinkgoHelper()
	if !t.ground.alive(ctx, killCluster) {
		t.takeDown(ctx)
		cutover(ctx, "cluster", "up", "--cluster", sortOfCluster(), "--name", killCluster)
	}
	return killCluster
}

func (t *killTest) takeDown(ctx SpecContext) {
	_ = exec.CommandContext(ctx, binary, "cluster", "down", "--name", killCluster).Run() // there may be none
}

// pauseImage is on every node that was made here.
const pauseImage = "cutover.local/pause:1"

// awaitUsable returns when a detached cluster is good for the next run: the nodes are
// Ready, what runs need is there, and a new pod starts.
func (t *killTest) awaitUsable(ctx SpecContext, name, victim string) {
	GinkgoHelper()
	c, err := attach(ctx, name)
	Expect(err).NotTo(HaveOccurred())
	api := clientOf(c)
	grace := client.GracePeriodSeconds(0)
	if namespace := t.ground.restarts(victim); namespace != "" {
		// The kubelet restarts a container that ends again and again later and later:
		// a new pod is a container that never ended.
		Expect(api.DeleteAllOf(ctx, &corev1.Pod{}, client.InNamespace(namespace), grace)).To(Succeed())
	}
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{GenerateName: "after-", Namespace: "default"}, Spec: corev1.PodSpec{
		Containers: []corev1.Container{{Name: "pause", Image: pauseImage}}}}
	Eventually(func() error { return api.Create(ctx, pod) }).WithTimeout(usableWithin).Should(Succeed())
	Eventually(func() []string { return unusable(ctx, api, pod, agent.Namespace, t.ground.restarts(victim)) }).
		WithTimeout(usableWithin).WithPolling(100 * time.Millisecond).Should(BeEmpty())
	Expect(api.Delete(ctx, pod, grace)).To(Succeed())
}

// unusable says why a cluster cannot be used: the new pod, and the pods of what runs
// need, must run.
func unusable(ctx context.Context, api client.Client, pod *corev1.Pod, namespaces ...string) []string {
	var why []string
	var nodes corev1.NodeList
	if err := api.List(ctx, &nodes); err != nil {
		return []string{err.Error()}
	}
	for _, node := range nodes.Items {
		for _, condition := range node.Status.Conditions {
			if condition.Type == corev1.NodeReady && condition.Status != corev1.ConditionTrue {
				why = append(why, "node: "+condition.Message)
			}
		}
	}
	if err := api.Get(ctx, client.ObjectKeyFromObject(pod), pod); err != nil {
		return append(why, err.Error())
	}
	if pod.Status.Phase != corev1.PodRunning {
		why = append(why, "the new pod is "+string(pod.Status.Phase))
	}
	for _, namespace := range namespaces {
		if namespace == "" {
			continue
		}
		var pods corev1.PodList
		if err := api.List(ctx, &pods, client.InNamespace(namespace)); err != nil {
			return append(why, err.Error())
		}
		for _, one := range pods.Items {
			if one.DeletionTimestamp != nil || len(one.Status.ContainerStatuses) == 0 || !one.Status.ContainerStatuses[0].Ready {
				why = append(why, "pod "+one.Name+" is not ready")
			}
		}
	}
	return why
}

// awaitFaultsOver watches the pods of a run whose CLI was killed until the nodes have
// ended its faults, which they must by themselves.
func (t *killTest) awaitFaultsOver(ctx SpecContext, run *killedRun) {
	GinkgoHelper()
	c, err := attach(ctx, run.cluster)
	Expect(err).NotTo(HaveOccurred())
	api := clientOf(c)
	// One that was created, but not served yet, begins after the kill.
	deadline := run.killed.Add(faultLasts + faultGrace)
	if applied := run.told("delay on candidate taken by the API"); !applied.IsZero() {
		deadline = applied.Add(faultLasts + faultGrace)
	}
	GinkgoWriter.Println("at the kill:", sufferingPods(ctx, c, api))
	Eventually(func() []string { return sufferingPods(ctx, c, api) }).
		WithTimeout(max(time.Second, time.Until(deadline))).WithPolling(50*time.Millisecond).
		Should(BeEmpty(), "the fault outlived its time")
}

// sufferingPods lists the faults that are not over, and the pods that are slow.
func sufferingPods(ctx SpecContext, c cluster.Cluster, api client.Client) []string {
	found := lastingFaults(ctx, api)
	var pods corev1.PodList
	if err := api.List(ctx, &pods); err != nil {
		return append(found, err.Error())
	}
	for _, pod := range pods.Items {
		port, ours := map[string]string{"shop": "8080", "drill": "9099"}[containerOf(pod)]
		if !ours || pod.Status.PodIP == "" || pod.DeletionTimestamp != nil || pod.Status.Phase != corev1.PodRunning {
			continue
		}
		if took := roundTrip(ctx, c, net.JoinHostPort(pod.Status.PodIP, port)); took > faultHealed {
			found = append(found, fmt.Sprintf("%s answers after %v", pod.Name, took))
		}
	}
	return found
}

// lastingFaults lists the delays that are not over, whoever serves them: the agent
// promises an end to each, Chaos Mesh says when it came.
func lastingFaults(ctx SpecContext, api client.Client) []string {
	var found []string
	for _, group := range []string{faults.MeshGroup, faults.AgentGroup} {
		delays := &unstructured.UnstructuredList{}
		delays.SetGroupVersionKind(schema.GroupVersionKind{Group: group, Version: "v1alpha1", Kind: "NetworkChaosList"})
		if err := api.List(ctx, delays); meta.IsNoMatchError(err) {
			continue // nobody serves that group here
		} else if err != nil {
			return []string{err.Error()}
		}
		for _, delay := range delays.Items {
			expires, err := time.Parse(time.RFC3339Nano, delay.GetAnnotations()[faults.ExpiresAnnotation])
			phase, _, _ := unstructured.NestedString(delay.Object, "status", "experiment", "desiredPhase")
			saysChaosMesh := sortOfCluster() == kind.Provider && phase == "Stop"
			if err != nil && !saysChaosMesh || err == nil && time.Now().Before(expires) {
				found = append(found, "the time of "+delay.GetName()+" is not over")
			}
		}
	}
	return found
}

func containerOf(pod corev1.Pod) string { return pod.Spec.Containers[0].Name }
