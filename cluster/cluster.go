package cluster

import (
	"context"
	"net"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"k8s.io/client-go/rest"
)

// Cluster is a running Kubernetes cluster.
type Cluster interface {
	// Name is unique among the clusters of its provider.
	Name() string
	// Provider is embedded, kind or existing.
	Provider() string
	// Facts says what the cluster can do.
	Facts(ctx context.Context) (Facts, error)
	// REST reaches the API server as an administrator. The caller may change it.
	REST() *rest.Config
	// Kubeconfig is the path of a file that says the same to other programs.
	Kubeconfig() string
	// Dial opens a TCP connection to ip:port inside the cluster's network.
	Dial(ctx context.Context, address string) (net.Conn, error)
	// LoadImage makes the image available to every node under the reference.
	LoadImage(ctx context.Context, reference string, image v1.Image) error
	// Close releases what this process holds; a cluster that it owns is taken down
	// and confirmed gone.
	Close(ctx context.Context) error
}

// Facts is what a scenario may require of a cluster.
type Facts struct {
	Kubernetes string // version, "v1.36.3"
	Nodes      int
	Kernel     string
	// OnlyRoot says that the cluster has no user but its root, who is an ordinary
	// user of this machine: a container that asks for another does not start.
	OnlyRoot bool
}
