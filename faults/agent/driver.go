package agent

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
	"k8s.io/apimachinery/pkg/types"

	"github.com/cutover-dev/cutover/cluster/aside"
)

// Pod is a pod of this node, as far as a driver needs to know it.
type Pod struct {
	UID types.UID
	IP  netip.Addr
}

// Driver delays what pods of this node send. A fault is named by the UID of its
// chaos object. Whatever it does ends by itself at the given time, whether or not
// the agent still runs.
type Driver interface {
	// Apply puts a pod under a fault until the given time; again, it does nothing.
	Apply(ctx context.Context, fault types.UID, delay Delay, pod Pod, until time.Time) error
	// Heal ends a fault on all pods of this node and returns when it is gone.
	Heal(ctx context.Context, fault types.UID) error
	// Sweep removes everything that an agent has ever left on this node.
	Sweep(ctx context.Context) error
}

// NewDriver is netem where the kernel has it, else the queue.
func NewDriver() (Driver, error) {
	if driver, err := NewNetemDriver(); err == nil {
		return driver, nil
	}
	return NewQueueDriver()
}

// NewNetemDriver delays with the kernel's netem. The error says that the kernel
// has none.
func NewNetemDriver() (Driver, error) {
	if err := tryNetem(); err != nil {
		return nil, err
	}
	return newNetemDriver(), nil
}

// NewQueueDriver delays in user space what enters the network namespace that the
// process is in.
func NewQueueDriver() (Driver, error) { return newQueueDriver(currentNetns) }

// NetemCommand is the command of the cutover program that prints why the kernel has
// no netem; nothing if it has.
const NetemCommand = "agent-netem"

// TryNetem says why Chaos Mesh cannot use netem on this kernel; nil if it can.
func TryNetem() error { return tryNetem() }

// tryNetem adds a netem to a veth in a network namespace that lives only as long
// as the trial: the one sure way to know whether the kernel has sch_netem.
func tryNetem() error { return aside.Run(addNetemInNewNetns) }

func addNetemInNewNetns() error {
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("make a network namespace to try netem in: %w", err)
	}
	veth := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "try0"}, PeerName: "try1"}
	if err := netlink.LinkAdd(veth); err != nil {
		return fmt.Errorf("add a veth to try netem on: %w", err)
	}
	netem := netlink.NewNetem(netlink.QdiscAttrs{
		LinkIndex: veth.Index, Handle: netlink.MakeHandle(1, 0), Parent: netlink.HANDLE_ROOT,
	}, netlink.NetemQdiscAttrs{Latency: 1000})
	if err := netlink.QdiscAdd(netem); err != nil {
		return fmt.Errorf("this kernel has no netem: %w", err)
	}
	return nil
}
