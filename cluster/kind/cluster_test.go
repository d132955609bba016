package kind

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/client-go/kubernetes"
	"k8s.io/utils/ptr"

	"github.com/cutover-dev/cutover/cluster/engine"
	"github.com/cutover-dev/cutover/cluster/image"
)

// requireKind skips where there can be no cluster, and returns the program.
func requireKind(t *testing.T) (binary string) {
	t.Helper()
	binary = os.Getenv("CUTOVER_BINARY")
	switch {
	case testing.Short():
		t.Skip("starts a cluster")
	case os.Geteuid() != 0:
		t.Skip("needs root: its network is entered from outside")
	case os.Getenv("CLUSTER") != "kind":
		t.Skip("it takes a minute or more: `make test CLUSTER=kind` runs it")
	case binary == "":
		t.Skip("CUTOVER_BINARY is not set: `make test` builds the program that makes the cluster")
	}
	if _, err := Usable(t.Context()); err != nil {
		t.Skip(err)
	}
	return binary
}

func TestSingleNode(t *testing.T) { liveAndDie(t, 1) }

func TestMultiNode(t *testing.T) { liveAndDie(t, MultiNodes) }

// liveAndDie makes a cluster, runs something in it that is reached from outside, and
// looks for what is left of it afterwards.
func liveAndDie(t *testing.T, nodes int) {
	binary := requireKind(t)
	ctx := t.Context()
	sysctls := hostSysctls(t)
	began := time.Now()
	c, err := Up(ctx, Options{Nodes: nodes, Owned: true, Out: os.Stderr, Executable: binary})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d node(s) Ready in %.1f s", nodes, time.Since(began).Seconds())
	defer func() {
		volumes := volumesOf(t, c)
		began := time.Now()
		if err := c.Close(context.WithoutCancel(ctx)); err != nil {
			t.Error(err)
		}
		t.Logf("gone in %.1f s", time.Since(began).Seconds())
		nothingIsLeft(t, c.state, c.nodes, volumes)
		if after := hostSysctls(t); after != sysctls {
			t.Errorf("settings of the host before and after:\n%s\n%s", sysctls, after)
		}
		if c.Alive() {
			t.Error("a cluster that is down is alive")
		}
		if _, err := c.Dial(ctx, "10.96.0.1:443"); err == nil {
			t.Error("a cluster that is down can be dialled")
		}
	}()
	if facts, err := c.Facts(ctx); err != nil || facts.Nodes != nodes || !strings.HasPrefix(facts.Kubernetes, "v1.") {
		t.Errorf("facts %+v, %v", facts, err)
	}
	if printed, err := c.OnNodes(ctx, "agent-residue"); err != nil || len(printed) != nodes {
		t.Errorf("on the nodes: %q, %v", printed, err)
	}
	logs := t.TempDir()
	if err := c.ExportLogs(ctx, logs); err != nil {
		t.Error(err)
	}
	if found, err := filepath.Glob(filepath.Join(logs, "*", "kubelet.log")); err != nil || len(found) != nodes {
		t.Errorf("logs of kubelets: %v, %v", found, err)
	}
	serve(t, c)
}

// serve deploys a server on every node that takes pods, and asks it through its
// Service.
func serve(t *testing.T, c *Cluster) {
	ctx := t.Context()
	app, err := image.Build(ctx, "ko://github.com/cutover-dev/cutover/apps/shop", image.Options{CacheDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second time it is there
		if err := c.LoadImage(ctx, app.Ref, app.Image); err != nil {
			t.Fatal(err)
		}
	}
	client, err := kubernetes.NewForConfig(c.REST())
	if err != nil {
		t.Fatal(err)
	}
	address := deploy(t, client, app.Ref)
	var last error
	seen := map[string]bool{}
	deadline := time.Now().Add(3 * time.Minute)
	for time.Now().Before(deadline) && (last != nil || len(seen) == 0) {
		var body string
		if body, last = ask(ctx, c, address); last == nil {
			seen[body] = true
		}
	}
	if last != nil || len(seen) == 0 {
		t.Errorf("the Service at %s does not answer: %v", address, last)
	}
	// Who dials a pod that is not there is told so at once.
	began := time.Now()
	if _, err := c.Dial(ctx, "10.244.0.250:80"); err == nil || time.Since(began) > time.Second {
		t.Errorf("a pod that is not there: %v after %v", err, time.Since(began))
	}
}

// ask returns the version that the shop says it is. The header is its own: on some
// networks something else answers for addresses that route nowhere.
func ask(ctx context.Context, c *Cluster, address string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	conn, err := c.Dial(ctx, address)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(2 * time.Second)); err != nil {
		return "", err
	}
	if _, err := io.WriteString(conn, "GET /cart HTTP/1.0\r\nHost: shop\r\n\r\n"); err != nil {
		return "", err
	}
	answer, err := io.ReadAll(conn)
	if err != nil {
		return "", err
	}
	_, version, found := strings.Cut(string(answer), "X-Version: ")
	if !found {
		return "", fmt.Errorf("an answer of somebody else: %s", answer)
	}
	version, _, _ = strings.Cut(version, "\r\n")
	return version, nil
}

func deploy(t *testing.T, client kubernetes.Interface, reference string) (address string) {
	ctx := t.Context()
	labels := map[string]string{"app": "shop"}
	meta := metav1.ObjectMeta{Name: "shop", Namespace: "default", Labels: labels}
	_, err := client.AppsV1().Deployments("default").Create(ctx, &appsv1.Deployment{ObjectMeta: meta, Spec: appsv1.DeploymentSpec{
		Replicas: ptr.To[int32](3),
		Selector: &metav1.LabelSelector{MatchLabels: labels},
		Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels}, Spec: corev1.PodSpec{
			Containers: []corev1.Container{{Name: "shop", Image: reference, ImagePullPolicy: corev1.PullNever, Env: []corev1.EnvVar{{Name: "VERSION", Value: "v1"}}}},
			TopologySpreadConstraints: []corev1.TopologySpreadConstraint{{
				MaxSkew: 1, TopologyKey: "kubernetes.io/hostname", WhenUnsatisfiable: corev1.ScheduleAnyway, LabelSelector: &metav1.LabelSelector{MatchLabels: labels}}},
		}},
	}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	service, err := client.CoreV1().Services("default").Create(ctx, &corev1.Service{ObjectMeta: meta, Spec: corev1.ServiceSpec{
		Selector: labels, Ports: []corev1.ServicePort{{Port: 80, TargetPort: intstr.FromInt32(8080)}},
	}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return net.JoinHostPort(service.Spec.ClusterIP, "80")
}

// nothingIsLeft looks for all that a cluster could leave behind.
func nothingIsLeft(t *testing.T, s state, nodes []node, volumes []string) {
	t.Helper()
	ctx := context.WithoutCancel(t.Context())
	if _, err := os.Stat(string(s)); !os.IsNotExist(err) {
		t.Errorf("the state is still there: %v", err)
	}
	if left, err := containersOf(ctx, s.root(), s.name()); err != nil || len(left) > 0 {
		t.Errorf("containers: %v, %v", left, err)
	}
	for _, volume := range volumes {
		if _, err := engine.Run(ctx, "volume", "inspect", volume); err == nil {
			t.Errorf("volume %s is still there", volume)
		}
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range nodes {
		if strings.Contains(string(mounts), n.id) {
			t.Errorf("mounts of %s are still there", n.name)
		}
		// A node's processes are all below its first one, in groups of its name.
		if groups, err := filepath.Glob("/sys/fs/cgroup/*/docker/" + n.id); err != nil || len(groups) > 0 {
			t.Errorf("groups of %s: %v, %v", n.name, groups, err)
		}
		if _, err := os.Stat(n.network()); err == nil {
			t.Errorf("process %d of %s is still there", n.pid, n.name)
		}
	}
}

func volumesOf(t *testing.T, c *Cluster) []string {
	t.Helper()
	var volumes []string
	for _, n := range c.nodes {
		printed, err := engine.Run(context.WithoutCancel(t.Context()), "inspect", "--format", `{{range .Mounts}}{{println .Name}}{{end}}`, n.id)
		if err != nil {
			t.Error(err)
		}
		volumes = append(volumes, strings.Fields(printed)...)
	}
	if len(volumes) < len(c.nodes) {
		t.Errorf("%d nodes with volumes %v: each has one at least", len(c.nodes), volumes)
	}
	return volumes
}

// hostSysctls are those that a kubelet sets on a machine of its own.
func hostSysctls(t *testing.T) string {
	t.Helper()
	var text strings.Builder
	for _, name := range []string{"vm/overcommit_memory", "vm/panic_on_oom", "kernel/panic", "kernel/panic_on_oops", "kernel/keys/root_maxkeys", "kernel/keys/root_maxbytes"} {
		value, err := os.ReadFile("/proc/sys/" + name)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&text, "%s %s", name, value)
	}
	return text.String()
}

// TestCleanFindsTheDead kills what makes a cluster, and has what it left cleaned up;
// somebody else's container stays.
func TestCleanFindsTheDead(t *testing.T) {
	binary := requireKind(t)
	ctx := t.Context()
	image, err := chooseImage(ctx)
	if err != nil {
		t.Fatal(err)
	}
	s := state(filepath.Join(statesOfThisTest(t), fmt.Sprintf("dead-%d", os.Getpid())))
	release, err := s.create(spec{Name: s.name(), Image: image.reference, Executable: binary, Owned: true})
	if err != nil {
		t.Fatal(err)
	}
	start := func(labels ...string) string {
		id, err := engine.Run(ctx, append(append([]string{"create", "--network=none", "--volume=/var"}, labels...), image.reference)...)
		if err != nil {
			t.Fatal(err)
		}
		return id
	}
	start(s.labels()...)
	stranger := start("--label", clusterLabel+"="+s.name(), "--label", stateLabel+"=/somewhere/else")
	defer func() {
		if _, err := engine.Run(context.WithoutCancel(ctx), "rm", "--force", "--volumes", stranger); err != nil {
			t.Error(err)
		}
	}()
	cleans := func(why string, want bool) {
		t.Helper()
		cleaned, err := Clean(ctx)
		if err != nil {
			t.Errorf("%s: %v", why, err)
		}
		got := strings.Contains(strings.Join(cleaned, " "), s.name())
		if got != want {
			t.Errorf("%s: cleaned %v", why, cleaned)
		}
	}
	cleans("its owner lives", false)
	release() // as its death would
	cleans("its owner is dead", true)
	start(s.labels()...)
	cleans("its state is lost", true)
	cleans("nothing is left", false)
	if left, err := containersOf(ctx, s.root(), s.name()); err != nil || len(left) > 0 {
		t.Errorf("left: %v, %v", left, err)
	}
	if _, err := engine.Run(ctx, "inspect", "--format", "{{.Id}}", stranger); err != nil {
		t.Errorf("somebody else's container is gone: %v", err)
	}
}

// statesOfThisTest is where this user's states are.
func statesOfThisTest(t *testing.T) string {
	root, err := stateRoot()
	if err != nil {
		t.Fatal(err)
	}
	return root
}

// TestUpLeavesNothing has a cluster fail in the middle.
func TestUpLeavesNothing(t *testing.T) {
	binary := requireKind(t)
	ctx, cancel := context.WithTimeout(t.Context(), 8*time.Second)
	defer cancel()
	name := fmt.Sprintf("fails-%d", os.Getpid())
	if _, err := Up(ctx, Options{Name: name, Owned: true, Out: os.Stderr, Executable: binary}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a cluster without time: %v", err)
	}
	s, err := stateOf(name)
	if err != nil {
		t.Fatal(err)
	}
	nothingIsLeft(t, s, nil, nil)
}
