package embedded

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
	"k8s.io/utils/ptr"

	"github.com/cutover-dev/cutover/cluster/embedded/components"
	"github.com/cutover-dev/cutover/cluster/image"
)

// atOnce is how long a connection to what is not there may take to fail. Neighbour
// discovery takes three seconds, and an unanswered SYN is sent again after one.
const atOnce = 900 * time.Millisecond

// trial is a cluster of three nodes with a prober on each.
type trial struct {
	*testing.T
	cluster *Cluster
	client  kubernetes.Interface
}

// One cluster for all that several nodes are for: it takes two to three minutes,
// most of it until Kubernetes calls a silent node not Ready.
func TestThreeNodes(t *testing.T) {
	ctx, binary := realCluster(t)
	c, err := Up(ctx, Options{Nodes: 3, Owned: true, Out: os.Stderr, Executable: binary})
	if err != nil {
		t.Fatal(err)
	}
	down := func() error { return c.Close(context.WithoutCancel(ctx)) }
	defer func() { _ = down() }() // again: it does nothing
	client, err := kubernetes.NewForConfig(c.REST())
	if err != nil {
		t.Fatal(err)
	}
	three := &trial{T: t, cluster: c, client: client}
	for _, part := range []struct {
		what string
		do   func(context.Context, *trial)
	}{
		{"zones", zonesAlternate},
		{"spreading", podsSpread},
		{"reach", podsReachEverything},
		{"dead addresses", deadAddressesFailAtOnce},
		{"residue", residueIsSeenOnItsNode},
		{"drain", drainMovesPods},
		{"loss", nodeIsLostAndComesBack},
	} {
		if !t.Run(part.what, func(t *testing.T) {
			three.T = t
			part.do(ctx, three)
		}) {
			t.Fatal(c.tails())
		}
	}
	three.T = t
	nothingIsLeft(three, down)
}

func zonesAlternate(ctx context.Context, t *trial) {
	list, err := t.client.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	zones := map[string]string{}
	for _, object := range list.Items {
		if readiness(object).Status != corev1.ConditionTrue {
			t.Errorf("%s is not Ready", object.Name)
		}
		zones[object.Name] = object.Labels[corev1.LabelTopologyZone]
	}
	if want := (map[string]string{"node-0": "zone-a", "node-1": "zone-b", "node-2": "zone-a"}); fmt.Sprint(zones) != fmt.Sprint(want) {
		t.Errorf("zones %v, want %v", zones, want)
	}
	facts, err := t.cluster.Facts(ctx)
	if err != nil || facts.Nodes != 3 {
		t.Errorf("facts %+v, %v; want 3 nodes", facts, err)
	}
}

// podsSpread deploys the probers: one pod a node, and none where no pod may go.
func podsSpread(ctx context.Context, t *trial) {
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	img, err := image.FromBinary(ctx, "prober", program, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := t.cluster.LoadImage(ctx, img.Ref, img.Image); err != nil {
		t.Fatal(err)
	}
	labels := map[string]string{"app": "prober"}
	honor := corev1.NodeInclusionPolicyHonor
	deployment := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Name: "prober"}, Spec: appsv1.DeploymentSpec{
		Replicas: ptr.To[int32](3), Selector: &metav1.LabelSelector{MatchLabels: labels},
		Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels}, Spec: corev1.PodSpec{
			TerminationGracePeriodSeconds: ptr.To[int64](1),
			TopologySpreadConstraints: []corev1.TopologySpreadConstraint{{
				MaxSkew: 1, TopologyKey: corev1.LabelHostname, WhenUnsatisfiable: corev1.DoNotSchedule, NodeTaintsPolicy: &honor,
				LabelSelector: &metav1.LabelSelector{MatchLabels: labels}}},
			Containers: []corev1.Container{{
				Name: "prober", Image: img.Ref, ImagePullPolicy: corev1.PullNever, Env: []corev1.EnvVar{{Name: proberVariable, Value: "yes"}},
				ReadinessProbe: &corev1.Probe{PeriodSeconds: 1, ProbeHandler: corev1.ProbeHandler{
					HTTPGet: &corev1.HTTPGetAction{Path: "/host", Port: intstr.Parse(proberPort)}}},
			}}},
		}}}
	if _, err := t.client.AppsV1().Deployments("default").Create(ctx, deployment, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	service := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: "prober"}, Spec: corev1.ServiceSpec{
		Selector: labels, Ports: []corev1.ServicePort{{Port: 80, TargetPort: intstr.Parse(proberPort)}}}}
	if _, err := t.client.CoreV1().Services("default").Create(ctx, service, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	on := t.probers(ctx, 3)
	for _, n := range nodesOf(3) {
		pods := on[n.name()]
		if len(pods) != 1 {
			t.Fatalf("%d probers on %s, want 1 on each node: %v", len(pods), n.name(), names(on))
		}
		if !strings.HasPrefix(pods[0].Status.PodIP, strings.TrimSuffix(n.pods(), "0/24")) {
			t.Errorf("a pod of %s has address %s, want one of %s", n.name(), pods[0].Status.PodIP, n.pods())
		}
	}
}

func names(on map[string][]corev1.Pod) map[string][]string {
	list := map[string][]string{}
	for node, pods := range on {
		for _, pod := range pods {
			list[node] = append(list[node], pod.Name)
		}
	}
	return list
}

// probers waits until so many are Ready, and no other is left, and returns them by
// node.
func (t *trial) probers(ctx context.Context, count int) map[string][]corev1.Pod {
	t.Helper()
	var on map[string][]corev1.Pod
	last := ""
	err := wait.PollUntilContextTimeout(ctx, 100*time.Millisecond, time.Minute, true, func(ctx context.Context) (bool, error) {
		list, err := t.client.CoreV1().Pods("default").List(ctx, metav1.ListOptions{LabelSelector: "app=prober"})
		if err != nil {
			return false, err
		}
		on, last = map[string][]corev1.Pod{}, ""
		for _, pod := range list.Items {
			if !podReady(pod) {
				last += fmt.Sprintf("%s on %s: %s %v; ", pod.Name, pod.Spec.NodeName, pod.Status.Phase, pod.Status.Conditions)
			}
			on[pod.Spec.NodeName] = append(on[pod.Spec.NodeName], pod)
		}
		return last == "" && len(list.Items) == count, nil
	})
	if err != nil {
		t.Fatalf("%d probers Ready: %v; %s", count, err, last)
	}
	return on
}

func podReady(pod corev1.Pod) bool {
	for _, condition := range pod.Status.Conditions {
		if condition.Type == corev1.PodReady {
			return condition.Status == corev1.ConditionTrue && pod.DeletionTimestamp == nil
		}
	}
	return false
}

// dial has the prober at an address dial another.
func (t *trial) dial(ctx context.Context, from, to string) attempt {
	t.Helper()
	response, err := ask(ctx, t.cluster, from, "/dial?to="+to)
	if err != nil {
		t.Fatalf("ask the prober at %s: %v", from, err)
	}
	defer response.Body.Close()
	var result attempt
	if err := json.NewDecoder(response.Body).Decode(&result); err != nil {
		t.Fatal(err)
	}
	return result
}

// awaitDNS waits until the prober at an address finds another by name.
func (t *trial) awaitDNS(ctx context.Context, node, from string) {
	t.Helper()
	var last attempt
	err := wait.PollUntilContextTimeout(ctx, 50*time.Millisecond, 10*time.Second, true, func(ctx context.Context) (bool, error) {
		last = t.dial(ctx, from, "prober.default.svc.cluster.local:80")
		return last.Failed == "", nil
	})
	if err != nil {
		t.Fatalf("no DNS on %s: %v; %s", node, err, last.Failed)
	}
}

func podsReachEverything(ctx context.Context, t *trial) {
	on := t.probers(ctx, 3)
	reach := []string{
		// By name: cluster DNS first, then a Service that is served on all nodes.
		"prober.default.svc.cluster.local:80",
		// Every node's kubelet, the API server's node among them.
		node(0).ip() + ":10250", node(1).ip() + ":10250", node(2).ip() + ":10250", node(0).ip() + ":6443",
	}
	for _, pods := range on {
		reach = append(reach, net.JoinHostPort(pods[0].Status.PodIP, proberPort))
	}
	for name, pods := range on {
		from := pods[0].Status.PodIP
		// CoreDNS is deployed when a cluster is up, and each node's kube-proxy hears of
		// its pod at a time of its own.
		t.awaitDNS(ctx, name, from)
		for _, to := range reach {
			// A Service picks a pod by chance: that it works once says little.
			for range 5 {
				if result := t.dial(ctx, from, to); result.Failed != "" {
					t.Errorf("from %s to %s: %s", name, to, result.Failed)
				}
			}
		}
		response, err := ask(ctx, t.cluster, from, "/api")
		if err != nil {
			t.Fatal(err)
		}
		version, _ := io.ReadAll(response.Body)
		response.Body.Close()
		if string(version) != components.KubernetesVersion {
			t.Errorf("from %s the API server says %q, want %s", name, version, components.KubernetesVersion)
		}
		// The way back: the API server asks each node's kubelet, by its certificate.
		log, err := t.client.CoreV1().Pods("default").GetLogs(pods[0].Name, &corev1.PodLogOptions{}).DoRaw(ctx)
		if err != nil || !strings.Contains(string(log), "prober listens") {
			t.Errorf("log of a pod of %s: %q, %v", name, log, err)
		}
	}
}

func deadAddressesFailAtOnce(ctx context.Context, t *trial) {
	on := t.probers(ctx, 3)
	dead := map[string]string{
		"10.244.0.250": "a pod of node-0", "10.244.1.250": "a pod of node-1", "10.244.2.250": "a pod of node-2",
		"10.244.7.2": "a pod of a node that there is none", "10.112.0.9": "a node that there is none", "192.0.2.1": "the world outside",
	}
	for name, pods := range on {
		for address, what := range dead {
			// Many in a row: the kernel is free with the first few refusals, and by
			// itself sends one a second after that.
			for i := range 15 {
				if result := t.dial(ctx, pods[0].Status.PodIP, address+":80"); result.Failed == "" || result.Took > atOnce {
					t.Errorf("from %s to %s (%s), number %d: %q after %v, want a failure within %v", name, what, address, i, result.Failed, result.Took, atOnce)
					break
				}
			}
		}
	}
}

// residueIsSeenOnItsNode plants on one node what a dead agent would leave there.
func residueIsSeenOnItsNode(ctx context.Context, t *trial) {
	networks, err := t.cluster.networks(ctx)
	if err != nil {
		t.Fatal(err)
	}
	nft := func(rules string) {
		t.Helper()
		if said, err := exec.CommandContext(ctx, "nsenter", "--net="+networks["node-1"], "--", "nft", rules).CombinedOutput(); err != nil {
			t.Fatalf("nft %s: %v\n%s", rules, err, said)
		}
	}
	nft("add table ip cutover_delay; add set ip cutover_delay cutover_forgotten { type iface_index; }")
	left, err := t.cluster.OnNodes(ctx, "agent-residue")
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range nodesOf(3) {
		if seen := strings.Contains(left[n.name()], "cutover_forgotten"); seen != (n == 1) {
			t.Errorf("on %s: %q; what was left is on node-1", n.name(), left[n.name()])
		}
	}
	nft("delete table ip cutover_delay")
	if left, err := t.cluster.OnNodes(ctx, "agent-residue"); err != nil || left["node-1"] != "" {
		t.Errorf("after it was removed: %q, %v", left["node-1"], err)
	}
}

func drainMovesPods(ctx context.Context, t *trial) {
	const drained = "node-1"
	cordon := func(off bool) {
		patch := fmt.Sprintf(`{"spec":{"unschedulable":%t}}`, off)
		if _, err := t.client.CoreV1().Nodes().Patch(ctx, drained, types.MergePatchType, []byte(patch), metav1.PatchOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	victims := t.probers(ctx, 3)[drained]
	cordon(true)
	for _, pod := range victims {
		eviction := &policyv1.Eviction{ObjectMeta: metav1.ObjectMeta{Name: pod.Name, Namespace: pod.Namespace}}
		if err := t.client.PolicyV1().Evictions("default").Evict(ctx, eviction); err != nil {
			t.Fatal(err)
		}
	}
	if on := t.probers(ctx, 3); len(victims) != 1 || len(on[drained]) != 0 {
		t.Errorf("after the drain of %s: %v", drained, names(on))
	}
	cordon(false)
	// A new set of pods uses the node again.
	if err := t.client.CoreV1().Pods("default").DeleteCollection(ctx, metav1.DeleteOptions{}, metav1.ListOptions{LabelSelector: "app=prober"}); err != nil {
		t.Fatal(err)
	}
	if on := t.probers(ctx, 3); len(on[drained]) != 1 {
		t.Errorf("after %s was given back: %v", drained, names(on))
	}
}

func nodeIsLostAndComesBack(ctx context.Context, t *trial) {
	const lost = "node-2"
	on := t.probers(ctx, 3)
	victim, witness := on[lost][0], on["node-1"][0].Status.PodIP
	if result := t.dial(ctx, witness, victim.Status.PodIP+":"+proberPort); result.Failed != "" {
		t.Fatalf("before: %s", result.Failed)
	}
	if seen, err := t.cluster.OnNodes(ctx, "agent-residue"); err != nil || len(seen) != 3 {
		t.Errorf("looked at the networks of %v, %v; want 3 nodes", seen, err)
	}
	if err := t.cluster.StopNode(ctx, lost); err != nil {
		t.Fatal(err)
	}
	for _, to := range []string{victim.Status.PodIP + ":" + proberPort, node(2).ip() + ":10250"} {
		if result := t.dial(ctx, witness, to); result.Failed == "" || result.Took > atOnce {
			t.Errorf("%s of the lost node, from another: %q after %v", to, result.Failed, result.Took)
		}
		began := time.Now()
		if conn, err := t.cluster.Dial(ctx, to); err == nil || time.Since(began) > atOnce {
			t.Errorf("%s of the lost node, from outside: %v, %v after %v", to, conn, err, time.Since(began))
		}
	}
	for _, dir := range t.cluster.spec.Cgroups {
		if _, err := os.Stat(filepath.Join(dir, "cutover-"+lost)); !os.IsNotExist(err) {
			t.Errorf("a cgroup of the lost node is still there: %v", err)
		}
	}
	if seen, err := t.cluster.OnNodes(ctx, "agent-residue"); err != nil || len(seen) != 2 {
		t.Errorf("looked at the networks of %v, %v; want the 2 nodes that run", seen, err)
	}
	if err := t.cluster.StopNode(ctx, lost); err != nil {
		t.Errorf("stopped again: %v", err)
	}
	t.await(ctx, lost, corev1.ConditionUnknown)
	if err := t.cluster.StartNode(ctx, lost); err != nil {
		t.Fatal(err)
	}
	t.await(ctx, lost, corev1.ConditionTrue)
	// Its disk was kept: the same pod runs on it again, as after a reboot.
	again := t.probers(ctx, 3)[lost]
	if len(again) != 1 || again[0].UID != victim.UID || again[0].Status.ContainerStatuses[0].RestartCount == 0 {
		t.Fatalf("on %s: %v", lost, again)
	}
	if result := t.dial(ctx, witness, again[0].Status.PodIP+":"+proberPort); result.Failed != "" {
		t.Errorf("the pod of the node that came back: %s", result.Failed)
	}
}

// await waits until the node's condition Ready is so. Kubernetes takes 50 s to miss
// a node that is silent.
func (t *trial) await(ctx context.Context, name string, status corev1.ConditionStatus) {
	t.Helper()
	var last corev1.NodeCondition
	err := wait.PollUntilContextTimeout(ctx, 100*time.Millisecond, 90*time.Second, true, func(ctx context.Context) (bool, error) {
		object, err := t.client.CoreV1().Nodes().Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return false, err
		}
		last = readiness(*object)
		return last.Status == status, nil
	})
	if err != nil {
		t.Fatalf("%s Ready: %s: %v; it is %+v", name, status, err, last)
	}
}

func nothingIsLeft(t *trial, down func() error) {
	pids, err := members(t.cluster.spec.Cgroups)
	if err != nil || len(pids) < 20 {
		t.Fatalf("%d processes in the cluster's cgroups, %v; want those of three nodes", len(pids), err)
	}
	var all []processID
	for _, pid := range pids {
		if id, err := identify(pid); err == nil { // some end by themselves
			all = append(all, id)
		}
	}
	if err := down(); err != nil {
		t.Fatal(err)
	}
	for _, member := range all {
		if member.alive() {
			t.Errorf("process %d still runs", member.PID)
		}
	}
	for _, path := range append(t.cluster.spec.Cgroups, string(t.cluster.state)) {
		if _, err := os.Stat(path); !os.IsNotExist(err) {
			t.Errorf("%s is still there: %v", path, err)
		}
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil || strings.Contains(string(mounts), string(t.cluster.state)) {
		t.Errorf("the host has a mount of the cluster, or does not tell: %v", err)
	}
}
