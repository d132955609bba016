package suites_test

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/cutover-dev/cutover/experiment"
	"github.com/cutover-dev/cutover/faults"
	"github.com/cutover-dev/cutover/faults/agent"
	"github.com/cutover-dev/cutover/safety"
	"github.com/cutover-dev/cutover/suites/conformance"
)

var update = flag.Bool("update", false, "write the tables of docs/faults.md anew from what conformance measures")

// The conformance of faults: each case of suites/conformance, with each driver, is
// measured at pods of our own before, during and after the fault. What a driver or
// the kernel cannot do is skipped with the reason, and listed. `make conformance`
// asks for it.
var _ = Describe("conformance", Ordered, ContinueOnFailure, Label("conformance"), func() {
	drivers := conformanceDrivers()
	if len(drivers) == 0 {
		return // not asked for: it takes 20 s a row
	}
	test := &conformanceTest{}

	BeforeAll(func() { test.begin() })

	// What a spec defers comes after AfterAll.
	AfterEach(func(ctx SpecContext) { test.leave(ctx) }, NodeTimeout(time.Minute))

	It("has a case for every fault that is built", func() {
		Expect(conformance.Missing()).To(BeEmpty(), "add a shape to suites/conformance/cases.go")
	})

	for _, driver := range drivers {
		Describe("with driver "+string(driver), func() {
			BeforeEach(func() { test.need(driver) })

			It("is not taken in by a status without an effect", func(ctx SpecContext) { test.fakeStatus(ctx, driver) }, SpecTimeout(3*time.Minute))
			It("notices a fault that does not end", func(ctx SpecContext) { test.endless(ctx, driver) }, SpecTimeout(3*time.Minute))
			It("finds an object that is planted", func(ctx SpecContext) { test.planted(ctx, driver) }, SpecTimeout(3*time.Minute))
			for _, c := range conformance.Cases() {
				It(fmt.Sprintf("%s (%s)", c.Fault, c.Variant), func(ctx SpecContext) { test.row(ctx, driver, c) }, SpecTimeout(5*time.Minute))
			}
		})
	}

	AfterAll(func(ctx SpecContext) {
		test.write(ctx)
		Eventually(func() []string { return test.namespaces(ctx) }).WithTimeout(time.Minute).Should(BeEmpty())
	}, NodeTimeout(2*time.Minute))
})

// conformanceDrivers are those that the environment asks for; none without it.
func conformanceDrivers() []faults.Driver {
	switch asked := os.Getenv("CUTOVER_CONFORMANCE"); asked {
	case "":
		return nil
	case "all":
		return []faults.Driver{faults.Agent, faults.ChaosMesh}
	default:
		return []faults.Driver{faults.Driver(asked)}
	}
}

type conformanceTest struct {
	api     client.WithWatch
	onNodes faults.NodeRunner
	grounds int                 // so far
	ground  *conformance.Ground // of the spec that goes on
	ledger  *safety.Ledger
	report  conformance.Report
}

func (t *conformanceTest) begin() {
	var err error
	t.api, err = experiment.NewClient(shared.REST())
	Expect(err).NotTo(HaveOccurred())
	if nodes, reachable := shared.(interface {
		OnNodes(ctx context.Context, arguments ...string) (map[string]string, error)
	}); reachable {
		t.onNodes = nodes.OnNodes
	}
	for _, driver := range conformanceDrivers() {
		if t.has(driver) {
			t.report.Drivers = append(t.report.Drivers, string(driver))
		}
	}
	Expect(t.report.Drivers).NotTo(BeEmpty(), "this cluster has none of the drivers asked for, %v: %+v", conformanceDrivers(), platform.Serving)
}

func (t *conformanceTest) has(driver faults.Driver) bool {
	return driver == faults.Agent && platform.Serving.Agent || driver == faults.ChaosMesh && platform.Serving.ChaosMesh
}

// need skips what is about a driver that is not in this cluster.
func (t *conformanceTest) need(driver faults.Driver) {
	if !t.has(driver) {
		Skip(string(driver) + " is not in this cluster")
	}
}

// serving says who serves a fault if only the driver may.
func serving(driver faults.Driver, c conformance.Case) (faults.Service, error) {
	fault, err := c.Parse()
	Expect(err).NotTo(HaveOccurred())
	by := platform.Serving
	by.Only = driver
	return by.Of(fault)
}

// row tries one case with one driver.
func (t *conformanceTest) row(ctx SpecContext, driver faults.Driver, c conformance.Case) {
	by, err := serving(driver, c)
	if err != nil {
		fault, parsing := c.Parse()
		Expect(parsing).NotTo(HaveOccurred())
		t.report.Rows = append(t.report.Rows, conformance.Unserved(c, string(driver), fault.Name(), err))
		Skip(err.Error())
	}
	row := conformance.Judge(t.stage(by).Try(ctx, c))
	t.report.Rows = append(t.report.Rows, row)
	tell(row)
	Expect(row.Because).To(BeEmpty())
}

// tell shows all that was measured.
func tell(row conformance.Row) {
	GinkgoWriter.Printf("its own proof: %v, %s\n", row.Said.Proven, row.Said.Because)
	for _, f := range row.Figures {
		GinkgoWriter.Printf("%-6s %-9s %-40s %-15s %s (n %d, voided %d)\n", f.Phase, f.Role, f.Pod, f.Quantity, f, f.N, f.Voided)
	}
}

// stage is a namespace of its own for one case.
func (t *conformanceTest) stage(by faults.Service) *conformance.Stage {
	GinkgoHelper()
	t.grounds++
	run := fmt.Sprintf("%s%d", conformanceRun, t.grounds)
	ground := &conformance.Ground{
		Client: t.api, Namespace: "cutover-" + run, RunID: run, Image: platform.Image, Dial: shared.Dial, OnNodes: t.onNodes,
	}
	ledger, err := safety.OpenLedger(GinkgoT().TempDir(), run, safety.Header{RunID: run, Cluster: shared.Name()}, faults.Undoers(t.api))
	Expect(err).NotTo(HaveOccurred())
	t.ground, t.ledger = ground, ledger
	return &conformance.Stage{Ground: ground, By: by, Ledger: ledger, Seed: GinkgoRandomSeed(), Residue: t.residue}
}

// leave gives up the spec's stage. Nobody waits for its namespace before the end.
func (t *conformanceTest) leave(ctx context.Context) {
	GinkgoHelper()
	if t.ground == nil {
		return
	}
	Expect(t.ledger.Close()).To(Succeed())
	Expect(t.ground.Remove(ctx)).To(Succeed())
	t.ground = nil
}

// conformanceRun begins the names of this test's runs.
const conformanceRun = "conformance"

// residue lists what is on nodes for faults that no living object asks for.
func (t *conformanceTest) residue(ctx context.Context) ([]string, error) {
	living, err := faults.Living(ctx, t.api)
	if err != nil {
		return nil, err
	}
	var uids []string
	for _, uid := range living {
		uids = append(uids, string(uid))
	}
	return t.orphans(ctx, uids...)
}

// orphans lists what is on nodes for faults of other objects than those.
func (t *conformanceTest) orphans(ctx context.Context, living ...string) ([]string, error) {
	if t.onNodes == nil {
		return nil, nil
	}
	printed, err := t.onNodes(ctx, append([]string{agent.ResidueCommand}, living...)...)
	var left []string
	for node, lines := range printed {
		for line := range strings.Lines(lines) {
			left = append(left, node+": "+strings.TrimSpace(line))
		}
	}
	slices.Sort(left)
	return left, err
}

// namespaces lists those of this test that are still there.
func (t *conformanceTest) namespaces(ctx context.Context) []string {
	var list corev1.NamespaceList
	if err := t.api.List(ctx, &list, client.HasLabels{faults.RunLabel}); err != nil {
		return []string{err.Error()}
	}
	var left []string
	for _, namespace := range list.Items {
		if strings.HasPrefix(namespace.Labels[faults.RunLabel], conformanceRun) {
			left = append(left, namespace.Name)
		}
	}
	return left
}

// write leaves the report in artifacts/conformance.json and .md and, if it is asked
// to, the tables in docs/faults.md.
func (t *conformanceTest) write(ctx context.Context) {
	GinkgoHelper()
	facts, err := shared.Facts(ctx)
	Expect(err).NotTo(HaveOccurred())
	load, err := os.ReadFile("/proc/loadavg")
	Expect(err).NotTo(HaveOccurred())
	t.report.Cluster, t.report.Kubernetes, t.report.Kernel = shared.Provider(), facts.Kubernetes, facts.Kernel
	t.report.Load, _, _ = strings.Cut(string(load), " ")
	Expect(os.MkdirAll(artifacts, 0o755)).To(Succeed())
	Expect(experiment.WriteReport(filepath.Join(artifacts, "conformance.json"), t.report.JSON)).To(Succeed())
	Expect(experiment.WriteReport(filepath.Join(artifacts, "conformance.md"), t.report.Markdown)).To(Succeed())
	if !*update {
		return
	}
	path := filepath.Join("..", "docs", "faults.md")
	page, err := os.ReadFile(path)
	Expect(err).NotTo(HaveOccurred())
	var table, tolerances bytes.Buffer
	Expect(t.report.Markdown(&table)).To(Succeed())
	Expect(conformance.ToleranceTable(&tolerances)).To(Succeed())
	text, err := conformance.Splice(string(page), "conformance "+t.report.Cluster, table.String())
	Expect(err).NotTo(HaveOccurred())
	text, err = conformance.Splice(text, "tolerances", tolerances.String())
	Expect(err).NotTo(HaveOccurred())
	Expect(os.WriteFile(path, []byte(text), 0o644)).To(Succeed())
}
