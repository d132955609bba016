package embedded

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/cutover-dev/cutover/cluster"
	"github.com/cutover-dev/cutover/cluster/embedded/components"
	"github.com/cutover-dev/cutover/cluster/imagestore"
	"github.com/cutover-dev/cutover/cluster/inside"
)

// Provider is the name of this provider in records and on the command line.
const Provider = "embedded"

// Options of a new cluster.
type Options struct {
	Name  string // "" for a name that nobody has
	Nodes int    // 1 to [MaxNodes]; 0 is 1
	Owned bool   // the cluster ends with this process, however that ends
	Out   io.Writer
	// Executable is the cutover program, which the cluster's own processes run;
	// this program if empty.
	Executable string
	// Reached is told of each phase of the start when it is over. May be nil.
	Reached func(Phase)
}

// Phase is a part of a start, named by what is true when it is over.
type Phase string

// The phases of a start.
const (
	ComponentsChecked Phase = "components checked"
	StateWritten      Phase = "keys and configuration written"
	ImagesLinked      Phase = "images linked"
	SandboxLaunched   Phase = "sandbox launched"
	NodesReady        Phase = "nodes Ready"
	DNSDeployed       Phase = "CoreDNS deployed"
)

// Cluster is a running embedded cluster.
type Cluster struct {
	state    state
	spec     spec
	programs components.Programs
	rest     *rest.Config
	owner    io.WriteCloser // its end is the cluster's, until letGo; nil if attached

	loading sync.Mutex
	loaded  map[string]bool
}

var (
	_ cluster.Cluster = (*Cluster)(nil)
	_ inside.Cluster  = (*Cluster)(nil)
)

// Up starts a cluster and returns when its nodes are Ready and its DNS deployed. On
// an error nothing is left behind.
func Up(ctx context.Context, o Options) (_ *Cluster, err error) {
	if o, err = o.complete(); err != nil {
		return nil, err
	}
	sp := spec{Name: o.Name, Nodes: o.Nodes, Executable: o.Executable, Owned: o.Owned, Rootless: os.Geteuid() != 0}
	if sp.Rootless {
		if sp.Cgroupless, err = withoutRoot(ctx, o); err != nil {
			return nil, err
		}
	}
	programs, err := components.Ensure(ctx, o.Out, components.Embedded)
	if err != nil {
		return nil, err
	}
	o.Reached(ComponentsChecked)
	sp.Programs = programs.Path("")
	images, err := ensureStore(ctx, programs, o.Out)
	if err != nil {
		return nil, err
	}
	s, err := stateOf(o.Name)
	if err != nil {
		return nil, err
	}
	if err := s.requireShortPaths(o.Nodes); err != nil {
		return nil, err
	}
	fmt.Fprintf(o.Out, "cluster    making %s\n", o.Name)
	release, err := s.create(o.Nodes)
	if err != nil {
		return nil, err
	}
	defer release()
	c := &Cluster{state: s, programs: programs, loaded: map[string]bool{}}
	defer func() {
		if err != nil {
			// A fresh context: the clean-up is due also when ctx is what ended.
			cleanup, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
			defer cancel()
			err = errors.Join(err, c.down(cleanup))
		}
	}()
	if err := prepare(s, sp); err != nil {
		return nil, err
	}
	o.Reached(StateWritten)
	if err := c.takeImages(images, o.Nodes); err != nil {
		return nil, err
	}
	o.Reached(ImagesLinked)
	if c.owner, err = startJanitor(ctx, s); err != nil {
		return nil, err
	}
	o.Reached(SandboxLaunched)
	if err := s.publish(); err != nil {
		return nil, err
	}
	if err := c.connect(); err != nil {
		return nil, err
	}
	if err := c.awaitUsable(ctx, o.Reached); err != nil || o.Owned {
		return c, err
	}
	return c, c.letGo()
}

// complete fills in what is left open, and refuses what cannot be.
func (o Options) complete() (_ Options, err error) {
	if o.Name == "" {
		if o.Name, err = cluster.FreshName(); err != nil {
			return o, err
		}
	}
	if o.Nodes == 0 {
		o.Nodes = 1
	}
	if o.Reached == nil {
		o.Reached = func(Phase) {}
	}
	if o.Executable == "" {
		if o.Executable, err = os.Executable(); err != nil {
			return o, err
		}
	}
	if err := cluster.CheckName(o.Name); err != nil {
		return o, err
	}
	if err := CheckNodes(o.Nodes); err != nil {
		return o, err
	}
	return o, requirePrograms(sandboxPath)
}

// letGo has the cluster outlive this process, which it did not while it was made.
func (c *Cluster) letGo() error {
	_, err := io.WriteString(c.owner, farewell)
	return errors.Join(err, c.owner.Close())
}

// prepare writes all files of a new cluster.
func prepare(s state, sp spec) error {
	if err := s.writePKI(sp.Nodes); err != nil {
		return err
	}
	if err := s.writeConf(sp); err != nil {
		return err
	}
	return s.write(sp)
}

// publish writes the kubeconfig for people and programs outside. It is written once,
// as a whole: whoever attaches may be reading it.
func (s state) publish() error {
	sp, err := s.read()
	if err != nil {
		return err
	}
	aside := s.path(".kubeconfig")
	if err := s.writeKubeconfig(aside, fmt.Sprintf("https://127.0.0.1:%d", sp.Port), "admin"); err != nil {
		return err
	}
	return os.Rename(aside, s.kubeconfig())
}

// takeImages gives each node's containerd, before it starts, the images that every
// cluster runs.
func (c *Cluster) takeImages(images imageStore, nodes int) error {
	for _, n := range nodesOf(nodes) {
		if err := images.linkInto(c.state.node(n).path("data/containerd")); err != nil {
			return err
		}
	}
	references, err := images.references()
	for _, reference := range references {
		c.loaded[reference] = true
	}
	return err
}

// connect reads how to reach the cluster.
func (c *Cluster) connect() (err error) {
	if c.spec, err = c.state.read(); err != nil {
		return err
	}
	if c.rest, err = clientcmd.BuildConfigFromFlags("", c.state.kubeconfig()); err != nil {
		return err
	}
	// Throttling in the client is meant for shared clusters.
	c.rest.QPS = -1
	return nil
}

// awaitUsable waits for the API and the nodes.
func (c *Cluster) awaitUsable(ctx context.Context, reached func(Phase)) error {
	client, err := kubernetes.NewForConfig(c.rest)
	if err != nil {
		return err
	}
	group, groupCtx := errgroup.WithContext(ctx)
	group.Go(func() error { return c.awaitNodes(groupCtx, client) })
	group.Go(func() error { return markControlPlane(groupCtx, client) })
	if err := group.Wait(); err != nil {
		return err
	}
	reached(NodesReady)
	if err := installDNS(ctx, client); err != nil {
		return err
	}
	reached(DNSDeployed)
	return nil
}

// markControlPlane labels node 0 as soon as it is registered, which its kubelet may
// not do itself: by the time that it is Ready the scheduler knows.
func markControlPlane(ctx context.Context, client kubernetes.Interface) error {
	patch := fmt.Sprintf(`{"metadata":{"labels":{%q:""}}}`, cluster.ControlPlaneLabel)
	var last error
	err := wait.PollUntilContextTimeout(ctx, 50*time.Millisecond, 2*time.Minute, true, func(ctx context.Context) (bool, error) {
		_, last = client.CoreV1().Nodes().Patch(ctx, node(0).name(), types.MergePatchType, []byte(patch), metav1.PatchOptions{})
		return last == nil, nil
	})
	if err != nil {
		return fmt.Errorf("label %s: %w", node(0).name(), errors.Join(err, last))
	}
	return nil
}

func (c *Cluster) awaitNodes(ctx context.Context, client kubernetes.Interface) error {
	last := "no answer from the API server"
	err := wait.PollUntilContextTimeout(ctx, 50*time.Millisecond, 2*time.Minute, true, func(ctx context.Context) (bool, error) {
		if !c.Alive() {
			return false, errors.New("the sandbox ended")
		}
		list, err := client.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
		if err != nil {
			last = err.Error()
			return false, nil
		}
		last = fmt.Sprintf("%d of %d nodes are registered", len(list.Items), c.spec.Nodes)
		ready := 0
		for _, object := range list.Items {
			if condition := readiness(object); condition.Status == corev1.ConditionTrue {
				ready++
			} else {
				last = object.Name + " not Ready: " + condition.Message
			}
		}
		return ready == c.spec.Nodes, nil
	})
	if err != nil {
		return fmt.Errorf("cluster %s did not come up: %w (last: %s)\n%s", c.Name(), err, last, c.tails())
	}
	return nil
}

// readiness is the node's condition Ready; without a status if it has none yet.
func readiness(object corev1.Node) corev1.NodeCondition {
	for _, condition := range object.Status.Conditions {
		if condition.Type == corev1.NodeReady {
			return condition
		}
	}
	return corev1.NodeCondition{}
}

// tails returns the last lines of each component's log.
func (c *Cluster) tails() string {
	var text strings.Builder
	files := c.LogFiles()
	for _, name := range slices.Sorted(maps.Keys(files)) {
		data, err := os.ReadFile(files[name])
		if err != nil {
			continue
		}
		lines := strings.Split(strings.TrimSpace(string(data)), "\n")
		if len(lines) > 6 {
			lines = lines[len(lines)-6:]
		}
		fmt.Fprintf(&text, "--- %s\n%s\n", name, strings.Join(lines, "\n"))
	}
	return text.String()
}

// Attach connects to a running cluster by name.
func Attach(name string) (*Cluster, error) {
	if err := cluster.CheckName(name); err != nil {
		return nil, err
	}
	s, err := stateOf(name)
	if err != nil {
		return nil, err
	}
	sp, err := s.read()
	if err != nil {
		return nil, fmt.Errorf("no cluster named %s; `cutover cluster list` shows those that run, `cutover cluster up --name %s` starts it: %w", name, name, err)
	}
	if !sp.Sandbox.alive() {
		return nil, fmt.Errorf("cluster %s has died; `cutover clean` removes what is left of it, `cutover cluster up --name %s` starts it anew", name, name)
	}
	c := &Cluster{state: s, programs: components.In(sp.Programs), loaded: map[string]bool{}}
	return c, c.connect()
}

// Name implements cluster.Cluster.
func (c *Cluster) Name() string { return c.state.name() }

// Provider implements cluster.Cluster.
func (c *Cluster) Provider() string { return Provider }

// Kubeconfig implements cluster.Cluster.
func (c *Cluster) Kubeconfig() string { return c.state.kubeconfig() }

// REST implements cluster.Cluster.
func (c *Cluster) REST() *rest.Config { return rest.CopyConfig(c.rest) }

// Programs are what the cluster runs.
func (c *Cluster) Programs() components.Programs { return c.programs }

// Facts implements cluster.Cluster.
func (c *Cluster) Facts(context.Context) (cluster.Facts, error) {
	var name unix.Utsname
	if err := unix.Uname(&name); err != nil {
		return cluster.Facts{}, err
	}
	return cluster.Facts{Kubernetes: components.KubernetesVersion, Nodes: c.spec.Nodes, Kernel: unix.ByteSliceToString(name.Release[:]), OnlyRoot: c.spec.SingleID}, nil
}

// Dial implements cluster.Cluster. The connection is of the cluster's network and
// usable from anywhere.
func (c *Cluster) Dial(ctx context.Context, address string) (net.Conn, error) {
	if !c.Alive() {
		return nil, fmt.Errorf("cluster %s has died", c.Name())
	}
	return dialInside(ctx, c.state.sockets(), address)
}

// OnNodes runs the cutover program once in the network of every node that runs and
// returns what each printed, by node. The network is all that it shares with the
// node.
func (c *Cluster) OnNodes(ctx context.Context, arguments ...string) (map[string]string, error) {
	networks, err := c.networks(ctx)
	if err != nil {
		return nil, err
	}
	printed := map[string]string{}
	for name, network := range networks {
		if printed[name], err = c.runIn(ctx, network, arguments); err != nil {
			return nil, fmt.Errorf("run cutover %s in the network of %s of cluster %s: %w", arguments[0], name, c.Name(), err)
		}
	}
	return printed, nil
}

// networks are the paths of the network namespaces of the nodes that run, by node.
func (c *Cluster) networks(ctx context.Context) (map[string]string, error) {
	r, err := c.state.command(ctx, order{Do: orderList})
	if err != nil {
		return nil, err
	}
	paths := map[string]string{node(0).name(): fmt.Sprintf("/proc/%d/ns/net", c.spec.Sandbox.PID)}
	for name, first := range r.Running {
		paths[name] = fmt.Sprintf("/proc/%d/root/proc/%d/ns/net", c.spec.Sandbox.PID, first)
	}
	return paths, nil
}

// runIn leaves entering to nsenter: a process of several threads, as this one is,
// cannot do it for all of them.
func (c *Cluster) runIn(ctx context.Context, network string, arguments []string) (string, error) {
	enter := append(c.entrance(network), "--", c.spec.Executable)
	command := exec.CommandContext(ctx, "nsenter", append(enter, arguments...)...)
	var said strings.Builder
	command.Stderr = &said
	printed, err := command.Output()
	if err != nil {
		return "", fmt.Errorf("%w (nsenter is part of util-linux)\n%s", err, said.String())
	}
	return string(printed), nil
}

// entrance is what nsenter needs to be told to enter a network of the cluster.
func (c *Cluster) entrance(network string) []string {
	enter := []string{"--net=" + network}
	if c.spec.Rootless {
		enter = append(enter, fmt.Sprintf("--user=/proc/%d/ns/user", c.spec.Sandbox.PID), "--preserve-credentials")
	}
	return enter
}

// Entrance implements inside.Cluster: programs run in the network of node 0.
func (c *Cluster) Entrance() []string {
	return c.entrance(fmt.Sprintf("/proc/%d/ns/net", c.spec.Sandbox.PID))
}

// ListenInside implements inside.Cluster.
func (c *Cluster) ListenInside(ctx context.Context) (net.Listener, error) {
	return listenInside(ctx, c.state.sockets())
}

// Processes lists every process of the cluster, as this machine numbers them: those
// in its cgroups, and its janitor, which stays outside.
func (c *Cluster) Processes() ([]int, error) {
	pids, err := members(c.spec.Cgroups)
	return append(pids, c.spec.Janitor.PID), err
}

// LoadImage implements cluster.Cluster. An image is loaded once.
func (c *Cluster) LoadImage(ctx context.Context, reference string, img v1.Image) error {
	c.loading.Lock()
	defer c.loading.Unlock()
	if c.loaded[reference] {
		return nil
	}
	if c.spec.SingleID {
		var err error
		if img, err = asRoot(img); err != nil {
			return fmt.Errorf("image %s: %w", reference, err)
		}
	}
	group, ctx := errgroup.WithContext(ctx)
	for _, n := range nodesOf(c.spec.Nodes) {
		group.Go(func() error { return c.loadInto(ctx, n, reference, img) })
	}
	if err := group.Wait(); err != nil {
		return err
	}
	c.loaded[reference] = true
	return nil
}

// asRoot is the image without the user that it wants to run as: the cluster has none
// but its root, who is an ordinary user of this machine.
func asRoot(img v1.Image) (v1.Image, error) {
	file, err := img.ConfigFile()
	if err != nil {
		return nil, err
	}
	config := *file.Config.DeepCopy()
	config.User = ""
	return mutate.Config(img, config)
}

func (c *Cluster) loadInto(ctx context.Context, n node, reference string, img v1.Image) error {
	if err := imagestore.Import(ctx, c.programs, c.state.node(n).containerd(), reference, img); err != nil {
		return fmt.Errorf("%s of cluster %s: %w", n.name(), c.Name(), err)
	}
	return nil
}

// Close implements cluster.Cluster: an owned cluster is taken down.
func (c *Cluster) Close(ctx context.Context) error {
	if !c.spec.Owned {
		return nil
	}
	return c.down(ctx)
}

func (c *Cluster) down(ctx context.Context) error {
	if c.owner != nil {
		if err := c.owner.Close(); err != nil && !errors.Is(err, os.ErrClosed) {
			return err
		}
	}
	return takeDown(ctx, c.state)
}

// Down takes the named cluster down and returns when nothing is left of it.
func Down(ctx context.Context, name string) error {
	if err := cluster.CheckName(name); err != nil {
		return err
	}
	s, err := stateOf(name)
	if err != nil {
		return err
	}
	if _, err := os.Stat(string(s)); err != nil {
		return fmt.Errorf("no cluster named %s; `cutover cluster list` shows them: %w", name, err)
	}
	return takeDown(ctx, s)
}

// takeDown ends the cluster's janitor, which sweeps, or sweeps where there is none.
func takeDown(ctx context.Context, s state) error {
	sp, err := s.read()
	if err == nil && sp.Janitor.alive() {
		if err := unix.Kill(sp.Janitor.PID, unix.SIGTERM); err != nil && !errors.Is(err, unix.ESRCH) {
			return fmt.Errorf("end the janitor of cluster %s: %w", s.name(), err)
		}
		err := wait.PollUntilContextTimeout(ctx, 20*time.Millisecond, 20*time.Second, true, func(context.Context) (bool, error) {
			return !sp.Janitor.alive(), nil
		})
		if err != nil {
			return fmt.Errorf("the janitor of cluster %s (process %d) does not end: %w", s.name(), sp.Janitor.PID, err)
		}
	}
	if _, err := os.Stat(string(s)); errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return sweep(s)
}

// Info describes a cluster for people.
type Info struct {
	Name       string
	Alive      bool
	Making     bool // it is not ready yet
	Owned      bool
	Nodes      int
	Kubeconfig string
}

// List returns the clusters of this user, dead ones too.
func List() ([]Info, error) {
	all, unlock, err := holdStates()
	if err != nil {
		return nil, err
	}
	defer unlock()
	var list []Info
	for _, s := range all {
		sp, _ := s.read() // one without a spec is being made, or died while it was
		list = append(list, Info{
			Name: s.name(), Alive: sp.Sandbox.alive(), Making: s.taken(makerLock), Owned: sp.Owned, Nodes: sp.Nodes, Kubeconfig: s.kubeconfig(),
		})
	}
	return list, nil
}

// Clean removes what is left of clusters that have lost their janitor and returns
// their names. One that is being made is left to its maker.
func Clean() ([]string, error) {
	dead, err := adoptDead()
	var cleaned []string
	failed := []error{err}
	for _, orphan := range dead {
		err := sweep(orphan.state)
		orphan.release()
		if err != nil {
			failed = append(failed, err)
			continue
		}
		cleaned = append(cleaned, orphan.state.name())
	}
	return cleaned, errors.Join(failed...)
}

// Alive is false once the cluster has ended, by whatever end.
func (c *Cluster) Alive() bool { return c.spec.Sandbox.alive() }

// LogFiles returns where the component's log is, by component. Those of a further
// node are named node-1/kubelet and so on.
func (c *Cluster) LogFiles() map[string]string {
	files := map[string]string{"janitor": c.state.log("janitor")}
	for _, n := range nodesOf(c.spec.Nodes) {
		for _, p := range programs(n) {
			name := p.name
			if n > 0 {
				name = n.name() + "/" + p.name
			}
			files[name] = c.state.node(n).log(p.name)
		}
	}
	return files
}

// ExportLogs copies the logs of all components into a folder, which it makes.
func (c *Cluster) ExportLogs(_ context.Context, dir string) error {
	for name, path := range c.LogFiles() {
		log, err := os.ReadFile(path)
		if errors.Is(err, os.ErrNotExist) {
			continue // not started yet
		}
		if err != nil {
			return err
		}
		kept := filepath.Join(dir, name+".log")
		if err := os.MkdirAll(filepath.Dir(kept), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(kept, log, 0o644); err != nil {
			return err
		}
	}
	return nil
}
