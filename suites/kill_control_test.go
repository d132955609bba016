package suites_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/cutover-dev/cutover/cluster"
	"github.com/cutover-dev/cutover/faults"
)

// planted is the cluster that never was.
const planted = "kill-planted"

// findPlanted is the kill test's negative control: it plants one leftover of each
// sort and sees that each is found, and that nothing is found without it.
func (t *killTest) findPlanted(ctx SpecContext) {
	Expect(t.left(ctx, planted, sighting{})).To(BeEmpty())
	t.plantLedger(ctx)
	t.ground.plant(ctx)
	Expect(t.left(ctx, planted, sighting{})).To(BeEmpty())

	name := t.detachedCluster(ctx)
	c, err := attach(ctx, name)
	Expect(err).NotTo(HaveOccurred())
	t.ground.plantInside(ctx, c)
	plantNamespace(ctx, c, planted)
	Expect(t.left(ctx, name, sighting{})).To(ContainElement("namespace " + planted))
	// No ledger has it: a clean-up finds it by its label.
	cutover(ctx, "clean")
	Expect(t.left(ctx, name, sighting{})).To(BeEmpty())
}

// plantNamespace plants a run's namespace. Other clean-ups may be about on the machine:
// it is not there for long.
func plantNamespace(ctx SpecContext, c cluster.Cluster, name string) {
	GinkgoHelper()
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{faults.RunLabel: planted}}}
	Expect(clientOf(c).Create(ctx, namespace)).To(Succeed())
}

func (t *killTest) plantLedger(ctx SpecContext) {
	GinkgoHelper()
	Expect(os.MkdirAll(ledgerFolder(), 0o700)).To(Succeed())
	ledger := filepath.Join(ledgerFolder(), planted) // without its ending no clean-up reads it
	Expect(os.WriteFile(ledger, fmt.Appendf(nil, `{"header":{"cluster":%q}}`, planted), 0o600)).To(Succeed())
	Expect(t.left(ctx, planted, sighting{})).To(ContainElement("ledger " + ledger))
	Expect(os.Remove(ledger)).To(Succeed())
}

// plantedProcess runs until it is ended.
type plantedProcess struct {
	pid int
	end func()
}

// plantProcess plants a process that has run the script, within another program such
// as unshare, and whose arguments are those of a process of a cluster.
func plantProcess(ctx SpecContext, script string, within []string, arguments ...string) plantedProcess {
	GinkgoHelper()
	// bash reads the script from a file: its arguments are another's.
	path := filepath.Join(GinkgoT().TempDir(), "cluster")
	Expect(os.WriteFile(path, []byte(script+"; echo ready; read"), 0o600)).To(Succeed())
	called := append([]string{"bash", "cluster"}, arguments...)
	called = append(append([]string{}, within...), called...)
	process := exec.CommandContext(ctx, called[0], called[1:]...)
	process.Dir = filepath.Dir(path)
	end, err := process.StdinPipe()
	Expect(err).NotTo(HaveOccurred())
	said, err := process.StdoutPipe()
	Expect(err).NotTo(HaveOccurred())
	Expect(process.Start()).To(Succeed())
	Expect(awaitLine(said, "ready")).To(BeTrue())
	return plantedProcess{process.Process.Pid, func() {
		GinkgoHelper()
		Expect(end.Close()).To(Succeed())
		Expect(process.Wait()).To(Or(Succeed(), MatchError(ContainSubstring("exit status 1"))), "read ends with the pipe")
	}}
}
