package provider

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/cutover-dev/cutover/cluster"
	"github.com/cutover-dev/cutover/cluster/chaosmesh"
	"github.com/cutover-dev/cutover/cluster/embedded/components"
)

// Provider makes clusters of one sort on this machine, and finds and removes them.
type Provider interface {
	// Name is how people choose it: embedded or kind.
	Name() string
	// CheckNodes refuses a number of nodes that a cluster cannot have.
	CheckNodes(count int) error
	// Up starts a cluster and returns when it can be used. On an error nothing is
	// left behind.
	Up(context.Context, Options) (Cluster, error)
	// Attach connects to a cluster that runs. The error says how to start it.
	Attach(ctx context.Context, name string) (Cluster, error)
	// Down takes a cluster down and returns when nothing is left of it.
	Down(ctx context.Context, name string) error
	// List returns this user's clusters, dead ones too.
	List(ctx context.Context) ([]Info, error)
	// Clean removes what is left of clusters that nobody owns any more and returns
	// their names.
	Clean(ctx context.Context) ([]string, error)
	// Components are what its clusters are made of if all of it is built here.
	Components() components.Set
	// Usable says of what clusters of this sort are here, in a word: the node image of
	// kind's. The error says why there can be none, and what to do. It answers within
	// seconds.
	Usable(ctx context.Context) (of string, err error)
}

// Cluster is a cluster that was made here.
type Cluster interface {
	cluster.Cluster
	// Programs are those that were built for clusters of its sort, the gateway's
	// among them.
	Programs() components.Programs
	// ChaosMesh says where Chaos Mesh comes from if clusters of its sort have it.
	ChaosMesh() (from chaosmesh.Source, wanted bool, err error)
}

// Options of a new cluster.
type Options struct {
	Name  string // "" for a name that nobody has
	Nodes int
	// Config is a configuration of kind for a cluster of that sort; nil for the
	// one with so many nodes.
	Config []byte
	// Registry asks for a registry beside the cluster that its nodes pull from.
	Registry bool
	// Owned clusters end when they are closed. If this process ends before, they end
	// with it or are removed by the next clean-up.
	Owned bool
	Out   io.Writer // is told of what takes long
	// Executable is the cutover program, where this program is another one.
	Executable string
	// Reached is told of each phase of the start when it is over. May be nil.
	Reached func(phase string)
}

// Info describes a cluster for people.
type Info struct {
	Provider   string
	Name       string
	Alive      bool
	Making     bool // it is not ready yet
	Owned      bool
	Nodes      int
	Kubeconfig string
}

// All are the providers that there are.
func All() []Provider { return []Provider{embeddedProvider{}, kindProvider{}} }

// names lists them for messages.
func names() string {
	var all []string
	for _, p := range All() {
		all = append(all, p.Name())
	}
	return strings.Join(all, ", ")
}

// Named is the provider of that name.
func Named(name string) (Provider, error) {
	for _, p := range All() {
		if p.Name() == name {
			return p, nil
		}
	}
	if name == "existing" {
		return nil, fmt.Errorf("clusters of sort existing are not supported yet; supported: auto, %s", names())
	}
	return nil, fmt.Errorf("unknown sort of cluster %q; known: auto, %s", name, names())
}

// Auto has the machine decide which sort of cluster it is.
const Auto = "auto"

// Choose is the provider that was wanted. For [Auto] it is kind where that can be used,
// since it is nearest to what others run, and else the embedded one; why says so.
func Choose(ctx context.Context, wanted string) (p Provider, why string, err error) {
	if wanted != Auto {
		p, err = Named(wanted)
		return p, "", err
	}
	last := All()[len(All())-1]
	image, unusable := last.Usable(ctx)
	if unusable == nil {
		return last, "a container engine answers, and has or can pull " + image, nil
	}
	return All()[0], unusable.Error(), nil
}

// ErrNone is that no cluster has a name.
var ErrNone = errors.New("no such cluster runs")

// Find is the provider, of the wanted sort or of any for auto, that has a cluster of
// that name. The error is [ErrNone] if none has.
func Find(ctx context.Context, wanted, name string) (Provider, error) {
	var found []Provider
	var failed []error
	for _, p := range All() {
		if wanted != Auto && wanted != p.Name() {
			continue
		}
		list, err := p.List(ctx)
		failed = append(failed, err)
		if slices.ContainsFunc(list, func(info Info) bool { return info.Name == name }) {
			found = append(found, p)
		}
	}
	switch {
	case len(found) == 1:
		return found[0], nil
	case len(found) > 1:
		return nil, fmt.Errorf("there is a cluster named %s of each sort: say which with --cluster (%s)", name, names())
	case errors.Join(failed...) != nil:
		return nil, fmt.Errorf("look for cluster %s: %w", name, errors.Join(failed...))
	}
	return nil, fmt.Errorf("%w: no cluster is named %s; `cutover cluster list` shows those that are there, `cutover cluster up --name %s` starts it", ErrNone, name, name)
}
