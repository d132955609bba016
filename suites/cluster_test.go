package suites_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sort"
	"strings"
	"syscall"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/cutover-dev/cutover/cluster/embedded"
)

// A cluster leaves its host as it was, however it ends.
var _ = Describe("cluster", Ordered, Label("safety"), func() {
	if sortOfCluster() != embedded.Provider {
		return // it looks at the processes of embedded clusters
	}
	const name = "e2e-residue"
	var before map[string]string

	BeforeEach(func(ctx SpecContext) {
		before = hostSnapshot(ctx)
		cutover(ctx, "cluster", "up", "--cluster", "embedded", "--name", name)
	}, NodeTimeout(2*time.Minute))

	AfterEach(func(ctx SpecContext) {
		_ = exec.CommandContext(ctx, binary, "cluster", "down", "--name", name).Run() // whatever a failed spec left
	}, NodeTimeout(time.Minute))

	nothingLeft := func(ctx SpecContext) {
		GinkgoHelper()
		Eventually(func() map[string]string { return hostSnapshot(ctx) }).WithTimeout(10 * time.Second).WithPolling(200 * time.Millisecond).Should(Equal(before))
	}

	It("leaves nothing when it is taken down", func(ctx SpecContext) {
		cutover(ctx, "cluster", "down", "--name", name)
		nothingLeft(ctx)
	}, SpecTimeout(time.Minute))

	It("leaves nothing when its first process is killed", func(ctx SpecContext) {
		kill(pidOf(name, "sandbox"))
		nothingLeft(ctx)
	}, SpecTimeout(time.Minute))

	It("leaves nothing after a clean-up when its janitor is killed", func(ctx SpecContext) {
		kill(pidOf(name, "janitor"))
		Eventually(func() string { return cutover(ctx, "clean") }).WithTimeout(15 * time.Second).Should(ContainSubstring(name))
		nothingLeft(ctx)
	}, SpecTimeout(time.Minute))
})

// A cluster that is being made belongs to its maker, whatever it becomes later.
var _ = Describe("a cluster that is being made", Label("safety"), func() {
	if sortOfCluster() != embedded.Provider {
		return // it looks at the processes of embedded clusters
	}
	It("goes with its maker when that is killed", func(ctx SpecContext) {
		const name = "e2e-unmade"
		maker := exec.CommandContext(ctx, binary, "cluster", "up", "--cluster", "embedded", "--name", name)
		maker.Stdout, maker.Stderr = GinkgoWriter, GinkgoWriter
		maker.WaitDelay = time.Second
		Expect(maker.Start()).To(Succeed())
		Eventually(func() bool { return alive(name) }).WithTimeout(time.Minute).WithPolling(20 * time.Millisecond).Should(BeTrue())
		seen := processesOf(name)
		Expect(maker.Process.Kill()).To(Succeed())
		_ = maker.Wait() // killed
		Eventually(func() []string { return leftOfCluster(name, seen, allOfCluster) }).WithTimeout(sweptWithin).Should(BeEmpty())
	}, SpecTimeout(2*time.Minute))
})

// A run takes its cluster along, even when nobody is left to say goodbye.
var _ = Describe("a run", Label("safety"), func() {
	if sortOfCluster() != embedded.Provider {
		return // it looks at the processes of embedded clusters
	}
	It("takes its own cluster along when it is killed", func(ctx SpecContext) {
		before := hostSnapshot(ctx)
		command := exec.CommandContext(ctx, binary, "run", filepath.Join("..", "scenarios", "canary-good-promotes.yaml"),
			"--cluster", "embedded", "--out", filepath.Join(GinkgoT().TempDir(), "record"))
		out, err := command.StdoutPipe()
		Expect(err).NotTo(HaveOccurred())
		Expect(command.Start()).To(Succeed())
		Expect(awaitLine(out, "steady state proven")).To(BeTrue(), "the run ended before it could be killed")
		Expect(command.Process.Kill()).To(Succeed())
		_ = command.Wait() // killed
		// The janitor ends the cluster by itself; what the ledger lists went with it.
		Eventually(func() string { return hostSnapshot(ctx)["processes"] }).WithTimeout(10 * time.Second).Should(Equal(before["processes"]))
		cutover(ctx, "clean")
		Expect(hostSnapshot(ctx)).To(Equal(before))
	}, SpecTimeout(2*time.Minute))
})

// awaitLine reads until a line holds the text, and reports whether one did.
func awaitLine(out io.Reader, text string) bool {
	for lines := bufio.NewScanner(out); lines.Scan(); {
		GinkgoWriter.Println(lines.Text())
		if strings.Contains(lines.Text(), text) {
			return true
		}
	}
	return false
}

// cutover runs the program and returns what it printed.
func cutover(ctx SpecContext, arguments ...string) string {
	GinkgoHelper()
	command := exec.CommandContext(ctx, binary, arguments...)
	output, err := command.CombinedOutput()
	Expect(err).NotTo(HaveOccurred(), "%s\n%s", command, output)
	return string(output)
}

func kill(pid int) {
	GinkgoHelper()
	Expect(syscall.Kill(pid, syscall.SIGKILL)).To(Succeed())
}

// pidOf reads a process of a cluster from its state.
func pidOf(cluster, process string) int {
	GinkgoHelper()
	data, err := os.ReadFile(filepath.Join("/var/lib/cutover/clusters", cluster, "spec.json"))
	Expect(err).NotTo(HaveOccurred())
	var spec map[string]json.RawMessage
	Expect(json.Unmarshal(data, &spec)).To(Succeed())
	var id struct {
		PID int `json:"pid"`
	}
	Expect(json.Unmarshal(spec[process], &id)).To(Succeed())
	return id.PID
}

// hostSnapshot is what a cluster could change on its host.
func hostSnapshot(ctx SpecContext) map[string]string {
	GinkgoHelper()
	snapshot := map[string]string{"processes": clusterProcesses()}
	for what, command := range map[string][]string{
		"mounts":    {"findmnt", "--noheadings", "--list", "--output", "TARGET,FSTYPE"},
		"addresses": {"ip", "-o", "-br", "address"},
		"routes":    {"ip", "route"},
		"firewall":  {"nft", "list", "ruleset"},
		"sysctls": {"sysctl", "vm.overcommit_memory", "vm.panic_on_oom", "kernel.panic", "kernel.panic_on_oops",
			"kernel.keys.root_maxkeys", "kernel.keys.root_maxbytes", "net.ipv4.ip_forward"},
		"namespaces": {"lsns", "--noheadings", "--output", "TYPE"},
		"cgroups":    {"find", "/sys/fs/cgroup", "-type", "d", "-name", "cutover-*"},
		"files":      {"find", "/run", "/var/lib", "/var/log", "/tmp", "-maxdepth", "2", "-iregex", ".*\\(cutover/\\|kubelet\\|cni\\|/pods\\|/containers\\|flannel\\).*"},
	} {
		snapshot[what] = output(ctx, command...)
	}
	return snapshot
}

func output(ctx SpecContext, command ...string) string {
	GinkgoHelper()
	out, err := exec.CommandContext(ctx, command[0], command[1:]...).Output()
	if err != nil && len(out) == 0 && command[0] != "find" {
		return "unknown: " + err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	sort.Strings(lines)
	return strings.Join(lines, "\n")
}

// clusterProcesses lists the programs of clusters that run, by name.
func clusterProcesses() string {
	var names []string
	paths, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, path := range paths {
		data, err := os.ReadFile(path)
		if err != nil {
			continue // it ended
		}
		first, _, _ := bytes.Cut(data, []byte{0})
		switch name := filepath.Base(string(first)); name {
		case "etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy", "containerd-shim-runc-v2", "pause", "traefik", "coredns", "cutover":
			names = append(names, name)
		}
	}
	sort.Strings(names)
	return strings.Join(names, " ")
}
