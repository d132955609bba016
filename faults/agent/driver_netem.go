package agent

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
	"k8s.io/apimachinery/pkg/types"
)

// netemDriver delays packets with the kernel's netem, inside the pod, where Chaos
// Mesh has it too. netem knows no end: a process of its own session, started
// before the damage, removes it at its time, whatever becomes of the agent. It
// does not outlive the agent's container; then the next agent sweeps.
//
// The kernels that this was developed on have no netem: finding the pod and ending
// in time are tested, the qdisc itself is not.
type netemDriver struct {
	mu     sync.Mutex
	faults map[types.UID]map[types.UID]*netemPod // by fault and pod
}

// netemPod is a pod under netem.
type netemPod struct {
	where   podLink
	handle  uint32
	expirer *os.Process
}

var _ Driver = (*netemDriver)(nil)

func newNetemDriver() *netemDriver {
	return &netemDriver{faults: map[types.UID]map[types.UID]*netemPod{}}
}

// netemLimit is how many packets netem holds; its default of 1000 would drop.
const netemLimit = maxHeld

// Apply implements Driver.
func (d *netemDriver) Apply(_ context.Context, fault types.UID, delay Delay, pod Pod, until time.Time) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.faults[fault][pod.UID] != nil {
		return nil
	}
	where, err := findPod(pod.IP)
	if err != nil {
		return err
	}
	p := &netemPod{where: where, handle: netemHandle(fault)}
	if p.expirer, err = startExpirer(where, p.handle, until); err != nil {
		return errors.Join(err, where.ns.Close())
	}
	if err := addNetem(where, p.handle, delay); err != nil {
		return errors.Join(err, p.expirer.Kill(), where.ns.Close())
	}
	if d.faults[fault] == nil {
		d.faults[fault] = map[types.UID]*netemPod{}
	}
	d.faults[fault][pod.UID] = p
	return nil
}

// netemHandle is the fault's mark on a qdisc, in a range that nobody else uses:
// major numbers 0xc000 to 0xcfff.
func netemHandle(fault types.UID) uint32 {
	return netlink.MakeHandle(0xc000|uint16(seedOf(string(fault))&0xfff), 0)
}

func isOurs(handle uint32) bool { return handle>>28 == 0xc && handle&0xffff == 0 }

func addNetem(where podLink, handle uint32, delay Delay) error {
	h, err := netlink.NewHandleAt(where.ns)
	if err != nil {
		return fmt.Errorf("enter the pod's network: %w", err)
	}
	defer h.Close()
	qdisc := netlink.NewNetem(
		netlink.QdiscAttrs{LinkIndex: where.link, Handle: handle, Parent: netlink.HANDLE_ROOT},
		netlink.NetemQdiscAttrs{
			Latency: uint32(delay.Latency.Microseconds()), Jitter: uint32(delay.Jitter.Microseconds()),
			DelayCorr: float32(delay.Correlation * 100), Limit: netemLimit,
		})
	if err := h.QdiscAdd(qdisc); err != nil {
		return fmt.Errorf("add netem to the pod (is it under another delay?): %w", err)
	}
	return nil
}

// removeNetem takes our netem with this handle, or with any of ours if it is 0,
// off a link and returns when it is off.
func removeNetem(where podLink, handle uint32) error {
	h, err := netlink.NewHandleAt(where.ns)
	if err != nil {
		return fmt.Errorf("enter the pod's network: %w", err)
	}
	defer h.Close()
	link, err := h.LinkByIndex(where.link)
	if errors.As(err, &netlink.LinkNotFoundError{}) {
		return nil // and the pod with it
	}
	if err != nil {
		return fmt.Errorf("find the pod's link: %w", err)
	}
	qdiscs, err := h.QdiscList(link)
	if err != nil {
		return fmt.Errorf("list the pod's qdiscs: %w", err)
	}
	for _, qdisc := range qdiscs {
		if qdisc.Type() != "netem" || !isOurs(qdisc.Attrs().Handle) || handle != 0 && qdisc.Attrs().Handle != handle {
			continue
		}
		if err := h.QdiscDel(qdisc); err != nil && !errors.Is(err, unix.ENOENT) {
			return fmt.Errorf("remove netem from the pod: %w", err)
		}
	}
	return nil
}

// Heal implements Driver.
func (d *netemDriver) Heal(_ context.Context, fault types.UID) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	for pod, p := range d.faults[fault] {
		if err := removeNetem(p.where, p.handle); err != nil {
			return err
		}
		_ = p.expirer.Kill() // it may have done its work
		p.where.ns.Close()
		delete(d.faults[fault], pod)
	}
	delete(d.faults, fault)
	return nil
}

// Sweep implements Driver.
func (d *netemDriver) Sweep(ctx context.Context) error {
	d.mu.Lock()
	var failures []error
	var mine []types.UID
	for fault := range d.faults {
		mine = append(mine, fault)
	}
	d.mu.Unlock()
	for _, fault := range mine {
		failures = append(failures, d.Heal(ctx, fault))
	}
	failures = append(failures, eachNetns(func(ns netns.NsHandle) (bool, error) {
		return false, sweepNetns(ns)
	}))
	return errors.Join(failures...)
}

func sweepNetns(ns netns.NsHandle) error {
	h, err := netlink.NewHandleAt(ns)
	if err != nil {
		return fmt.Errorf("enter a pod's network: %w", err)
	}
	defer h.Close()
	links, err := h.LinkList()
	if err != nil {
		return fmt.Errorf("list a pod's links: %w", err)
	}
	for _, link := range links {
		if err := removeNetem(podLink{ns, link.Attrs().Index}, 0); err != nil {
			return err
		}
	}
	return nil
}

// ExpireCommand is the hidden subcommand that the agent starts itself with to end
// a netem in time; [Expire] serves it.
const ExpireCommand = "agent-expire"

// startExpirer starts the process that outlives a stopped or dead agent.
func startExpirer(where podLink, handle uint32, until time.Time) (*os.Process, error) {
	dup, err := unix.FcntlInt(uintptr(where.ns), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("pass on the pod's network: %w", err)
	}
	passed := os.NewFile(uintptr(dup), "netns")
	defer passed.Close()
	//nolint:noctx // it must outlive whatever asked for it
	cmd := exec.Command("/proc/self/exe", ExpireCommand,
		strconv.Itoa(where.link), strconv.FormatUint(uint64(handle), 10), strconv.FormatInt(until.UnixNano(), 10))
	cmd.ExtraFiles = []*os.File{passed}
	cmd.SysProcAttr = &unix.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start the process that ends the delay in time: %w", err)
	}
	go func() { _ = cmd.Wait() }() // only to bury it
	return cmd.Process, nil
}

// expirerNetns is the descriptor that the expirer finds the pod's network at.
const expirerNetns = 3

// Expire waits until the time that args give and takes the netem off that they
// name: link, handle, and nanoseconds since 1970.
func Expire(ctx context.Context, args []string) error {
	if len(args) != 3 {
		return fmt.Errorf("%s is for the agent's own use: it takes a link, a handle and a time", ExpireCommand)
	}
	link, err1 := strconv.Atoi(args[0])
	handle, err2 := strconv.ParseUint(args[1], 10, 32)
	until, err3 := strconv.ParseInt(args[2], 10, 64)
	if err := errors.Join(err1, err2, err3); err != nil {
		return fmt.Errorf("%s: %w", ExpireCommand, err)
	}
	return expire(ctx, podLink{netns.NsHandle(expirerNetns), link}, uint32(handle), time.Unix(0, until))
}

func expire(ctx context.Context, where podLink, handle uint32, until time.Time) error {
	timer := time.NewTimer(time.Until(until))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done(): // early is better than never
	}
	return removeNetem(where, handle)
}

// podLink is a pod's own end of its veth.
type podLink struct {
	ns   netns.NsHandle
	link int
}

// findPod finds the pod by its address, in the networks of all processes of the
// node. The caller closes ns.
func findPod(ip netip.Addr) (podLink, error) {
	var found podLink
	err := eachNetns(func(ns netns.NsHandle) (bool, error) {
		link, err := linkWith(ns, ip)
		if err != nil || link == 0 {
			return false, err
		}
		found = podLink{ns, link}
		return true, nil
	})
	if err != nil {
		return podLink{}, fmt.Errorf("look for the network of pod address %s: %w", ip, err)
	}
	if found.link == 0 {
		return podLink{}, fmt.Errorf("no process of this node is in a network with pod address %s", ip)
	}
	return found, nil
}

// linkWith is the index of the link that has the address; 0 if none has.
func linkWith(ns netns.NsHandle, ip netip.Addr) (int, error) {
	h, err := netlink.NewHandleAt(ns)
	if err != nil {
		return 0, err
	}
	defer h.Close()
	addrs, err := h.AddrList(nil, netlink.FAMILY_ALL)
	if err != nil {
		return 0, err
	}
	for _, addr := range addrs {
		if got, ok := netip.AddrFromSlice(addr.IP); ok && got.Unmap() == ip {
			return addr.LinkIndex, nil
		}
	}
	return 0, nil
}

// eachNetns visits every network namespace that a process is in, save our own. The
// visitor keeps the handle if it says so; that ends the visits too.
func eachNetns(visit func(netns.NsHandle) (keep bool, err error)) error {
	own, err := os.Readlink("/proc/self/ns/net")
	if err != nil {
		return err
	}
	processes, err := os.ReadDir("/proc")
	if err != nil {
		return err
	}
	seen := map[string]bool{own: true}
	for _, process := range processes {
		path := "/proc/" + process.Name() + "/ns/net"
		name, err := os.Readlink(path)
		if err != nil || seen[name] {
			continue // not a process, one that has just ended, or seen
		}
		seen[name] = true
		ns, err := netns.GetFromPath(path)
		if err != nil {
			continue
		}
		keep, err := visit(ns)
		if keep {
			return err
		}
		ns.Close()
		if err != nil {
			return err
		}
	}
	return nil
}
