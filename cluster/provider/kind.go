package provider

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"

	"k8s.io/client-go/kubernetes"

	"github.com/cutover-dev/cutover/cluster"
	"github.com/cutover-dev/cutover/cluster/chaosmesh"
	"github.com/cutover-dev/cutover/cluster/embedded/components"
	"github.com/cutover-dev/cutover/cluster/engine"
	"github.com/cutover-dev/cutover/cluster/image"
	"github.com/cutover-dev/cutover/cluster/kind"
	"github.com/cutover-dev/cutover/cluster/registry"
)

// kindProvider makes clusters of containers, by kind.
type kindProvider struct{}

var _ Provider = kindProvider{}

// kindCluster adds the programs that runs install, and takes its registry along.
type kindCluster struct {
	*kind.Cluster
	programs components.Programs
	owned    bool
}

func (c kindCluster) Programs() components.Programs { return c.programs }

// ChaosMesh comes from where the nodes do: built here, or as it is published.
func (c kindCluster) ChaosMesh() (from chaosmesh.Source, wanted bool, err error) {
	if !kind.BuiltHere(c.NodeImage()) {
		return chaosmesh.Published(), true, nil
	}
	from, err = chaosmesh.Local(c.programs)
	return from, true, err
}

// kindPrograms are those that runs install in a cluster whose nodes have this image:
// the gateway, and Chaos Mesh where it is not pulled either.
func kindPrograms(ctx context.Context, out io.Writer, nodeImage string) (components.Programs, error) {
	set := components.Gateway
	if kind.BuiltHere(nodeImage) {
		set = components.Kind
	}
	return components.Ensure(ctx, out, set)
}

func (kindProvider) Name() string { return kind.Provider }

func (kindProvider) Components() components.Set { return components.Kind }

func (kindProvider) CheckNodes(count int) error { return kind.CheckNodes(count) }

func (kindProvider) Up(ctx context.Context, o Options) (Cluster, error) {
	nodeImage, err := kind.Usable(ctx)
	if err != nil {
		return nil, err
	}
	// Before a cluster waits for them.
	programs, err := kindPrograms(ctx, o.Out, nodeImage)
	if err != nil {
		return nil, err
	}
	up, err := kind.Up(ctx, kind.Options{Name: o.Name, Nodes: o.Nodes, Config: o.Config, Owned: o.Owned, Out: o.Out, Executable: o.Executable})
	if err != nil {
		return nil, err
	}
	made := kindCluster{up, programs, o.Owned}
	if !o.Registry {
		return made, nil
	}
	if err := made.startRegistry(ctx, o.Out); err != nil {
		// A fresh context: the clean-up is due also when ctx is what ended.
		cleanup, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
		defer cancel()
		return nil, errors.Join(err, kindProvider{}.Down(cleanup, up.Name()))
	}
	return made, nil
}

func (kindProvider) Attach(ctx context.Context, name string) (Cluster, error) {
	up, err := kind.Attach(ctx, name)
	if err != nil {
		return nil, err
	}
	programs, err := kindPrograms(ctx, io.Discard, up.NodeImage())
	if err != nil {
		return nil, err
	}
	return kindCluster{up, programs, false}, nil
}

// startRegistry starts a registry beside the cluster that its nodes can pull from.
func (c kindCluster) startRegistry(ctx context.Context, out io.Writer) error {
	owner, err := cluster.StateDir()
	if err != nil {
		return err
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return err
	}
	started, err := registry.Start(ctx, registry.Options{
		Cluster: c.Name(), Owner: owner, Network: c.Network(),
		Image: image.Options{CacheDir: filepath.Join(cache, "cutover", "images"), Notify: func(line string) { fmt.Fprintf(out, "build      %s\n", line) }},
	})
	if err != nil {
		return err
	}
	kube, err := kubernetes.NewForConfig(c.REST())
	if err != nil {
		return err
	}
	if err := started.Join(ctx, kube); err != nil {
		return err
	}
	fmt.Fprintf(out, "registry   %s is pulled from by that name, here and on the nodes\n", started.Host)
	return nil
}

// Close takes the registry of an owned cluster along.
func (c kindCluster) Close(ctx context.Context) error {
	if !c.owned {
		return c.Cluster.Close(ctx)
	}
	return removeBoth(ctx, c.Name(), c.Cluster.Close)
}

func (kindProvider) Down(ctx context.Context, name string) error {
	return removeBoth(ctx, name, func(ctx context.Context) error { return kind.Down(ctx, name) })
}

// removeBoth removes a cluster and its registry, if it has one.
func removeBoth(ctx context.Context, name string, down func(context.Context) error) error {
	if err := down(ctx); err != nil {
		return err
	}
	owner, err := cluster.StateDir()
	if err != nil {
		return err
	}
	return registry.Remove(ctx, owner, name)
}

func (kindProvider) List(ctx context.Context) ([]Info, error) {
	list, err := kind.List(ctx)
	var infos []Info
	for _, info := range list {
		infos = append(infos, Info{
			Provider: kind.Provider, Name: info.Name, Alive: info.Alive, Making: info.Making,
			Owned: info.Owned, Nodes: info.Nodes, Kubeconfig: info.Kubeconfig,
		})
	}
	return infos, err
}

func (p kindProvider) Clean(ctx context.Context) ([]string, error) {
	cleaned, err := kind.Clean(ctx)
	if _, none := engine.Ask(ctx); none != nil {
		return cleaned, err // without an engine there are no registries
	}
	list, listing := p.List(ctx)
	owner, unknown := cluster.StateDir()
	if err := errors.Join(err, listing, unknown); err != nil {
		return cleaned, err
	}
	var living []string
	for _, info := range list {
		living = append(living, info.Name)
	}
	removed, err := registry.Clean(ctx, owner, living)
	return slices.Compact(slices.Sorted(slices.Values(slices.Concat(cleaned, removed)))), err
}

func (kindProvider) Usable(ctx context.Context) (of string, err error) { return kind.Usable(ctx) }
