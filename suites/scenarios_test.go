package suites_test

import (
	"fmt"
	"os"
	"path/filepath"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/cutover-dev/cutover/experiment"
	"github.com/cutover-dev/cutover/reports"
	"github.com/cutover-dev/cutover/scenarios"
	"github.com/cutover-dev/cutover/verdict"
)

// One spec for each scenario. The files are read while Ginkgo builds its tree, so
// that labels can choose among them.
var _ = Describe("scenario", func() {
	found, err := scenarios.Find([]string{filepath.Join("..", "scenarios")}, "")
	if err != nil {
		panic(err)
	}
	for _, scenario := range found {
		It(scenario.Metadata.Name, Label(scenario.Metadata.Labels...), SpecTimeout(6*time.Minute), GracePeriod(3*time.Minute), func(ctx SpecContext) {
			if missing := scenario.Missing(); len(missing) > 0 {
				Skip(missing.Error()) // the host has no apt, or found no mirror: see the Makefile
			}
			run := perform(ctx, scenario)
			if run.Verdict == verdict.Skipped && len(scenario.Dependencies)+len(scenario.Faults) > 0 {
				Skip(run.Because) // there are no dependencies but beside kind, and not every cluster can do every fault
			}
			judge(scenario, run)
		})
	}
})

// perform runs the scenario on the shared cluster. Its end is part of it: an
// interrupt ends ctx, and the run heals what it did before it returns.
func perform(ctx SpecContext, scenario scenarios.Scenario) verdict.Run {
	seed := GinkgoRandomSeed()
	if scenario.Seeded {
		seed = scenario.Seed
	}
	cache, err := os.UserCacheDir()
	Expect(err).NotTo(HaveOccurred())
	dir := filepath.Join(artifacts, scenario.Metadata.Name)
	Expect(os.RemoveAll(dir)).To(Succeed())
	path, err := filepath.Rel("..", scenario.Path)
	Expect(err).NotTo(HaveOccurred())
	run, err := experiment.Run(ctx, scenario, experiment.Options{
		Cluster: shared, Platform: platform, Out: dir, CacheDir: filepath.Join(cache, "cutover", "images"),
		Seed: seed, Replay: fmt.Sprintf("cutover run %s --seed %d", path, seed),
		Watch:    reports.Lines(GinkgoWriter),
		Progress: func(line string) { GinkgoWriter.Println(line) },
	})
	Expect(err).NotTo(HaveOccurred())
	entries = append(entries, experiment.IndexEntry(scenario, run, scenario.Metadata.Name+"/report.html"))
	AddReportEntry("verdict", fmt.Sprintf("%s: %s", run.Verdict, run.Because))
	return run
}

// judge holds the run against what its scenario expects: a control against the
// verdict that it must get.
func judge(scenario scenarios.Scenario, run verdict.Run) {
	if scenario.Control != nil {
		Expect(string(run.Verdict)).To(Equal(scenario.Control.Verdict), "%s", run.Because)
	}
	Expect(run.OK()).To(BeTrue(), "%s: %s\nchecks: %+v", run.Verdict, run.Because, run.Checks)
	Expect(run.Residue).To(BeEmpty())
	if run.MTTR != nil {
		Expect(sum(run.MTTR.Segments)).To(BeNumerically("~", run.MTTR.TotalMs, 0.0005), "the segments add up")
	}
}

func sum(s verdict.Segments) float64 {
	var total float64
	for _, part := range []*float64{s.DetectMs, s.DecideMs, s.ActuateMs, s.RecoverMs} {
		if part != nil {
			total += *part
		}
	}
	return total
}
