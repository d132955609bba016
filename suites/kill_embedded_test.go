package suites_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	chaosv1alpha1 "github.com/chaos-mesh/chaos-mesh/api/v1alpha1"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/cutover-dev/cutover/cluster"
	"github.com/cutover-dev/cutover/cluster/provider"
	"github.com/cutover-dev/cutover/faults"
	"github.com/cutover-dev/cutover/faults/agent"
)

// What the kill test knows of the embedded provider: where its processes are, and
// what must be gone. Other clusters may live on the machine, so everything is told
// by the cluster's name.

const (
	victimCLI        = "CLI"
	victimAgent      = "agent"
	victimSandbox    = "sandbox"
	victimJanitor    = "janitor"
	victimContainerd = "containerd"
)

var victims = []string{victimCLI, victimAgent, victimSandbox, victimJanitor, victimContainerd}

// folderOf is where a cluster's state is.
func folderOf(name string) string { return filepath.Join(stateFolder(), "clusters", name) }

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

// processesOf lists the processes of a cluster: all in its cgroups, and those that
// are started with its name.
func processesOf(name string) []clusterProcess {
	if name == "" {
		return nil
	}
	var found []clusterProcess
	paths, _ := filepath.Glob("/proc/[0-9]*")
	for _, dir := range paths {
		command, err := os.ReadFile(filepath.Join(dir, "cmdline"))
		if err != nil || len(command) == 0 {
			continue // it ended, or is the kernel's
		}
		arguments := strings.Split(strings.TrimSuffix(string(command), "\x00"), "\x00")
		keeper := len(arguments) == 4 && arguments[1] == "cluster" && arguments[3] == folderOf(name)
		groups, err := os.ReadFile(filepath.Join(dir, "cgroup"))
		if err != nil || !keeper && !inCgroup(groups, name) {
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

func inCgroup(groups []byte, name string) bool {
	return bytes.Contains(groups, []byte("/cutover-"+name+"/")) || bytes.Contains(groups, []byte("/cutover-"+name+"\n"))
}

// findVictim finds the process to kill; 0 if it does not run.
func findVictim(victim, name string) int {
	for _, p := range processesOf(name) {
		program, rest := filepath.Base(p.arguments[0]), p.arguments[1:]
		var is bool
		switch victim {
		case victimJanitor, victimSandbox:
			is = slices.Equal(rest, []string{"cluster", victim, folderOf(name)})
		case victimAgent:
			is = slices.Equal(rest, []string{"agent"})
		case victimContainerd:
			is = program == "containerd"
		}
		if is {
			return p.pid
		}
	}
	return 0
}

// hasJanitor reports whether one of the processes is a janitor.
func hasJanitor(seen []clusterProcess) bool {
	return slices.ContainsFunc(seen, func(p clusterProcess) bool { return slices.Contains(p.arguments, victimJanitor) })
}

// alive reports whether the cluster's sandbox runs.
func alive(name string) bool { return findVictim(victimSandbox, name) != 0 }

// Parts of a cluster on its host.
const (
	withoutJanitor = false // what goes when its first process does
	allOfCluster   = true  // and what the janitor removes
)

// leftOfCluster lists what is left on the host of a cluster that has ended. seen
// are the processes that it had, whose networks must be gone too.
func leftOfCluster(name string, seen []clusterProcess, swept bool) []string {
	if name == "" {
		return nil
	}
	var found []string
	for _, p := range processesOf(name) {
		found = append(found, fmt.Sprintf("process %d %v", p.pid, p.arguments))
	}
	found = append(found, mountsOf(name)...)
	found = append(found, networksOf(seen)...)
	if !swept {
		return found
	}
	found = append(found, cgroupsOf(name)...)
	if _, err := os.Stat(folderOf(name)); err == nil {
		found = append(found, "folder "+folderOf(name))
	}
	return found
}

// mountsOf looks for mounts of the cluster's folder in every mount namespace.
func mountsOf(name string) []string {
	var found []string
	namespaces := map[string]bool{}
	paths, _ := filepath.Glob("/proc/[0-9]*")
	for _, dir := range paths {
		namespace, err := os.Readlink(filepath.Join(dir, "ns", "mnt"))
		if err != nil || namespaces[namespace] {
			continue
		}
		namespaces[namespace] = true
		mounts, err := os.ReadFile(filepath.Join(dir, "mountinfo"))
		if err == nil && bytes.Contains(mounts, []byte(folderOf(name)+"/")) {
			found = append(found, "mounts in "+namespace)
		}
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

// cgroupsOf looks for the cluster's cgroup in every hierarchy.
func cgroupsOf(name string) []string {
	mounts, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return []string{err.Error()}
	}
	defer mounts.Close()
	var found []string
	for lines := bufio.NewScanner(mounts); lines.Scan(); {
		before, after, _ := strings.Cut(lines.Text(), " - ")
		if !strings.HasPrefix(after, "cgroup") {
			continue
		}
		_ = filepath.WalkDir(strings.Fields(before)[4], func(path string, entry fs.DirEntry, err error) error {
			if err == nil && entry.Name() == "cutover-"+name {
				found = append(found, "cgroup "+path)
			}
			return nil // one that ended meanwhile
		})
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

// left lists everything that is left of a run: of its cluster, unless that is the
// detached one and alive, and then in it.
func left(ctx SpecContext, name string) []string {
	if name == "" {
		return nil
	}
	found := ledgersOf(name)
	if name != killCluster || !alive(name) {
		return append(found, leftOfCluster(name, nil, allOfCluster)...)
	}
	return append(found, leftInCluster(ctx, name)...)
}

// leftInCluster lists what runs have left in a living cluster.
func leftInCluster(ctx SpecContext, name string) []string {
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
	return append(found, leftInNetwork(ctx, findVictim(victimSandbox, name))...)
}

// leftInNetwork lists the sets and queues of faults in a process's network.
func leftInNetwork(ctx context.Context, pid int) []string {
	of := filepath.Join("/proc", strconv.Itoa(pid))
	var found []string
	sets, err := exec.CommandContext(ctx, "nsenter", "--net="+filepath.Join(of, "ns", "net"), binary, agent.ResidueCommand).CombinedOutput()
	if err != nil {
		found = append(found, err.Error())
	}
	for line := range strings.Lines(string(sets)) {
		found = append(found, strings.TrimSpace(line))
	}
	queues, err := os.ReadFile(filepath.Join(of, "net", "netfilter", "nfnetlink_queue"))
	if err == nil && len(queues) > 0 {
		found = append(found, "queue "+strings.TrimSpace(string(queues)))
	}
	return found
}

// detachedCluster is the name of the detached cluster, which is started if need be.
func (t *killTest) detachedCluster(ctx SpecContext) string {
	GinkgoHelper()
	if !alive(killCluster) {
		t.takeDown(ctx)
		cutover(ctx, "cluster", "up", "--cluster", "embedded", "--name", killCluster)
	}
	return killCluster
}

func (t *killTest) takeDown(ctx SpecContext) {
	_ = exec.CommandContext(ctx, binary, "cluster", "down", "--name", killCluster).Run() // there may be none
}

// awaitUsable returns when a detached cluster is good for the next run: the node is
// Ready, the agent is there, and a new pod starts.
func awaitUsable(ctx SpecContext, name, victim string) {
	GinkgoHelper()
	c, err := attach(ctx, name)
	Expect(err).NotTo(HaveOccurred())
	api := clientOf(c)
	grace := client.GracePeriodSeconds(0)
	if victim == victimAgent {
		// The kubelet restarts a container that ends again and again later and later:
		// a new pod is a container that never ended.
		Expect(api.DeleteAllOf(ctx, &corev1.Pod{}, client.InNamespace(agent.Namespace), grace)).To(Succeed())
	}
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{GenerateName: "after-", Namespace: "default"}, Spec: corev1.PodSpec{
		Containers: []corev1.Container{{Name: "pause", Image: "cutover.local/pause:1"}}}}
	Eventually(func() error { return api.Create(ctx, pod) }).WithTimeout(usableWithin).Should(Succeed())
	Eventually(func() []string { return unusable(ctx, api, pod) }).WithTimeout(usableWithin).WithPolling(100 * time.Millisecond).Should(BeEmpty())
	Expect(api.Delete(ctx, pod, grace)).To(Succeed())
}

func unusable(ctx context.Context, api client.Client, pod *corev1.Pod) []string {
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
	var agents corev1.PodList
	if err := api.List(ctx, &agents, client.InNamespace(agent.Namespace)); err != nil {
		return append(why, err.Error())
	}
	for _, one := range agents.Items {
		if one.DeletionTimestamp != nil || len(one.Status.ContainerStatuses) == 0 || !one.Status.ContainerStatuses[0].Ready {
			why = append(why, "the agent is not ready")
		}
	}
	return why
}

// awaitFaultsOver watches the pods of a run whose CLI was killed until the nodes have
// ended its faults, which they must by themselves.
func awaitFaultsOver(ctx SpecContext, run *killedRun) {
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
func sufferingPods(ctx SpecContext, c provider.Cluster, api client.Client) []string {
	var found []string
	var delays chaosv1alpha1.NetworkChaosList
	if err := api.List(ctx, &delays); err != nil {
		return []string{err.Error()}
	}
	for _, delay := range delays.Items {
		expires, err := time.Parse(time.RFC3339Nano, delay.Annotations[faults.ExpiresAnnotation])
		if err != nil || time.Now().Before(expires) {
			found = append(found, "the time of "+delay.Name+" is not over")
		}
	}
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

func containerOf(pod corev1.Pod) string { return pod.Spec.Containers[0].Name }
