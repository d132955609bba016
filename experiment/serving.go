package experiment

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/cutover-dev/cutover/cluster"
	"github.com/cutover-dev/cutover/cluster/chaosmesh"
	"github.com/cutover-dev/cutover/faults"
	"github.com/cutover-dev/cutover/faults/agent"
)

// survey finds what a cluster has, beside our agent, to serve faults with. Chaos Mesh
// must have been installed before.
func survey(ctx context.Context, c client.Client, on cluster.Cluster) (faults.Serving, error) {
	version, err := chaosmesh.Installed(ctx, c)
	if err != nil || version == "" {
		return faults.Serving{}, err
	}
	lacks, err := noNetem(ctx, on)
	return faults.Serving{ChaosMesh: true, NoNetem: lacks}, err
}

// noNetem says on which nodes the kernel's netem cannot be used, and why; "" if it
// can, or if nobody can tell.
func noNetem(ctx context.Context, on cluster.Cluster) (string, error) {
	nodes, reachable := on.(nodesReachable)
	if !reachable {
		return "", nil
	}
	printed, err := nodes.OnNodes(ctx, agent.NetemCommand)
	if err != nil {
		return "", fmt.Errorf("try the kernel's netem on the nodes: %w", err)
	}
	for _, node := range slices.Sorted(maps.Keys(printed)) {
		if lacks := strings.TrimSpace(printed[node]); lacks != "" {
			return node + ": " + lacks, nil
		}
	}
	return "", nil
}

// nodeRunner runs the program on a cluster's nodes; nil if they cannot be reached.
func nodeRunner(on cluster.Cluster) faults.NodeRunner {
	if nodes, reachable := on.(nodesReachable); reachable {
		return nodes.OnNodes
	}
	return nil
}
