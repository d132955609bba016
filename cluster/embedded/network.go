package embedded

import (
	"errors"
	"fmt"
	"net"
	"os"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Nothing is bridged. The sandbox's network namespace is node 0 and the router of
// the others: each hangs on it by a veth pair and sends there whatever is not for
// a pod of its own.

// uplink is the interface by which a further node reaches the router.
const uplink = "eth0"

// everywhere is the destination of a default route.
const everywhere = "0.0.0.0/0"

// setUpNetwork gives node 0 an address, and sends what has no place to go back
// at once: a connection to a pod that was just killed fails in milliseconds
// instead of after three seconds of neighbour discovery.
func setUpNetwork() error {
	// A dummy link would do, but not every kernel has one.
	pair := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "node0"}, PeerName: "node0-peer"}
	if err := netlink.LinkAdd(pair); err != nil {
		return err
	}
	own, err := raise("node0", node(0).ip()+"/32")
	if err != nil {
		return err
	}
	if _, err := raise("node0-peer", ""); err != nil {
		return err
	}
	return errors.Join(
		addRoute(nowhere(), podNet),
		addRoute(nowhere(), everywhere),
		// The node's own calls to a Service are looked up here before kube-proxy's
		// rules turn them to a pod: any way will do, but there must be one.
		addRoute(netlink.Route{LinkIndex: own.Attrs().Index, Scope: netlink.SCOPE_LINK}, serviceNet),
		route(),
	)
}

// connectNode hangs a further node, whose first process is given, on the router.
// The routes go with the link: what was sent to a node that is lost comes back as
// at once as what was sent to none.
func connectNode(n node, pid int) error {
	pair := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: n.name()}, PeerName: uplink, PeerNamespace: netlink.NsPid(pid)}
	if err := netlink.LinkAdd(pair); err != nil {
		return fmt.Errorf("make the link of %s: %w", n.name(), err)
	}
	link, err := raise(n.name(), "")
	if err != nil {
		return err
	}
	source := net.ParseIP(node(0).ip())
	return errors.Join(
		addRoute(netlink.Route{LinkIndex: link.Attrs().Index, Src: source, Scope: netlink.SCOPE_LINK}, n.ip()+"/32"),
		addRoute(netlink.Route{LinkIndex: link.Attrs().Index, Src: source, Gw: net.ParseIP(n.ip())}, n.pods()),
	)
}

// disconnectNode takes the link away, if it is still there: the kernel does so too,
// but not before it gets round to the node's network namespace.
func disconnectNode(n node) error {
	link, err := netlink.LinkByName(n.name())
	if errors.As(err, &netlink.LinkNotFoundError{}) {
		return nil
	}
	if err != nil {
		return err
	}
	return netlink.LinkDel(link)
}

// joinNetwork is the further node's end of connectNode.
func joinNetwork(n node) error {
	link, err := raise(uplink, n.ip()+"/32")
	if err != nil {
		return err
	}
	return errors.Join(
		addRoute(netlink.Route{LinkIndex: link.Attrs().Index, Src: net.ParseIP(n.ip()), Gw: net.ParseIP(node(0).ip()), Flags: int(netlink.FLAG_ONLINK)}, everywhere),
		addRoute(nowhere(), n.pods()),
		route(),
	)
}

// raise puts a link up, with an address if one is given.
func raise(name, address string) (netlink.Link, error) {
	link, err := netlink.LinkByName(name)
	if err != nil {
		return nil, fmt.Errorf("link %s: %w", name, err)
	}
	if address != "" {
		parsed, err := netlink.ParseAddr(address)
		if err != nil {
			return nil, err
		}
		if err := netlink.AddrAdd(link, parsed); err != nil {
			return nil, fmt.Errorf("give link %s the address %s: %w", name, address, err)
		}
	}
	if err := netlink.LinkSetUp(link); err != nil {
		return nil, fmt.Errorf("put link %s up: %w", name, err)
	}
	return link, nil
}

// nowhere sends what has no better way back to its sender.
func nowhere() netlink.Route { return netlink.Route{Type: unix.RTN_UNREACHABLE, Priority: 4096} }

func addRoute(r netlink.Route, destination string) error {
	_, network, err := net.ParseCIDR(destination)
	if err != nil {
		return err
	}
	r.Dst = network
	if err := netlink.RouteAdd(&r); err != nil {
		return fmt.Errorf("route for %s: %w", destination, err)
	}
	return nil
}

// route makes a router of this network namespace, for its pods and the nodes
// behind it, and has it tell every sender, not one in a second, of what is
// unreachable.
func route() error {
	_, err := raise("lo", "")
	for setting, value := range map[string]string{"ip_forward": "1", "icmp_ratelimit": "0"} {
		err = errors.Join(err, os.WriteFile("/proc/sys/net/ipv4/"+setting, []byte(value), 0o644))
	}
	return err
}
