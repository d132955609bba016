package agent

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"k8s.io/apimachinery/pkg/types"
)

// currentNetns stands for the network namespace that the process is in.
const currentNetns = 0

// queueDriver delays packets in user space, on any kernel with nftables and
// NFQUEUE. It takes them where they enter the node from the pod's veth.
type queueDriver struct {
	netns  int // file descriptor of the node's network namespace
	table  table
	routes *netlink.Handle

	mu     sync.Mutex
	faults map[types.UID]map[types.UID]int // the interface of each pod under a fault
	queues map[int]*delayQueue             // by interface: each pod has its own, as it has a netem of its own
}

var _ Driver = (*queueDriver)(nil)

func newQueueDriver(ns int) (*queueDriver, error) {
	routes, err := netlink.NewHandle()
	if ns != currentNetns {
		routes, err = netlink.NewHandleAt(netns.NsHandle(ns))
	}
	if err != nil {
		return nil, fmt.Errorf("reach the node's routes: %w", err)
	}
	return &queueDriver{
		netns: ns, table: table{ns}, routes: routes,
		faults: map[types.UID]map[types.UID]int{}, queues: map[int]*delayQueue{},
	}, nil
}

// Apply implements Driver. It opens the queue before it directs anything into it.
func (d *queueDriver) Apply(_ context.Context, fault types.UID, delay Delay, pod Pod, until time.Time) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, there := d.faults[fault][pod.UID]; there {
		return nil
	}
	link, err := d.link(pod)
	if err != nil {
		return err
	}
	queue := d.queues[link]
	if queue == nil {
		if queue, err = openDelayQueue(d.netns); err != nil {
			return err
		}
		d.queues[link] = queue
	}
	stream := len(d.faults[fault]) // so that pods do not slow down in step
	queue.add(fault, delay.Sequence(uint64(stream)), until)
	if err := d.table.put(setName(fault), link, queue.kernel.number, time.Until(until)); err != nil {
		return errors.Join(err, d.leave(fault, link))
	}
	if d.faults[fault] == nil {
		d.faults[fault] = map[types.UID]int{}
	}
	d.faults[fault][pod.UID] = link
	return nil
}

// leave takes a fault off a pod. Without any the pod's queue lets everything go.
func (d *queueDriver) leave(fault types.UID, link int) error {
	queue := d.queues[link]
	if queue == nil || queue.remove(fault) > 0 {
		return nil
	}
	delete(d.queues, link)
	return queue.close()
}

// setName is short enough for the kernel and long enough to tell objects apart.
func setName(fault types.UID) string {
	name := strings.ReplaceAll(string(fault), "-", "")
	return "cutover_" + name[:min(12, len(name))]
}

// link finds the node's end of the pod's veth: the interface that the node
// reaches the pod by.
func (d *queueDriver) link(pod Pod) (int, error) {
	if !pod.IP.Is4() {
		return 0, fmt.Errorf("pod address %s: delaying anything but IPv4 is not supported yet", pod.IP)
	}
	routes, err := d.routes.RouteGet(pod.IP.AsSlice())
	if err != nil || len(routes) == 0 {
		return 0, fmt.Errorf("find the node's way to pod address %s: %w", pod.IP, err)
	}
	link, err := d.routes.LinkByIndex(routes[0].LinkIndex)
	if err != nil {
		return 0, fmt.Errorf("find the interface of pod address %s: %w", pod.IP, err)
	}
	if link.Type() != "veth" || routes[0].Gw != nil {
		return 0, fmt.Errorf("the node reaches pod address %s by %s (%s), not by a veth of the pod's own, so its packets cannot be "+
			"told from others': use a pod network that routes (ptp), or a kernel with netem", pod.IP, link.Attrs().Name, link.Type())
	}
	return link.Attrs().Index, nil
}

// Heal implements Driver. The order matters: first nothing goes in any more, then
// everything comes out, and only with no fault left does the hook go.
func (d *queueDriver) Heal(_ context.Context, fault types.UID) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.table.remove(setName(fault)); err != nil {
		return err
	}
	for pod, link := range d.faults[fault] {
		if err := d.leave(fault, link); err != nil {
			return err
		}
		delete(d.faults[fault], pod)
	}
	delete(d.faults, fault)
	return d.confirm(setName(fault))
}

func (d *queueDriver) confirm(set string) error {
	left, err := d.table.sets()
	if err != nil {
		return err
	}
	for _, name := range left {
		if name == set {
			return fmt.Errorf("set %s is still there after its removal", set)
		}
	}
	if len(left) > 0 {
		return nil
	}
	return d.table.drop()
}

// Sweep implements Driver.
func (d *queueDriver) Sweep(ctx context.Context) error {
	d.mu.Lock()
	var mine []types.UID
	for fault := range d.faults {
		mine = append(mine, fault)
	}
	d.mu.Unlock()
	var failures []error
	for _, fault := range mine {
		failures = append(failures, d.Heal(ctx, fault))
	}
	return errors.Join(append(failures, d.table.drop())...)
}
