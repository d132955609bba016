package embedded

import (
	"fmt"
	"strconv"
	"strings"
)

// MaxNodes is how many nodes a cluster may have. Each takes memory for a kubelet,
// a containerd and a kube-proxy, and inotify instances, which a user has 128 of.
const MaxNodes = 9

// node is one node of a cluster, by its number. Node 0 is in the sandbox itself,
// beside the control plane; every further one is a sandbox in the sandbox.
type node int

// nodesOf lists the nodes of a cluster that has so many.
func nodesOf(count int) []node {
	list := make([]node, count)
	for i := range list {
		list[i] = node(i)
	}
	return list
}

// CheckNodes refuses a number of nodes that a cluster cannot have.
func CheckNodes(count int) error {
	if count < 1 || count > MaxNodes {
		return fmt.Errorf("a cluster cannot have %d nodes: choose 1 to %d", count, MaxNodes)
	}
	return nil
}

// parseNode finds a node of a cluster by its name.
func parseNode(name string, count int) (node, error) {
	digits, named := strings.CutPrefix(name, "node-")
	number, err := strconv.Atoi(digits)
	if !named || err != nil || number < 0 || number >= count || node(number).name() != name {
		var known []string
		for _, n := range nodesOf(count) {
			known = append(known, n.name())
		}
		return 0, fmt.Errorf("no node named %q; known: %s", name, strings.Join(known, ", "))
	}
	return node(number), nil
}

// furtherNode finds a node that can be lost.
func furtherNode(name string, count int) (node, error) {
	n, err := parseNode(name, count)
	if err == nil && n == 0 {
		err = fmt.Errorf("%s cannot be stopped: it carries the control plane, and the cluster would go with it", name)
	}
	return n, err
}

func (n node) name() string { return "node-" + strconv.Itoa(int(n)) }

// ip is the node's address. The network namespace is the cluster's own, so every
// cluster has the same ones and none of them clash.
func (n node) ip() string { return fmt.Sprintf("10.112.0.%d", 2+int(n)) }

// pods is the range of the node's pods.
func (n node) pods() string { return fmt.Sprintf("10.244.%d.0/24", int(n)) }

// zone alternates, so that two nodes suffice to spread something over zones.
func (n node) zone() string { return "zone-" + string(rune('a'+int(n)%2)) }

// apiServer is where the node's components reach the API server.
func (n node) apiServer() string {
	if n == 0 {
		return "https://127.0.0.1:6443"
	}
	return "https://" + node(0).ip() + ":6443"
}
