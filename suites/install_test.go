package suites_test

import (
	"bufio"
	"debug/elf"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/cutover-dev/cutover/verdict"
)

// Somebody who has the module, and not the checkout, has all of cutover.
var _ = Describe("an installed cutover", Ordered, Label("install"), func() {
	// Of this process alone: others may test theirs at the same time.
	version := fmt.Sprintf("v0.0.0-e2e.%d", os.Getpid())
	var installed, folder string
	var environment []string

	BeforeAll(func(ctx SpecContext) {
		proxy, bin := GinkgoT().TempDir(), GinkgoT().TempDir()
		publish(ctx, proxy, version)
		DeferCleanup(func(ctx SpecContext) { unpublish(ctx, version) }, NodeTimeout(time.Minute))
		install := exec.CommandContext(ctx, "go", "install", modulePath+"/cmd/cutover@"+version)
		install.Dir = GinkgoT().TempDir()
		install.Env = usersEnvironment("GOBIN="+bin, "GOPROXY=file://"+proxy+","+goEnv(ctx, "GOPROXY"),
			"GONOSUMDB="+modulePath+","+goEnv(ctx, "GONOSUMDB"))
		began := time.Now()
		output, err := install.CombinedOutput()
		Expect(err).NotTo(HaveOccurred(), "%s\n%s", install, output)
		worked := install.ProcessState.UserTime() + install.ProcessState.SystemTime()
		AddReportEntry("go install", fmt.Sprintf("%.0f s, %.0f s of CPU time", time.Since(began).Seconds(), worked.Seconds()))
		installed, folder = filepath.Join(bin, "cutover"), GinkgoT().TempDir()
		cache, err := os.UserCacheDir()
		Expect(err).NotTo(HaveOccurred())
		// A home of its own. What took minutes to build is shared: it must be found.
		environment = usersEnvironment("HOME="+GinkgoT().TempDir(), "XDG_CACHE_HOME="+cache,
			"GOENV="+goEnv(ctx, "GOENV"), "GOMODCACHE="+goEnv(ctx, "GOMODCACHE"), "GOCACHE="+goEnv(ctx, "GOCACHE"))
	}, NodeTimeout(12*time.Minute))

	command := func(ctx SpecContext, arguments ...string) *exec.Cmd {
		c := exec.CommandContext(ctx, installed, arguments...)
		c.Dir, c.Env = folder, environment
		return c
	}
	must := func(ctx SpecContext, arguments ...string) string {
		GinkgoHelper()
		output, err := command(ctx, arguments...).CombinedOutput()
		Expect(err).NotTo(HaveOccurred(), "%v\n%s", arguments, output)
		return string(output)
	}

	It("is what this machine's Go makes of it, and knows its version", func(ctx SpecContext) {
		// Else what follows would prove nothing of dynamic programs.
		Expect(isDynamic(installed)).To(Equal(goEnv(ctx, "CGO_ENABLED") == "1"))
		Expect(must(ctx, "version")).To(ContainSubstring(version))
	}, NodeTimeout(time.Minute))

	It("finds this machine able to run clusters, whose parts are built", func(ctx SpecContext) {
		Expect(must(ctx, "doctor")).To(And(ContainSubstring("Embedded clusters can run here"), MatchRegexp(`(?m)^ok +components`)))
	}, NodeTimeout(time.Minute))

	It("says how to begin, and what needs a checkout", func(ctx SpecContext) {
		output, err := command(ctx, "run").CombinedOutput()
		Expect(err).To(HaveOccurred())
		Expect(string(output)).To(ContainSubstring("cutover scenario init"))
		must(ctx, "scenario", "init", "relative.yaml")
		path := filepath.Join(folder, "relative.yaml")
		text, err := os.ReadFile(path)
		Expect(err).NotTo(HaveOccurred())
		Expect(os.WriteFile(path, []byte(strings.Replace(string(text), "image: ko://github.com/", "image: ko://./", 1)), 0o600)).To(Succeed())
		output, err = command(ctx, "run", "relative.yaml").CombinedOutput()
		Expect(err).To(HaveOccurred())
		Expect(string(output)).To(ContainSubstring("no Go module is around it"))
		Expect(os.Remove(path)).To(Succeed())
	}, NodeTimeout(time.Minute))

	It("runs the scenario that it writes, and leaves a record and nothing else", func(ctx SpecContext) {
		must(ctx, "scenario", "init")
		must(ctx, "scenario", "validate", "scenario.yaml")
		run := command(ctx, "run", "scenario.yaml", "--cluster", "embedded", "--out", "record")
		out, err := run.StdoutPipe()
		Expect(err).NotTo(HaveOccurred())
		run.Stderr = GinkgoWriter
		Expect(run.Start()).To(Succeed())
		var during []string
		for lines := bufio.NewScanner(out); lines.Scan(); {
			GinkgoWriter.Println(lines.Text())
			Expect(lines.Text()).NotTo(ContainSubstring("building from its Go module"), "the cache is not shared")
			if strings.Contains(lines.Text(), "steady state proven") {
				during = tracesOf(installed)
			}
		}
		Expect(run.Wait()).To(Succeed())
		Expect(during).NotTo(BeEmpty(), "traces are not seen even while there are some")
		Eventually(func() []string { return tracesOf(installed) }).WithTimeout(10 * time.Second).Should(BeEmpty())

		var result verdict.Run
		record := filepath.Join(folder, "record")
		data, err := os.ReadFile(filepath.Join(record, "run.json"))
		Expect(err).NotTo(HaveOccurred())
		Expect(json.Unmarshal(data, &result)).To(Succeed())
		Expect(result.OK()).To(BeTrue(), result.Because)
		Expect(result.Residue).To(BeEmpty())
		Expect(os.ReadFile(filepath.Join(record, "report.html"))).To(ContainSubstring(version), "the report does not say which cutover it is from")
	}, NodeTimeout(5*time.Minute), GracePeriod(time.Minute))
})

// isDynamic reports whether the program needs a loader.
func isDynamic(program string) bool {
	GinkgoHelper()
	file, err := elf.Open(program)
	Expect(err).NotTo(HaveOccurred())
	defer file.Close()
	for _, part := range file.Progs {
		if part.Type == elf.PT_INTERP {
			return true
		}
	}
	return false
}

// tracesOf lists the processes that run the program, and the clusters that it made.
func tracesOf(program string) (found []string) {
	GinkgoHelper()
	processes, err := filepath.Glob("/proc/[0-9]*/exe")
	Expect(err).NotTo(HaveOccurred())
	for _, process := range processes {
		if path, err := os.Readlink(process); err == nil && strings.TrimSuffix(path, " (deleted)") == program {
			found = append(found, process)
		}
	}
	clusters, err := filepath.Glob("/var/lib/cutover/clusters/*/spec.json")
	Expect(err).NotTo(HaveOccurred())
	for _, cluster := range clusters {
		if data, err := os.ReadFile(cluster); err == nil && strings.Contains(string(data), program) {
			found = append(found, cluster)
		}
	}
	return found
}
