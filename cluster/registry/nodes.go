package registry

import (
	"context"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/cutover-dev/cutover/cluster/engine"
)

// hosts is where containerd looks for how to reach a registry; kind's nodes are
// configured to look there.
const hosts = "/etc/containerd/certs.d"

// Join tells every node of a kind cluster how to reach the registry by its name here,
// and people and tools that there is one.
func (r Registry) Join(ctx context.Context, cluster kubernetes.Interface) error {
	nodes, err := cluster.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
	if err != nil {
		return fmt.Errorf("join the nodes to registry %s: %w", r.Host, err)
	}
	for _, node := range nodes.Items {
		if err := r.configure(ctx, node.Name); err != nil {
			return fmt.Errorf("join node %s to registry %s: %w", node.Name, r.Host, err)
		}
	}
	return r.announce(ctx, cluster)
}

// configure writes the file of one node, which is the container of its name. On the
// node localhost is the node itself, so its containerd is sent to the registry's
// address. It reads the file at each pull.
func (r Registry) configure(ctx context.Context, node string) error {
	folder := hosts + "/" + r.Host
	if _, err := engine.Run(ctx, "exec", node, "mkdir", "-p", folder); err != nil {
		return err
	}
	text := fmt.Sprintf("[host.%q]\n  capabilities = [\"pull\", \"resolve\"]\n", "http://"+r.Address)
	_, err := engine.Feed(ctx, strings.NewReader(text), "exec", "-i", node, "cp", "/dev/stdin", folder+"/hosts.toml")
	return err
}

// announcement is what KEP-1755 calls it.
const announcement = "local-registry-hosting"

// announce writes what KEP-1755 has tools look for.
func (r Registry) announce(ctx context.Context, cluster kubernetes.Interface) error {
	object := &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Name: announcement, Namespace: metav1.NamespacePublic},
		Data:       map[string]string{"localRegistryHosting.v1": fmt.Sprintf("host: %q\nhelp: %q\n", r.Host, "https://kind.sigs.k8s.io/docs/user/local-registry/")},
	}
	maps := cluster.CoreV1().ConfigMaps(metav1.NamespacePublic)
	_, err := maps.Create(ctx, object, metav1.CreateOptions{})
	if apierrors.IsAlreadyExists(err) {
		_, err = maps.Update(ctx, object, metav1.UpdateOptions{})
	}
	if err != nil {
		return fmt.Errorf("announce registry %s in the cluster: %w", r.Host, err)
	}
	return nil
}
