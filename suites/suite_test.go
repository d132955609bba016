package suites_test

import (
	"cmp"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/cutover-dev/cutover/cluster/embedded"
	"github.com/cutover-dev/cutover/cluster/provider"
	"github.com/cutover-dev/cutover/experiment"
	"github.com/cutover-dev/cutover/reports"
)

// What all specs share. Nodes run one after the other: they share one machine, and
// load that competes with load measures nothing.
var (
	binary    string // the cutover program
	artifacts string // where records and reports go
	shared    provider.Cluster
	platform  experiment.Platform
	entries   []reports.IndexEntry
)

func TestSuites(t *testing.T) {
	if testing.Short() {
		t.Skip("the suites take minutes and need root: `make e2e` runs them")
	}
	RegisterFailHandler(Fail)
	EnforceDefaultTimeoutsWhenUsingContexts()
	RunSpecs(t, "cutover")
}

var _ = BeforeSuite(func(ctx SpecContext) {
	sort, err := provider.Named(sortOfCluster())
	Expect(err).NotTo(HaveOccurred())
	Expect(os.Geteuid()).To(BeZero(), "clusters need root here: run `sudo -E env \"PATH=$PATH\" make e2e`")
	artifacts = environment("CUTOVER_ARTIFACTS", func() string { return filepath.Join("..", "artifacts") })
	binary = environment("CUTOVER_BINARY", func() string { return build(ctx) })
	Expect(experiment.Clean(ctx, func(line string) { GinkgoWriter.Println(line) })).To(Succeed())
	if killRounds() > 0 {
		return // the kill test has clusters of its own
	}
	shared, err = sort.Up(ctx, provider.Options{Nodes: 1, Owned: true, Out: GinkgoWriter, Executable: binary})
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(func(ctx SpecContext) { Expect(shared.Close(ctx)).To(Succeed()) }, NodeTimeout(time.Minute))
	platform, err = experiment.Install(ctx, shared, binary)
	Expect(err).NotTo(HaveOccurred())
}, NodeTimeout(20*time.Minute))

var _ = ReportAfterSuite("index", func(Report) {
	if len(entries) == 0 {
		return
	}
	index := filepath.Join(artifacts, "index.html")
	Expect(experiment.WriteReport(index, reports.Index(entries))).To(Succeed())
	GinkgoWriter.Println("reports:", index)
})

// sortOfCluster is the sort of cluster that the suites run on. It is known while
// Ginkgo builds its tree: some specs are about one sort.
func sortOfCluster() string { return cmp.Or(os.Getenv("CLUSTER"), embedded.Provider) }

// attach connects to a cluster of that sort.
func attach(ctx context.Context, name string) (provider.Cluster, error) {
	sort, err := provider.Named(sortOfCluster())
	if err != nil {
		return nil, err
	}
	return sort.Attach(ctx, name)
}

func environment(name string, otherwise func() string) string {
	if value := os.Getenv(name); value != "" {
		return value
	}
	return otherwise()
}

// build makes the program for those who start the suites by `go test`.
func build(ctx SpecContext) string {
	path := filepath.Join(GinkgoT().TempDir(), "cutover")
	command := exec.CommandContext(ctx, "go", "build", "-o", path, "../cmd/cutover")
	command.Env = append(os.Environ(), "CGO_ENABLED=0")
	output, err := command.CombinedOutput()
	Expect(err).NotTo(HaveOccurred(), string(output))
	return path
}
