package suites_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/cutover-dev/cutover/cluster/engine"
	"github.com/cutover-dev/cutover/cluster/kind"
	"github.com/cutover-dev/cutover/cluster/provider"
	"github.com/cutover-dev/cutover/faults"
	"github.com/cutover-dev/cutover/faults/agent"
)

// kindGround is what the kill test knows of kind clusters: containers of the machine's
// engine, in which the processes are, and a process that makes them.
type kindGround struct{}

var _ killGround = kindGround{}

const (
	victimNode       = "node"
	victimMaker      = "maker"
	victimController = "chaos-controller-manager"
	victimDaemon     = "chaos-daemon"
)

// meshNamespace is where Chaos Mesh runs.
const meshNamespace = "chaos-mesh"

// The maker reads the end of a pipe, and ends with all that it started; a command that
// has the engine start a container comes to its end first, which takes it a second or
// two on a machine with nothing else to do.
const makerEndsWithin = 10 * time.Second

func (kindGround) victims() []victim {
	ownFirst, sharedFirst := []string{owned, detached}, []string{detached, owned}
	return []victim{
		{name: victimCLI, modes: ownFirst}, {name: victimNode, modes: ownFirst}, {name: victimMaker, modes: []string{owned}, early: true},
		{name: victimAgent, modes: sharedFirst}, {name: victimController, modes: sharedFirst},
		{name: victimDaemon, modes: sharedFirst}, {name: victimContainerd, modes: sharedFirst},
	}
}

func (kindGround) restarts(victim string) string {
	switch victim {
	case victimAgent:
		return agent.Namespace
	case victimController, victimDaemon:
		return meshNamespace
	}
	return ""
}

func (kindGround) slower() time.Duration { return 3 }

func (kindGround) find(ctx context.Context, victim, cluster string) *prey {
	if victim == victimNode {
		nodes := nodesOf(ctx, cluster)
		if len(nodes) == 0 {
			return nil
		}
		return &prey{"container " + nodes[0], func() error {
			_, err := engine.Run(ctx, "kill", nodes[0])
			return err
		}}
	}
	for _, p := range (kindGround{}).see(ctx, cluster).processes {
		program, rest := filepath.Base(p.arguments[0]), p.arguments[1:]
		is := program == victim // Chaos Mesh's, and containerd
		switch victim {
		case victimMaker:
			is = slices.Equal(rest, []string{"cluster", "kind-make", kindFolder(cluster)})
		case victimAgent:
			is = slices.Equal(rest, []string{"agent"})
		}
		if is {
			return preyOf(p.pid)
		}
	}
	return nil
}

func (kindGround) see(ctx context.Context, cluster string) sighting {
	seen := sighting{containers: containersOf(ctx, cluster)}
	seen.processes = append(makersOf(cluster, seen.containers), processesIn(seen.containers)...)
	seen.volumes = inspect(ctx, `{{range .Mounts}}{{if eq .Type "volume"}}{{println .Name}}{{end}}{{end}}`, seen.containers)
	for _, merged := range inspect(ctx, `{{with .GraphDriver.Data.MergedDir}}{{println .}}{{end}}`, seen.containers) {
		seen.folders = append(seen.folders, filepath.Dir(merged))
	}
	spec, err := os.ReadFile(filepath.Join(kindFolder(cluster), "spec.json"))
	seen.made = err == nil && bytes.Contains(spec, []byte(`"made": true`))
	return seen
}

func (kindGround) fate(victim, mode string, seen sighting) fate {
	switch {
	case victim == victimCLI && mode == owned:
		return fate{alone: makers, within: makerEndsWithin, fromKill: true}
	case victim == victimCLI:
		return fate{alone: nothing}
	case victim == victimMaker || victim == victimNode && mode == owned:
		return fate{breaks: true, alone: everything, within: lostWithin, fromKill: true}
	case victim == victimNode:
		return fate{breaks: true, alone: whatRuns, within: lostWithin, fromKill: true}
	case victim == victimContainerd && !seen.made:
		// kubeadm does not look twice.
		return fate{breaks: true, alone: everything, within: confirmedWithin}
	}
	return fate{alone: everything, within: confirmedWithin}
}

// alive reports whether all of the cluster's containers run.
func (kindGround) alive(ctx context.Context, cluster string) bool {
	nodes := nodesOf(ctx, cluster)
	return len(nodes) > 0 && len(nodes) == len(containersOf(ctx, cluster))
}

func (kindGround) left(ctx context.Context, cluster string, seen sighting, of part) []string {
	if cluster == "" || of == nothing {
		return nil
	}
	var found []string
	containers := append(containersOf(ctx, cluster), seen.containers...)
	for _, p := range makersOf(cluster, containers) {
		found = append(found, p.String())
	}
	if of == makers {
		return found
	}
	for _, p := range processesIn(containers) {
		found = append(found, p.String())
	}
	found = append(found, networksOf(seen.processes)...)
	if of == whatRuns {
		return found
	}
	for _, id := range seen.containers {
		found = append(found, cgroupsNamed(id)...)
	}
	for _, folder := range append(seen.folders, kindFolder(cluster)) {
		found = append(found, mountsOf(folder)...)
		if _, err := os.Stat(folder); err == nil {
			found = append(found, "folder "+folder)
		}
	}
	return append(found, leftInEngine(ctx, cluster, seen)...)
}

// leftInEngine lists what a cluster has left in the container engine. Volumes have
// neither a name nor a label: those are told by having been seen.
func leftInEngine(ctx context.Context, cluster string, seen sighting) []string {
	var found []string
	for _, look := range []struct {
		what      string
		arguments []string
	}{
		{"container", []string{"ps", "--all", "--filter", "label=" + kindClusterLabel + "=" + cluster, "--format", "{{.Names}}"}},
		{"container", []string{"ps", "--all", "--filter", "label=io.x-k8s.kind.cluster=cutover-" + cluster, "--format", "{{.Names}}"}},
		{"network", []string{"network", "ls", "--filter", "name=" + cluster, "--format", "{{.Name}}"}},
	} {
		printed, err := engine.Run(ctx, look.arguments...)
		if err != nil {
			found = append(found, err.Error())
		}
		for _, name := range engine.Lines(printed) {
			found = append(found, look.what+" "+name)
		}
	}
	volumes, err := engine.Run(ctx, "volume", "ls", "--quiet")
	if err != nil {
		found = append(found, err.Error())
	}
	for _, volume := range engine.Lines(volumes) {
		if slices.Contains(seen.volumes, volume) {
			found = append(found, "volume "+volume)
		}
	}
	return found
}

func (kindGround) leftInside(ctx context.Context, cluster string) []string {
	var found []string
	for _, id := range nodesOf(ctx, cluster) {
		first, err := strconv.Atoi(strings.Join(inspect(ctx, "{{.State.Pid}}", []string{id}), ""))
		if err != nil {
			found = append(found, err.Error())
			continue
		}
		found = append(found, leftInNetwork(ctx, first)...)
		for _, network := range networksIn(first) {
			found = append(found, leftByChaosMesh(ctx, first, network)...)
		}
	}
	return found
}

// networksIn lists the networks of a node, by paths: its own, and those of its pods,
// which CNI plugins keep mounted.
func networksIn(first int) []string {
	of := filepath.Join("/proc", strconv.Itoa(first))
	networks := []string{filepath.Join(of, "ns", "net")}
	for _, run := range []string{"run", "var/run"} {
		folder := filepath.Join(of, "root", run)
		if info, err := os.Lstat(folder); err != nil || !info.IsDir() {
			continue // a link leads astray: it is followed from this machine's root
		}
		pods, _ := filepath.Glob(filepath.Join(folder, "netns", "*"))
		networks = append(networks, pods...)
	}
	return networks
}

// leftByChaosMesh lists what its daemon puts into a network: qdiscs, chains of iptables
// and sets of addresses. The tools are the node's.
func leftByChaosMesh(ctx context.Context, first int, network string) []string {
	const look = "tc qdisc show; iptables-nft-save; iptables-legacy-save; ipset list -name | sed 's/^/ipset /'"
	printed, err := inNode(ctx, first, network, look)
	if _, gone := os.Stat(network); gone != nil {
		return nil // with its pod
	}
	if err != nil {
		return []string{fmt.Sprintf("%s: %v: %s", network, err, printed)}
	}
	return faultsIn(network, printed)
}

// inNode runs a command with the programs of a node, in one of its networks.
func inNode(ctx context.Context, first int, network, command string) (string, error) {
	of := filepath.Join("/proc", strconv.Itoa(first), "ns", "mnt")
	printed, err := exec.CommandContext(ctx, "nsenter", "--mount="+of, "--net="+network, "sh", "-c", command).CombinedOutput()
	return string(printed), err
}

// faultsIn finds what faults leave among what tools list.
func faultsIn(network, listed string) []string {
	var found []string
	for line := range strings.Lines(listed) {
		word, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		qdisc, _, _ := strings.Cut(rest, " ")
		switch {
		case word == "qdisc" && slices.Contains([]string{"netem", "tbf", "prio", "htb"}, qdisc),
			strings.HasPrefix(word, ":CHAOS-"),                   // a chain
			word == "ipset" && !strings.HasPrefix(rest, "KUBE-"): // kube-proxy's
			found = append(found, strings.TrimSpace(line)+" in "+network)
		}
	}
	return found
}

// folder of a kind cluster's state.
func kindFolder(name string) string { return filepath.Join(stateFolder(), "kind", name) }

// kindClusterLabel is on every container of a cluster of ours.
const kindClusterLabel = "dev.cutover.cluster"

// containersOf lists a cluster's containers; none if the engine does not say.
func containersOf(ctx context.Context, cluster string) []string {
	return listContainers(ctx, cluster, "--all")
}

// nodesOf lists those that run.
func nodesOf(ctx context.Context, cluster string) []string { return listContainers(ctx, cluster) }

func listContainers(ctx context.Context, cluster string, options ...string) []string {
	arguments := append([]string{"ps", "--no-trunc", "--quiet", "--filter", "label=" + kindClusterLabel + "=" + cluster}, options...)
	printed, err := engine.Run(ctx, arguments...)
	if err != nil || cluster == "" {
		return nil
	}
	return engine.Lines(printed)
}

// processesIn lists the processes in containers.
func processesIn(containers []string) []clusterProcess {
	return processesThat(func(_ []string, groups []byte) bool { return mentions(groups, containers) })
}

// makersOf lists the processes outside of the containers that have to do with a
// cluster: its maker, and whatever command kind gives to the engine.
func makersOf(cluster string, containers []string) []clusterProcess {
	node := "cutover-" + cluster
	return processesThat(func(arguments []string, groups []byte) bool {
		about := slices.ContainsFunc(arguments, func(a string) bool {
			return a == node || strings.Contains(a, node+"-") || strings.Contains(a, kindFolder(cluster))
		})
		return about && !mentions(groups, containers)
	})
}

func mentions(groups []byte, containers []string) bool {
	return slices.ContainsFunc(containers, func(id string) bool { return bytes.Contains(groups, []byte(id)) })
}

// inspect prints a template for each container; nothing for those that are being
// removed.
func inspect(ctx context.Context, template string, containers []string) []string {
	var all []string
	for _, id := range containers {
		if printed, err := engine.Run(ctx, "inspect", "--format", template, id); err == nil {
			all = append(all, strings.Fields(printed)...)
		}
	}
	return all
}

// plant implements killGround.
func (kindGround) plant(ctx SpecContext) {
	plantInEngine(ctx)
	plantMaker(ctx)
	Expect(os.MkdirAll(filepath.Join(kindFolder(planted), "bin"), 0o700)).To(Succeed())
	Expect(leftOfKind(ctx)).To(ContainElement("folder " + kindFolder(planted)))
	Expect(os.RemoveAll(kindFolder(planted))).To(Succeed())
}

// leftOfKind is what is left of the cluster that never was.
func leftOfKind(ctx SpecContext) []string {
	return kindGround{}.left(ctx, planted, sighting{}, everything)
}

// plantInEngine plants a node with its volume and a network of a cluster of ours, and a
// node of somebody else's, which a clean-up must not touch.
func plantInEngine(ctx SpecContext) {
	GinkgoHelper()
	image, err := kind.Usable(ctx)
	Expect(err).NotTo(HaveOccurred())
	// With a folder of states that nobody has: other runs clean up on this machine.
	ours := docker(ctx, "create", "--label", kindClusterLabel+"="+planted, "--label", kindStateLabel+"="+planted, "--volume", "/var", image)
	others := docker(ctx, "create", "--label", "io.x-k8s.kind.cluster=somebodys", image)
	DeferCleanup(func(ctx SpecContext) { docker(ctx, "rm", "--volumes", others) }, NodeTimeout(time.Minute))
	Expect(leftOfKind(ctx)).To(ContainElement(HavePrefix("container ")))
	seen := kindGround{}.see(ctx, planted)
	Expect(seen.volumes).To(HaveLen(1))
	docker(ctx, "rm", ours)
	Expect(kindGround{}.left(ctx, planted, seen, everything)).To(ConsistOf("volume " + seen.volumes[0]))
	docker(ctx, "volume", "rm", seen.volumes[0])
	network := "cutover-" + planted
	docker(ctx, "network", "create", network)
	Expect(leftOfKind(ctx)).To(ConsistOf("network " + network))
	docker(ctx, "network", "rm", network)
}

// plantMaker plants a process that is called as the maker of a cluster is.
func plantMaker(ctx SpecContext) {
	GinkgoHelper()
	process := plantProcess(ctx, ":", nil, "kind-make", kindFolder(planted))
	Expect(kindGround{}.left(ctx, planted, sighting{}, makers)).To(ContainElement(HavePrefix("process ")))
	process.end()
	Expect(leftOfKind(ctx)).To(BeEmpty())
}

// kindStateLabel is whose cluster a container is of.
const kindStateLabel = "dev.cutover.state"

func docker(ctx SpecContext, arguments ...string) string {
	GinkgoHelper()
	printed, err := engine.Run(ctx, arguments...)
	Expect(err).NotTo(HaveOccurred())
	return printed
}

// plantInside implements killGround: chaos objects of either group, which their
// finalizers keep, and what Chaos Mesh's daemon puts into a pod's network.
func (ground kindGround) plantInside(ctx SpecContext, c provider.Cluster) {
	GinkgoHelper()
	platformOf(ctx, c) // the kinds of chaos objects come with it
	ground.plantInNetwork(ctx, c.Name())
	const namespace = planted + "-chaos"
	plantNamespace(ctx, c, namespace)
	for _, group := range []string{faults.MeshGroup, faults.AgentGroup} {
		chaos := &unstructured.Unstructured{Object: map[string]any{"spec": map[string]any{
			"action": "pod-kill", "mode": "all", "selector": map[string]any{"namespaces": []any{namespace}},
		}}}
		chaos.SetGroupVersionKind(schema.GroupVersionKind{Group: group, Version: "v1alpha1", Kind: "PodChaos"})
		chaos.SetNamespace(namespace)
		chaos.SetName(planted)
		chaos.SetLabels(map[string]string{faults.RunLabel: planted})
		chaos.SetFinalizers([]string{faults.RecordsFinalizer})
		Expect(clientOf(c).Create(ctx, chaos)).To(Succeed())
		Expect(leftInCluster(ctx, ground, c.Name())).To(ContainElement(And(ContainSubstring("PodChaos"), ContainSubstring(faults.RecordsFinalizer))))
	}
}

// plantInNetwork plants in the network of some pod, and takes it away again: no
// clean-up looks into networks of pods that live on.
func (ground kindGround) plantInNetwork(ctx SpecContext, cluster string) {
	GinkgoHelper()
	first, err := strconv.Atoi(inspect(ctx, "{{.State.Pid}}", nodesOf(ctx, cluster))[0])
	Expect(err).NotTo(HaveOccurred())
	networks := networksIn(first)
	Expect(len(networks)).To(BeNumerically(">", 1), "there is no pod with a network of its own")
	in := func(command string) {
		GinkgoHelper()
		command = "set -e; " + command
		said, err := inNode(ctx, first, networks[len(networks)-1], command)
		Expect(err).NotTo(HaveOccurred(), said)
	}
	for _, plant := range []struct{ what, add, remove string }{
		{"qdisc tbf", "tc qdisc add dev eth0 root tbf rate 1gbit burst 1mb latency 50ms", "tc qdisc del dev eth0 root"},
		{":CHAOS-INPUT", "iptables -N CHAOS-INPUT", "iptables -X CHAOS-INPUT"},
		{"ipset planted", "ipset create planted hash:net", "ipset destroy planted"},
	} {
		Expect(ground.leftInside(ctx, cluster)).NotTo(ContainElement(HavePrefix(plant.what)))
		in(plant.add)
		Expect(ground.leftInside(ctx, cluster)).To(ContainElement(HavePrefix(plant.what)))
		in(plant.remove)
	}
	Expect(ground.leftInside(ctx, cluster)).To(BeEmpty())
}
