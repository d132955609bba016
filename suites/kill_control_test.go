package suites_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/cutover-dev/cutover/faults"
)

// planted is the cluster that never was.
const planted = "kill-planted"

// findPlanted is the kill test's negative control: it plants one leftover of each
// sort and sees that each is found, and that nothing is found without it.
func (t *killTest) findPlanted(ctx SpecContext) {
	Expect(left(ctx, planted)).To(BeEmpty())
	plantFiles(ctx)
	plantProcess(ctx)
	Expect(left(ctx, planted)).To(BeEmpty())

	name := t.detachedCluster(ctx)
	c, err := attach(ctx, name)
	Expect(err).NotTo(HaveOccurred())
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: planted, Labels: map[string]string{faults.RunLabel: planted}}}
	Expect(clientOf(c).Create(ctx, namespace)).To(Succeed())
	Expect(left(ctx, name)).To(ContainElement("namespace " + planted))
	// No ledger has it: a clean-up finds it by its label.
	cutover(ctx, "clean")
	Expect(left(ctx, name)).To(BeEmpty())
}

// plantFiles plants what is told by a path: a cgroup, a state folder and a ledger.
func plantFiles(ctx SpecContext) {
	GinkgoHelper()
	mounts, err := exec.CommandContext(ctx, "findmnt", "--noheadings", "--list", "--types", "cgroup,cgroup2", "--output", "TARGET").Output()
	Expect(err).NotTo(HaveOccurred())
	for what, path := range map[string]string{
		"cgroup": filepath.Join(strings.Fields(string(mounts))[0], "cutover-"+planted),
		"folder": folderOf(planted),
	} {
		Expect(os.MkdirAll(path, 0o700)).To(Succeed())
		Expect(left(ctx, planted)).To(ContainElement(what + " " + path))
		Expect(os.Remove(path)).To(Succeed())
	}
	Expect(os.MkdirAll(ledgerFolder(), 0o700)).To(Succeed())
	ledger := filepath.Join(ledgerFolder(), planted) // without its ending no clean-up reads it
	Expect(os.WriteFile(ledger, fmt.Appendf(nil, `{"header":{"cluster":%q}}`, planted), 0o600)).To(Succeed())
	Expect(left(ctx, planted)).To(ContainElement("ledger " + ledger))
	Expect(os.Remove(ledger)).To(Succeed())
}

// plantProcess plants a process that is called as a janitor is, in namespaces of its
// own, with a mount of the cluster's folder and a fault's set in its network.
func plantProcess(ctx SpecContext) {
	GinkgoHelper()
	root := filepath.Join(folderOf(planted), "root")
	Expect(os.MkdirAll(root, 0o700)).To(Succeed())
	// bash reads the script from a descriptor: its arguments are a janitor's.
	script := filepath.Join(GinkgoT().TempDir(), "cluster")
	Expect(os.WriteFile(script, fmt.Appendf(nil, "mount -t tmpfs none %s; nft add table ip cutover_delay; "+
		"nft add set ip cutover_delay planted '{ type ifname; }'; echo ready; read", root), 0o600)).To(Succeed())
	process := exec.CommandContext(ctx, "unshare", "--net", "--mount", "bash", "cluster", "janitor", folderOf(planted))
	process.Dir = filepath.Dir(script)
	end, err := process.StdinPipe()
	Expect(err).NotTo(HaveOccurred())
	said, err := process.StdoutPipe()
	Expect(err).NotTo(HaveOccurred())
	Expect(process.Start()).To(Succeed())
	Expect(awaitLine(said, "ready")).To(BeTrue())
	name, err := os.Readlink(filepath.Join("/proc", strconv.Itoa(process.Process.Pid), "ns", "net"))
	Expect(err).NotTo(HaveOccurred())
	seen := []clusterProcess{{network: name}}
	found := leftOfCluster(planted, seen, withoutJanitor)
	for _, what := range []string{"process ", "mounts in ", "network " + name} {
		Expect(found).To(ContainElement(HavePrefix(what)))
	}
	Expect(leftInNetwork(ctx, process.Process.Pid)).To(ContainElement(HavePrefix("nftables set planted")))
	Expect(end.Close()).To(Succeed())
	Expect(process.Wait()).To(Or(Succeed(), MatchError(ContainSubstring("exit status 1"))), "read ends with the pipe")
	Expect(os.RemoveAll(filepath.Dir(root))).To(Succeed())
	Expect(leftOfCluster(planted, seen, withoutJanitor)).To(BeEmpty())
}
