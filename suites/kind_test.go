package suites_test

import (
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/cutover-dev/cutover/cluster/kind"
	"github.com/cutover-dev/cutover/faults"
)

// A kind cluster leaves its host as it was, however it ends, and a clean-up touches no
// cluster but ours.
var _ = Describe("kind cluster", Ordered, Label("safety"), func() {
	if sortOfCluster() != kind.Provider {
		return
	}
	const name = "e2e-residue"
	ground := kindGround{}
	var before map[string]string

	BeforeEach(func(ctx SpecContext) { before = untouched(ctx) }, NodeTimeout(time.Minute))

	AfterEach(func(ctx SpecContext) {
		_ = exec.CommandContext(ctx, binary, "cluster", "down", "--name", name).Run() // whatever a failed spec left
	}, NodeTimeout(time.Minute))

	nothingLeft := func(ctx SpecContext, name string, seen sighting) {
		GinkgoHelper()
		Eventually(func() []string { return append(ledgersOf(name), ground.left(ctx, name, seen, everything)...) }).
			WithTimeout(10 * time.Second).WithPolling(200 * time.Millisecond).Should(BeEmpty())
		Expect(untouched(ctx)).To(Equal(before))
	}

	It("leaves nothing when it is taken down", func(ctx SpecContext) {
		cutover(ctx, "cluster", "up", "--cluster", "kind", "--name", name)
		seen := ground.see(ctx, name)
		Expect(ground.left(ctx, name, seen, everything)).NotTo(BeEmpty(), "what is there is not seen")
		cutover(ctx, "cluster", "down", "--name", name)
		nothingLeft(ctx, name, seen)
	}, SpecTimeout(4*time.Minute))

	It("leaves nothing after a clean-up when its maker is killed while a container is being made", func(ctx SpecContext) {
		maker := exec.CommandContext(ctx, binary, "cluster", "up", "--cluster", "kind", "--name", name)
		maker.Stdout, maker.Stderr = GinkgoWriter, GinkgoWriter
		maker.WaitDelay = time.Second
		Expect(maker.Start()).To(Succeed())
		Eventually(func() bool { return startsContainer(name) }).WithTimeout(time.Minute).WithPolling(5 * time.Millisecond).Should(BeTrue())
		Expect(maker.Process.Kill()).To(Succeed())
		_ = maker.Wait() // killed
		cutover(ctx, "clean")
		nothingLeft(ctx, name, sighting{})
		// The engine goes on with what it was asked for, whoever asked.
		Consistently(func() []string { return ground.left(ctx, name, sighting{}, everything) }).WithTimeout(3 * time.Second).Should(BeEmpty())
	}, SpecTimeout(2*time.Minute))

	It("leaves nothing after a clean-up when the run that owns it is killed, and nobody else's is touched", func(ctx SpecContext) {
		others := plantOthers(ctx)
		run := exec.CommandContext(ctx, binary, "run", filepath.Join("testdata", "killed.yaml"), "--cluster", "kind", "--out", filepath.Join(GinkgoT().TempDir(), "record"))
		said := &killedRun{}
		run.Stdout, run.Stderr = said, said
		run.WaitDelay = time.Second
		Expect(run.Start()).To(Succeed())
		Eventually(func() time.Time { return said.told(" ready in ") }).WithTimeout(3 * time.Minute).ShouldNot(BeZero())
		seen := ground.see(ctx, said.name())
		Expect(run.Process.Kill()).To(Succeed())
		_ = run.Wait() // killed
		cutover(ctx, "clean")
		nothingLeft(ctx, said.name(), seen)
		for _, id := range others {
			Expect(docker(ctx, "ps", "--all", "--no-trunc", "--quiet")).To(ContainSubstring(id), "somebody else's node is gone")
		}
	}, SpecTimeout(5*time.Minute))
})

// startsContainer reports whether the engine is being asked for a node of the cluster.
func startsContainer(name string) bool {
	return slices.ContainsFunc(makersOf(name, nil), func(p clusterProcess) bool {
		return filepath.Base(p.arguments[0]) == "docker" && len(p.arguments) > 1 && p.arguments[1] == "run"
	})
}

// plantOthers plants nodes that are not ours: of a kind cluster that somebody made by
// kind itself, and of another user of cutover on this engine.
func plantOthers(ctx SpecContext) []string {
	GinkgoHelper()
	image, err := kind.Usable(ctx)
	Expect(err).NotTo(HaveOccurred())
	ids := []string{
		docker(ctx, "create", "--label", "io.x-k8s.kind.cluster=somebodys", "--label", "io.x-k8s.kind.role=control-plane", image),
		docker(ctx, "create", "--label", kindClusterLabel+"=somebodys", "--label", kindStateLabel+"=/home/somebody/.local/share/cutover/kind", image),
	}
	DeferCleanup(func(ctx SpecContext) { docker(ctx, append([]string{"rm", "--volumes"}, ids...)...) }, NodeTimeout(time.Minute))
	return ids
}

// untouched is what no cluster may change on its host, not even while it runs: its own
// folders are looked for apart, and other clusters on the machine have some, too.
func untouched(ctx SpecContext) map[string]string {
	GinkgoHelper()
	host := hostSnapshot(ctx)
	files := slices.DeleteFunc(strings.Split(host["files"], "\n"), func(path string) bool { return strings.HasPrefix(path, stateFolder()) })
	return map[string]string{"sysctls": host["sysctls"], "files": strings.Join(files, "\n")}
}

// A fault on a kind cluster ends in time whoever dies in the middle of it.
var _ = Describe("a fault on kind", Ordered, Label("safety"), func() {
	if sortOfCluster() != kind.Provider {
		return
	}
	const (
		lasts = 6 * time.Second
		asked = 400 * time.Millisecond
	)
	ground := kindGround{}

	healsInTime := func(ctx SpecContext, address string, applied time.Time) {
		GinkgoHelper()
		Eventually(func() time.Duration { return roundTrip(ctx, shared, address) }).
			WithTimeout(time.Until(applied.Add(lasts+faultGrace))).WithPolling(20*time.Millisecond).
			Should(BeNumerically("<", faultHealed), "the fault outlived its time")
	}

	JustAfterEach(func(ctx SpecContext) {
		if CurrentSpecReport().Failed() {
			GinkgoWriter.Println(agentStory(ctx, shared))
		}
	}, NodeTimeout(30*time.Second))

	It("ends in time when the CLI is killed, and a clean-up removes the rest", func(ctx SpecContext) {
		run, applied := startFaultedRun(ctx, shared.Name(), lasts, asked)
		Expect(run.Process.Kill()).To(Succeed())
		_ = run.Wait() // killed
		address := candidateAddress(ctx, clientOf(shared))
		Expect(roundTrip(ctx, shared, address)).To(BeNumerically(">", asked/2), "the fault is over before the kill could matter")
		healsInTime(ctx, address, applied)
		cutover(ctx, "clean")
		Eventually(func() []string { return append(ledgersOf(shared.Name()), leftInCluster(ctx, ground, shared.Name())...) }).
			WithTimeout(cleanWithin).Should(BeEmpty())
	}, SpecTimeout(3*time.Minute))

	It("ends in time when the agent is killed", func(ctx SpecContext) {
		c := clientOf(shared)
		address, applied, heal := injectDelay(ctx, shared, c, lasts, asked)
		found := ground.find(ctx, victimAgent, shared.Name())
		Expect(found).NotTo(BeNil(), "the cluster has no agent")
		Expect(found.kill()).To(Succeed())
		healsInTime(ctx, address, applied)
		Expect(heal(ctx)).To(Succeed())
		Expect(faults.Residue(ctx, c, "")).To(BeEmpty())
	}, SpecTimeout(2*time.Minute))
})
