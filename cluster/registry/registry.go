package registry

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"time"

	"github.com/cutover-dev/cutover/cluster/container"
	"github.com/cutover-dev/cutover/cluster/image"
)

// program is the registry, at a version that is known to build and to work.
const program = "ko://github.com/distribution/distribution/v3/cmd/registry@v3.0.0"

// DefaultPort is the one that kind's documentation uses.
const DefaultPort = 5001

const (
	clusterLabel = "dev.cutover.registry" // its cluster
	portInside   = 5000
	configPath   = "/etc/distribution/config.yml"
	data         = "/var/lib/registry"
)

const config = `version: 0.1
log: {level: warn, accesslog: {disabled: true}}
storage: {filesystem: {rootdirectory: ` + data + `}, delete: {enabled: true}}
http: {addr: ':5000'}
`

// Options of a registry.
type Options struct {
	Cluster string // that it belongs to
	Owner   string // the folder of the cluster's user's state: others' registries are left alone
	Network string // of the engine, which the nodes are in
	Port    int    // on this machine; a free one if 0
	Image   image.Options
}

// Registry is one that serves.
type Registry struct {
	// Host is its name in references, here and on the nodes that joined: localhost:5001.
	Host string
	// Address is ip:port in the nodes' network.
	Address string
}

// Start starts the registry of a cluster and returns when it answers. On an error
// nothing is left of it.
func Start(ctx context.Context, o Options) (Registry, error) {
	built, err := image.Build(ctx, program, o.Image)
	if err != nil {
		return Registry{}, err
	}
	port := container.Port{Number: portInside, Host: o.Port}
	c, err := container.Start(ctx, container.Request{
		Name: "cutover-registry-" + o.Cluster, Image: built, Network: o.Network, Labels: labels(o.Owner, o.Cluster),
		Env:  map[string]string{"OTEL_TRACES_EXPORTER": "none"}, // there is nobody to tell
		Args: []string{"serve", configPath}, Files: map[string]string{configPath: config},
		User: "0:0", Volumes: []string{data}, // whose folder is root's
		Ports: []container.Port{port},
		Ready: container.Ready{Path: "/v2/", Port: port, Timeout: time.Minute},
	})
	var published string
	if err == nil {
		published, err = c.Published(ctx, port)
	}
	if err != nil {
		// A fresh context: the clean-up is due also when ctx is what ended.
		cleanup, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
		defer cancel()
		return Registry{}, errors.Join(fmt.Errorf("start the registry of cluster %s: %w", o.Cluster, err), Remove(cleanup, o.Owner, o.Cluster))
	}
	_, number, err := net.SplitHostPort(published)
	return Registry{Host: "localhost:" + number, Address: net.JoinHostPort(c.Address, fmt.Sprint(portInside))}, err
}

func labels(owner, cluster string) map[string]string {
	return map[string]string{container.OwnerLabel: owner, clusterLabel: cluster}
}

// Remove removes the registry of a cluster with all that was pushed to it, and returns
// when it is gone. None is fine.
func Remove(ctx context.Context, owner, cluster string) error {
	if err := container.Remove(ctx, labels(owner, cluster)); err != nil {
		return fmt.Errorf("remove the registry of cluster %s: %w", cluster, err)
	}
	return nil
}

// Clean removes the owner's registries whose clusters are not among the living, and
// names those clusters.
func Clean(ctx context.Context, owner string, living []string) ([]string, error) {
	found, err := container.Values(ctx, clusterLabel, map[string]string{container.OwnerLabel: owner})
	if err != nil {
		return nil, err
	}
	var removed []string
	var failed []error
	for _, cluster := range found {
		if slices.Contains(living, cluster) {
			continue
		}
		if err := Remove(ctx, owner, cluster); err != nil {
			failed = append(failed, err)
			continue
		}
		removed = append(removed, cluster)
	}
	return removed, errors.Join(failed...)
}
