package suites_test

import (
	"fmt"
	"os"
	"path/filepath"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/cutover-dev/cutover/experiment"
	"github.com/cutover-dev/cutover/gates/mutants"
	"github.com/cutover-dev/cutover/scenarios"
)

// The short form of `cutover gate test`: one harmless candidate, one that any limit
// sees, and one that only the test of the contract does.
var _ = Describe("gate", func() {
	It("catches bad candidates and lets a harmless one through", Label("gate"), SpecTimeout(8*time.Minute), GracePeriod(3*time.Minute), func(ctx SpecContext) {
		scenario, err := scenarios.Load(filepath.Join("..", "scenarios", "gate-mutants.yaml"))
		Expect(err).NotTo(HaveOccurred())
		chosen, err := mutants.Find([]string{"unchanged", "errors-5", "wrong-body"})
		Expect(err).NotTo(HaveOccurred())
		cache, err := os.UserCacheDir()
		Expect(err).NotTo(HaveOccurred())
		out := filepath.Join(artifacts, "gate-test")
		Expect(os.RemoveAll(out)).To(Succeed())
		result, err := experiment.TestGate(ctx, scenario, experiment.Options{
			Cluster: shared, Platform: platform, Out: out, CacheDir: filepath.Join(cache, "cutover", "images"),
			Seed: GinkgoRandomSeed(), Replay: "cutover gate test scenarios/gate-mutants.yaml",
			Progress: func(line string) { GinkgoWriter.Println(line) },
		}, chosen, func(t experiment.Trial) { GinkgoWriter.Printf("%+v\n", t) })
		Expect(err).NotTo(HaveOccurred())
		AddReportEntry("gate", fmt.Sprintf("%d of %d caught, %d false alarms", result.Killed, result.Bad, result.FalseAlarms))
		Expect(result.Unjudged).To(BeZero(), "%+v", result.Trials)
		Expect(result.Killed).To(Equal(2), "%+v", result.Trials)
		Expect(result.FalseAlarms).To(BeZero(), "%+v", result.Trials)
	})
})
