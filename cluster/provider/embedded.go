package provider

import (
	"context"
	"errors"

	"github.com/cutover-dev/cutover/cluster/chaosmesh"
	"github.com/cutover-dev/cutover/cluster/embedded"
	"github.com/cutover-dev/cutover/cluster/embedded/components"
)

// embeddedProvider makes clusters of namespaces, without a container engine.
type embeddedProvider struct{}

var _ Provider = embeddedProvider{}

// embeddedCluster is a cluster whose faults the agent does alone.
type embeddedCluster struct{ *embedded.Cluster }

func (embeddedCluster) ChaosMesh() (from chaosmesh.Source, wanted bool, err error) { return }

func (embeddedProvider) Name() string { return embedded.Provider }

func (embeddedProvider) Components() components.Set { return components.Embedded }

func (embeddedProvider) CheckNodes(count int) error { return embedded.CheckNodes(count) }

func (embeddedProvider) Up(ctx context.Context, o Options) (Cluster, error) {
	if o.Registry || o.Config != nil {
		return nil, errors.New("an embedded cluster has no registry beside it and no configuration of kind's: leave them out, or use --cluster kind")
	}
	made := embedded.Options{Name: o.Name, Nodes: o.Nodes, Owned: o.Owned, Out: o.Out, Executable: o.Executable}
	if o.Reached != nil {
		made.Reached = func(phase embedded.Phase) { o.Reached(string(phase)) }
	}
	up, err := embedded.Up(ctx, made)
	if err != nil {
		return nil, err // a nil cluster in an interface is not nil
	}
	return embeddedCluster{up}, nil
}

func (embeddedProvider) Attach(_ context.Context, name string) (Cluster, error) {
	up, err := embedded.Attach(name)
	if err != nil {
		return nil, err
	}
	return embeddedCluster{up}, nil
}

func (embeddedProvider) Down(ctx context.Context, name string) error { return embedded.Down(ctx, name) }

func (embeddedProvider) List(context.Context) ([]Info, error) {
	list, err := embedded.List()
	var infos []Info
	for _, info := range list {
		infos = append(infos, Info{
			Provider: embedded.Provider, Name: info.Name, Alive: info.Alive, Making: info.Making,
			Owned: info.Owned, Nodes: info.Nodes, Kubeconfig: info.Kubeconfig,
		})
	}
	return infos, err
}

func (embeddedProvider) Clean(context.Context) ([]string, error) { return embedded.Clean() }

// Usable does not look further: doctor does, and the first start says what is lacking.
func (embeddedProvider) Usable(context.Context) (of string, err error) {
	return "Kubernetes " + components.KubernetesVersion, nil
}
