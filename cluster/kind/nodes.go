package kind

import (
	"context"
	"fmt"
	"net"
	"os/exec"
	"strings"

	"github.com/cutover-dev/cutover/cluster/inside"
)

// Dial implements cluster.Cluster. The connection is of the cluster's network and
// usable from anywhere.
func (c *Cluster) Dial(ctx context.Context, address string) (net.Conn, error) {
	return c.nodes[0].dial(ctx, address)
}

// OnNodes runs the cutover program once in the network of every node and returns what
// each printed, by node. The network is all that it shares with the node.
func (c *Cluster) OnNodes(ctx context.Context, arguments ...string) (map[string]string, error) {
	printed := map[string]string{}
	for _, n := range c.nodes {
		enter := append([]string{"--net=" + n.network(), "--", c.spec.Executable}, arguments...)
		command := exec.CommandContext(ctx, "nsenter", enter...)
		var said strings.Builder
		command.Stderr = &said
		out, err := command.Output()
		if err != nil {
			return nil, fmt.Errorf("run cutover %s in the network of %s of cluster %s: %w (nsenter is part of util-linux)\n%s", arguments[0], n.name, c.Name(), err, said.String())
		}
		printed[n.name] = string(out)
	}
	return printed, nil
}

var _ inside.Cluster = (*Cluster)(nil)

// Entrance implements inside.Cluster: programs run in the network of the first node.
func (c *Cluster) Entrance() []string { return []string{"--net=" + c.nodes[0].network()} }

// ListenInside implements inside.Cluster.
func (c *Cluster) ListenInside(ctx context.Context) (net.Listener, error) {
	return c.nodes[0].listen(ctx)
}

// ExportLogs writes the logs of the nodes, of their pods and of containerd and kubelet
// below the folder, and what kind said when it made the cluster.
func (c *Cluster) ExportLogs(ctx context.Context, dir string) error {
	return c.state.exportLogs(ctx, c.spec, dir)
}
