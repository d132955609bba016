package kind

import (
	"fmt"

	"sigs.k8s.io/kind/pkg/apis/config/v1alpha4"
	"sigs.k8s.io/yaml"

	"github.com/cutover-dev/cutover/cluster/engine"
	kindconfig "github.com/cutover-dev/cutover/kind-config"
)

// MultiNodes is how many nodes the configuration with several has.
const MultiNodes = 4

// configFor is the configuration that a cluster with so many nodes has.
func configFor(nodes int) ([]byte, error) {
	switch nodes {
	case 1:
		return kindconfig.Single, nil
	case MultiNodes:
		return kindconfig.Multi, nil
	}
	return nil, CheckNodes(nodes)
}

// CheckNodes refuses a number of nodes that there is no configuration for.
func CheckNodes(nodes int) error {
	if nodes == 1 || nodes == MultiNodes {
		return nil
	}
	return fmt.Errorf("a kind cluster cannot have %d nodes: choose 1 (kind-config/single.yaml) or %d (kind-config/multi.yaml)", nodes, MultiNodes)
}

// Patches of what kubeadm and kubelet get, by what calls for them.
const (
	// kubelet refuses a machine whose cgroups are of version 1, unless it is told.
	patchCgroupV1 = "kind: KubeletConfiguration\nfailCgroupV1: false\n"
	// The data of a cluster that lives for minutes need not outlast a power failure.
	patchEtcd = "kind: ClusterConfiguration\netcd: {local: {extraArgs: [{name: unsafe-no-fsync, value: \"true\"}]}}\n"
	// Who has no rival need not wait for an election.
	patchAlone = "kind: ClusterConfiguration\ncontrollerManager: {extraArgs: [{name: leader-elect, value: \"false\"}]}\nscheduler: {extraArgs: [{name: leader-elect, value: \"false\"}]}\n"
)

// render fills in what a configuration of kind-config leaves open.
func render(config []byte, name string, image nodeImage, facts engine.Facts) ([]byte, v1alpha4.Cluster, error) {
	var cluster v1alpha4.Cluster
	if err := yaml.UnmarshalStrict(config, &cluster); err != nil {
		return nil, cluster, fmt.Errorf("the configuration of kind: %w", err)
	}
	if len(cluster.Nodes) == 0 {
		cluster.Nodes = []v1alpha4.Node{{Role: v1alpha4.ControlPlaneRole}}
	}
	cluster.Name = name
	for i := range cluster.Nodes {
		cluster.Nodes[i].Image = image.reference
	}
	if facts.Cgroup == 1 {
		cluster.KubeadmConfigPatches = append(cluster.KubeadmConfigPatches, patchCgroupV1)
	}
	if image.ours {
		// What the embedded cluster has, too: its data plane is to be the same.
		if cluster.Networking.KubeProxyMode == "" {
			cluster.Networking.KubeProxyMode = v1alpha4.NFTablesProxyMode
		}
		cluster.KubeadmConfigPatches = append(cluster.KubeadmConfigPatches, patchEtcd)
		if countControlPlanes(cluster) == 1 {
			cluster.KubeadmConfigPatches = append(cluster.KubeadmConfigPatches, patchAlone)
		}
	}
	rendered, err := yaml.Marshal(cluster)
	return rendered, cluster, err
}

func countControlPlanes(cluster v1alpha4.Cluster) int {
	count := 0
	for _, node := range cluster.Nodes {
		if node.Role == v1alpha4.ControlPlaneRole {
			count++
		}
	}
	return count
}
