package suites_test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/cutover-dev/cutover/cluster/embedded"
	"github.com/cutover-dev/cutover/history"
	"github.com/cutover-dev/cutover/verdict"
)

// Clusters have the same addresses, ports and paths inside. Of what the host has only
// one, each must take a share of its own: ports, cgroups, state, inotify instances.
var _ = Describe("runs side by side", Label("safety"), func() {
	if sortOfCluster() != embedded.Provider {
		return // it looks at the processes of embedded clusters
	}
	const together = 4

	It("judge as if they were alone and leave nothing", func(ctx SpecContext) {
		before := hostSnapshot(ctx)
		records := make([]string, together)
		ended := make([]error, together)
		var all sync.WaitGroup
		for i := range together {
			records[i] = filepath.Join(GinkgoT().TempDir(), fmt.Sprint("record-", i))
			all.Go(func() { ended[i] = runAside(ctx, records[i]) })
		}
		all.Wait()
		clusters := map[string]bool{}
		for i, record := range records {
			Expect(ended[i]).NotTo(HaveOccurred())
			Expect(outcomeIn(record)).To(Equal(verdict.RolledBack))
			clusters[clusterIn(record)] = true
		}
		Expect(clusters).To(HaveLen(together), "some shared a cluster")
		for name := range clusters {
			_, err := attach(ctx, name)
			Expect(err).To(HaveOccurred(), "cluster %s outlived its run", name)
			Expect(output(ctx, "find", "/sys/fs/cgroup", "-name", "cutover-"+name)).To(BeEmpty())
		}
		Eventually(func() map[string]string { return hostSnapshot(ctx) }).WithTimeout(10 * time.Second).WithPolling(200 * time.Millisecond).Should(Equal(before))
	}, SpecTimeout(6*time.Minute), GracePeriod(2*time.Minute))
})

// runAside runs the scenario on a cluster of its own. An error holds all that the run
// said.
func runAside(ctx SpecContext, record string) error {
	command := exec.CommandContext(ctx, binary, "run", filepath.Join("testdata", "side-by-side.yaml"), "--cluster", "embedded", "--out", record)
	command.Cancel = func() error { return command.Process.Signal(os.Interrupt) } // so that it takes its cluster along
	command.WaitDelay = time.Minute
	output, err := command.CombinedOutput()
	GinkgoWriter.Printf("%s\n%s\n", command, output)
	if err != nil {
		return fmt.Errorf("%s: %w\n%s", command, err, output)
	}
	return nil
}

func outcomeIn(record string) verdict.Outcome {
	GinkgoHelper()
	data, err := os.ReadFile(filepath.Join(record, "run.json"))
	Expect(err).NotTo(HaveOccurred())
	var run verdict.Run
	Expect(json.Unmarshal(data, &run)).To(Succeed())
	Expect(run.Outcome).NotTo(BeNil())
	return *run.Outcome
}

// clusterIn is the name of the cluster that a record was made on.
func clusterIn(record string) string {
	GinkgoHelper()
	h, err := history.Read(record)
	Expect(err).NotTo(HaveOccurred())
	plan, found := history.First[history.Plan](h.Events)
	Expect(found).To(BeTrue())
	return plan.Data.Facts["cluster"]
}
