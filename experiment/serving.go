package experiment

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/client-go/kubernetes"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/cutover-dev/cutover/cluster"
	"github.com/cutover-dev/cutover/faults"
	"github.com/cutover-dev/cutover/faults/agent"
)

// survey finds what a cluster has, beside our agent, to serve faults with. Chaos Mesh
// must have been installed before.
func survey(ctx context.Context, c client.Client, on cluster.Cluster) (faults.Serving, error) {
	meshed, err := hasChaosMesh(ctx, c)
	if err != nil || !meshed {
		return faults.Serving{}, err
	}
	lacks, err := noNetem(ctx, on)
	return faults.Serving{ChaosMesh: true, NoNetem: lacks}, err
}

// hasChaosMesh goes by the labels of Chaos Mesh's own chart.
func hasChaosMesh(ctx context.Context, c client.Client) (bool, error) {
	var controllers appsv1.DeploymentList
	err := c.List(ctx, &controllers, client.MatchingLabels{"app.kubernetes.io/name": "chaos-mesh", "app.kubernetes.io/component": "controller-manager"})
	if err != nil {
		return false, fmt.Errorf("look for Chaos Mesh: %w", err)
	}
	for _, controller := range controllers.Items {
		if controller.Status.AvailableReplicas == 0 {
			return false, fmt.Errorf("Chaos Mesh is installed in namespace %s and does not run, so nobody may serve its objects: see to %s, or uninstall it",
				controller.Namespace, controller.Name)
		}
	}
	return len(controllers.Items) > 0, nil
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

// reader gets what a cluster's API server has at a path.
func reader(on cluster.Cluster) (faults.Reader, error) {
	set, err := kubernetes.NewForConfig(on.REST())
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context, path string) ([]byte, error) {
		return set.RESTClient().Get().RequestURI(path).DoRaw(ctx)
	}, nil
}
