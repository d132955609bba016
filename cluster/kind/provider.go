package kind

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"sync"
	"time"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/cutover-dev/cutover/cluster"
	"github.com/cutover-dev/cutover/cluster/engine"
)

// Provider is the name of this provider in records and on the command line.
const Provider = "kind"

// Options of a new cluster.
type Options struct {
	Name  string // "" for a name that nobody has
	Nodes int    // 1 or [MultiNodes]; 0 is 1
	// Config is a configuration of kind, instead of the one for so many nodes.
	Config []byte
	Owned  bool // the cluster ends with [Cluster.Close]; `cutover clean` removes it if this process ended before
	Out    io.Writer
	// Executable is the cutover program, which makes the cluster in processes of its
	// own; this program if empty.
	Executable string
}

// Cluster is a running kind cluster.
type Cluster struct {
	state   state
	spec    spec
	rest    *rest.Config
	nodes   []node // the first is of the control plane
	release func() // lets go of an owned cluster's state

	loading     sync.Mutex
	loaded      map[string]bool
	snapshotter string // "" until the first image is loaded
}

var _ cluster.Cluster = (*Cluster)(nil)

// node is a container of a cluster that runs.
type node struct {
	container
	pid int // its first process, as this machine numbers it
}

// Up makes a cluster and returns when its nodes are Ready and its DNS serves. On an
// error nothing is left behind.
func Up(ctx context.Context, o Options) (_ *Cluster, err error) {
	if o, err = o.complete(); err != nil {
		return nil, err
	}
	s, err := stateOf(o.Name)
	if err != nil {
		return nil, err
	}
	config, sp, err := plan(ctx, o, s)
	if err != nil {
		return nil, err
	}
	fmt.Fprintf(o.Out, "cluster    making kind cluster %s: %s of %s\n", o.Name, countNodes(sp.Nodes), sp.Image)
	release, err := s.create(sp)
	if err != nil {
		return nil, err
	}
	c := &Cluster{state: s, spec: sp, release: release}
	defer func() {
		if err != nil {
			// A fresh context: the clean-up is due also when ctx is what ended.
			cleanup, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
			defer cancel()
			err = errors.Join(err, c.down(cleanup))
		}
	}()
	if err := c.bring(ctx, config); err != nil {
		return nil, err
	}
	if !c.spec.Grant.Full {
		fmt.Fprintf(o.Out, "cluster    the engine gives its nodes no more than %v\n", c.spec.Grant)
	}
	if !o.Owned {
		release()
	}
	return c, nil
}

// plan decides everything that can be decided before there is anything to clean up.
func plan(ctx context.Context, o Options, s state) (config []byte, sp spec, err error) {
	facts, err := engine.Ask(ctx)
	if err != nil {
		return nil, spec{}, err
	}
	if err := requireHere(facts); err != nil {
		return nil, spec{}, err
	}
	image, err := chooseImage(ctx)
	if err != nil {
		return nil, spec{}, err
	}
	sp = spec{Name: o.Name, Image: image.reference, Executable: o.Executable, Owned: o.Owned}
	if sp.Docker, err = exec.LookPath("docker"); err != nil {
		return nil, spec{}, err
	}
	if has, err := engine.HasImage(ctx, image.reference); err != nil {
		return nil, spec{}, err
	} else if !has {
		fmt.Fprintf(o.Out, "cluster    pulling %s\n", image.reference)
		if _, err := engine.Run(ctx, "pull", "--quiet", image.reference); err != nil {
			return nil, spec{}, err
		}
	}
	sp.Grant = engine.Grant{Full: true} // until the maker has found out
	config, described, err := render(o.Config, s.kindName(), image, facts)
	if err != nil {
		return nil, spec{}, err
	}
	sp.Nodes = len(described.Nodes)
	return config, sp, requireWatchers("/proc", sp.Nodes)
}

// bring makes the cluster and waits until it is of use.
func (c *Cluster) bring(ctx context.Context, config []byte) (err error) {
	if err := os.WriteFile(c.state.config(), config, 0o600); err != nil {
		return err
	}
	if err := c.state.writeWrapper(c.spec.Executable); err != nil {
		return err
	}
	if err := c.state.make(ctx, c.spec); err != nil {
		return fmt.Errorf("make kind cluster %s: %w", c.Name(), err)
	}
	if c.spec, err = c.state.read(); err != nil { // the maker has completed it
		return err
	}
	if err := c.connect(ctx); err != nil {
		return err
	}
	if err := c.awaitUsable(ctx); err != nil {
		return fmt.Errorf("kind cluster %s did not come up: %w", c.Name(), err)
	}
	c.spec.Made = true
	return c.state.write(c.spec)
}

// complete fills in what is left open, and refuses what cannot be.
func (o Options) complete() (_ Options, err error) {
	if os.Geteuid() != 0 {
		return o, errors.New("a kind cluster needs root, since its network is entered from outside: run it with sudo")
	}
	if o.Name == "" {
		if o.Name, err = cluster.FreshName(); err != nil {
			return o, err
		}
	}
	if o.Nodes == 0 {
		o.Nodes = 1
	}
	if o.Config == nil {
		if o.Config, err = configFor(o.Nodes); err != nil {
			return o, err
		}
	}
	if o.Executable == "" {
		if o.Executable, err = os.Executable(); err != nil {
			return o, err
		}
	}
	return o, cluster.CheckName(o.Name)
}

func countNodes(count int) string {
	if count == 1 {
		return "1 node"
	}
	return fmt.Sprintf("%d nodes", count)
}

// connect finds out how to reach the cluster.
func (c *Cluster) connect(ctx context.Context) (err error) {
	if c.rest, err = clientcmd.BuildConfigFromFlags("", c.state.kubeconfig()); err != nil {
		return err
	}
	// Throttling in the client is meant for shared clusters.
	c.rest.QPS = -1
	containers, err := containersOf(ctx, c.state.root(), c.Name())
	if err != nil {
		return err
	}
	c.nodes = nil
	for _, found := range containers {
		pid, err := processOf(ctx, found.id)
		if err != nil {
			return fmt.Errorf("node %s: %w", found.name, err)
		}
		c.nodes = append(c.nodes, node{found, pid})
	}
	if len(c.nodes) != c.spec.Nodes {
		return fmt.Errorf("cluster %s has %d of its %d nodes; `cutover clean` removes what is left of a dead one", c.Name(), len(c.nodes), c.spec.Nodes)
	}
	return nil
}

// Attach connects to a running cluster by name.
func Attach(ctx context.Context, name string) (*Cluster, error) {
	if err := cluster.CheckName(name); err != nil {
		return nil, err
	}
	s, err := stateOf(name)
	if err != nil {
		return nil, err
	}
	sp, err := s.read()
	if err != nil {
		return nil, fmt.Errorf("no kind cluster named %s; `cutover cluster up --cluster kind --name %s` starts it: %w", name, name, err)
	}
	if !sp.Made {
		return nil, fmt.Errorf("kind cluster %s is not ready yet, or died while it was made; `cutover clean` removes a dead one", name)
	}
	sp.Owned = false // not this process's
	c := &Cluster{state: s, spec: sp, release: func() {}}
	return c, c.connect(ctx)
}

// Name implements cluster.Cluster.
func (c *Cluster) Name() string { return c.state.name() }

// Provider implements cluster.Cluster.
func (c *Cluster) Provider() string { return Provider }

// NodeImage is what the nodes run.
func (c *Cluster) NodeImage() string { return c.spec.Image }

// Kubeconfig implements cluster.Cluster.
func (c *Cluster) Kubeconfig() string { return c.state.kubeconfig() }

// REST implements cluster.Cluster.
func (c *Cluster) REST() *rest.Config { return rest.CopyConfig(c.rest) }

// Facts implements cluster.Cluster.
func (c *Cluster) Facts(context.Context) (cluster.Facts, error) {
	client, err := kubernetes.NewForConfig(c.rest)
	if err != nil {
		return cluster.Facts{}, err
	}
	version, err := client.Discovery().ServerVersion()
	if err != nil {
		return cluster.Facts{}, err
	}
	release, err := kernel()
	if err != nil {
		return cluster.Facts{}, err
	}
	return cluster.Facts{Kubernetes: version.GitVersion, Nodes: c.spec.Nodes, Kernel: release}, nil
}

// Alive is false once a node of the cluster has ended, by whatever end.
func (c *Cluster) Alive() bool {
	for _, n := range c.nodes {
		if _, err := os.Stat(n.network()); err != nil {
			return false
		}
	}
	return true
}

// Close implements cluster.Cluster: an owned cluster is taken down.
func (c *Cluster) Close(ctx context.Context) error {
	if !c.spec.Owned {
		return nil
	}
	return c.down(ctx)
}

func (c *Cluster) down(ctx context.Context) error {
	defer c.release()
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
	if _, err := os.Stat(string(s)); errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("no kind cluster named %s; `cutover cluster list` shows them: %w", name, err)
	}
	return takeDown(ctx, s)
}

// takeDown removes the cluster's containers, and its state when they are gone: who
// finds the state knows that there may be more.
func takeDown(ctx context.Context, s state) error {
	if err := s.awaitMakers(ctx); err != nil {
		return err
	}
	if err := removeContainers(ctx, s.root(), s.name()); err != nil {
		return err
	}
	return s.remove()
}
