package embedded

import (
	"errors"
	"fmt"
	"net"
	"os"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
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
// behind it.
func route() error {
	_, err := raise("lo", "")
	return errors.Join(err, os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("1"), 0o644), refuse())
}

// refuse tells every sender, every time, that there is no way to where it sends.
// The kernel would do so itself, but to each sender only once a second, and the
// limit is the whole host's: a pod that dials a dead one again and again would wait
// for its second SYN.
func refuse() error {
	// Those that are told of by ICMP are limited too, but by a setting of our own.
	if err := os.WriteFile("/proc/sys/net/ipv4/icmp_ratemask", []byte("0"), 0o644); err != nil {
		return err
	}
	rules, err := nftables.New()
	if err != nil {
		return err
	}
	table := rules.AddTable(&nftables.Table{Name: "cutover_router", Family: nftables.TableFamilyIPv4})
	chain := rules.AddChain(&nftables.Chain{
		Name: "prerouting", Table: table, Type: nftables.ChainTypeFilter,
		// Behind what makes a pod's address of a Service's.
		Hooknum: nftables.ChainHookPrerouting, Priority: nftables.ChainPriorityFilter,
	})
	// fib daddr type unicast, fib daddr oif missing: nobody's, and no way there.
	rules.AddRule(&nftables.Rule{Table: table, Chain: chain, Exprs: []expr.Any{
		&expr.Fib{Register: 1, FlagDADDR: true, ResultADDRTYPE: true},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: binaryutil.NativeEndian.PutUint32(unix.RTN_UNICAST)},
		&expr.Fib{Register: 1, FlagDADDR: true, ResultOIF: true},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: binaryutil.NativeEndian.PutUint32(0)},
		&expr.Reject{Type: unix.NFT_REJECT_ICMP_UNREACH, Code: icmpHostUnreachable},
	}})
	if err := rules.Flush(); err != nil {
		return fmt.Errorf("refuse what is unreachable; it takes a kernel 5.9 or later with nf_tables, nft_fib and nft_reject: %w", err)
	}
	return nil
}

// icmpHostUnreachable is the code of the ICMP message destination unreachable.
const icmpHostUnreachable = 1
