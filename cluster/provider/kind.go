package provider

import (
	"context"
	"io"

	"github.com/cutover-dev/cutover/cluster/chaosmesh"
	"github.com/cutover-dev/cutover/cluster/embedded/components"
	"github.com/cutover-dev/cutover/cluster/kind"
)

// kindProvider makes clusters of containers, by kind.
type kindProvider struct{}

var _ Provider = kindProvider{}

// kindCluster adds the programs that runs install.
type kindCluster struct {
	*kind.Cluster
	programs components.Programs
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

func (kindProvider) CheckNodes(count int) error { return kind.CheckNodes(count) }

func (kindProvider) Up(ctx context.Context, o Options) (Cluster, error) {
	image, err := kind.Usable(ctx)
	if err != nil {
		return nil, err
	}
	// Before a cluster waits for them.
	programs, err := kindPrograms(ctx, o.Out, image)
	if err != nil {
		return nil, err
	}
	up, err := kind.Up(ctx, kind.Options{Name: o.Name, Nodes: o.Nodes, Config: o.Config, Owned: o.Owned, Out: o.Out, Executable: o.Executable})
	if err != nil {
		return nil, err
	}
	return kindCluster{up, programs}, nil
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
	return kindCluster{up, programs}, nil
}

func (kindProvider) Down(ctx context.Context, name string) error { return kind.Down(ctx, name) }

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

func (kindProvider) Clean(ctx context.Context) ([]string, error) { return kind.Clean(ctx) }

func (kindProvider) unusable(ctx context.Context) error {
	_, err := kind.Usable(ctx)
	return err
}
