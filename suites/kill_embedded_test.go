package suites_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/cutover-dev/cutover/cluster/provider"
	"github.com/cutover-dev/cutover/faults/agent"
)

// embeddedGround is what the kill test knows of the embedded provider: where its
// processes are, and what must be gone.
type embeddedGround struct{}

var _ killGround = embeddedGround{}

const (
	victimSandbox = "sandbox"
	victimJanitor = "janitor"
)

// The kernel ends the processes at once. The janitor then waits up to 5 s for
// cgroups that are busy, and removes the images and containers of the cluster.
const sweptWithin = 10 * time.Second

func (embeddedGround) victims() []victim {
	both := []string{owned, detached}
	var all []victim
	for _, name := range []string{victimCLI, victimAgent, victimSandbox, victimJanitor, victimContainerd} {
		all = append(all, victim{name: name, modes: both})
	}
	return all
}

func (embeddedGround) find(_ context.Context, victim, cluster string) *prey {
	if pid := findVictim(victim, cluster); pid != 0 {
		return preyOf(pid)
	}
	return nil
}

func (embeddedGround) see(_ context.Context, cluster string) sighting {
	return sighting{processes: processesOf(cluster)}
}

func (embeddedGround) fate(victim, mode string, seen sighting) fate {
	switch {
	case victim == victimCLI && mode == owned && hasJanitor(seen.processes):
		return fate{alone: everything, within: sweptWithin, fromKill: true}
	case victim == victimCLI: // nobody is there to sweep
		return fate{alone: nothing}
	case victim == victimAgent || victim == victimContainerd:
		return fate{alone: everything, within: confirmedWithin}
	case victim == victimJanitor && mode == detached:
		return fate{breaks: true, alone: whatRuns, within: lostWithin, fromKill: true}
	}
	return fate{breaks: true, alone: everything, within: lostWithin, fromKill: true}
}

func (embeddedGround) alive(_ context.Context, cluster string) bool { return alive(cluster) }

func (embeddedGround) left(_ context.Context, cluster string, seen sighting, of part) []string {
	switch of {
	case whatRuns:
		return leftOfCluster(cluster, seen.processes, withoutJanitor)
	case everything:
		return leftOfCluster(cluster, seen.processes, allOfCluster)
	}
	return nil
}

func (embeddedGround) leftInside(ctx context.Context, cluster string) []string {
	return leftInNetwork(ctx, findVictim(victimSandbox, cluster))
}

func (embeddedGround) restarts(victim string) string {
	if victim == victimAgent {
		return agent.Namespace
	}
	return ""
}

func (embeddedGround) slower() time.Duration { return 1 }

// folderOf is where a cluster's state is.
func folderOf(name string) string { return filepath.Join(stateFolder(), "clusters", name) }

// processesOf lists the processes of a cluster: all in its cgroups, and those that
// are started with its name.
func processesOf(name string) []clusterProcess {
	if name == "" {
		return nil
	}
	return processesThat(func(arguments []string, groups []byte) bool {
		keeper := len(arguments) == 4 && arguments[1] == "cluster" && arguments[3] == folderOf(name)
		return keeper || inCgroup(groups, name)
	})
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
		found = append(found, p.String())
	}
	found = append(found, mountsOf(folderOf(name))...)
	found = append(found, networksOf(seen)...)
	if !swept {
		return found
	}
	found = append(found, cgroupsNamed("cutover-"+name)...)
	if _, err := os.Stat(folderOf(name)); err == nil {
		found = append(found, "folder "+folderOf(name))
	}
	return found
}

// mountsOf looks for mounts of the folder's content in every mount namespace.
func mountsOf(folder string) []string {
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
		if err == nil && bytes.Contains(mounts, []byte(folder+"/")) {
			found = append(found, "mounts in "+namespace)
		}
	}
	return found
}

// cgroupsNamed looks for a cgroup in every hierarchy.
func cgroupsNamed(name string) []string {
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
			if err == nil && entry.Name() == name {
				found = append(found, "cgroup "+path)
			}
			return nil // one that ended meanwhile
		})
	}
	return found
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

// plant implements killGround: what is told by a path, and a process.
func (embeddedGround) plant(ctx SpecContext) {
	plantEmbeddedFiles(ctx)
	plantEmbeddedProcess(ctx)
}

func plantEmbeddedFiles(ctx SpecContext) {
	GinkgoHelper()
	mounts, err := exec.CommandContext(ctx, "findmnt", "--noheadings", "--list", "--types", "cgroup,cgroup2", "--output", "TARGET").Output()
	Expect(err).NotTo(HaveOccurred())
	for what, path := range map[string]string{
		"cgroup": filepath.Join(strings.Fields(string(mounts))[0], "cutover-"+planted),
		"folder": folderOf(planted),
	} {
		Expect(os.MkdirAll(path, 0o700)).To(Succeed())
		Expect(leftOfCluster(planted, nil, allOfCluster)).To(ContainElement(what + " " + path))
		Expect(os.Remove(path)).To(Succeed())
	}
}

// plantEmbeddedProcess plants a process that is called as a janitor is, in namespaces
// of its own, with a mount of the cluster's folder and a fault's set in its network.
func plantEmbeddedProcess(ctx SpecContext) {
	GinkgoHelper()
	root := filepath.Join(folderOf(planted), "root")
	Expect(os.MkdirAll(root, 0o700)).To(Succeed())
	process := plantProcess(ctx, fmt.Sprintf("mount -t tmpfs none %s; nft add table ip cutover_delay; "+
		"nft add set ip cutover_delay planted '{ type ifname; }'", root), []string{"unshare", "--net", "--mount"}, "janitor", folderOf(planted))
	name, err := os.Readlink(filepath.Join("/proc", strconv.Itoa(process.pid), "ns", "net"))
	Expect(err).NotTo(HaveOccurred())
	seen := []clusterProcess{{network: name}}
	found := leftOfCluster(planted, seen, withoutJanitor)
	for _, what := range []string{"process ", "mounts in ", "network " + name} {
		Expect(found).To(ContainElement(HavePrefix(what)))
	}
	Expect(leftInNetwork(ctx, process.pid)).To(ContainElement(HavePrefix("nftables set planted")))
	process.end()
	Expect(os.RemoveAll(filepath.Dir(root))).To(Succeed())
	Expect(leftOfCluster(planted, seen, withoutJanitor)).To(BeEmpty())
}

func (embeddedGround) plantInside(SpecContext, provider.Cluster) {}
