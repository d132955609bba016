package suites_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/cutover-dev/cutover/cluster"
	"github.com/cutover-dev/cutover/cluster/embedded"
	"github.com/cutover-dev/cutover/cluster/provider"
	"github.com/cutover-dev/cutover/experiment"
	"github.com/cutover-dev/cutover/faults"
	"github.com/cutover-dev/cutover/faults/agent"
	"github.com/cutover-dev/cutover/history"
	"github.com/cutover-dev/cutover/safety"
)

// A fault ends in time whoever dies in the middle of it.
var _ = Describe("a fault", Ordered, Label("safety"), func() {
	if sortOfCluster() != embedded.Provider {
		return // it looks at the processes of embedded clusters
	}
	const (
		name   = "e2e-kills"
		lasts  = 6 * time.Second
		grace  = 2 * time.Second
		asked  = 400 * time.Millisecond
		healed = 100 * time.Millisecond // a round trip below this is one without the fault
	)
	var detached provider.Cluster

	BeforeAll(func(ctx SpecContext) {
		cutover(ctx, "cluster", "up", "--cluster", "embedded", "--name", name)
		DeferCleanup(func(ctx SpecContext) { cutover(ctx, "cluster", "down", "--name", name) }, NodeTimeout(time.Minute))
		var err error
		detached, err = attach(ctx, name)
		Expect(err).NotTo(HaveOccurred())
	}, NodeTimeout(2*time.Minute))

	// healsInTime watches a faulted pod until it answers as if nothing were.
	healsInTime := func(ctx SpecContext, address string, applied time.Time) {
		GinkgoHelper()
		Eventually(func() time.Duration { return roundTrip(ctx, detached, address) }).
			WithTimeout(time.Until(applied.Add(lasts+grace))).WithPolling(20*time.Millisecond).
			Should(BeNumerically("<", healed), "the fault outlived its time")
	}

	// Diagnostics come before anything is taken away.
	JustAfterEach(func(ctx SpecContext) {
		if CurrentSpecReport().Failed() {
			GinkgoWriter.Println(agentStory(ctx, detached))
		}
	}, NodeTimeout(30*time.Second))

	It("ends in time when the CLI is killed, and a clean-up removes the rest", func(ctx SpecContext) {
		run, applied := startFaultedRun(ctx, name, lasts, asked)
		Expect(run.Process.Kill()).To(Succeed())
		_ = run.Wait() // killed
		c := clientOf(detached)
		address := candidateAddress(ctx, c)
		Expect(roundTrip(ctx, detached, address)).To(BeNumerically(">", asked/2), "the fault is over before the kill could matter")
		healsInTime(ctx, address, applied)
		cutover(ctx, "clean")
		// Another clean-up on this machine may have been faster, and be at it still.
		Eventually(func() []string { return append(ledgersOf(name), leftInCluster(ctx, embeddedGround{}, name)...) }).WithTimeout(cleanWithin).Should(BeEmpty())
	}, SpecTimeout(3*time.Minute))

	for what, signal := range map[string]syscall.Signal{"killed": syscall.SIGKILL, "stopped": syscall.SIGSTOP} {
		It("ends in time when the agent is "+what, func(ctx SpecContext) {
			c := clientOf(detached)
			address, applied, heal := injectDelay(ctx, detached, c, lasts, asked)
			pid := agentOf(name)
			Expect(syscall.Kill(pid, signal)).To(Succeed())
			DeferCleanup(func() { _ = syscall.Kill(pid, syscall.SIGCONT) })
			healsInTime(ctx, address, applied)
			_ = syscall.Kill(pid, syscall.SIGCONT)
			Expect(heal(ctx)).To(Succeed())
			Expect(faults.Residue(ctx, c, "")).To(BeEmpty())
		}, SpecTimeout(2*time.Minute))
	}
})

func clientOf(c cluster.Cluster) client.WithWatch {
	GinkgoHelper()
	made, err := experiment.NewClient(c.REST())
	Expect(err).NotTo(HaveOccurred())
	return made
}

// platformOf installs what runs need, if it is not there.
func platformOf(ctx SpecContext, c provider.Cluster) experiment.Platform {
	GinkgoHelper()
	installed, err := experiment.Install(ctx, c, binary)
	Expect(err).NotTo(HaveOccurred())
	return installed
}

// roundTrip is how long a connection to the address takes; a second if it fails.
func roundTrip(ctx context.Context, c cluster.Cluster, address string) time.Duration {
	bounded, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	began := time.Now()
	conn, err := c.Dial(bounded, address)
	if err != nil {
		return time.Second
	}
	conn.Close()
	return time.Since(began)
}

// startFaultedRun runs a scenario that does not react to its fault and returns in
// the middle of it.
func startFaultedRun(ctx SpecContext, name string, lasts, delay time.Duration) (*exec.Cmd, time.Time) {
	GinkgoHelper()
	path := filepath.Join(GinkgoT().TempDir(), "faulted.yaml")
	root, err := filepath.Abs("..")
	Expect(err).NotTo(HaveOccurred())
	Expect(os.WriteFile(path, fmt.Appendf(nil, faultedScenario, root, lasts, delay), 0o600)).To(Succeed())
	command := exec.CommandContext(ctx, binary, "run", path, "--name", name, "--out", filepath.Join(GinkgoT().TempDir(), "record"))
	out, err := command.StdoutPipe()
	Expect(err).NotTo(HaveOccurred())
	command.Stderr = GinkgoWriter
	Expect(command.Start()).To(Succeed())
	var applied time.Time
	for lines := bufio.NewScanner(out); lines.Scan(); {
		GinkgoWriter.Println(lines.Text())
		switch {
		case strings.Contains(lines.Text(), "taken by the API"):
			applied = time.Now()
		case strings.Contains(lines.Text(), ": proven on"):
			return command, applied
		}
	}
	Fail("the run ended before its fault was proven")
	return nil, applied
}

// Without a gate nothing reacts: the fault is still there when the CLI is killed.
const faultedScenario = `apiVersion: cutover.dev/v1alpha1
kind: Scenario
metadata: {name: faulted}
why: The program is killed in the middle of this.
app:
  image: ko://%s/apps/shop
  service: shop
  ports: {http: 8080}
  readiness: {path: /ready, timeout: 5s}
  version: {header: X-Version}
  baseline: {env: {VERSION: v1}}
  candidate: {env: {VERSION: v2}}
release: {strategy: canary, steps: [50, 100], hold: 40s}
load:
  rate: 150/s
  warmup: 1s
  slo: {latency: 2s, availability: 99%%}
  requests: [{path: /cart}]
faults:
  - at: {step: weight-50, when: live}
    for: %s
    target: candidate
    chaos: {kind: NetworkChaos, spec: {action: delay, delay: {latency: %s}}}
expect: {outcome: promoted}
`

func runNamespaces(ctx SpecContext, c client.Client) []string {
	GinkgoHelper()
	var list corev1.NamespaceList
	Expect(c.List(ctx, &list, client.HasLabels{faults.RunLabel})).To(Succeed())
	var names []string
	for _, namespace := range list.Items {
		names = append(names, namespace.Name)
	}
	return names
}

func candidateAddress(ctx SpecContext, c client.Client) string {
	GinkgoHelper()
	var pods corev1.PodList
	Expect(c.List(ctx, &pods, client.InNamespace(runNamespaces(ctx, c)[0]))).To(Succeed())
	for _, pod := range pods.Items {
		if strings.HasPrefix(pod.Name, "shop-candidate") && pod.Status.PodIP != "" {
			return net.JoinHostPort(pod.Status.PodIP, "8080")
		}
	}
	Fail("there is no candidate")
	return ""
}

// injectDelay has the agent delay a pod of our own, and returns its address, when the API took
// the fault, and how to undo it.
func injectDelay(ctx SpecContext, c provider.Cluster, api client.WithWatch, lasts, delay time.Duration) (address string, applied time.Time, heal safety.Undo) {
	GinkgoHelper()
	run := "kill" + strconv.FormatInt(time.Now().UnixNano()%1e6, 10)
	namespace := "cutover-" + run
	Expect(api.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace, Labels: map[string]string{faults.RunLabel: run}}})).To(Succeed())
	DeferCleanup(func(ctx SpecContext) {
		Expect(api.Delete(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}})).To(Succeed())
	}, NodeTimeout(time.Minute))
	installed, labels := platformOf(ctx, c), map[string]string{"app": "victim"}
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "victim", Namespace: namespace, Labels: labels}, Spec: corev1.PodSpec{
		TerminationGracePeriodSeconds: new(int64),
		Containers:                    []corev1.Container{{Name: "victim", Image: installed.Image, Args: []string{"drill-pod", "9099"}}}}}
	Eventually(func() error { return client.IgnoreAlreadyExists(api.Create(ctx, pod)) }).WithTimeout(10 * time.Second).Should(Succeed())
	Eventually(func() string {
		Expect(api.Get(ctx, client.ObjectKeyFromObject(pod), pod)).To(Succeed())
		address = net.JoinHostPort(pod.Status.PodIP, "9099")
		return string(pod.Status.Phase)
	}).WithTimeout(30 * time.Second).Should(Equal("Running"))
	Eventually(func() time.Duration { return roundTrip(ctx, c, address) }).Should(BeNumerically("<", delay/4))

	ledger, err := safety.OpenLedger(GinkgoT().TempDir(), run, safety.Header{RunID: run, Cluster: c.Name()}, faults.Undoers(api))
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(ledger.Close)
	spec, err := json.Marshal(map[string]any{"action": "delay", "delay": map[string]string{"latency": delay.String()}})
	Expect(err).NotTo(HaveOccurred())
	fault, err := faults.Parse(faults.Spec{For: history.Duration(lasts), Target: "candidate", Chaos: faults.Chaos{Kind: "NetworkChaos", Spec: spec}})
	Expect(err).NotTo(HaveOccurred())
	installed.Serving.Only = faults.Agent
	by, err := installed.Serving.Of(fault)
	Expect(err).NotTo(HaveOccurred())
	heal, err = fault.Inject(ctx, faults.Target{
		Client: api, By: by, Namespace: namespace, RunID: run, Selector: metav1.LabelSelector{MatchLabels: labels}, Port: 9099, Dial: c.Dial, Ledger: ledger,
		Emit: func(payload history.Payload) {
			if _, is := payload.(history.FaultApplied); is {
				applied = time.Now()
			}
		},
	})
	Expect(err).NotTo(HaveOccurred())
	Expect(roundTrip(ctx, c, address)).To(BeNumerically(">", delay/2), "the fault has no effect")
	return address, applied, heal
}

// agentStory is what the agents' pods are like and what they last said.
func agentStory(ctx SpecContext, c cluster.Cluster) string {
	set, err := kubernetes.NewForConfig(c.REST())
	if err != nil {
		return err.Error()
	}
	pods, err := set.CoreV1().Pods(agent.Namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return err.Error()
	}
	var story strings.Builder
	for _, pod := range pods.Items {
		fmt.Fprintf(&story, "%s: %+v\n", pod.Name, pod.Status.ContainerStatuses)
		for _, previous := range []bool{true, false} {
			lines := int64(30)
			log, err := set.CoreV1().Pods(pod.Namespace).GetLogs(pod.Name, &corev1.PodLogOptions{Previous: previous, TailLines: &lines}).DoRaw(ctx)
			fmt.Fprintf(&story, "previous %v: %s (%v)\n", previous, log, err)
		}
	}
	return story.String()
}

// agentOf finds the process of the cluster's agent: a descendant of its sandbox.
func agentOf(name string) int {
	GinkgoHelper()
	sandbox := pidOf(name, "sandbox")
	namespace, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/net", sandbox))
	Expect(err).NotTo(HaveOccurred())
	paths, err := filepath.Glob("/proc/[0-9]*/cmdline")
	Expect(err).NotTo(HaveOccurred())
	for _, path := range paths {
		data, err := os.ReadFile(path)
		if err != nil || !strings.HasSuffix(string(data), "/cutover\x00agent\x00") {
			continue
		}
		dir := filepath.Dir(path)
		if own, err := os.Readlink(filepath.Join(dir, "ns/net")); err == nil && own == namespace {
			pid, err := strconv.Atoi(filepath.Base(dir))
			Expect(err).NotTo(HaveOccurred())
			return pid
		}
	}
	Fail("the cluster has no agent")
	return 0
}
