package nettest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/cutover-dev/cutover/cluster/aside"
)

// NodeIP is the address at which pods reach their node.
const NodeIP = "10.9.255.1"

// Node is a network namespace that plays a node.
type Node struct{ Netns }

// Pod is a network namespace behind a veth of its own.
type Pod struct {
	Netns
	IP netip.Addr
}

// Netns is a network namespace. The kernel removes it when it is closed and no
// process or socket is left in it.
type Netns struct{ ns netns.NsHandle }

// NewNode makes a node without pods. Without the right to, the error is
// [unix.EPERM].
func NewNode() (*Node, error) {
	made, err := newNetns()
	if err != nil {
		return nil, err
	}
	if err := made.Do(func() error { return up("lo") }); err != nil {
		return nil, errors.Join(err, made.Close())
	}
	return &Node{made}, nil
}

func newNetns() (Netns, error) {
	var made Netns
	err := aside.Run(func() (err error) {
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("make a network namespace: %w", err)
		}
		made.ns, err = netns.Get()
		return err
	})
	return made, err
}

// Close lets go of the namespace.
func (n Netns) Close() error { return n.ns.Close() }

// Fd is the namespace's descriptor.
func (n Netns) Fd() int { return int(n.ns) }

// Do runs fn on a thread that is in the namespace. Sockets that it makes and
// processes that it starts belong there.
func (n Netns) Do(fn func() error) error {
	return aside.Run(func() error {
		if err := netns.Set(n.ns); err != nil {
			return fmt.Errorf("enter a network namespace: %w", err)
		}
		return fn()
	})
}

// AddPod adds the pod with address 10.9.0.number and returns when both ends of its
// veth carry packets: a fresh one drops the first, and a lost SYN costs a second.
func (n *Node) AddPod(ctx context.Context, number byte) (*Pod, error) {
	inside, err := newNetns()
	if err != nil {
		return nil, err
	}
	p := &Pod{inside, netip.AddrFrom4([4]byte{10, 9, 0, number})}
	name := fmt.Sprintf("veth%d", number)
	err = n.Do(func() error {
		attrs := netlink.LinkAttrs{Name: name}
		veth := &netlink.Veth{LinkAttrs: attrs, PeerName: "eth0", PeerNamespace: netlink.NsFd(p.ns)}
		if err := netlink.LinkAdd(veth); err != nil {
			return err
		}
		return join(name, NodeIP, p.IP.String())
	})
	if err == nil {
		err = p.Do(func() error {
			return errors.Join(up("lo"), join("eth0", p.IP.String(), NodeIP), carrier(ctx, "eth0"))
		})
	}
	if err == nil {
		err = n.Do(func() error { return carrier(ctx, name) })
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("add pod %d to the node: %w", number, err), p.Close())
	}
	return p, nil
}

func up(name string) error {
	link, err := netlink.LinkByName(name)
	if err != nil {
		return err
	}
	return netlink.LinkSetUp(link)
}

// join gives an end of a veth its address and the way to the other end's.
func join(name, own, other string) error {
	link, err := netlink.LinkByName(name)
	if err != nil {
		return err
	}
	if err := netlink.AddrAdd(link, &netlink.Addr{IPNet: only(own)}); err != nil {
		return err
	}
	if err := netlink.LinkSetUp(link); err != nil {
		return err
	}
	return netlink.RouteAdd(&netlink.Route{LinkIndex: link.Attrs().Index, Dst: only(other), Scope: netlink.SCOPE_LINK})
}

func only(ip string) *net.IPNet {
	return &net.IPNet{IP: net.ParseIP(ip).To4(), Mask: net.CIDRMask(32, 32)}
}

func carrier(ctx context.Context, name string) error {
	err := wait.PollUntilContextTimeout(ctx, time.Millisecond, 5*time.Second, true, func(context.Context) (bool, error) {
		link, err := netlink.LinkByName(name)
		if err != nil {
			return false, err
		}
		return link.Attrs().OperState == netlink.OperUp, nil
	})
	if err != nil {
		return fmt.Errorf("wait until %s carries packets: %w", name, err)
	}
	return nil
}
